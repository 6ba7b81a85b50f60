"""Builds the site of the documents: ``build/docs`` holds its pages, ``build/site`` what a browser reads.

Usage::

    python scripts/build_site.py

The pages are those of ``docs``, the notebooks, the documents of the repository's root, and what the command line says
of itself. Links between them are written for the repository; they are turned into links of the site on the way. A file
that is linked and is no page is copied. The build fails for a link that leads nowhere, and for a page that would make a
browser fetch something from elsewhere.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort
from render_notebooks import render_all

ROOT = Path(__file__).parents[1]
DOCUMENTS = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "LIMITATIONS.md": "limitations.md"}
START = {"README.md": "index.md", "docs": "index.md"}
OTHERS = "files"
FENCED = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=fence)[ ]*$\n?", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:pip|make|python|synaptoroute|curl) ")
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")
MARKER = re.compile(r"^<!-- not run\b[^>]*-->\n", re.MULTILINE)
COMMANDS = "<!-- commands -->"

Copy = Callable[[str, str], None]


# --- pages ----------------------------------------------------------------------------------------


def site_path(name: str) -> str:
    """Where a file of the repository is on the site.

    Args:
        name: Its path in the repository, with slashes.
    """
    if name in START or name in DOCUMENTS:
        return START.get(name) or DOCUMENTS[name]
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    if name.startswith("notebooks/") and name.endswith(".ipynb"):
        return f"{name.removesuffix('.ipynb')}.md"
    return f"{OTHERS}/{name}"


def rewrite(text: str, name: str, copy: Copy) -> str:
    """Markdown of the repository as Markdown of the site.

    Args:
        text: A document, or a part of one.
        name: The document's path in the repository.
        copy: Called with the path in the repository and on the site of each linked file that is no page.
    """
    parts, end = [], 0
    text = MARKER.sub("", text)
    for block in FENCED.finditer(text):
        parts += [rewrite_links(text[end : block.start()], name, copy), tagged(block)]
        end = block.end()
    return "".join([*parts, rewrite_links(text[end:], name, copy)])


def tagged(block: re.Match[str]) -> str:
    """A block of code; one of no language is for the shell if it begins with a command, and text if not."""
    fence = block["fence"]
    kind = "bash" if COMMAND.match(block["code"]) else "text"
    return block[0] if block["info"].strip() else block[0].replace(fence, f"{fence}{kind}", 1)


def rewrite_links(text: str, name: str, copy: Copy) -> str:
    """A text without code blocks, its links turned into those of the site."""
    return LINK.sub(lambda found: rewrite_link(found, name, copy), text)


def rewrite_link(found: re.Match[str], name: str, copy: Copy) -> str:
    """A link of the site, or the bare text where the link leads to a folder."""
    target, hash_, anchor = found["target"].partition("#")
    text = rewrite_links(found["text"], name, copy)
    if not target or urlsplit(target).scheme:
        return f"{found['picture']}[{text}]({found['target']})"
    there = os.path.normpath(PurePosixPath(name).parent / unquote(target)).replace(os.sep, "/")
    if (ROOT / there).is_dir() and there not in START:
        return text
    place = site_path(there)
    if place.startswith(OTHERS):
        copy(there, place)
    relative = os.path.relpath(place, PurePosixPath(site_path(name)).parent).replace(os.sep, "/")
    return f"{found['picture']}[{text}]({relative}{hash_}{anchor})"


def command_line() -> str:
    """What the commands say of themselves, as Markdown, without the title."""
    command = [sys.executable, "-m", "typer", "synaptoroute_integrations.cli.commands", "utils", "docs"]
    said = subprocess.run([*command, "--name", "synaptoroute"], capture_output=True, text=True, check=True).stdout
    # Its list of commands cuts off every sentence.
    said = re.sub(r"^\*\*Commands\*\*:\n\n.*?\n\n(?=## )", "", said, flags=re.MULTILINE | re.DOTALL)
    return said.partition("\n")[2].replace("```console\n$ ", "```bash\n").strip()


def collect(pages: Path, *, run: bool) -> None:
    """Write all pages and what they show.

    Args:
        pages: Folder to write to; what it holds is removed.
        run: Whether to run the notebooks.
    """

    def copy(name: str, place: str) -> None:
        """Copy a file that is no page; a document of it is left as it is."""
        (pages / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, pages / place)

    if pages == ROOT / "docs":
        raise SystemExit("the pages would take the place of the documents: name another folder")
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages)
    documents = [*DOCUMENTS, *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))]
    for name in documents:
        text = rewrite((ROOT / name).read_text(encoding="utf-8"), name, copy)
        text = text.replace(COMMANDS, command_line()) if COMMANDS in text else text
        (pages / site_path(name)).write_text(text, encoding="utf-8")
    render_all(pages / "notebooks", run=run, rewrite=partial(rewrite, name="notebooks/any.ipynb", copy=copy))


# --- checks ---------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page fetches, what it links to, and the places in it.

    Attributes:
        fetched: Addresses that a browser loads by itself.
        linked: Addresses that a reader may follow.
        places: The ids of its elements.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.linked: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        followed = tag == "a" or (tag == "link" and given.get("rel") in ("prev", "next", "canonical"))
        addresses = [given[name] for name in ("href", "src", "data", "poster") if given.get(name)]
        addresses += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
        (self.linked if followed else self.fetched).extend(addresses)


def is_elsewhere(address: str) -> bool:
    """Whether an address is on another host."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in ("http", "https")


def problems(site: Path) -> list[str]:
    """What is fetched from elsewhere, and links that lead nowhere.

    Args:
        site: The built site.
    """
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [f"{path.name}: loads {address}" for path in site.rglob("*.css") for address in imported(path)]
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        found += [f"{name}: loads {address}" for address in page.fetched if is_elsewhere(address)]
        local = {address for address in (*page.linked, *page.fetched) if not urlsplit(address).scheme}
        if name != "404.html":  # its links begin at the root of a server
            found += [f"{name}: links to {address}" for address in sorted(local) if not leads(address, path, pages)]
    return found


def imported(path: Path) -> list[str]:
    """What a style sheet loads from elsewhere."""
    style = path.read_text(encoding="utf-8")
    return re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", style)


def leads(address: str, source: Path, pages: dict[Path, Page]) -> bool:
    """Whether a link of the site leads to a file, and to a place in it if it names one."""
    parts = urlsplit(address)
    target = Path(os.path.normpath(source.parent / unquote(parts.path))) if parts.path else source
    target = target / "index.html" if target.is_dir() else target
    if target not in pages:
        return target.is_file()
    return not parts.fragment or unquote(parts.fragment) in pages[target].places | {"__tabbed"}


def main() -> None:
    """Read the arguments, build and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="gets the folders docs and site")
    parser.add_argument("--no-execute", action="store_true", help="leave the notebooks as they are, in seconds")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    pages, site = arguments.out.resolve() / "docs", arguments.out.resolve() / "site"
    collect(pages, run=not arguments.no_execute)
    try:
        build(load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(pages), site_dir=str(site), strict=True))
    except Abort as error:
        raise SystemExit(str(error)) from error
    found = problems(site)
    if found:
        raise SystemExit("\n".join(found))
    print(f"{site / 'index.html'} (python -m http.server --directory {site}, if you want to search)")


if __name__ == "__main__":
    main()
