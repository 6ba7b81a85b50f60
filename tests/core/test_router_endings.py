"""How a router ends: closed, forgotten, or never begun."""

import asyncio
import gc
import threading
import time
import warnings

import psutil
import pytest
from gates import PATIENCE_S, ROUTES, Gated

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    EncoderError,
    EncoderMismatchError,
    HashingEncoder,
    Route,
    RouterClosedError,
    RouterConfig,
    StorageError,
)


def router_with(encoder, **settings) -> AdaptiveRouter:
    return AdaptiveRouter(ROUTES, encoder=encoder, config=RouterConfig(**{"workers": 1, **settings}))


async def occupy(router: AdaptiveRouter, encoder: Gated) -> asyncio.Task:
    """Keep the router's only worker busy until the gate is opened."""
    task = asyncio.create_task(router.aroute("slow query"))
    assert await asyncio.to_thread(encoder.entered.acquire, timeout=PATIENCE_S)
    return task


def our_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("synaptoroute")}


def wait_until_closing(router: AdaptiveRouter) -> None:
    batcher = router._service.batcher
    with batcher._changed:
        assert batcher._changed.wait_for(lambda: batcher._closed, PATIENCE_S)


# --- closing ---------------------------------------------------------------------------------------


async def test_closing_answers_what_was_accepted(gated):
    """A clean shutdown must not lose what was taken in."""
    router = router_with(gated)
    busy = await occupy(router, gated)
    waiting = [asyncio.create_task(router.aroute(f"please refund order {number}")) for number in range(20)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(router.aclose())
    await asyncio.to_thread(wait_until_closing, router)
    with pytest.raises(RouterClosedError):
        await router.aroute("hello there")
    gated.gate.set()
    await closing
    assert (await busy).revision == 1
    assert [decision.revision for decision in await asyncio.gather(*waiting)] == [1] * 20
    assert router.stats().pending == 0


async def test_closing_without_time_to_drain_refuses_what_waits(gated):
    router = router_with(gated, drain_timeout_s=0)
    busy = await occupy(router, gated)
    waiting = [asyncio.create_task(router.aroute(f"text {number}")) for number in range(20)]
    batch = asyncio.create_task(router.aroute_batch([f"text {number}" for number in range(2000)]))
    await asyncio.sleep(0)
    router.close()
    ended = await asyncio.gather(*waiting, batch, return_exceptions=True)
    assert {type(error) for error in ended} == {RouterClosedError}
    gated.gate.set()
    await asyncio.gather(busy, return_exceptions=True)
    assert not [text for text in gated.texts if text.startswith("text")]


QUESTIONS = {
    "route": lambda router: router.route("hello there"),
    "route with a time limit": lambda router: router.route("hello there", timeout=1),
    "route_batch": lambda router: router.route_batch(["hello there"]),
    "explain": lambda router: router.explain("hello there"),
    "evaluate": lambda router: router.evaluate([("hello there", "greeting")]),
    "aroute": lambda router: asyncio.run(router.aroute("hello there")),
    "aroute_batch": lambda router: asyncio.run(router.aroute_batch(["hello there"])),
    "aexplain": lambda router: asyncio.run(router.aexplain("hello there")),
    "aevaluate": lambda router: asyncio.run(router.aevaluate([("hello there", "greeting")])),
}
CHANGES = {
    "add_route": lambda router: router.add_route(Route("new", ["something new"])),
    "overwrite": lambda router: router.add_route(Route("refund", ["something new"]), overwrite=True),
    "remove_route": lambda router: router.remove_route("refund"),
    "add_utterances": lambda router: router.add_utterances("refund", ["something new"]),
    "remove_utterances": lambda router: router.remove_utterances("refund", ["i want my money back"]),
    "update_threshold": lambda router: router.update_threshold("refund", 0.5),
    "aadd_route": lambda router: asyncio.run(router.aadd_route(Route("new", ["something new"]))),
    "aremove_route": lambda router: asyncio.run(router.aremove_route("refund")),
}


@pytest.mark.parametrize("use", [*QUESTIONS.values(), *CHANGES.values()], ids=[*QUESTIONS, *CHANGES])
def test_a_closed_router_refuses_with_one_error(use):
    """Also what it would remember: an answer must not depend on who asked before the end."""
    with router_with(HashingEncoder()) as router:
        router.route("hello there")
    with pytest.raises(RouterClosedError, match="closed"):
        use(router)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_closed_router_refuses_a_change_before_it_encodes_anything(change, gated):
    """Encoding may take minutes, and may fail with an error that hides what is wrong."""
    with router_with(gated) as router:
        pass
    encoded = len(gated.texts)
    with pytest.raises(RouterClosedError):
        change(router)
    assert len(gated.texts) == encoded


def test_a_closed_router_can_still_be_looked_at(tmp_path):
    with router_with(HashingEncoder()) as router:
        router.route("hello there")
    assert list(router.routes.values()) == ROUTES
    assert router.revision == 1
    assert router.stats().answered == 1
    assert "2 routes" in repr(router)
    router.export(tmp_path / "routes.yaml")
    with AdaptiveRouter.from_file(tmp_path / "routes.yaml", encoder=HashingEncoder()) as again:
        assert again.routes == router.routes


def test_closing_is_harmless_when_repeated_or_done_by_several_threads():
    before = our_threads()
    router = router_with(HashingEncoder(), workers=3)
    router.route("hello there", timeout=PATIENCE_S)
    closers = [threading.Thread(target=router.close) for _ in range(5)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(PATIENCE_S)
        assert not closer.is_alive()
    router.close()
    asyncio.run(router.aclose())
    assert our_threads() == before


async def test_both_kinds_of_with_statement_close_the_router():
    before = our_threads()
    with router_with(HashingEncoder()) as router:
        router.route("hello there", timeout=PATIENCE_S)
    async with router_with(HashingEncoder()) as awaitable:
        await awaitable.aroute("hello there")
    for closed in (router, awaitable):
        with pytest.raises(RouterClosedError):
            closed.route("hello there")
    assert our_threads() == before


async def test_an_error_inside_the_with_statement_comes_through():
    with pytest.raises(ZeroDivisionError), router_with(HashingEncoder()) as router:
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        async with router_with(HashingEncoder()) as awaitable:
            raise ZeroDivisionError
    for closed in (router, awaitable):
        with pytest.raises(RouterClosedError):
            closed.route("hello there")


def ask_until_closed(router: AdaptiveRouter, asked: threading.Semaphore, odd: list[BaseException]) -> None:
    try:
        while True:
            router.route("hello there")
            asked.release()
            router.route_batch(["good morning", "refund my order"])
            router.route("hello there", timeout=PATIENCE_S)
    except RouterClosedError:
        pass
    except BaseException as error:  # noqa: BLE001
        odd.append(error)


@pytest.mark.parametrize("drain_timeout_s", [0, PATIENCE_S])
def test_closing_under_load_gives_every_caller_a_decision_or_a_refusal(drain_timeout_s):
    for _ in range(5):
        router = router_with(HashingEncoder(), workers=2, drain_timeout_s=drain_timeout_s, cache_size=0)
        asked, odd = threading.Semaphore(0), []
        callers = [threading.Thread(target=ask_until_closed, args=(router, asked, odd)) for _ in range(4)]
        for caller in callers:
            caller.start()
        for _ in range(20):
            assert asked.acquire(timeout=PATIENCE_S)
        router.close()
        for caller in callers:
            caller.join(PATIENCE_S)
            assert not caller.is_alive()
        assert not odd
        # What was at work when time was up counts until its worker is done with it.
        eventually(lambda router=router: router.stats().pending == 0)


def eventually(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# --- forgetting ------------------------------------------------------------------------------------


def use_and_forget() -> None:
    router = router_with(HashingEncoder(), workers=2)
    router.route("hello there", timeout=PATIENCE_S)


def test_forgotten_routers_warn_and_leave_no_threads_behind():
    """A router nobody closed must not live on in its own threads."""
    before = our_threads()
    for _ in range(20):
        with pytest.warns(ResourceWarning, match="was not closed"):
            use_and_forget()
    gc.collect()
    assert our_threads() == before


def test_a_router_forgotten_in_a_cycle_ends_when_it_is_collected():
    before = our_threads()

    def make():
        router = router_with(HashingEncoder())
        router.route("hello there", timeout=PATIENCE_S)
        router.itself = router

    make()
    with pytest.warns(ResourceWarning, match="was not closed"):
        gc.collect()
    assert our_threads() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_forgotten_router_ends_even_where_warnings_are_errors():
    """As under pytest with -W error: the warning that is raised must not take the place of the closing."""
    before = our_threads()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use_and_forget()
        gc.collect()
    assert our_threads() == before


def test_a_closed_router_is_forgotten_without_a_warning():
    with router_with(HashingEncoder()) as router:
        pass
    del router
    gc.collect()


# --- failing to begin ------------------------------------------------------------------------------


class Failing(HashingEncoder):
    def encode(self, texts):
        raise RuntimeError("no vectors today")


class Other(HashingEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.fingerprint = "other/1"


BEGINNINGS = {
    "something that is no route": (
        lambda _: AdaptiveRouter(["no route"], encoder=HashingEncoder()),
        ConfigurationError,
    ),
    "something that is no encoder": (lambda _: AdaptiveRouter(ROUTES, encoder=object()), ConfigurationError),
    "an encoder that fails": (
        lambda path: AdaptiveRouter([Route("new", ["new"])], encoder=Failing(), store=path),
        EncoderError,
    ),
    "a store that is a folder": (
        lambda path: AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=path.parent),
        StorageError,
    ),
    "a store of another encoder": (
        lambda path: AdaptiveRouter(encoder=Other(), store=path, config=RouterConfig(on_encoder_change="raise")),
        EncoderMismatchError,
    ),
    "another encoder that fails": (lambda path: AdaptiveRouter(encoder=FailingOther(), store=path), EncoderError),
    "routes that run out": (lambda path: AdaptiveRouter(broken_routes(), store=path), ZeroDivisionError),
}


class FailingOther(Failing, Other):
    pass


def broken_routes():
    yield ROUTES[0]
    raise ZeroDivisionError


@pytest.mark.parametrize(("begin", "error"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_router_that_cannot_begin_leaves_no_thread_and_no_open_file(begin, error, tmp_path):
    path = tmp_path / "routes.db"
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=path):
        pass
    before = our_threads()
    with pytest.raises(error):
        begin(path)
    gc.collect()
    assert our_threads() == before
    assert not [file for file in psutil.Process().open_files() if file.path.startswith(str(path))]
    with AdaptiveRouter(encoder=HashingEncoder(), store=path) as router:
        assert list(router.routes.values()) == ROUTES, "and the store is as it was"
