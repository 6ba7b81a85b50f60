"""The documents and their blocks of code, as the tests of them read them.

Rules for who writes one:

* Python runs in the order of the page, in one namespace and one folder. ``print(...)  # text`` says what is printed;
  ``...`` at its end stands for the rest of the line. ``await`` stands where it would in a notebook.
* Shell (``bash``) runs in the same folder, where few programs are found beside ``synaptoroute``, so that nothing
  happens elsewhere. There are ``routes.yaml`` with two routes, ``labelled.jsonl`` with queries of theirs,
  ``support_routes.yaml`` with the sample routes, ``queries.log``, and of the sample routes the labelled queries
  ``learn``, ``calibrate``, ``judge``, ``train``, ``test`` and ``ood``, each ``.jsonl``. ``synaptoroute serve`` runs
  until the page ends. Lines of ``pip install``, ``make`` and ``python benchmarks/...`` are compared with what there
  is, and not run.
* YAML and JSON are read. One whose first line is ``# name.yaml`` is a file of that name for the rest of the page.
* ``text`` right below a block that runs shows lines of what that prints, ``...`` standing for anything.
* A block of no language is shell if it begins with one of our commands, and text if not.
* All else, and what cannot run, has ``<!-- not run: reason -->`` on the line above.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
RUN_ELSEWHERE = {
    "docs/http.md": "tests/server/test_http_docs.py",
    "docs/remote.md": "tests/server/test_remote_client.py",
}
"""Pages whose blocks another test runs, with a service that it has anyway."""

PYTHON, SHELL, OUTPUT = "python", "bash", "text"
DATA = ("yaml", "json", "jsonl")
KNOWN = (PYTHON, SHELL, OUTPUT, *DATA)
COMMAND = re.compile(r"(?:pip|make|python|synaptoroute|curl) ")

BLOCK = re.compile(
    r"^(?:<!-- not run(?: here)?: (?P<reason>[^\n]+?) -->\n)?"
    r"(?P<indent> *)(?P<fence>`{3,})(?P<kind>[\w-]*)[^\n]*\n(?P<code>.*?)^(?P=indent)(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
HEADING = re.compile(r"^(#{1,6}) +(.+?)(?: +#+)?$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        line: Number of its first line in the document.
        kind: Its language.
        code: What stands in it.
        reason: Why it is not run; None = it is.
        follows: Whether no heading stands between it and the block before.
    """

    line: int
    kind: str
    code: str
    reason: str | None
    follows: bool


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> list[Block]:
    """All blocks of a document, in their order."""
    text, found, end = read(document), [], 0
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("fence")) + 1
        follows = bool(found) and not HEADING.search(text, end, match.start())
        code = re.sub(f"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        kind = match["kind"] or (SHELL if COMMAND.match(code) else OUTPUT)
        found.append(Block(line, kind, code, match["reason"], follows))
        end = match.end()
    return found


def prose(document: str) -> str:
    """A document without its blocks of code."""
    return BLOCK.sub("", read(document))


def slugs(document: str) -> set[str]:
    """What its headings are called in links, as GitHub and the site call them."""
    found: dict[str, int] = {}
    for _, title in HEADING.findall(prose(document)):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return set(found)
