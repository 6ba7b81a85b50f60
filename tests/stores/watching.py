"""What tests of several routers on one store look at."""

import time
from collections.abc import Callable
from typing import Any

from places import Place

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, RouterConfig
from synaptoroute_core.storage import Store

WAIT_S = 30.0
ENCODER = HashingEncoder(dim=32)
OTHER_ENCODER = HashingEncoder(dim=48)
OFTEN = RouterConfig(follow_interval_s=0.02)
NEVER = RouterConfig(follow_interval_s=0)
GREETING = Route("greeting", ["hello there", "good morning to you"], description="Says hello.")
FAREWELL = Route("farewell", ["goodbye then", "see you soon"], threshold=0.3)
QUERIES = ["hello there", "see you then", "weather report", "nothing of the kind"]


def eventually(condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)


def router_on(
    place: Place | Store, config: RouterConfig | None = None, *, encoder: Any = ENCODER, routes: Any = ()
) -> AdaptiveRouter:
    """A router with a small encoder."""
    store = place.argument if isinstance(place, Place) else place
    return AdaptiveRouter(routes, encoder=encoder, store=store, config=config)


def look(router: AdaptiveRouter) -> AdaptiveRouter:
    """A router after it has looked at what others changed, as it does from time to time."""
    router._editor._owner.run(router._editor._follow)
    return router


def state(router: AdaptiveRouter) -> tuple:
    """What it has and what it says, in all that can differ."""
    return router.revision, list(router.routes.items()), router.route_batch(QUERIES), router.sync_status().digest


def stored(place: Place, encoder: HashingEncoder = ENCODER) -> tuple:
    """What a router has and says that starts now."""
    with router_on(place, NEVER, encoder=encoder) as reopened:
        return state(reopened)
