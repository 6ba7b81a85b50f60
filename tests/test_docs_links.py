"""What the documents point at is there: other documents, places in them, pictures, files of the repository."""

import itertools
import re
from urllib.parse import unquote, urlsplit

import pytest
from documents import DOCUMENTS, ROOT, prose, slugs

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]*)(?P<rest>[^)]*)\)")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(
    r"(?:core|synaptoroute_integrations|tests|benchmarks|scripts|docs|deploy|notebooks)/[\w./*-]*"
    r"|(?:README|LIMITATIONS|CHANGELOG|CONTRIBUTING)\.md|Makefile|Dockerfile|pyproject\.toml|mkdocs\.yml"
)
MADE_BY_THE_READER = ("deploy/secrets",)
API = "docs/reference/"
"""Pages whose anchors the site's build makes, and checks."""

each_document = pytest.mark.parametrize("document", DOCUMENTS)


def links(document: str) -> list[re.Match[str]]:
    text = re.sub(r"(?<!`)`[^`\n]+`(?!`)", "code", prose(document))
    return [*LINK.finditer(text), *(found for link in LINK.finditer(text) for found in LINK.finditer(link["text"]))]


def broken(document: str, target: str) -> bool:
    """Whether a link within the repository leads nowhere."""
    path, _, anchor = target.partition("#")
    there = (ROOT / document).parent.joinpath(unquote(path)).resolve() if path else ROOT / document
    if not there.exists() or not there.is_relative_to(ROOT):
        return True
    name = there.relative_to(ROOT).as_posix()
    return bool(anchor) and not name.startswith(API) and (not name.endswith(".md") or anchor not in slugs(name))


@each_document
def test_links_within_the_repository_lead_somewhere(document):
    local = [link["target"] for link in links(document) if not urlsplit(link["target"]).scheme]
    assert [target for target in local if broken(document, target)] == []


@each_document
def test_links_to_elsewhere_are_addresses(document):
    for link in links(document):
        parts = urlsplit(link["target"])
        if parts.scheme:
            assert parts.scheme in ("https", "mailto"), link[0]
            assert re.fullmatch(r"[\w.-]+\.\w+", parts.netloc), link[0]


@each_document
def test_pictures_say_what_they_show_and_are_kept_here(document):
    for link in links(document):
        if link["picture"]:
            assert len(link["text"].split()) > 2, link[0]
            assert not urlsplit(link["target"]).scheme, link[0]


@each_document
def test_files_of_the_repository_that_a_document_names_are_there(document):
    named = {name for name in CODE.findall(prose(document)) if PATH.fullmatch(name)}
    named -= {name for name in named if name.startswith(MADE_BY_THE_READER)}
    assert [name for name in sorted(named) if not any(ROOT.glob(name.rstrip("/")))] == []


@each_document
def test_lists_are_written_so_that_every_renderer_sees_them(document):
    """Python-Markdown, other than GitHub, wants an empty line before a list, and four spaces to nest one."""
    lines = ["", *prose(document).splitlines()]
    item = re.compile(r"(?: *)(?:[-*+]|\d+\.) ")
    for before, line in itertools.pairwise(lines):
        if item.match(line):
            assert not before.strip() or item.match(before) or before.startswith(" "), line
            assert (len(line) - len(line.lstrip())) % 4 == 0, line


# --- the rules themselves -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["no_such_page.md", "learning.md#no-such-heading", "../../elsewhere.md", "img/no.svg"]
)
def test_a_link_that_leads_nowhere_is_seen(target):
    assert broken("docs/http.md", target)


def test_a_link_to_a_heading_is_followed():
    assert not broken("docs/http.md", "learning.md#start-by-measuring")
