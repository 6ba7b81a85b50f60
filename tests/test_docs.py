"""The examples in the documents run as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- not run[^>]*-->\n)?```(\w*)\n(.*?)```", re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    """Code blocks of a document, without those marked as not run."""
    found = BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))
    return [code for skipped, kind, code in found if kind == language and not skipped]


def test_readme_examples_run_and_print_what_they_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.yaml").write_text(blocks("README.md", "yaml")[0], encoding="utf-8")
    namespace: dict[str, object] = {}
    for code in blocks("README.md", "python"):
        exec(compile(code, "README.md", "exec"), namespace)  # noqa: S102  # our own document
    printed = capsys.readouterr().out
    assert "refund 0.73" in printed
    assert "None below_threshold" in printed
    assert (tmp_path / "edited.yaml").exists()


def test_the_example_that_needs_the_model_hub_is_at_least_valid_python():
    hidden = [code for skipped, kind, code in BLOCK.findall((ROOT / "README.md").read_text("utf-8")) if skipped]
    assert hidden
    for code in hidden:
        compile(code, "README.md", "exec")


@pytest.mark.parametrize("document", sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("*.md")))
def test_links_between_documents_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
        assert (ROOT / target).exists(), f"{document} links to {target}"
