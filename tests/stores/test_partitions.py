"""Three routers in processes of their own, on one store, each behind a network that fails: they end up alike.

``pytest --deep`` runs some two hundred schedules of faults; without it, there are a few.
"""

import logging
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from partitions import Group
from proxy import AWAY, CALM, HALF_OPEN
from replica import Replica
from servers import PrivateRedis
from watching import eventually

logger = logging.getLogger(__name__)

FEW, MANY = 3, 60
KINDS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgres", "redis")]
Form = Callable[[str, str], Group]


@pytest.fixture(scope="module")
def replicas() -> Iterator[list[Replica]]:
    """Three processes, used again and again."""
    with ExitStack() as stack:
        yield [stack.enter_context(Replica()) for _ in range(3)]


@pytest.fixture
def form(replicas: list[Replica]) -> Iterator[Form]:
    """Forms groups: ``form(kind, url)``."""
    with ExitStack() as stack:
        yield lambda kind, url: Group(kind, url, replicas, stack)


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> range:
    """Of the schedules to run."""
    return range(MANY if request.config.getoption("--deep") else FEW)


def report(group: Group) -> None:
    """Say what was measured: ``--log-cli-level=INFO`` shows it."""
    logger.info(
        "%d schedules, alike %.2f s after the end of the faults (median; %.2f s at most), changes: %s",
        len(group.healed_s),
        statistics.median(group.healed_s),
        max(group.healed_s),
        ", ".join(f"{count} {kind}" for kind, count in group.counts.most_common()),
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_replicas_are_alike_after_any_faults_and_have_what_was_acknowledged_and_nothing_else(
    kind: str, form: Form, seeds: range, request: pytest.FixtureRequest
) -> None:
    group = form(kind, request.getfixturevalue(f"{kind}_url"))
    for seed in seeds:
        with group.opened():
            group.run(seed)
    report(group)
    assert group.counts["acked"] > 0
    assert group.counts["failed"] > 0


@pytest.mark.timeout(900)
@pytest.mark.redis
def test_nothing_acknowledged_is_lost_when_a_redis_server_that_writes_everything_down_is_killed(
    form: Form, seeds: range, tmp_path: Path
) -> None:
    with PrivateRedis(tmp_path) as server:
        group = form("redis", server.url)

        def restart() -> None:
            server.kill()
            server.start()

        for seed in seeds:
            with group.opened():
                group.run(seed, middle=restart)
    report(group)


@pytest.mark.redis
def test_replicas_keep_their_routes_when_a_redis_server_comes_back_with_nothing(form: Form) -> None:
    """They say why they are stale, and no change is made on top of nothing."""
    with PrivateRedis(None) as server:
        group = form("redis", server.url)
        with group.opened():
            for replica in group.replicas:
                replica.call("begin", 1, "before")
            eventually(lambda: all(state["revision"] > 9 for state in group.call("status")))
            group.call("stop")
            group.call("end")
            group.until_alike(0)
            before = {state["digest"] for state in group.call("status")}
            server.kill()
            server.start()
            eventually(lambda: all("emptied" in (state["failing"] or "") for state in group.call("status")))
            for replica in group.replicas:
                replica.call("begin", 2, "after")
            eventually(lambda: all(group.call("tried")))
            group.call("stop")
            outcomes = [outcome for ended, _ in group.call("end") for outcome in ended]
            assert {kind for kind, *_ in outcomes} == {"failed"}
            assert {state["digest"] for state in group.call("status")} == before


@pytest.mark.parametrize("kind", KINDS)
def test_replicas_are_alike_soon_after_an_outage_that_lasted(
    kind: str, form: Form, request: pytest.FixtureRequest
) -> None:
    """However long they wait between two tries by then."""
    group = form(kind, request.getfixturevalue(f"{kind}_url"))
    with group.opened():
        for proxy, fault in zip(group.proxies, (CALM, HALF_OPEN, AWAY), strict=True):
            proxy.suffer(fault)
        group.replicas[0].call("begin", 1, "lasting")
        eventually(lambda: all(state["failing"] for state in group.call("status")[1:]))
        time.sleep(60.0 if request.config.getoption("--deep") else 3.0)
        states = group.call("status")
        assert [state["failing"] is None for state in states] == [True, False, False]
        assert min(state["behind_s"] for state in states[1:]) > 2.0 > states[0]["behind_s"]
        group.replicas[0].call("stop")
        group.replicas[0].call("end")
        group.heal(1)
    report(group)
