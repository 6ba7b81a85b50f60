"""The guide's examples run as they stand, top to bottom."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[3] / "docs" / "langchain.md"
COMMENT = re.compile(r"print\(.*\)(?:  |\n)# (.+)")


def test_the_guides_examples_run_and_print_what_they_say(capsys):
    text = GUIDE.read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "guide"}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, GUIDE.name, "exec"), namespace)  # noqa: S102  # our own document
        printed = capsys.readouterr().out
        for said in COMMENT.findall(code):
            if not said.startswith("this router's"):
                assert said in printed
