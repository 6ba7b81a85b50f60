"""The examples in the documents run as they stand, and print what they say. ``documents`` has the rules."""

import ast
import contextlib
import json
import shutil
from pathlib import Path

import pytest
import yaml
from documents import DATA, DOCUMENTS, KNOWN, ROOT, RUN_ELSEWHERE, Block, blocks, read
from reader import Reader, compare

SAMPLES = ROOT / "synaptoroute_integrations" / "samples"
ROUTES = [
    {"name": "refund", "utterances": ["I want my money back", "please refund me"]},
    {"name": "order_status", "utterances": ["where is my parcel", "track my order"]},
]


# --- every block is known -------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_runs_or_says_why_not(document):
    if document in RUN_ELSEWHERE:
        assert document in read(RUN_ELSEWHERE[document]).replace('" / "', "/")
        return
    unknown = [f"{document}:{each.line}: {each.kind}" for each in blocks(document) if not each.reason]
    assert [each for each in unknown if each.rpartition(": ")[2] not in KNOWN] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_that_is_not_run_is_at_least_valid(document):
    for block in blocks(document):
        if block.reason and block.kind == "python":
            compile(block.code, document, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


# --- those that run ---------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the commands of the documents read: the sample routes, and queries of their kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.yaml").write_text(json.dumps({"routes": ROUTES}), encoding="utf-8")  # which is YAML too
    shutil.copy(SAMPLES / "support_routes.yaml", tmp_path)
    lines = (SAMPLES / "support_queries.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [json.loads(line) for line in lines]
    strangers = [line for line, row in zip(lines, rows, strict=True) if row["label"] is None]
    known = [line for line, row in zip(lines, rows, strict=True) if row["label"] is not None]
    few = [("track the parcel please", "order_status"), ("give me my money back", "refund"), ("sing for me", None)]
    labelled = [json.dumps({"text": text, "label": label}) + "\n" for text, label in few]
    parts = {"learn": lines[::2], "judge": lines[1::2], "calibrate": lines, "labelled": labelled}
    parts |= {"train": known[::2], "test": known[1::2], "ood": strangers}
    for name, part in parts.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(part), encoding="utf-8")
    (tmp_path / "queries.log").write_text("".join(f"{row['text']}\n" for row in rows), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in RUN_ELSEWHERE and blocks(name)])
def test_the_examples_of_a_document_run_and_print_what_they_say(document, folder):
    with contextlib.closing(Reader(document, folder)) as reader:
        for block in blocks(document):
            if block.reason is None:
                try:
                    reader.follow(block)
                except Exception as error:
                    error.add_note(f"in {document}:{block.line}")
                    raise


# --- the rules themselves -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "pip install 'synaptoroute-integrations[tensorflow]'",
        "make coffee",
        "python benchmarks/quality.py --no-such-option",
        "python benchmarks/no_such_script.py",
    ],
)
def test_a_command_that_is_not_run_is_held_to_what_there_is(line):
    with pytest.raises(AssertionError):
        compare(line)


def test_data_is_read_and_output_is_compared(tmp_path):
    reader = Reader("page", tmp_path)
    reader.follow(Block(1, "bash", "echo one; echo two three", None, follows=False))
    reader.follow(Block(2, "text", "one\ntwo ...\n", None, follows=True))
    with pytest.raises(AssertionError):
        reader.follow(Block(3, "text", "two\none\n", None, follows=True))
    for kind in DATA:
        with pytest.raises((ValueError, yaml.YAMLError)):
            reader.follow(Block(4, kind, "{", None, follows=False))
