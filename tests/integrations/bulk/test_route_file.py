"""From a file of texts to a file of decisions: what is in it, and what is refused."""

import bz2
import datetime as dt
import gzip
import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from itertools import product

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from synaptoroute_core import ConfigurationError, InvalidTextError, StorageError
from synaptoroute_integrations.bulk import RouteBatch
from synaptoroute_integrations.bulk.files import route_file
from synaptoroute_integrations.bulk.sources import open_source

NAMES = ["route", "score", "margin", "confidence", "reason"]
SUFFIXES = [".parquet", ".csv", ".jsonl"]


def write(path, columns):
    """A file of some columns."""
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path, row_group_size=100)
    elif path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), encoding="utf-8")
    return path


def read(path):
    """The rows of a file; those of a CSV file as texts."""
    if path.suffix == ".parquet":
        return pa.parquet.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = pa.csv.open_csv(path).schema.names
    options = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
    parsing = pa.csv.ParseOptions(newlines_in_values=True)
    return pa.csv.read_csv(path, convert_options=options, parse_options=parsing).to_pylist()


def decided(rows):
    """What a file says was decided; its numbers may be texts."""
    numbers = [tuple(None if row[name] is None else float(row[name]) for name in NAMES[1:4]) for row in rows]
    return [(row["route"], *three, row["reason"]) for row, three in zip(rows, numbers, strict=True)]


# --- what is written -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffixes", list(product(SUFFIXES, SUFFIXES)), ids="".join)
def test_a_file_gets_the_decisions_of_route_batch_beside_its_columns(suffixes, router, texts, judged, tmp_path):
    source, target = suffixes
    given = write(tmp_path / f"in{source}", {"id": range(len(texts)), "query": texts})
    report = route_file(RouteBatch(router, text="query"), given, tmp_path / f"out{target}", part_rows=64)
    rows = read(tmp_path / f"out{target}")
    assert [(int(row["id"]), row["query"]) for row in rows] == list(enumerate(texts))
    assert decided(rows) == judged(router, texts)
    matched = sum(row["route"] is not None for row in rows)
    assert (report.rows, report.matched, report.errors) == (len(texts), matched, 0)
    assert sum(report.reasons.values()) == len(texts)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"in{source}", f"out{target}"])


@pytest.mark.parametrize("part_rows", [1, 7, 100, 1000])
def test_the_result_does_not_depend_on_the_size_of_the_parts(part_rows, router, texts, tmp_path):
    given = write(tmp_path / "in.parquet", {"text": texts[:40]})
    route_file(RouteBatch(router), given, tmp_path / "out.parquet", part_rows=part_rows)
    route_file(RouteBatch(router), given, tmp_path / "other.parquet")
    assert read(tmp_path / "out.parquet") == read(tmp_path / "other.parquet")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_without_rows_gives_one_with_the_columns(suffix, router, tmp_path):
    given = write(tmp_path / "in.parquet", {"text": pa.array([], pa.string())})
    report = route_file(RouteBatch(router), given, tmp_path / f"out{suffix}")
    assert (report.rows, read(tmp_path / f"out{suffix}")) == (0, [])


def test_types_and_metadata_of_a_parquet_file_survive(router, tmp_path):
    table = pa.table(
        {
            "text": pa.array(["refund", "xyzzy", None], pa.large_string()),
            "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
            "day": [dt.date(2024, 5, 1), None, dt.date(2024, 5, 2)],
            "at": pa.array([1, 2, 3], pa.timestamp("ns", "UTC")),
            "tags": [["x"], [], None],
            "price": [Decimal("1.50"), None, Decimal("2.25")],
            "nothing": pa.array([None] * 3, pa.null()),
        }
    ).replace_schema_metadata({"owner": "us"})
    given = write(tmp_path / "in.parquet", table)
    route_file(RouteBatch(router, errors="keep", with_revision=True), given, tmp_path / "out.parquet", part_rows=2)
    found = pa.parquet.read_table(tmp_path / "out.parquet")
    assert found.select(table.schema.names).schema == table.schema
    assert found.select(table.schema.names).to_pylist() == table.to_pylist()
    assert found.schema.metadata == table.schema.metadata
    assert found.schema.names[len(table.schema.names) :] == [*NAMES, "revision", "error"]
    assert found.column("error").to_pylist() == [None, None, "the text is missing"]


TEXT_TYPES = {
    "string": pa.string(),
    "large string": pa.large_string(),
    "string view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "dictionary of large strings": pa.dictionary(pa.int8(), pa.large_string()),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", TEXT_TYPES)
def test_texts_of_every_type_are_read_and_written(kind, suffix, router, judged, tmp_path):
    texts = ["refund", "xyzzy", "refund", None]
    given = write(tmp_path / "in.parquet", {"text": pa.array(texts, pa.string()).cast(TEXT_TYPES[kind])})
    route_file(RouteBatch(router, errors="keep"), given, tmp_path / f"out{suffix}", part_rows=2)
    rows = read(tmp_path / f"out{suffix}")
    assert [row["text"] for row in rows] == texts
    assert decided(rows[:3]) == judged(router, texts[:3])
    if suffix == ".parquet":
        found, expected = map(pa.parquet.read_schema, (tmp_path / "out.parquet", given))
        assert found.field("text") == expected.field("text")


@pytest.mark.parametrize("kind", [pa.string(), pa.null()])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_column_without_any_text_keeps_an_error_in_each_row(suffix, kind, router, tmp_path):
    given = write(tmp_path / "in.parquet", {"text": pa.nulls(3, kind)})
    report = route_file(RouteBatch(router, errors="keep"), given, tmp_path / f"out{suffix}")
    assert (report.rows, report.errors) == (3, 3)
    assert [row["error"] for row in read(tmp_path / f"out{suffix}")] == ["the text is missing"] * 3


@pytest.mark.slow
def test_a_table_of_ten_thousand_columns_and_a_text_of_megabytes_pass(router, tmp_path):
    columns = {f"column {number}": [number] * 3 for number in range(10_000)}
    given = write(tmp_path / "in.parquet", {"text": ["refund " * 500_000, "refund", "xyzzy"], **columns})
    route_file(RouteBatch(router), given, tmp_path / "out.parquet")
    found = pa.parquet.ParquetFile(tmp_path / "out.parquet").read()
    assert found.schema.names == ["text", *columns, *NAMES]
    assert found.column("route").to_pylist() == ["refund", "refund", None]
    assert found.column("column 9999").to_pylist() == [9999] * 3


def test_the_cells_of_a_csv_file_stay_as_they_are(router, tmp_path):
    lines = '\ufefftext,code,note\r\n"refund, now",007,""\r\nrefund,1e3,\r\n"two\nlines",+1,"say ""hi"""\r\n'
    (tmp_path / "in.csv").write_bytes(lines.encode())
    route_file(RouteBatch(router, prefix="r_"), tmp_path / "in.csv", tmp_path / "out.parquet")
    rows = read(tmp_path / "out.parquet")
    assert [tuple(row.values())[:3] for row in rows] == [
        ("refund, now", "007", ""),
        ("refund", "1e3", None),
        ("two\nlines", "+1", 'say "hi"'),
    ]
    assert list(rows[0])[3:] == [f"r_{name}" for name in NAMES]


def test_objects_of_json_lines_may_differ_in_their_fields(router, tmp_path):
    lines = ['{"text": "refund", "n": 1}', "", '{"n": 2.5, "text": "x\\ud800", "more": {"a": [1]}}', '{"text": "é"}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    route_file(RouteBatch(router), tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    rows = read(tmp_path / "out.jsonl")
    assert [(row["text"], row["n"], row["more"]) for row in rows] == [
        ("refund", 1.0, None),
        ("x\ufffd", 2.5, {"a": [1]}),
        ("é", None, None),
    ]


def test_long_lines_of_json_are_read_a_few_at_a_time(router, tmp_path, monkeypatch):
    monkeypatch.setattr("synaptoroute_integrations.bulk.sources.PIECE_BYTES", 1000)
    rows = [{"text": "refund " * 50, "n": number} for number in range(20)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = open_source(tmp_path / "in.jsonl")
    assert {len(table) for table in source.read(0, 20)} == {3, 2}
    assert [row["n"] for table in source.pieces(4, 7) for row in table.to_pylist()] == list(range(4, 20))


def test_no_more_rows_of_a_parquet_file_are_read_than_are_kept_together(tmp_path):
    given = write(tmp_path / "in.parquet", {"text": ["refund"] * 100})
    assert max(map(len, open_source(given).read(0, 7))) == 7


def test_what_json_has_no_number_for_is_left_out(router, tmp_path):
    given = write(tmp_path / "in.parquet", {"text": ["refund"], "x": [float("nan")], "day": [dt.date(2024, 5, 1)]})
    route_file(RouteBatch(router), given, tmp_path / "out.jsonl")
    (row,) = read(tmp_path / "out.jsonl")
    assert (row["x"], row["day"]) == (None, "2024-05-01")


MIXED = b'{"text": "x", "n": 1}\n' * 4096 + b'{"text": "x", "n": "a"}\n'


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("in.txt", b"x", r"\.parquet"),
        ("in.parquet", b"PAR1 no", "cannot read"),
        ("in.parquet", b"", "cannot read"),
        ("in.csv", b"", "cannot read"),
        ("in.csv", b"query\nx\n", "no column 'text'"),
        ("in.csv", b"text,route\nx,y\n", "'route' already"),
        ("in.csv", b"text,a,a\nx,y,z\n", "two columns are named 'a'"),
        ("in.csv", b"text,a\nx,y\nz\n", "cannot read"),
        ("in.csv", b"text\nx\xff\n", "cannot read"),
        *(
            pytest.param(f"in.{suffix}", packed, "is compressed: unpack it", id=f"{suffix} in {kind}")
            for suffix in ("csv", "jsonl")
            for kind, packed in {"gzip": gzip.compress(b"text\nx\n"), "bzip2": bz2.compress(b"text\nx\n")}.items()
        ),
        pytest.param("in.csv", "text\nx\n".encode("utf-16"), "no text in UTF-8", id="UTF-16"),
        pytest.param("in.csv", b'text\n"' + b"x" * 3_000_000 + b'"\n', "a row is longer than 1,048,576", id="wide"),
        ("in.jsonl", b"", "no column 'text'"),
        ("in.jsonl", b'{"text": "x"}\n{"text": \n', "line 2 is not JSON"),
        ("in.jsonl", b'{"text": "x\xff"}\n', "line 1 is not JSON"),
        ("in.jsonl", b'{"text": "x"}\n["y"]\n', "line 2"),
        ("in.jsonl", b'{"text": "x"}\n{"text": 5}\n', "lines 1 to 2: .*'text'"),
        pytest.param("in.jsonl", MIXED, "lines 4097 to 4097: .*Field n", id="mixed late"),
        ("in.jsonl", b'{"text": 5}\n', "int64, no texts"),
        ("in.jsonl", b'{"text": "x", "n": {}}\n', r"no file can hold the column 'n', .*struct<>; leave"),
        ("in.jsonl", b'{"text": "x", "n": 123456789012345678901234567890}\n', "lines 1 to 1"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_before_anything_is_written(name, content, named, router, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=named):
        route_file(RouteBatch(router), tmp_path / name, tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "columns", "named"),
    [
        ("out.csv", {"text": ["x"], "tags": [["a"]]}, "'tags'"),
        ("out.jsonl", {"text": ["x"], "raw": [b"\x00"]}, "'raw'"),
        ("out.xlsx", {"text": ["x"]}, r"\.parquet"),
        ("in.parquet", {"text": ["x"]}, "same time"),
        ("out.parquet", {"text": [1]}, "int64, no texts"),
    ],
)
def test_a_result_that_could_not_be_written_is_refused_before_the_work(name, columns, named, router, tmp_path):
    given = write(tmp_path / "in.parquet", columns)
    with pytest.raises(ConfigurationError, match=named):
        route_file(RouteBatch(router), given, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


@pytest.mark.parametrize("names", [["text", "a", "a"], ["text", "text", "b"]])
def test_two_columns_of_one_name_are_refused_before_the_work(names, router, tmp_path):
    given = write(tmp_path / "in.parquet", pa.table([["x"], ["y"], ["z"]], names=names))
    with pytest.raises(ConfigurationError, match="two columns are named"):
        route_file(RouteBatch(router), given, tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_a_folder_is_no_result_even_if_it_may_be_overwritten(router, tmp_path):
    given = write(tmp_path / "in.parquet", {"text": ["x"]})
    (tmp_path / "out.parquet").mkdir()
    with pytest.raises(ConfigurationError, match="is a folder"):
        route_file(RouteBatch(router), given, tmp_path / "out.parquet", overwrite=True)
    assert not (tmp_path / "out.parquet.parts").exists()


def test_a_file_that_is_there_is_replaced_only_if_told_to_and_only_when_the_new_one_is_complete(router, tmp_path):
    given, out = write(tmp_path / "in.parquet", {"text": ["refund", None]}), tmp_path / "out.csv"
    out.write_text("precious")
    out.chmod(0o640)
    with pytest.raises(ConfigurationError, match="is there already"):
        route_file(RouteBatch(router), given, out)
    with pytest.raises(InvalidTextError):
        route_file(RouteBatch(router), given, out, overwrite=True)
    assert out.read_text() == "precious"
    route_file(RouteBatch(router, errors="keep"), given, out, overwrite=True)
    assert [row["route"] for row in read(out)] == ["refund", None]
    assert out.stat().st_mode & 0o777 == 0o640


def test_a_missing_folder_and_a_full_disk_are_errors_of_storage(router, tmp_path, monkeypatch):
    given = write(tmp_path / "in.parquet", {"text": ["refund"]})
    with pytest.raises(StorageError, match="nowhere"):
        route_file(RouteBatch(router), given, tmp_path / "nowhere" / "out.parquet")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as fault:
        fault.setattr("os.fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            route_file(RouteBatch(router), given, tmp_path / "out.parquet")
    assert route_file(RouteBatch(router), given, tmp_path / "out.parquet").rows == 1


def test_a_folder_of_somebody_elses_is_left_alone(router, tmp_path):
    given = write(tmp_path / "in.parquet", {"text": ["refund"]})
    (tmp_path / "out.parquet.parts").mkdir()
    (tmp_path / "out.parquet.parts" / "thesis.docx").write_text("years of work")
    with pytest.raises(ConfigurationError, match=r"thesis\.docx"):
        route_file(RouteBatch(router), given, tmp_path / "out.parquet", overwrite=True)
    assert (tmp_path / "out.parquet.parts" / "thesis.docx").read_text() == "years of work"


def test_two_processes_do_not_write_one_file(router, tmp_path):
    given = write(tmp_path / "in.parquet", {"text": ["refund"]})
    folder = tmp_path / "out.parquet.parts"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "lock.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigurationError, match="another process"):
            route_file(RouteBatch(router), given, tmp_path / "out.parquet")
    assert route_file(RouteBatch(router), given, tmp_path / "out.parquet").rows == 1


@pytest.mark.parametrize("part_rows", [0, -1, True, 1.5])
def test_a_part_has_at_least_one_row(part_rows, router, tmp_path):
    with pytest.raises(ConfigurationError, match="part_rows"):
        route_file(RouteBatch(router), tmp_path / "in.parquet", tmp_path / "out.parquet", part_rows=part_rows)


def test_an_input_that_changes_while_it_is_read_gives_no_result(router, tmp_path, monkeypatch):
    given = write(tmp_path / "in.parquet", {"text": ["refund"] * 3})
    columns = RouteBatch.columns

    def meanwhile(self, texts, **more):
        write(given, {"text": ["xyzzy"] * 4})
        return columns(self, texts, **more)

    with monkeypatch.context() as fault:
        fault.setattr(RouteBatch, "columns", meanwhile)
        with pytest.raises(ConfigurationError, match="changed while it was read"):
            route_file(RouteBatch(router), given, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_damaged_page_in_the_middle_of_a_file_is_told_of(router, texts, tmp_path):
    given = write(tmp_path / "in.parquet", {"text": texts * 20})
    content = bytearray(given.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff" * 400
    given.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot read"):
        route_file(RouteBatch(router, errors="keep"), given, tmp_path / "out.parquet")


def test_a_bar_shows_rows(router, tmp_path, capsys):
    given = write(tmp_path / "in.parquet", {"text": ["refund"] * 5})
    route_file(RouteBatch(router), given, tmp_path / "out.parquet", progress=True)
    assert "0/5" in capsys.readouterr().err
