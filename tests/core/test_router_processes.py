"""Routers and processes: the end of the program, forked children, pools of fresh processes."""

import json
import os
import subprocess
import sys
from textwrap import dedent

import pytest

HANG_S = 60
"""A script that takes longer hangs."""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

PREAMBLE = """
import asyncio, gc, json, os, signal, sys, threading, synaptoroute_core
from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, RouterConfig

ROUTES = [Route("refund", ["i want my money back"]), Route("greeting", ["hello there"])]

class Stuck(HashingEncoder):
    "Holds a lock while it encodes, as model runtimes do, and never returns from a text that says so."
    def __init__(self):
        super().__init__()
        self.lock, self.entered, self.release = threading.Lock(), threading.Event(), threading.Event()
    def encode(self, texts):
        with self.lock:
            if any(text.startswith("stuck") for text in texts):
                self.entered.set()
                self.release.wait()
            return super().encode(texts)

def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread

def in_child(function):
    "Run a function in a forked child that leaves as programs do; the parent gets its exit status."
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.alarm(20)  # ends a child that hangs
    function()
    sys.exit(0)

def error_of(function):
    try:
        return repr(function())
    except Exception as error:
        return type(error).__name__
"""


def run_script(tmp_path, script: str, *arguments) -> list:
    """Run a program to its end; what it said, line by line, as JSON."""
    path = tmp_path / "script.py"
    path.write_text(PREAMBLE + dedent(script), encoding="utf-8")
    # Newer Pythons warn of every fork beside threads; here that is the point.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(path), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- the end of the program ------------------------------------------------------------------------


def test_a_program_ends_with_a_router_that_nobody_closed(tmp_path):
    script = """
        router = AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=sys.argv[1])
        router.route("hello there", timeout=10)
        print(json.dumps(router.revision))
    """
    assert run_script(tmp_path, script, tmp_path / "routes.db") == [1]


def test_a_program_ends_with_queries_waiting_for_a_stuck_encoder(tmp_path):
    script = """
        encoder = Stuck()
        config = RouterConfig(workers=1, drain_timeout_s=0.1)
        router = AdaptiveRouter(ROUTES, encoder=encoder, config=config)
        in_thread(error_of, lambda: router.route("stuck"))
        encoder.entered.wait()
        for number in range(20):
            in_thread(error_of, lambda: router.route(f"waiting {number}"))
        in_thread(error_of, lambda: router.route_batch([f"in a list {number}" for number in range(1000)]))
        print(json.dumps("the end"))
    """
    assert run_script(tmp_path, script) == ["the end"]


def test_an_asynchronous_program_ends_with_queries_waiting_for_a_stuck_encoder(tmp_path):
    script = """
        async def main():
            encoder = Stuck()
            config = RouterConfig(workers=1, drain_timeout_s=0.1)
            async with AdaptiveRouter(ROUTES, encoder=encoder, config=config) as router:
                tasks = [asyncio.create_task(router.aroute(text)) for text in ["stuck", "waiting", "too"]]
                for task in tasks:
                    task.add_done_callback(lambda task: task.cancelled() or task.exception())
                await asyncio.to_thread(encoder.entered.wait)
            print(json.dumps([type(task.exception()).__name__ for task in tasks[1:]]))

        asyncio.run(main())
    """
    assert run_script(tmp_path, script) == [["RouterClosedError"] * 2]


def test_what_was_acknowledged_is_there_after_a_program_that_closed_nothing(tmp_path):
    script = """
        router = AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=sys.argv[1])
        for number in range(20):
            router.add_route(Route(f"route_{number}", [f"utterance {number}"]))
        if len(sys.argv) > 2:
            os._exit(0)
    """
    read = """
        with AdaptiveRouter(encoder=HashingEncoder(), store=sys.argv[1]) as router:
            print(json.dumps([len(router.routes), router.revision]))
    """
    for leaving in ([], ["at once"]):
        store = tmp_path / f"routes{len(leaving)}.db"
        run_script(tmp_path, script, store, *leaving)
        assert run_script(tmp_path, read, store) == [[22, 21]]


# --- forked children -------------------------------------------------------------------------------

USES = """
    USES = {
        "route": lambda: router.route("hello there"),
        "route anew": lambda: router.route("something else"),
        "route in time": lambda: router.route("something else", timeout=5),
        "route among unknown": lambda: router.route("hello there", allowed=["refund"]),
        "route_batch": lambda: router.route_batch(["hello there", "something else"]),
        "explain": lambda: router.explain("something else"),
        "evaluate": lambda: router.evaluate([("something else", "greeting")]),
        "aroute": lambda: asyncio.run(router.aroute("something else")),
        "aroute_batch": lambda: asyncio.run(router.aroute_batch(["something else"])),
        "remove_route": lambda: router.remove_route("refund"),
        "update_threshold": lambda: router.update_threshold("refund", 0.3),
        "add_route": lambda: router.add_route(Route("new", ["something new"])),
        "add_utterances": lambda: router.add_utterances("refund", ["something new"]),
    }
"""


@needs_fork
@pytest.mark.parametrize("encoder", ["HashingEncoder", "BundledEncoder"])
def test_a_forked_child_is_refused_and_its_parent_goes_on(tmp_path, encoder):
    """The router's threads do not exist in the child: waiting for them would last for ever."""
    script = (
        USES
        + """
    encoder = getattr(synaptoroute_core, sys.argv[2])()
    with AdaptiveRouter(ROUTES, encoder=encoder, store=sys.argv[1]) as router:
        router.route("hello there", timeout=10)

        def child():
            print(json.dumps({name: error_of(use) for name, use in USES.items()}))
            print(json.dumps([error_of(lambda: len(router.routes)), error_of(router.close)]))

        status = in_child(child)
        answer = router.route("hello there, parent")
        receipt = router.add_route(Route("new", ["something new"]))
        print(json.dumps([status, answer.route, receipt.revision, router.route("something new").route]))
    """
    )
    errors, looks, parent = run_script(tmp_path, script, tmp_path / "routes.db", encoder)
    assert set(errors.values()) == {"RouterClosedError"}, errors
    assert looks == ["2", "None"]
    assert parent == [0, "greeting", 2, "new"]


@needs_fork
@pytest.mark.parametrize("use", ["route anew", "explain", "aroute", "remove_route", "add_route", "add_utterances"])
def test_a_child_forked_while_the_encoder_is_at_work_is_refused_and_does_not_hang(tmp_path, use):
    """A lock that a thread of the parent held at the fork is never released in the child."""
    script = (
        USES
        + """
    encoder = Stuck()
    with AdaptiveRouter(ROUTES, encoder=encoder, config=RouterConfig(workers=1)) as router:
        at_work = in_thread(router.route, "stuck")
        encoder.entered.wait()

        def child():
            print(json.dumps(error_of(USES[sys.argv[1]])))

        status = in_child(child)
        encoder.release.set()
        at_work.join()
        print(json.dumps([status, router.route("hello there").route]))
    """
    )
    assert run_script(tmp_path, script, use) == ["RouterClosedError", [0, "greeting"]]


def test_the_model_brings_no_threads_of_its_own(tmp_path):
    """What a runtime starts behind our back, such as a sender of usage data, does not survive a fork.

    A child then hangs at its exit, and a router that is said to be local talks to strangers.
    """
    script = """
        import psutil
        from synaptoroute_core import BundledEncoder
        before = psutil.Process().num_threads()
        BundledEncoder().encode(["hello there"])
        print(json.dumps(psutil.Process().num_threads() - before))
    """
    assert run_script(tmp_path, script) == [0]


@needs_fork
def test_a_forked_child_may_open_a_router_of_its_own(tmp_path):
    """On the same file too, as servers do whose workers are forked after the application was loaded."""
    script = """
        router = AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=sys.argv[1])
        router.route("hello there", timeout=10)

        def child():
            global router
            del router  # the parent's: it must let go without a fuss
            gc.collect()
            with AdaptiveRouter(encoder=HashingEncoder(), store=sys.argv[1]) as own:
                own.add_route(Route("child", ["from the child"]))
                print(json.dumps(own.route("from the child", timeout=10).route))

        status = in_child(child)
        router.add_route(Route("parent", ["from the parent"]))
        print(json.dumps([status, sorted(router.routes), router.route("from the child").route]))
        router.close()
    """
    child, parent = run_script(tmp_path, script, tmp_path / "routes.db")
    assert child == "child"
    assert parent == [0, ["child", "greeting", "parent", "refund"], "child"]


# --- pools -----------------------------------------------------------------------------------------


def test_fresh_processes_of_a_pool_open_routers_of_their_own(tmp_path):
    script = """
        import multiprocessing

        def ask(text):
            with AdaptiveRouter(encoder=HashingEncoder(), store=sys.argv[1]) as router:
                return router.route(text).route

        if __name__ == "__main__":
            with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=sys.argv[1]) as router:
                with multiprocessing.get_context("spawn").Pool(2) as pool:
                    print(json.dumps(pool.map(ask, ["hello there", "i want my money back"] * 3)))
                print(json.dumps(router.route("hello there").route))
    """
    answers = run_script(tmp_path, script, tmp_path / "routes.db")
    assert answers == [["greeting", "refund"] * 3, "greeting"]
