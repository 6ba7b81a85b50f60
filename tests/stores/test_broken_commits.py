"""The connection breaks just as a change is being committed: whoever made it learns what became of it, or that nobody
knows."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from partitions import PLACES, SETTINGS
from proxy import AWAY, DOWN, UP, Fault, Proxy
from replica import open_store
from watching import ENCODER, FAREWELL, GREETING, NEVER, eventually

from synaptoroute_core import AdaptiveRouter, CommitUncertainError, StorageError

KINDS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgres", "redis")]


class Pair(NamedTuple):
    """Two routers on one store.

    Attributes:
        far: Reaches it through a proxy, and never looks at it by itself.
        near: Reaches it.
        proxy: The proxy.
    """

    far: AdaptiveRouter
    near: AdaptiveRouter
    proxy: Proxy


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two routers with one route."""
    place = PLACES[request.param](url := request.getfixturevalue(f"{request.param}_url"))

    def opened(through: str) -> AdaptiveRouter:
        store = open_store(request.param, {"url": through, "namespace": place.namespace, **SETTINGS})
        return AdaptiveRouter(encoder=ENCODER, store=store, config=NEVER if through != url else None)

    with Proxy(url) as proxy, opened(proxy.url) as far, opened(url) as near:
        far.add_route(GREETING)
        yield Pair(far, near, proxy)
    place.remove()


def alike(pair: Pair) -> bool:
    return pair.far.sync_status().digest == pair.near.sync_status().digest


@pytest.mark.parametrize("fault", [Fault(held=frozenset({UP})), Fault(cut=True)], ids=["held", "cut"])
def test_a_change_that_did_not_arrive_in_time_has_failed_and_is_not_made_later(fault: Fault, pair: Pair) -> None:
    """What was held back arrives after all, when its author was told that it had failed."""
    pair.proxy.suffer(Fault(**{**vars(fault), "at_commit": True, "alone": True}))
    with pytest.raises(StorageError) as raised:
        pair.far.add_route(FAREWELL)
    assert not isinstance(raised.value, CommitUncertainError)
    pair.proxy.heal()
    time.sleep(0.2)  # for what was held back
    pair.far.add_utterances("greeting", ["hi"])
    eventually(lambda: alike(pair))
    assert list(pair.near.routes) == ["greeting"]
    assert pair.near.revision == 2


@pytest.mark.parametrize("fate", ["held", "lost"])
def test_a_change_whose_answer_did_not_arrive_is_acknowledged_if_it_was_made(fate: str, pair: Pair) -> None:
    pair.proxy.suffer(Fault(**{fate: frozenset({DOWN})}, at_commit=True, alone=True))
    assert pair.far.add_route(FAREWELL).revision == 2
    eventually(lambda: alike(pair))
    assert list(pair.near.routes) == ["greeting", "farewell"]


@pytest.mark.parametrize("arrives", [True, False])
def test_a_change_is_uncertain_if_nobody_can_be_asked_whether_it_was_made(arrives: bool, pair: Pair) -> None:  # noqa: FBT001
    """Until it is known, the router goes on as if it had not been."""
    lost = Fault(lost=frozenset({DOWN}), refused=True)
    pair.proxy.suffer(Fault(**{**vars(lost if arrives else AWAY), "at_commit": True}))
    with pytest.raises(CommitUncertainError):
        pair.far.add_route(FAREWELL)
    assert list(pair.far.routes) == ["greeting"]
    pair.proxy.heal()
    pair.far.add_utterances("greeting", ["hi"])
    eventually(lambda: alike(pair))
    assert ("farewell" in pair.near.routes) is arrives
    assert pair.near.revision == 2 + arrives
