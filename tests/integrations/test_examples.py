"""Reading labelled texts."""

import codecs
import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synaptoroute_core import ConfigurationError, Route
from synaptoroute_integrations.examples import (
    build_routes,
    limit_utterances,
    name_routes,
    read_examples,
    read_labelled,
)

EXPECTED = [("hello there", "greet"), ('he said "no",\nthen left', "leave"), ("what is love", None)]
WORDS = st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(lambda text: text.strip())
LABELS = st.from_regex(r"[A-Za-z][\w.\-]{0,20}", fullmatch=True)


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('text,label\nhello there,greet\n"he said ""no"",\nthen left",leave\nwhat is love,\n', id="plain"),
        pytest.param(
            'label,id,text\ngreet,1,hello there\nleave,2,"he said ""no"",\nthen left"\n__ood__,3,what is love\n',
            id="other order, extra column",
        ),
        pytest.param(
            '\ufeffText , LABEL\n\n"hello there"," greet "\n"he said ""no"",\nthen left",leave\n\nwhat is love,""',
            id="byte order mark, blank lines, no newline at the end",
        ),
        pytest.param(
            'text,label\r\nhello there,greet\r\n"he said ""no"",\nthen left",leave\r\nwhat is love,\r\n',
            id="Windows line ends",
        ),
    ],
)
def test_csv_files_are_read_in_the_shapes_that_programs_write(write, content):
    assert read_examples(write("data.csv", content)) == EXPECTED


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".json", ".JSONL"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("nothing", [None, "", "__ood__", "  "])
def test_json_lines_are_read_whatever_their_suffix_line_ends_and_word_for_nothing(write, suffix, end, nothing):
    rows = [{"text": text, "label": label or nothing, "id": 7} for text, label in EXPECTED]
    content = codecs.BOM_UTF8 + (end + end).join(json.dumps(row) for row in rows).encode()
    assert read_examples(write("data" + suffix, content)) == EXPECTED


def test_a_line_separator_inside_a_json_string_does_not_end_the_line(write):
    text = "one\u2028two\x85three"
    assert read_examples(write("data.jsonl", json.dumps({"text": text, "label": "a"}, ensure_ascii=False))) == [
        (text, "a")
    ]


def test_whole_numbers_are_labels_in_json_as_in_csv(write):
    from_json = read_examples(write("data.jsonl", '{"text": "hello", "label": 12}'))
    assert from_json == read_examples(write("data.csv", "text,label\nhello,12\n")) == [("hello", "12")]


@given(rows=st.lists(st.tuples(WORDS, LABELS | st.none()), min_size=1))
def test_what_is_written_is_read_in_both_formats(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    (folder / "data.jsonl").write_text("\n".join(json.dumps({"text": t, "label": n}) for t, n in rows), "utf-8")
    table = io.StringIO(newline="")
    csv.writer(table).writerows([("text", "label"), *((text, label or "") for text, label in rows)])
    (folder / "data.csv").write_text(table.getvalue(), "utf-8", newline="")
    expected = [row for row in rows if row[1] != "__ood__"]
    assert read_examples(folder / "data.jsonl") == read_examples(folder / "data.csv") == expected


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.jsonl", '{"text": "x", "label": "a"}\n{"text": "y"\n', "a.jsonl, line 2: not valid JSON"),
        ("a.jsonl", '["x", "a"]', "a.jsonl, line 1: expected an object"),
        ("a.jsonl", "[" * 100_000, "a.jsonl, line 1: not valid JSON"),
        ("a.jsonl", '\n{"label": "a"}', "a.jsonl, line 2: there is no 'text'"),
        ("a.jsonl", '{"text": "x"}', "a.jsonl, line 1: there is no 'label'"),
        ("a.jsonl", '{"text": 3, "label": "a"}', "a.jsonl, line 1: the query must be a string"),
        ("a.jsonl", '{"text": " ", "label": "a"}', "a.jsonl, line 1: the query is blank"),
        ("a.jsonl", '{"text": "x", "label": 1.5}', "a.jsonl, line 1: a label must be a string or null"),
        ("a.jsonl", '{"text": "x", "label": true}', "a.jsonl, line 1: a label must be a string or null"),
        ("a.jsonl", b'{"text": "x", "label": "a"}\n\xff', "a.jsonl, line 2: this is not UTF-8"),
        ("a.jsonl", "\n\n", "a.jsonl: there are no texts in it"),
        ("a.csv", "", "a.csv: there are no texts in it"),
        ("a.csv", "text,label\n", "a.csv: there are no texts in it"),
        ("a.csv", "text,category\nx,a\n", "a.csv, line 1: there is no column 'label'"),
        ("a.csv", "text,text,label\nx,y,a\n", "a.csv, line 1: there is more than one column 'text'"),
        (
            "a.csv",
            "text;label\nx;a\n",
            "a.csv, line 1: there is no column 'text' in the header: 'text;label'; cells must be",
        ),
        ("a.csv", 'text,label\n"two\nlines",a\nyes, please,a\n', "a.csv, line 4: 3 cells under 2 columns"),
        ("a.csv", "text,label\nx\n", "a.csv, line 2: 1 cells under 2 columns"),
        ("a.csv", 'text,label\nx,a\n"open,a\nmore,b\n', "a.csv, line 3: not valid CSV"),
        ("a.csv", 'text,label\n"x" y,a\n', "a.csv, line 2: not valid CSV"),
        ("a.csv", b"text,label\nx,a\n\xff,a\n", "a.csv, line 3: this is not UTF-8"),
        ("a.txt", "x", "a.txt: labelled texts are read from"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_line(write, name, content, complaint):
    with pytest.raises(ConfigurationError) as caught:
        read_examples(write(name, content))
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.csv", "id,Message, INTENT ,text\n1,hello there,greet,other\n2,what is love,,other\n"),
        ("data.jsonl", '{"Message": "hello there", "Intent": "greet"}\n{"Message": "what is love", "Intent": null}'),
    ],
)
def test_texts_and_labels_may_stand_under_other_names(write, name, content):
    path = write(name, content)
    assert read_examples(path, text="Message", label="Intent") == [("hello there", "greet"), ("what is love", None)]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", "message,label\nx,a\n", "a.csv, line 1: there is no column 'Intent' in the header: 'message, label'"),
        ("a.jsonl", '{"message": "x"}', "a.jsonl, line 1: there is no 'Intent' in {'message': 'x'}; write null"),
    ],
)
def test_a_file_without_the_named_column_is_refused(write, name, content, complaint):
    with pytest.raises(ConfigurationError) as caught:
        read_examples(write(name, content), text="message", label="Intent")
    assert complaint in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.csv: No such file"):
        read_examples(tmp_path / "nowhere.csv")


def test_a_text_that_is_too_long_to_be_an_utterance_is_refused_with_its_line(write):
    path = write("long.jsonl", json.dumps({"text": "word " * 5000, "label": "a"}))
    assert len(read_labelled(path)) == 1
    with pytest.raises(ConfigurationError, match=r"long\.jsonl, line 1: an utterance has"):
        read_labelled(path, utterances=True)


def test_out_of_scope_files_need_no_label_and_any_label_is_passed_over(write):
    rows = read_labelled(write("a.jsonl", '{"text": "x"}\n{"text": "y", "label": {"odd": 1}}'), out_of_scope=True)
    rows += read_labelled(write("a.csv", "text\nz\n"), out_of_scope=True)
    assert [(row.text, row.label) for row in rows] == [("x", None), ("y", None), ("z", None)]


def test_labels_that_are_no_route_names_become_valid_ones(write):
    path = write("data.csv", "text,label\na,reverted_card_payment?\nb,Cash withdrawal (ATM)\nc, grüße.v1-2 \n")
    assert [label for _, label in read_examples(path)] == [
        "reverted_card_payment_",
        "Cash_withdrawal_ATM_",
        "grüße.v1-2",
    ]


def test_two_labels_that_would_become_the_same_route_are_refused_also_across_files(write):
    train = read_labelled(write("train.csv", "text,label\na,card payment\n"))
    test = read_labelled(write("test.csv", "text,label\nb,card payment\nc,card?payment\n"))
    with pytest.raises(ConfigurationError, match=r"test\.csv, line 3.*'card\?payment'.*train\.csv, line 2.*rename"):
        name_routes(train, test)


def test_a_label_too_long_for_a_route_name_is_refused_with_its_line(write):
    with pytest.raises(ConfigurationError, match=r"data\.csv, line 2: .*128"):
        read_examples(write("data.csv", f"text,label\na,{'x' * 129}\n"))


def test_routes_are_built_in_the_order_of_their_labels_without_the_texts_that_belong_nowhere():
    routes = build_routes([("b1", "b"), ("x", None), ("a1", "a"), ("b2", "b"), ("B1 ", "b")])
    assert routes == [Route("b", ["b1", "b2"]), Route("a", ["a1"])]


def test_drawing_utterances_is_repeatable_and_keeps_order_and_small_routes():
    routes = [Route("big", [f"text {number:02}" for number in range(50)]), Route("small", ["only"])]
    drawn = limit_utterances(routes, 5, seed=3)
    assert drawn == limit_utterances(routes, 5, seed=3) != limit_utterances(routes, 5, seed=4)
    assert [len(route.utterances) for route in drawn] == [5, 1]
    assert set(drawn[0].utterances) < set(routes[0].utterances)
    assert list(drawn[0].utterances) == sorted(drawn[0].utterances)


def test_drawing_no_utterances_is_refused():
    with pytest.raises(ConfigurationError, match="cannot keep 0 utterances"):
        limit_utterances([Route("a", ["x"])], 0)
