"""The log of the fallback's answers: what it keeps, what it refuses, what it forgets, what it survives."""

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    Candidate,
    ConfigurationError,
    Decision,
    HashingEncoder,
    InvalidTextError,
    Route,
    StorageError,
)
from synaptoroute_core.feedback import FeedbackLog

ABSTAINED = Decision(
    route=None,
    reason="below_threshold",
    score=0.25,
    confidence=0.125,
    candidates=(Candidate(route="refund", score=0.25, utterance="money back"),),
    revision=7,
)
WRONG = Decision(route="refund", reason="matched", score=0.75, revision=8)
KILLS = 6

WRITER = """
import os, sys
from synaptoroute_core import Decision
from synaptoroute_core.feedback import FeedbackLog

with FeedbackLog(sys.argv[1]) as log:
    for number in range(100_000):
        record = log.record(f"query {sys.argv[2]} {number}", Decision(route=None, reason="no_routes"), "refund")
        os.write(1, f"{record} query {sys.argv[2]} {number}\\n".encode())
"""


@pytest.fixture
def log():
    with FeedbackLog() as opened:
        yield opened


# --- keeping -----------------------------------------------------------------------------------


def test_a_record_tells_the_query_the_decision_and_the_answer(log):
    before = datetime.now(UTC)
    number = log.record("  where is my money ", ABSTAINED, "refund", source="person")
    (record,) = log.records()
    assert (record.id, record.text, record.answer, record.source) == (number, "where is my money", "refund", "person")
    assert (record.route, record.reason, record.score, record.confidence) == (None, "below_threshold", 0.25, 0.125)
    assert record.revision == 7
    assert before <= datetime.fromisoformat(record.created_at) <= datetime.now(UTC)


def test_a_wrong_choice_can_be_corrected(log):
    log.record("where is my parcel", WRONG, "delivery", source="person")
    (record,) = log.records()
    assert (record.route, record.answer) == ("refund", "delivery")


def test_records_come_oldest_first_from_any_place_on(log):
    numbers = [log.record(f"query {number}", ABSTAINED, None) for number in range(5)]
    assert [record.id for record in log.records()] == numbers
    assert [record.text for record in log.records(since=numbers[2])] == ["query 3", "query 4"]
    assert [record.text for record in log.records(since=numbers[0], limit=2)] == ["query 1", "query 2"]
    assert log.records(limit=0) == []


def test_examples_hold_each_query_once_with_its_latest_answer(log):
    for text, answer in [("Where is it?", "order"), ("hello", None), ("where  is IT?", "delivery")]:
        log.record(text, ABSTAINED, answer)
    assert log.examples() == [("hello", None), ("where  is IT?", "delivery")]


def test_examples_are_what_a_router_evaluates_and_decisions_what_it_records(log):
    routes = [Route("refund", ["money back please"]), Route("order", ["where is my order"])]
    with AdaptiveRouter(routes, encoder=HashingEncoder()) as router:
        decision = router.route("something else altogether")
        assert not decision
        log.record("something else altogether", decision, "order")
        assert router.evaluate(log.examples()).in_scope == 1


def test_the_oldest_record_goes_when_there_are_too_many():
    with FeedbackLog(max_records=3) as log:
        for number in range(10):
            log.record(f"query {number}", ABSTAINED, None)
        assert len(log) == 3
        assert [record.text for record in log.records()] == ["query 7", "query 8", "query 9"]


def test_an_empty_log_is_true_and_has_no_length(log):
    assert log
    assert len(log) == 0
    assert log.examples() == []


def test_half_a_character_is_kept_as_a_whole_one(log):
    log.record("half \ud83d", ABSTAINED, None)
    assert log.examples() == [("half \ufffd", None)]


async def test_the_awaitable_twin_records_too(log):
    number = await log.arecord("hello there", ABSTAINED, None, source="judge")
    assert [(record.id, record.source) for record in log.records()] == [(number, "judge")]


def test_threads_may_record_at_once(log):
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda number: log.record(f"query {number}", ABSTAINED, "a"), range(200)))
    assert sorted(numbers) == [record.id for record in log.records()]
    assert {record.text for record in log.records()} == {f"query {number}" for number in range(200)}


# --- refusing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((" ", ABSTAINED, None), InvalidTextError, "blank"),
        ((None, ABSTAINED, None), InvalidTextError, "must be a string"),
        (("hello", None, None), ConfigurationError, "expected a Decision, got NoneType"),
        (("hello", ABSTAINED, "no such name!"), ConfigurationError, "cannot be a route's name"),
        (("hello", ABSTAINED, 3), ConfigurationError, "cannot be a route's name"),
    ],
)
def test_what_is_not_a_record_is_refused_and_not_kept(log, arguments, error, message):
    with pytest.raises(error, match=message):
        log.record(*arguments)
    assert len(log) == 0


@pytest.mark.parametrize("source", ["", "  ", None, "x" * 129])
def test_a_source_that_says_nothing_is_refused(log, source):
    with pytest.raises(ConfigurationError, match="source ="):
        log.record("hello", ABSTAINED, None, source=source)


@pytest.mark.parametrize("value", [-1, 2.5, True, "3", 2**63])
def test_bounds_that_are_no_counts_are_refused(log, value):
    with pytest.raises(ConfigurationError, match="max_records ="):
        FeedbackLog(max_records=value)
    with pytest.raises(ConfigurationError, match="since ="):
        log.records(since=value)
    with pytest.raises(ConfigurationError, match="limit ="):
        log.records(limit=value)


def test_a_closed_log_says_so(tmp_path):
    with FeedbackLog(tmp_path / "feedback.db") as log:
        log.record("hello", ABSTAINED, None)
    log.close()
    for use in (log.records, log.examples, log.clear, lambda: log.record("hello", ABSTAINED, None), lambda: len(log)):
        with pytest.raises(StorageError, match="is closed"):
            use()


def test_a_log_that_nobody_closed_warns():
    opened = [FeedbackLog()]
    with pytest.warns(ResourceWarning, match="FeedbackLog was not closed"):
        opened.clear()


# --- files -------------------------------------------------------------------------------------


def test_records_are_there_after_reopening_and_numbers_go_on(tmp_path):
    path = tmp_path / "feedback.db"
    with FeedbackLog(path) as log:
        first = log.record("hello", ABSTAINED, None)
        log.forget([first])
    with FeedbackLog(str(path)) as log:
        assert log.record("hello again", ABSTAINED, "order") > first
        assert log.examples() == [("hello again", "order")]


def test_the_file_and_its_side_files_are_the_owners_alone(tmp_path):
    with FeedbackLog(tmp_path / "feedback.db") as log:
        log.record("hello", ABSTAINED, None)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert "feedback.db-wal" in modes
    assert set(modes.values()) == {0o600}


def test_two_logs_may_have_one_file_open(tmp_path):
    with FeedbackLog(tmp_path / "feedback.db") as one, FeedbackLog(tmp_path / "feedback.db") as other:
        one.record("hello", ABSTAINED, None)
        other.record("goodbye", ABSTAINED, None)
        assert [text for text, _ in one.examples()] == [text for text, _ in other.examples()] == ["hello", "goodbye"]


def test_logs_opened_at_once_make_one_file(tmp_path):
    def work(number):
        with FeedbackLog(tmp_path / "feedback.db") as log:
            log.record(f"query {number}", ABSTAINED, None)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    with FeedbackLog(tmp_path / "feedback.db") as log:
        assert len(log) == 24


def test_a_routers_file_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "routes.db"
    with AdaptiveRouter([Route("a", ["hello"])], encoder=HashingEncoder(), store=path):
        pass
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"routes\.db is not a feedback log; give the log a file of its own"):
        FeedbackLog(path)
    assert path.read_bytes() == before


def test_a_router_refuses_a_log(tmp_path):
    FeedbackLog(tmp_path / "feedback.db").close()
    with pytest.raises(StorageError):
        AdaptiveRouter(encoder=HashingEncoder(), store=tmp_path / "feedback.db")


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("not a database" * 100)
    with pytest.raises(StorageError, match="not a database"):
        FeedbackLog(tmp_path / "notes.txt")


def test_a_newer_layout_is_refused(tmp_path):
    FeedbackLog(tmp_path / "feedback.db").close()
    with closing(sqlite3.connect(tmp_path / "feedback.db")) as raw:
        raw.execute("PRAGMA user_version = 2")
    with pytest.raises(StorageError, match=r"layout 2.*knows up to 1: upgrade"):
        FeedbackLog(tmp_path / "feedback.db")


def test_a_record_that_was_tampered_with_is_reported_as_damage(tmp_path):
    with FeedbackLog(tmp_path / "feedback.db") as log:
        log.record("hello", ABSTAINED, None)
        with closing(sqlite3.connect(tmp_path / "feedback.db")) as raw:
            raw.execute("UPDATE feedback SET reason = 'because'")
            raw.commit()
        with pytest.raises(StorageError, match=r"is damaged.*because"):
            log.records()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StorageError, match="does its folder exist"):
        FeedbackLog(tmp_path / "nowhere" / "feedback.db")
    with pytest.raises(StorageError, match="it is a folder"):
        FeedbackLog(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of newer Pythons, where threads of others are left
def test_a_forked_child_is_told_to_open_its_own(tmp_path):
    """The connection and its locks are the parent's, and must be neither used nor closed by the child."""
    with FeedbackLog(tmp_path / "feedback.db") as log:
        log.record("hello", ABSTAINED, None)
        pid = os.fork()
        if not pid:
            try:
                log.records()
            except StorageError as error:
                log.close()
                os._exit(0 if "forked child" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        log.record("still open", ABSTAINED, None)
        assert len(log) == 2


# --- forgetting --------------------------------------------------------------------------------


def test_records_are_forgotten_by_number(log):
    numbers = [log.record(f"query {number}", ABSTAINED, None) for number in range(4)]
    assert log.forget([numbers[0], numbers[2], 999]) == 2
    assert [record.id for record in log.records()] == [numbers[1], numbers[3]]


def test_records_are_forgotten_by_age(log):
    log.record("old", ABSTAINED, None)
    moment = datetime.fromisoformat(log.records()[0].created_at) + timedelta(microseconds=1)
    while datetime.now(UTC) <= moment:
        time.sleep(1e-6)
    log.record("new", ABSTAINED, None)
    assert log.forget(before=moment.astimezone()) == 1
    assert [record.text for record in log.records()] == ["new"]


def test_a_moment_without_a_time_zone_and_nothing_at_all_are_refused(log):
    with pytest.raises(ConfigurationError, match="with a time zone"):
        log.forget(before=datetime.now())  # noqa: DTZ005
    with pytest.raises(ConfigurationError, match=r"clear\(\) deletes everything"):
        log.forget()
    with pytest.raises(ConfigurationError, match="id ="):
        log.forget(["1"])
    with pytest.raises(ConfigurationError, match="ids ="):
        log.forget(1)


@pytest.mark.parametrize("forget", [lambda log: log.forget([1]), lambda log: log.clear()])
def test_nothing_of_a_forgotten_query_stays_in_the_files(tmp_path, forget):
    with FeedbackLog(tmp_path / "feedback.db") as log:
        log.record("the secret of Jane Doe", ABSTAINED, "order")
        log.record("nothing special", ABSTAINED, "order")
        assert any(b"Jane Doe" in path.read_bytes() for path in tmp_path.iterdir())
        forget(log)
        assert not any(b"Jane Doe" in path.read_bytes() for path in tmp_path.iterdir())


def test_clearing_says_how_many_there_were(log):
    for number in range(3):
        log.record(f"query {number}", ABSTAINED, None)
    assert (log.clear(), len(log), log.clear()) == (3, 0, 0)


# --- crashes -----------------------------------------------------------------------------------


def test_a_writer_killed_at_any_moment_loses_no_record_that_was_acknowledged(tmp_path):
    chance, path = random.Random(3), tmp_path / "feedback.db"
    acknowledged: dict[int, str] = {}
    for kill in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(kill)], stdout=subprocess.PIPE) as writer:
            lines = [writer.stdout.readline() for _ in range(chance.randrange(1, 30))]
            time.sleep(chance.random() * 0.004)
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.readlines()
        for line in lines:
            number, _, text = line.decode().rstrip().partition(" ")
            acknowledged[int(number)] = text
        with FeedbackLog(path) as log:
            found = {record.id: record.text for record in log.records()}
        assert acknowledged.items() <= found.items()
        assert len(found) <= len(acknowledged) + kill + 1  # at most the one that was being written, of each writer
    assert len(acknowledged) >= KILLS
