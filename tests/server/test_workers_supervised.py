"""The supervisor of workers, with workers that have little to do."""

import signal
import time

import pytest
from launched import Launch, Launched, launch, launch_script, wait_until  # noqa: F401  # fixtures among them

WORKERS = 2
PROGRAM = """
import logging, os, signal, sys, time
from pathlib import Path
from synaptoroute_integrations.server import supervising

def work():
    if Path("broken").exists():
        sys.exit(supervising.CANNOT_START)
    if Path("stubborn").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("at work", os.getpid(), file=sys.stderr, flush=True)
    while not Path("enough").exists():
        time.sleep(0.01)

if __name__ == "__main__":
    logging.basicConfig()
    supervisor = supervising.Supervisor(
        work, 2, grace_s=1.0, buried=lambda: print("buried", file=sys.stderr, flush=True)
    )
    with supervisor.listening():
        supervisor.run()
"""


@pytest.fixture
def supervised(launch_script: Launch):  # noqa: F811
    """Starts the program and waits until its workers are at work."""

    def start() -> Launched:
        launched = launch_script(PROGRAM)
        wait_until(lambda: launched.text().count("at work") == WORKERS)
        return launched

    return start


def test_a_worker_that_ends_is_replaced(supervised):
    launched = supervised()
    first, second = launched.workers()
    first.kill()
    wait_until(lambda: launched.text().count("at work") == WORKERS + 1)
    assert f"worker {first.pid} ended with code -9" in launched.text()
    assert launched.text().count("buried") == 1
    pids = {worker.pid for worker in launched.workers()}
    assert second.pid in pids
    assert len(pids) == WORKERS
    launched.signal(signal.SIGTERM)
    assert launched.end() == 0


def test_workers_that_end_again_and_again_are_replaced_more_slowly(supervised, tmp_path):
    launched = supervised()
    (tmp_path / "enough").touch()
    began = time.monotonic()
    wait_until(lambda: launched.text().count("ended with code 0") >= WORKERS + 1)
    assert time.monotonic() - began > 0.5  # the first pause, at the least
    launched.signal(signal.SIGINT)
    assert launched.end() == 0


def test_while_one_worker_is_at_work_the_others_are_tried_again(supervised, tmp_path):
    launched = supervised()
    (tmp_path / "broken").touch()
    first, second = launched.workers()
    first.kill()
    wait_until(lambda: "ended with code 3" in launched.text())
    (tmp_path / "broken").unlink()
    wait_until(lambda: launched.text().count("at work") == WORKERS + 1)
    assert second.is_running()
    launched.signal(signal.SIGTERM)
    assert launched.end() == 0


def test_when_no_worker_can_start_the_service_ends(supervised, tmp_path):
    launched = supervised()
    (tmp_path / "broken").touch()
    for worker in launched.workers():
        worker.kill()
    assert launched.end() == 3
    assert "no worker can start" in launched.text()
    assert "Traceback" not in launched.text()


def test_a_worker_that_does_not_end_in_time_is_killed(launch_script: Launch, tmp_path):  # noqa: F811
    (tmp_path / "stubborn").touch()
    launched = launch_script(PROGRAM)
    wait_until(lambda: launched.text().count("at work") == WORKERS)
    family = launched.family()
    launched.signal(signal.SIGTERM)
    assert launched.end() == 0
    assert launched.text().count("did not end and is killed") == WORKERS
    wait_until(lambda: not any(process.is_running() for process in family))
