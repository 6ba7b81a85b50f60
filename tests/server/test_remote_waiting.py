"""Time limits, event loops, threads and processes of the client, over real sockets."""

import asyncio
import contextlib
import gc
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from synaptoroute_core import RouterTimeoutError
from synaptoroute_integrations.remote import RemoteError, RemoteRouter

GENEROUS_S = 20
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
DECIDED = '{"route": "refund", "reason": "matched", "score": 0.9}'


@contextlib.contextmanager
def listening(serve_one, port=0):
    """The URL of a server that does with each connection what it is told to, once it has read a request."""
    listener = socket.create_server(("127.0.0.1", port))
    stop = threading.Event()

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve_connection, args=(connection,), daemon=True).start()

    def serve_connection(connection):
        with connection, contextlib.suppress(OSError):
            received = connection.recv(65_536)
            while received.startswith(b"POST") and not received.endswith(b"}"):
                received += connection.recv(65_536)
            serve_one(connection, stop)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(GENEROUS_S)


def silent(connection, stop):
    stop.wait(GENEROUS_S)


def dripping(connection, stop):
    connection.sendall(HEAD.format(100_000).encode())
    while not stop.wait(0.02):
        connection.sendall(b" ")


def deciding(connection, stop):
    connection.sendall((HEAD.format(len(DECIDED)) + DECIDED).encode())


def hanging_up(connection, stop):
    """Closes at once."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# --- time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", [silent, dripping])
async def test_a_call_ends_when_its_time_is_over(behaviour):
    with listening(behaviour) as url:
        async with RemoteRouter(url, timeout_s=600) as remote:
            started = time.monotonic()
            with pytest.raises(RouterTimeoutError, match=r"within 0\.3 s"):
                await remote.aroute("hello", timeout=0.3)
            with pytest.raises(RouterTimeoutError, match=r"within 0\.3 s"):
                await asyncio.to_thread(remote.route, "hello", timeout=0.3)
            assert time.monotonic() - started < GENEROUS_S


def test_an_edit_whose_time_is_over_may_have_been_made():
    with listening(silent) as url, RemoteRouter(url, timeout_s=0.3) as remote:
        with pytest.raises(RouterTimeoutError) as caught:
            remote.remove_route("refund")
        assert "is not known" in caught.value.__notes__[0]


def test_a_question_is_asked_again_until_the_attempts_are_used_up():
    with (
        listening(hanging_up) as url,
        RemoteRouter(url, retries=2) as remote,
        pytest.raises(RemoteError, match="did not answer"),
    ):
        remote.route("hello")


def test_a_client_may_wait_for_a_service_that_is_just_starting():
    port = free_port()
    with RemoteRouter(f"http://127.0.0.1:{port}", timeout_s=60, retries=1000) as remote, ThreadPoolExecutor() as pool:
        answer = pool.submit(remote.route, "where is my parcel")
        time.sleep(0.3)
        assert not answer.done()
        with listening(deciding, port):
            assert answer.result(60).route == "refund"


def test_proxies_of_the_environment_are_not_used(serve, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with RemoteRouter(serve().url, retries=0) as remote:
        assert remote.route("where is my parcel").candidates


# --- loops, threads, processes ---------------------------------------------------------------------


def held(remote):
    return len(remote._connections._held)


def test_one_client_serves_one_loop_after_the_other(serve):
    served = serve()
    with RemoteRouter(served.url) as remote, warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(3):
            text = f"where is parcel {number}"
            assert asyncio.run(remote.aroute(text)) == served.router.route(text)
        gc.collect()
        assert held(remote) == 0


def test_one_client_serves_several_loops_and_threads_at_once(serve, support_examples):
    served = serve()
    texts = [text for text, _ in support_examples][:30]
    expected = served.router.route_batch(texts)
    together = threading.Barrier(4)

    async def ask_all(remote):
        together.wait(GENEROUS_S)
        return list(await asyncio.gather(*map(remote.aroute, texts)))

    def ask_in_turn(remote):
        together.wait(GENEROUS_S)
        return [remote.route(text) for text in texts]

    with RemoteRouter(served.url, timeout_s=60) as remote, ThreadPoolExecutor(4) as pool:
        running = [pool.submit(asyncio.run, ask_all(remote)) for _ in range(2)]
        running += [pool.submit(ask_in_turn, remote) for _ in range(2)]
        assert [each.result(60) for each in running] == [expected] * 4


def test_a_loop_that_was_only_closed_is_forgotten(serve):
    with RemoteRouter(serve().url) as remote:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(remote.aroute("where is my parcel"))
        assert held(remote) == 1
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        asyncio.run(remote.aroute("where is my parcel"))
        assert loop not in remote._connections._held


async def test_a_cancelled_call_leaves_the_others_alone(serve):
    served = serve()
    async with RemoteRouter(served.url) as remote:
        calls = [asyncio.ensure_future(remote.aroute(f"where is parcel {number}")) for number in range(20)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
        expected = [served.router.route(f"where is parcel {number}") for number in range(1, 20, 2)]
        assert outcomes[1::2] == expected
        assert await remote.aroute("where is parcel 1") == expected[0]


FORKING = """
import os, sys
from synaptoroute_integrations.remote import RemoteRouter
remote = RemoteRouter(sys.argv[1])
first = remote.route("where is my parcel")
child = os.fork()
same = all(remote.route("where is my parcel") == first for _ in range(20))
if not child:
    os._exit(0 if same else 1)
assert same and os.waitpid(child, 0)[1] == 0
remote.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_makes_connections_of_its_own(serve):
    command = [sys.executable, "-W", "error", "-c", FORKING, serve().url]
    subprocess.run(command, check=True, timeout=60)
