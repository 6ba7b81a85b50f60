"""A run over a file that ends before its time, by a kill at any moment, goes on where it stopped."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from killed import label

from synaptoroute_core import AdaptiveRouter, ConfigurationError, HashingEncoder, InvalidTextError, RouterConfig
from synaptoroute_integrations.bulk import RouteBatch
from synaptoroute_integrations.bulk.files import route_file
from synaptoroute_integrations.bulk.parts import Parts

HERE = Path(__file__).parent
PATIENCE_S = 60


def write(path, texts, **columns):
    pa.parquet.write_table(pa.table({"text": pa.array(texts, pa.string()), **columns}), path)
    return path


def parts(folder):
    return len(list(folder.glob("part-*")))


def start(source, target, part_rows):
    command = [sys.executable, str(HERE / "killed.py"), str(source), str(target), str(part_rows)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_run_that_is_killed_again_and_again_gives_what_one_run_gives(texts, tmp_path):
    chooser = random.Random(0)
    given = write(tmp_path / "in.parquet", [*texts, None, ""] * 4, id=list(range(4 * (len(texts) + 2))))
    route_file(label(), given, tmp_path / "whole.parquet", part_rows=20)
    target, folder = tmp_path / "out.parquet", tmp_path / "out.parquet.parts"
    for done in (1, 30, 60):
        process = start(given, target, 20)
        deadline = time.monotonic() + PATIENCE_S
        while parts(folder) < done:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(chooser.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not target.exists()
    kept = parts(folder)
    process = start(given, target, 20)
    printed, _ = process.communicate(timeout=PATIENCE_S)
    rows, resumed = map(int, printed.split())
    assert (rows, resumed) == (4 * (len(texts) + 2), 20 * kept)
    assert target.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not folder.exists()


class Killed(BaseException):
    """Ends a run as a kill would, but for open files."""


def kill_at(step, patch):
    """Have the given one of all steps that change something on disk be the last."""
    left = [step]

    def counting(really):
        def counted(*arguments, **more):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return really(*arguments, **more)

        return counted

    for name in ("mkdir", "replace", "unlink", "rmdir"):
        patch.setattr(Path, name, counting(getattr(Path, name)))


LAST_STEP = 14
"""A folder, a journal, three parts, a note of the end, the result; six files removed, and the folder."""


@pytest.mark.parametrize("step", range(1, LAST_STEP + 1))
def test_wherever_a_run_ends_the_next_one_finishes_it(step, texts, tmp_path, monkeypatch):
    given = write(tmp_path / "in.parquet", texts[:50])
    target, folder = tmp_path / "out.parquet", tmp_path / "out.parquet.parts"
    batch = label()
    with monkeypatch.context() as patch:
        kill_at(step, patch)
        with pytest.raises(Killed):
            route_file(batch, given, target, part_rows=20)
    if step < LAST_STEP:
        route_file(batch, given, target, part_rows=20)
    else:
        folder.rmdir()  # all that was left to do
    route_file(batch, given, tmp_path / "whole.parquet", part_rows=20)
    assert target.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not folder.exists()


@pytest.fixture
def stopped(router, texts, tmp_path):
    """A run that ended at a missing text after some parts; its input, its result, and how it was called."""
    given = write(tmp_path / "in.parquet", [*texts[:50], None, *texts[50:70]])
    with pytest.raises(InvalidTextError, match="row 50: the text is missing"):
        route_file(RouteBatch(router), given, tmp_path / "out.parquet", part_rows=20)
    assert parts(tmp_path / "out.parquet.parts") == 2
    return given, tmp_path / "out.parquet"


def test_a_run_that_an_error_ended_can_be_finished_with_errors_kept(stopped, router):
    given, target = stopped
    report = route_file(RouteBatch(router, errors="keep"), given, target, part_rows=20)
    assert (report.rows, report.resumed, report.errors) == (71, 40, 1)
    errors = pa.parquet.read_table(target).column("error").to_pylist()
    assert [number for number, error in enumerate(errors) if error] == [50]


def test_kept_errors_are_not_lost_by_a_run_that_would_not_keep_them(stopped, router, monkeypatch):
    given, target = stopped
    with monkeypatch.context() as fault:
        fault.setattr("synaptoroute_integrations.bulk.parts.Parts.publish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            route_file(RouteBatch(router, errors="keep"), given, target, part_rows=20)
    with pytest.raises(InvalidTextError, match="the text is missing"):
        route_file(RouteBatch(router), given, target, part_rows=20)
    assert not target.exists()
    assert route_file(RouteBatch(router, errors="keep"), given, target, part_rows=20).errors == 1


def test_nothing_is_resumed_with_other_routes_settings_options_or_another_input(stopped, router, routes, tmp_path):
    given, target = stopped

    def refused(batch, named, **arguments):
        with pytest.raises(ConfigurationError, match=named) as caught:
            route_file(batch, given, target, **{"part_rows": 20, **arguments})
        assert "overwrite" in str(caught.value)
        assert parts(target.with_name("out.parquet.parts")) == 2

    with AdaptiveRouter(routes, encoder=HashingEncoder(dim=64), config=router.config) as other:
        refused(RouteBatch(other), "the encoder")
    with AdaptiveRouter(routes, encoder=router.encoder, config=RouterConfig(threshold=0.7)) as other:
        refused(RouteBatch(other), r"the setting threshold \(was 0\.45, is 0\.7\)")
    refused(RouteBatch(router, allowed=["refund"]), "the option allowed")
    refused(RouteBatch(router), "the option part_rows", part_rows=10)
    before = shutil.copy2(given, tmp_path / "before.parquet")
    write(given, ["refund"])
    refused(RouteBatch(router), "the size of the input .*time of change of the input")
    shutil.copy2(before, given)
    router.add_utterances("cancel", ["stop it"])
    refused(RouteBatch(router, errors="keep"), "the routes")


def test_a_run_that_cannot_be_resumed_is_thrown_away_if_told_to(stopped, router):
    given, target = stopped
    router.add_utterances("cancel", ["stop it"])
    report = route_file(RouteBatch(router, errors="keep"), given, target, part_rows=20, overwrite=True)
    assert (report.rows, report.resumed) == (71, 0)


def test_leave_to_overwrite_throws_nothing_away_that_can_be_resumed(stopped, router):
    """Who must pass it because a result is there already must not lose hours of work by a second call."""
    given, target = stopped
    target.write_text("an older result")
    report = route_file(RouteBatch(router, errors="keep"), given, target, part_rows=20, overwrite=True)
    assert report.resumed == 40


def test_a_mistake_that_cost_no_work_leaves_nothing_to_overwrite(router, tmp_path):
    given = write(tmp_path / "in.parquet", [None])
    with pytest.raises(InvalidTextError):
        route_file(RouteBatch(router), given, tmp_path / "out.parquet")
    write(given, ["refund"])
    assert route_file(RouteBatch(router), given, tmp_path / "out.parquet").matched == 1


def test_a_part_that_is_damaged_is_done_again(stopped, router):
    given, target = stopped
    (target.with_name("out.parquet.parts") / "part-00000001.parquet").write_bytes(b"PAR1")
    report = route_file(RouteBatch(router, errors="keep"), given, target, part_rows=20)
    assert (report.rows, report.resumed) == (71, 20)


def test_a_result_that_another_process_finishes_meanwhile_is_not_replaced(router, tmp_path, monkeypatch):
    given, target = write(tmp_path / "in.parquet", ["refund"]), tmp_path / "out.parquet"
    mkdir = Path.mkdir

    def meanwhile(self, *arguments, **more):
        target.write_text("the other's")
        mkdir(self, *arguments, **more)

    with monkeypatch.context() as fault:
        fault.setattr(Path, "mkdir", meanwhile)
        with pytest.raises(ConfigurationError, match="is there already"):
            route_file(RouteBatch(router), given, target)
    assert target.read_text() == "the other's"


def test_two_processes_may_remove_what_is_left_of_one_run(router, tmp_path, monkeypatch):
    """The second of two calls finds the result there while the first is about to remove the folder."""
    given, target = write(tmp_path / "in.parquet", ["refund"]), tmp_path / "out.parquet"
    unlink, others = Path.unlink, []

    def meanwhile(self, *arguments, **more):
        if self.parent.name == "out.parquet.parts" and not others:
            others.append(shutil.rmtree(self.parent))
        unlink(self, *arguments, **more)

    with monkeypatch.context() as fault:
        fault.setattr(Parts, "remove", lambda _: None)
        route_file(RouteBatch(router), given, target)
    monkeypatch.setattr(Path, "unlink", meanwhile)
    assert route_file(RouteBatch(router), given, target).rows == 1
    assert others
    assert target.exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(texts, tmp_path, request):
    """Both files are of one row group, and larger than what is held of a result until it is written.

    What Arrow's threads hold at a time varies with the load of the machine, what is kept of a file does not.
    """
    rows, width = 200_000 if request.config.getoption("--deep") else 30_000, 2000
    chooser = random.Random(0)
    for name, count in (("small", 12_000), ("large", rows)):
        payload = [chooser.randbytes(width) for _ in range(count)]
        write(tmp_path / f"{name}.parquet", [chooser.choice(texts) for _ in range(count)], payload=payload)
    command = [sys.executable, str(HERE / "measured.py")]
    command += [str(tmp_path / name) for name in ("small.parquet", "large.parquet", "out.parquet")]

    def grown() -> int:
        return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout)

    assert any(grown() < rows * width / 3 for _ in range(3))
