"""From a file of texts to a file of decisions, in constant memory; a run that was killed goes on where it stopped."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from synaptoroute_core import ConfigurationError, InvalidTextError, StorageError
from synaptoroute_core.errors import missing_extra
from synaptoroute_integrations.bulk.batches import RouteBatch
from synaptoroute_integrations.bulk.forms import ArrowForm, Column
from synaptoroute_integrations.bulk.parts import Identity, Parts
from synaptoroute_integrations.bulk.sources import open_source
from synaptoroute_integrations.bulk.targets import require_target

try:
    import pyarrow as pa
except ModuleNotFoundError as error:
    raise missing_extra("bulk", error) from error

PART_ROWS = 4096
"""What a kill costs at most: a few seconds of work."""
MATCHED = "matched"
SETTINGS = ("threshold", "min_confidence", "min_margin", "max_text_chars")
"""Those of a router on which decisions depend."""
NOTED = "synaptoroute: error"
"""The column of errors while it is in a part."""
FORM = ArrowForm()


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of a file.

    Attributes:
        rows: Its rows.
        resumed: How many of them an earlier run had done.
        reasons: How many decisions there are of each reason, the most frequent first.
        errors: How many texts could not be decided on.
        seconds: How long it took, without earlier runs.
    """

    rows: int
    resumed: int
    reasons: dict[str, int]
    errors: int
    seconds: float

    @property
    def matched(self) -> int:
        """How many texts were sent to a route."""
        return self.reasons.get(MATCHED, 0)

    def to_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {"matched": self.matched, **asdict(self)}


def route_file(
    batch: RouteBatch,
    source: str | Path,
    target: str | Path,
    *,
    overwrite: bool = False,
    part_rows: int = PART_ROWS,
    progress: bool | None = None,
) -> FileReport:
    """Add the decisions on the texts of a file to its columns, in another file.

    What is done is kept in a folder beside ``target``, named as it with ``.parts`` at the end. If the run ends before
    its time, even by a kill, the same call goes on with it; the result is that of a run that was never interrupted.

    Args:
        batch: Labels the texts.
        source: Parquet, CSV or JSON lines: ``.parquet``, ``.csv``, ``.jsonl``.
        target: Likewise; need not be of the same kind. It appears when it is complete.
        overwrite: Whether to replace a file that is there already, and to throw away what was done of another run.
        part_rows: Rows that are kept together. They are held in memory, and done again after a kill.
        progress: Whether to show a bar; None = on a terminal.

    Raises:
        ConfigurationError: A file or an argument is not usable, or what is there is not to be thrown away: the message
            says what is, and what to do.
        InvalidTextError: A text is missing or unusable, and ``batch`` is to raise; the message names the row, the
            first is row 0.
        EncoderError: The model failed.
        StorageError: Something cannot be written.
    """
    if isinstance(part_rows, bool) or not isinstance(part_rows, int) or part_rows < 1:
        raise ConfigurationError(f"part_rows = {part_rows!r}: give a whole number from 1")
    run = _Run(batch, Path(source), Path(target).resolve(), part_rows)
    try:
        return run.report(overwrite=overwrite, progress=progress)
    except OSError as error:
        where = error.filename or run.parts.folder
        raise StorageError(f"cannot write {where}: {error.strerror or error}; what is done is kept") from error


class _Run:
    """One call of :func:`route_file`."""

    def __init__(self, batch: RouteBatch, path: Path, target: Path, part_rows: int) -> None:
        self._batch = batch
        self._part_rows = part_rows
        self._stamp = _stamp(path)
        self._source = open_source(path)
        self._count = math.ceil(self._source.rows / part_rows)
        self.parts = Parts(target)
        self._reasons: Counter[str] = Counter()
        self._errors = 0
        self._require_usable(path, target)

    def report(self, *, overwrite: bool, progress: bool | None) -> FileReport:
        """Do what is left to do, and say what became of it all."""
        started = time.perf_counter()
        note, identity = self.parts.published(), self._identity()
        run = {**identity, "errors": self._batch.errors}
        if note is None or note["run"] != run:
            self._require_free(overwrite=overwrite)
            with self.parts.claimed():
                self._require_free(overwrite=overwrite)  # another process may have finished it meanwhile
                self.parts.begin(identity, overwrite=overwrite)
                resumed = self._work(progress=progress)
                self.parts.write_result(self._result_schema(), self._results())
                self._require_unchanged()
                note = {"run": run, "resumed": resumed, "reasons": dict(self._reasons), "errors": self._errors}
                self.parts.publish(note)
        self.parts.remove()
        seconds = time.perf_counter() - started
        return FileReport(self._source.rows, note["resumed"], note["reasons"], note["errors"], seconds)

    # --- before --------------------------------------------------------------------------------

    def _require_usable(self, path: Path, target: Path) -> None:
        schema, text = self._source.schema, self._batch.text
        if path.resolve() == target:
            raise ConfigurationError(f"{path} cannot be read and written at the same time: name another file")
        self._batch.require_names(schema.names)
        if target.is_dir():
            raise ConfigurationError(f"{target} is a folder: name a file for the result")
        if not _is_text(schema.field(text).type):
            raise ConfigurationError(f"{path}: the column {text!r} holds {schema.field(text).type}, no texts")
        require_target(target, self._result_schema())

    def _require_free(self, *, overwrite: bool) -> None:
        target = self.parts.target
        if target.exists() and not overwrite:
            raise ConfigurationError(
                f"{target} is there already: pass overwrite=True (--overwrite), or name another file for the result"
            )

    def _require_unchanged(self) -> None:
        if _stamp(self._source.path) != self._stamp:
            raise ConfigurationError(f"{self._source.path} was changed while it was read: begin anew")

    def _identity(self) -> Identity:
        """What the result depends on, by what it is called in messages."""
        frozen, config = self._batch.frozen, self._batch.frozen.config
        options = {
            "text": self._batch.text,
            "prefix": self._batch.prefix,
            "allowed": self._batch.allowed,
            "with_revision": self._batch.with_revision,
            "part_rows": self._part_rows,
        }
        columns = [f"{field.name}: {field.type}" for field in self._source.schema]
        return {
            **{f"the {what} of the input": value for what, value in self._stamp.items()},
            "the columns of the input": columns,
            "the routes": frozen.digest,
            "the encoder": self._batch.router().encoder.fingerprint,
            **{f"the setting {name}": getattr(config, name) for name in SETTINGS},
            **{f"the option {name}": value for name, value in options.items()},
            "the version of the package": version("synaptoroute-integrations"),
        }

    # --- work ----------------------------------------------------------------------------------

    def _work(self, *, progress: bool | None) -> int:
        """Do the parts that are not done; how many rows were."""
        rows, size = self._source.rows, self._part_rows
        sizes = [min(size, rows - number * size) for number in range(self._count)]
        todo = [number for number, length in enumerate(sizes) if not self.parts.is_done(number, length)]
        done = rows - sum(sizes[number] for number in todo)
        disable = None if progress is None else not progress
        with tqdm(total=rows, initial=done, desc="routing", unit="row", leave=False, disable=disable) as bar:
            if todo:
                left = set(todo)
                for number, table in enumerate(self._source.pieces(todo[0] * size, size), start=todo[0]):
                    if number in left:
                        self.parts.put(number, self._labelled(table, number * size))
                        bar.update(len(table))
        return done

    def _labelled(self, table: pa.Table, start: int) -> pa.Table:
        """A part of the result; errors have a column in any case, so that a run can be finished with them."""
        columns = self._batch.columns(FORM.texts(table, self._batch.text), start=start)
        if self._batch.errors == "keep":
            columns[-1] = columns[-1]._replace(name=NOTED)
        else:
            columns.append(Column(NOTED, "text", [None] * len(table)))
        return FORM.extended(table, columns)

    # --- after ---------------------------------------------------------------------------------

    def _result_schema(self) -> pa.Schema:
        empty = [Column(name, kind) for name, kind in self._batch.kinds()]
        schema: pa.Schema = FORM.extended(self._source.schema.empty_table(), empty).schema
        return schema

    def _results(self) -> Iterator[pa.Table]:
        """The parts of the result in their order; their reasons are counted."""
        schema, prefix = self._result_schema(), self._batch.prefix
        for number in range(self._count):
            table = self.parts.get(number)
            reasons = table.column(f"{prefix}reason")
            self._reasons.update(reasons.drop_null().to_pylist())
            self._errors += reasons.null_count
            noted = table.column(NOTED)
            if self._batch.errors == "keep":
                names = [f"{prefix}error" if name == NOTED else name for name in table.schema.names]
                table = table.rename_columns(names)
            elif noted.null_count < len(noted):
                found = noted.drop_null()[0].as_py()
                raise InvalidTextError(
                    f"an earlier run noted {found!r}: finish it with errors='keep' (--errors keep) too"
                )
            else:
                table = table.drop_columns([NOTED])
            yield table.cast(schema)


def _stamp(path: Path) -> dict[str, int]:
    """What tells a file that was changed.

    Raises:
        ConfigurationError: It is not there.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror or error}") from error
    return {"size": found.st_size, "time of change": found.st_mtime_ns}


def _is_text(kind: pa.DataType) -> bool:
    """Whether the values of a column may be texts; one without any value has no type."""
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return str(kind) in ("string", "large_string", "string_view", "null")
