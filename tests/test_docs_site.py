"""The site builds from the documents, with every public name described and nothing fetched from elsewhere."""

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
MODULES = ("langchain", "langgraph", "agents", "llamaindex", "remote", "server", "notebook", "bulk")
SCRIPT = ROOT / "scripts" / "build_site.py"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def build(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--out", str(out), "--no-execute", *arguments]
    return subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, its notebooks as they are kept."""
    for name in ("mkdocs", "material", "mkdocstrings", "nbconvert"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"there is no {name} here: pip install 'synaptoroute-integrations[docs]'")
    out = tmp_path_factory.mktemp("build")
    done = build(out)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "site"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        return importlib.import_module(SCRIPT.stem)
    finally:
        sys.path.remove(str(SCRIPT.parent))


def reference(site: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(site.glob("reference/*.html")))


def public_names() -> list[str]:
    """Each public name of the engine and of the adapters, with its module."""
    names = [f"synaptoroute_core.{name}" for name in importlib.import_module("synaptoroute_core").__all__]
    for module in (f"synaptoroute_integrations.{name}" for name in MODULES):
        names += [f"{module}.{name}" for name in getattr(importlib.import_module(module), "__all__", ())]
    return names


def test_every_public_name_is_described(site):
    described = set(re.findall(r'id="(synaptoroute_[\w.]+)"', reference(site)))
    assert sorted(set(public_names()) - described) == []


def test_every_public_method_of_the_router_is_described_once(site):
    from synaptoroute_core import AdaptiveRouter

    names = {name for name in dir(AdaptiveRouter) if not name.startswith("_")}
    twins = {name for name in names if name.startswith("a") and name[1:] in names}
    described = set(re.findall(r'id="synaptoroute_core\.AdaptiveRouter\.(\w+)"', reference(site)))
    assert described == names - twins


def test_the_reference_shows_no_markup_of_docstrings_and_nothing_private(site):
    text = reference(site)
    assert re.findall(r":(?:attr|class|data|exc|func|meth|mod):", text) == []
    assert re.findall(r'id="synaptoroute_[\w.]*\._\w+"', text) == []


def test_every_document_and_notebook_is_a_page(site):
    for source in [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]:
        place = source.relative_to(ROOT).as_posix().removeprefix("docs/")
        assert (site / place).with_suffix(".html").is_file(), place


def test_the_menu_has_every_page(site, script):
    start = script.Page((site / "index.html").read_text(encoding="utf-8"))
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"}
    pages -= {name for name in pages if name.startswith("files/")}
    assert sorted(pages - {address.partition("#")[0] for address in start.linked}) == []


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example.com/x.js"></script>',
        '<img src="//cdn.example.com/x.png">',
        '<link rel="stylesheet" href="http://example.com/x.css">',
        '<img srcset="x.png 1x, https://example.com/x.png 2x">',
        '<a href="nowhere.html">there</a>',
        '<a href="#nowhere">there</a>',
    ],
)
def test_a_page_that_fetches_from_elsewhere_or_links_to_nothing_fails_the_build(script, tmp_path, page):
    (tmp_path / "x.png").touch()
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    assert script.problems(tmp_path)


def test_a_page_may_link_to_elsewhere(script, tmp_path):
    (tmp_path / "index.html").write_text('<a id="x" href="https://example.com">there</a><a href="#x">here</a>', "utf-8")
    assert script.problems(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[it](../LIMITATIONS.md#here)", "[it](limitations.md#here)"),
        ("[it](../README.md)", "[it](index.md)"),
        ("[it](../notebooks/01_first_router.ipynb)", "[it](notebooks/01_first_router.md)"),
        ("[it](../deploy/compose.yaml)", "[it](files/deploy/compose.yaml)"),
        ("[the folder](../deploy)", "the folder"),
        ("[it](https://example.com/a.md)", "[it](https://example.com/a.md)"),
        ("![a picture](img/x.svg)", "![a picture](img/x.svg)"),
        ("```\nmake test # [it](../README.md)\n```\n", "```bash\nmake test # [it](../README.md)\n```\n"),
        ("<!-- not run: no network -->\n```python\nx\n```\n", "```python\nx\n```\n"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(script, text, expected):
    assert script.rewrite(text, "docs/page.md", lambda *_: None) == expected
