"""Routes and labelled texts from data frames and CSV files."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from synaptoroute_core import ConfigurationError, Route
from synaptoroute_integrations.notebook.frames import (
    examples_from_csv,
    examples_from_dataframe,
    from_csv,
    routes_from_dataframe,
)

WORDS = pd.Series([""]).dtype


@pytest.fixture
def labelled():
    return pd.DataFrame({"text": ["hello there", "what is love", "give it back"], "label": ["greet", None, "refund"]})


def test_a_frame_becomes_routes_and_examples(labelled):
    assert routes_from_dataframe(labelled) == [Route("greet", ["hello there"]), Route("refund", ["give it back"])]
    assert examples_from_dataframe(labelled) == [
        ("hello there", "greet"),
        ("what is love", None),
        ("give it back", "refund"),
    ]


@pytest.mark.parametrize("kind", [object, "string", "category", WORDS])
@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, "", " ", "__ood__"])
def test_columns_of_every_kind_of_text_are_read_whatever_their_word_for_no_label(labelled, kind, nothing):
    labelled.loc[1, "label"] = nothing
    frame = labelled.astype(object).astype(kind)
    assert examples_from_dataframe(frame)[1:] == [("what is love", None), ("give it back", "refund")]


@pytest.mark.parametrize("labels", [[12, 7], np.array([12.0, 7.0]), pd.array([12, 7], dtype="Int64"), ["12", " 7 "]])
def test_whole_numbers_are_labels_however_pandas_keeps_them(labels):
    frame = pd.DataFrame({"text": ["one", "two"], "label": labels})
    assert examples_from_dataframe(frame) == [("one", "12"), ("two", "7")]


def test_whole_numbers_stay_whole_where_one_is_missing():
    frame = pd.DataFrame({"text": ["one", "two"], "label": [12, None]})
    assert frame["label"].dtype == float
    assert examples_from_dataframe(frame) == [("one", "12"), ("two", None)]


def test_columns_are_named_by_whatever_pandas_takes_for_a_name():
    frame = pd.DataFrame([["hello", "greet"], ["bye", "Leave it!"]])
    assert examples_from_dataframe(frame, text=0, label=1) == [("hello", "greet"), ("bye", "Leave_it_")]
    frame.columns = pd.MultiIndex.from_tuples([("said", "text"), ("meant", "label")])
    assert examples_from_dataframe(frame, text=("said", "text"), label=("meant", "label"))[0] == ("hello", "greet")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"text": ["hello", None, np.nan]},
            "2 texts are missing in the column 'text', in rows 'b', 'c': leave them out",
        ),
        ({"text": ["hello", "x", None]}, "1 text is missing in the column 'text', in row 'c': leave them out with"),
        ({"text": ["hello", " ", "x"]}, "row 'b': the query is blank"),
        ({"text": ["hello", "x", 5]}, "row 'c': the query must be a string, got int: 5"),
        ({"text": [1, 2, 3]}, "the column 'text' holds int64, no texts: name another with text="),
        ({"label": ["a", "b", 1.5]}, "row 'c': a label must be a string or null, got 1.5"),
        ({"label": ["a", True, "b"]}, "row 'b': a label must be a string or null, got True"),
        ({"label": ["card payment", "x", "card?payment"]}, "row 'c': the label 'card?payment' and the label 'card p"),
        ({"label": ["a", "b" * 129, "c"]}, "row 'b': "),
    ],
)
@pytest.mark.parametrize("read", [examples_from_dataframe, routes_from_dataframe])
def test_a_row_that_cannot_be_used_is_refused_by_its_label_in_the_index(labelled, change, complaint, read):
    frame = labelled.assign(**change).set_axis(["a", "b", "c"])
    complaint = complaint.replace("the query", "an utterance") if read is routes_from_dataframe else complaint
    with pytest.raises(ConfigurationError) as caught:
        read(frame)
    assert str(caught.value).startswith(complaint)


def test_rows_whose_labels_repeat_are_told_apart_by_number(labelled):
    frame = labelled.assign(text=["x", "y", None]).set_axis(["same", "same", "same"])
    with pytest.raises(ConfigurationError, match=r"in row 'same' \(\.iloc\[2\]\)"):
        examples_from_dataframe(frame)


def test_of_many_missing_texts_the_first_are_named():
    frame = pd.DataFrame({"text": [None] * 1234, "label": "a"})
    with pytest.raises(ConfigurationError, match=r"1,234 texts are missing .* in rows 0, 1, .*, 9 and 1,224 more"):
        examples_from_dataframe(frame)


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (["said", "label"], "there is no column 'text' in the frame: name one of ['said', 'label'] with text=..."),
        (["text", "meant"], "there is no column 'label' in the frame: name one of ['text', 'meant'] with label=..."),
        (["text", "text"], "text = 'text' is the name of 2 columns"),
    ],
)
def test_a_column_that_is_not_there_once_is_refused_with_those_that_are(labelled, columns, complaint):
    with pytest.raises(ConfigurationError) as caught:
        examples_from_dataframe(labelled.set_axis(columns, axis=1))
    assert complaint in str(caught.value)


def test_texts_of_which_none_has_a_label_make_no_routes(labelled):
    with pytest.raises(ConfigurationError, match="the frame: no text has a label"):
        routes_from_dataframe(labelled.assign(label=None))


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ([("hello", "greet")], r"got list: .*; make one with pandas\.DataFrame\(\.\.\.\)$"),
        (pd.Series(["hello"]), r"got Series.*hand in what its to_frame\(\) gives"),
        (type("Polars", (), {"to_pandas": None})(), r"got Polars.*hand in what its to_pandas\(\) gives"),
    ],
)
def test_what_is_no_frame_is_refused_with_the_way_to_one(value, remedy):
    with pytest.raises(ConfigurationError, match=remedy):
        examples_from_dataframe(value)


def test_pandas_is_needed_by_those_who_have_a_frame_only(tmp_path):
    """Where it is not installed, CSV files are read, and what is no frame is refused with the command."""
    (tmp_path / "messages.csv").write_text("text,label\nhello there,greet\n", encoding="utf-8")
    program = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'pandas': raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Absent)\n"
        "import importlib.util; importlib.util.find_spec = lambda name: None\n"
        "from synaptoroute_integrations.notebook.frames import from_csv, routes_from_dataframe\n"
        "print(from_csv('messages.csv')[0].name)\n"
        "try: routes_from_dataframe([])\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("greet\nexpected a pandas DataFrame, got list: []")
    assert done.stdout.endswith("which is not installed: pip install pandas\n")


def test_a_csv_file_becomes_routes_and_examples(tmp_path):
    path = tmp_path / "messages.csv"
    path.write_text("message,intent\nhello there,greet\nwhat is love,\n", encoding="utf-8")
    assert from_csv(path, text="message", label="intent") == [Route("greet", ["hello there"])]
    assert examples_from_csv(path, text="message", label="intent")[1] == ("what is love", None)
    with pytest.raises(ConfigurationError, match=r"messages\.csv, line 1: there is no column 'text'"):
        from_csv(path)
    path.write_text("text,label\nwhat is love,\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"messages\.csv: no text has a label"):
        from_csv(path)
