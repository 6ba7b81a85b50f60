"""What the README says of itself and of others can be checked."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_the_badges_say_what_the_project_does():
    spec = importlib.util.spec_from_file_location("draw_badges", ROOT / "scripts" / "draw_badges.py")
    badges = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(badges)
    for file, (name, value) in badges.facts().items():
        assert (ROOT / "docs" / "img" / f"{file}.svg").read_text(encoding="utf-8") == badges.draw(name, value)
        assert f"docs/img/{file}.svg" in README


def test_the_examples_of_ten_lines_have_ten_lines_of_code():
    for framework in ("LangChain", "LlamaIndex"):
        code = section(f"{framework} in ten lines").split("```python\n")[1].split("```")[0]
        assert len([line for line in code.splitlines() if line.strip()]) <= 11  # the last one closes what was opened


def measured(document: str, row: str, heading: str) -> str:
    """A row of a table in a document."""
    part = (ROOT / "docs" / document).read_text(encoding="utf-8").split(f"\n## {heading}", 1)[1]
    return next(line for line in part.splitlines() if line.startswith(f"| {row} |"))


def test_figures_beside_the_rivals_are_those_that_were_measured():
    rows = {line.split(" | ")[0].strip("| "): line for line in section("Beside the others").splitlines()}
    names = {"`fit()`": 0, "without a fit": 1, "semantic-router 1.1.1": 2, "synaptoroute 0.4.1": 3}
    for label, column in (("right route", 1), ("queries answered locally", 6)):
        row = next(line for name, line in rows.items() if name.startswith(label))
        shown = re.findall(r"(\d+\.\d) %", row)
        for name, place in names.items():
            cells = measured("quality.md", name, "clinc150, all utterances").split(" | ")
            assert round(float(shown[place]) / 100, 3) == float(cells[column].strip("*"))
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for label in ("one query after another", "1,000 queries at once"):
        row = next(line for name, line in rows.items() if name.startswith(label))
        for number in re.findall(r"(\d[\d.]*) ms", row):
            assert f"| {number} |" in page
