"""The thread that owns the store: one thing at a time, in order, and every caller gets an answer."""

import logging
import threading
from collections.abc import Iterator

import pytest

from synaptoroute_core import RouterClosedError
from synaptoroute_core.owner import OwnerThread

WAIT_S = 30.0


def never() -> None:
    raise AssertionError("an owner without an interval does nothing by itself")


@pytest.fixture
def owner() -> Iterator[OwnerThread]:
    opened = OwnerThread("owner", idle=never, interval_s=None)
    yield opened
    opened.close()


def test_a_caller_gets_what_its_job_returns(owner: OwnerThread) -> None:
    assert owner.run(lambda: 42) == 42


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), SystemExit(3)])
def test_a_caller_gets_the_error_of_its_job_and_the_thread_lives_on(owner: OwnerThread, error: BaseException) -> None:
    """Elsewhere, errors of the writing thread were printed and the caller never heard of them."""

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        owner.run(fail)
    assert raised.value is error
    assert owner.run(lambda: "alive") == "alive"


def test_jobs_of_many_threads_run_one_at_a_time_in_one_thread(owner: OwnerThread) -> None:
    running, most, ran_in = [0], [0], set()

    def job() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        ran_in.add(threading.current_thread().name)
        running[0] -= 1

    def call() -> None:
        for _ in range(200):
            owner.run(job)

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(WAIT_S)
    assert (most, ran_in) == ([1], {"owner"})


def test_jobs_run_in_the_order_in_which_they_came(owner: OwnerThread) -> None:
    busy, release, ran = threading.Event(), threading.Event(), []

    def block() -> None:
        busy.set()
        release.wait(WAIT_S)

    callers = [threading.Thread(target=owner.run, args=(block,))]
    callers[0].start()
    assert busy.wait(WAIT_S)
    for number in range(20):
        callers.append(threading.Thread(target=owner.run, args=(lambda number=number: ran.append(number),)))
        callers[-1].start()
        while owner._jobs.qsize() <= number:
            assert callers[-1].is_alive()
    release.set()
    for caller in callers:
        caller.join(WAIT_S)
    assert ran == list(range(20))


def test_closing_finishes_what_was_handed_in() -> None:
    """Elsewhere, a clean shutdown lost thousands of acknowledged changes that were still in the queue."""
    owner = OwnerThread("owner", idle=never, interval_s=None)
    busy, release, ran = threading.Event(), threading.Event(), []

    def block() -> None:
        busy.set()
        release.wait(WAIT_S)

    callers = [threading.Thread(target=owner.run, args=(block,))]
    callers[0].start()
    assert busy.wait(WAIT_S)
    for number in range(50):
        callers.append(threading.Thread(target=owner.run, args=(lambda number=number: ran.append(number),)))
        callers[-1].start()
    while owner._jobs.qsize() < 50:
        assert all(caller.is_alive() for caller in callers)
    closing = threading.Thread(target=owner.close)
    closing.start()
    release.set()
    closing.join(WAIT_S)
    for caller in callers:
        caller.join(WAIT_S)
    assert sorted(ran) == list(range(50))


def test_a_closed_owner_refuses_jobs_and_may_be_closed_again(owner: OwnerThread) -> None:
    owner.close()
    owner.close()
    with pytest.raises(RouterClosedError):
        owner.run(lambda: None)


def test_every_job_handed_in_while_it_closes_ends() -> None:
    for _ in range(50):
        owner, ends = OwnerThread("owner", idle=never, interval_s=None), []

        def call(owner: OwnerThread = owner, ends: list[str] = ends) -> None:
            try:
                while True:
                    owner.run(lambda: None)
            except RouterClosedError:
                ends.append("refused")

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        owner.close()
        for caller in callers:
            caller.join(WAIT_S)
        assert ends == ["refused"] * 4


def test_a_job_may_close_its_own_thread() -> None:
    owner = OwnerThread("owner", idle=never, interval_s=None)
    owner.run(owner.close)
    owner._thread.join(WAIT_S)
    assert not owner._thread.is_alive()


def test_idle_time_is_used_again_and_again() -> None:
    calls, enough = [], threading.Event()

    def idle() -> None:
        calls.append(threading.current_thread().name)
        if len(calls) == 3:
            enough.set()

    owner = OwnerThread("owner", idle=idle, interval_s=0.01)
    assert enough.wait(WAIT_S)
    owner.close()
    assert set(calls) == {"owner"}


def test_an_error_in_idle_time_is_logged_and_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    calls, enough = [], threading.Event()

    def idle() -> None:
        calls.append(1)
        if len(calls) >= 3:
            enough.set()
        raise OSError("the disk is away")

    with caplog.at_level(logging.ERROR):
        owner = OwnerThread("owner", idle=idle, interval_s=0.01)
        assert enough.wait(WAIT_S)
        assert owner.run(lambda: "alive") == "alive"
        owner.close()
    assert "the disk is away" in caplog.text
