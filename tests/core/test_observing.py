"""Reports of batches: what they say, when they come, and that a hook's errors stay with it."""

import asyncio
import dataclasses
import logging
import pickle
import threading

import pytest
from gates import PATIENCE_S, ROUTES, Gated

from synaptoroute_core import (
    AdaptiveRouter,
    BatchReport,
    ConfigurationError,
    EncoderError,
    HashingEncoder,
    RouteOptions,
    RouterConfig,
)


@pytest.fixture
def router():
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), config=RouterConfig(workers=2)) as opened:
        yield opened


@pytest.fixture
def reports(router) -> list[BatchReport]:
    found: list[BatchReport] = []
    router.observe_batches(found.append)
    return found


def failures(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "synaptoroute_core.observing"]


# --- what they say ---------------------------------------------------------------------------------


def test_a_query_that_has_its_answer_has_been_reported(router, reports):
    router.route("hello there friend")
    (report,) = reports
    assert (report.queries, report.encoded) == (1, 1)
    assert report.encode_s > 0


def test_queries_that_were_decided_together_are_one_report(gated):
    with AdaptiveRouter(ROUTES, encoder=gated, config=RouterConfig(workers=1)) as router:
        reports: list[BatchReport] = []
        router.observe_batches(reports.append)
        first = threading.Thread(target=router.route, args=("slow one",))
        first.start()
        assert gated.entered.acquire(timeout=PATIENCE_S)
        texts = ["good day", "good day", "my money", "hello there"]
        second = threading.Thread(target=router.route_batch, args=(texts,))
        second.start()
        while router.stats().pending < 5:
            assert second.is_alive()
        gated.gate.set()
        first.join(PATIENCE_S)
        second.join(PATIENCE_S)
        assert [(report.queries, report.encoded) for report in reports] == [(1, 1), (4, 3)]


def test_the_reports_together_are_the_counts(router, reports):
    texts = [f"text {number % 50}" for number in range(200)]
    router.route_batch(texts)
    stats = router.stats()
    assert sum(report.queries for report in reports) == 200
    assert sum(report.encoded for report in reports) == stats.encoded
    assert len(reports) == stats.batches


def test_what_need_not_be_encoded_takes_the_encoder_no_time(router, reports):
    vector = router.encoder.encode(["hello there"])[0]
    router.route("something else", vector=vector)
    router.route("hello there", options=RouteOptions(threshold=0.1))
    router.route("hello there", options=RouteOptions(threshold=0.2))
    assert [(report.queries, report.encoded, report.encode_s > 0) for report in reports] == [
        (1, 0, False),
        (1, 1, True),
        (1, 0, False),
    ]


def test_a_decision_that_is_remembered_makes_no_batch(router, reports):
    router.route("hello there")
    router.route("hello there")
    assert len(reports) == 1


def test_a_batch_whose_texts_fail_is_reported_too():
    class Picky(HashingEncoder):
        def encode(self, texts):
            if any("poison" in text for text in texts):
                raise ValueError("poison")
            return super().encode(texts)

    with AdaptiveRouter(ROUTES, encoder=Picky(), config=RouterConfig(workers=1)) as router:
        reports: list[BatchReport] = []
        router.observe_batches(reports.append)
        with pytest.raises(EncoderError):
            router.route("poison")
        assert [(report.queries, report.encoded) for report in reports] == [(1, 1)]


def test_a_report_cannot_be_changed():
    report = BatchReport(queries=1, encoded=1, encode_s=0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.queries = 2
    with pytest.raises(TypeError):
        BatchReport(1, 1, 0.5)


# --- who is called, and where ----------------------------------------------------------------------


async def test_the_event_loop_is_not_kept_by_a_hook(router):
    called_in = []
    router.observe_batches(lambda _: called_in.append(threading.current_thread()))
    await asyncio.gather(*(router.aroute(f"text {number}") for number in range(20)))
    assert called_in
    assert threading.current_thread() not in called_in


def test_the_newest_hook_takes_the_place_of_the_one_before(router, reports):
    others: list[BatchReport] = []
    router.route("text 1")
    router.observe_batches(others.append)
    router.route("text 2")
    router.observe_batches(None)
    router.route("text 3")
    assert (len(reports), len(others)) == (1, 1)


@pytest.mark.parametrize("hook", ["print", 1, [len]], ids=repr)
def test_what_cannot_be_called_is_refused_and_the_hook_before_it_stays(router, reports, hook):
    with pytest.raises(ConfigurationError, match="hook"):
        router.observe_batches(hook)
    router.route("hello there")
    assert len(reports) == 1


def test_a_hook_stays_behind_when_a_router_is_pickled(router, reports):
    with pickle.loads(pickle.dumps(router)) as twin:
        twin.route("hello there")
    assert reports == []


# --- hooks that fail -------------------------------------------------------------------------------


def test_what_a_hook_raises_reaches_no_caller_and_is_logged_once_for_each_kind(router, caplog):
    def fail(report):
        raise KeyError("bad") if report.encoded else ZeroDivisionError

    router.observe_batches(fail)
    with caplog.at_level(logging.ERROR):
        vector = router.encoder.encode(["hello there"])[0]
        for number in range(5):
            assert router.route(f"hello there {number}").candidates
            assert router.route("anything", vector=vector).route == "greeting"
        assert len(router.route_batch([f"text {number}" for number in range(100)])) == 100
    assert len(failures(caplog)) == 2
    assert {record.exc_info[0] for record in caplog.records} == {KeyError, ZeroDivisionError}
    assert router.stats().failed == 0


def test_another_hook_is_heard_of_again(router, caplog):
    for _ in range(2):
        router.observe_batches(lambda _: 1 / 0)
        router.route("hello there", options=RouteOptions(threshold=0.1))
        router.route("good morning", options=RouteOptions(threshold=0.1))
        router.add_utterances("greeting", [f"hi {router.revision}"])
    assert len(failures(caplog)) == 2


def test_a_hook_that_fails_in_many_threads_at_once_is_logged_once(caplog):
    meeting = threading.Barrier(3)

    def fail(_):
        meeting.wait(PATIENCE_S)
        raise KeyError

    with AdaptiveRouter(ROUTES, encoder=Gated(), config=RouterConfig(workers=3, max_batch_size=1)) as router:
        router.observe_batches(fail)
        assert len(router.route_batch(["one", "two", "three"])) == 3
    assert len(failures(caplog)) == 1
