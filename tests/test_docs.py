"""The examples in the documents run as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"(<!-- not run[^>]*-->\n)?```(\w*)\n(.*?)```", re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    """Code blocks of a document, without those marked as not run."""
    found = BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))
    return [code for skipped, kind, code in found if kind == language and not skipped]


PRINTED = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)


@pytest.mark.parametrize(
    "document", [name for name in DOCUMENTS if "```python" in (ROOT / name).read_text(encoding="utf-8")]
)
def test_the_examples_of_a_document_run_and_print_what_they_say(document, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number, code in enumerate(blocks(document, "yaml")):
        (tmp_path / ("routes.yaml" if not number else f"routes-{number}.yaml")).write_text(code, encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "documented"}
    said: list[str] = []
    for code in blocks(document, "python"):
        exec(compile(code, document, "exec"), namespace)  # noqa: S102  # our own document
        said += PRINTED.findall(code)
    printed, place = capsys.readouterr().out, 0
    for expected in said:
        start = expected.removesuffix("...").strip()
        place = printed.find(start, place)
        assert place >= 0, f"{document} says that {expected!r} is printed; it prints {printed!r}"


def test_the_example_that_needs_the_model_hub_is_at_least_valid_python():
    hidden = [code for skipped, kind, code in BLOCK.findall((ROOT / "README.md").read_text("utf-8")) if skipped]
    assert hidden
    for code in hidden:
        compile(code, "README.md", "exec")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
        assert (ROOT / document).parent.joinpath(target).exists(), f"{document} links to {target}"
