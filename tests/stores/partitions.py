"""Replicas on one store, each behind a network that fails, and what must be so when it is whole again."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from places import PostgresPlace, RedisPlace
from proxy import AWAY, Fault, Proxy, draw_schedule
from replica import Change, Replica, Routes, replay

PLACES = {"postgres": PostgresPlace, "redis": RedisPlace}
LENGTH_S = 1.5
HEALED_S = 5.0
GIVE_UP_S = 30.0
SETTINGS = {"timeout_s": 0.5, "poll_interval_s": 0.2}


class Group:
    """Replicas with a proxy each before one server.

    Args:
        kind: ``postgres`` or ``redis``.
        url: The server's.
        replicas: They are used again and again.
        stack: Ends the proxies.

    Attributes:
        proxies: One for each replica.
        healed_s: How long it took after each schedule until all were alike.
        counts: What became of all changes.
        slowest_s: How long the slowest change took.
    """

    def __init__(self, kind: str, url: str, replicas: Sequence[Replica], stack: ExitStack) -> None:
        self._kind = kind
        self._url = url
        self.replicas = replicas
        self.proxies = [stack.enter_context(Proxy(url)) for _ in replicas]
        self.healed_s: list[float] = []
        self.counts: Counter[str] = Counter()
        self.slowest_s = 0.0

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Routers on routes of their own, which are removed afterwards."""
        place = PLACES[self._kind](self._url)
        try:
            for replica, proxy in zip(self.replicas, self.proxies, strict=True):
                replica.call("open", self._kind, {"url": proxy.url, "namespace": place.namespace, **SETTINGS})
            yield
        finally:
            for proxy in self.proxies:
                proxy.suffer(AWAY)
                proxy.heal()
            self.call("close")
            place.remove()

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """What all replicas answer."""
        for replica in self.replicas:
            replica.ask(method, *arguments)
        return [replica.hear() for replica in self.replicas]

    def run(self, seed: int, middle: Callable[[], None] = lambda: None) -> None:
        """Change routes everywhere while the network fails; then check what has become of it.

        Args:
            seed: Of the faults and of the changes.
            middle: Something else that happens, half-way.
        """
        chance = random.Random(seed)
        for number, replica in enumerate(self.replicas):
            replica.call("begin", chance.randrange(2**32), f"{seed} {number}")
        self._suffer(draw_schedule(chance, len(self.proxies), LENGTH_S), middle)
        self.call("stop")
        self._check(seed, *self.heal(seed))

    def heal(self, seed: int) -> tuple[list[Any], int]:
        """End all faults and wait until all replicas are alike.

        Returns:
            What each did, and the revision that all have.
        """
        for proxy in self.proxies:
            proxy.heal()
        healed = time.monotonic()
        ends = self.call("end")
        revision = self.until_alike(seed)
        self.healed_s.append(time.monotonic() - healed)
        assert self.healed_s[-1] < HEALED_S, f"seed {seed}: {self.healed_s[-1]:.1f} s"
        return ends, revision

    def until_alike(self, seed: int) -> int:
        """Wait until no replica has anything to complain of, and all are the same; their revision."""
        deadline = time.monotonic() + GIVE_UP_S
        while True:
            states = self.call("status")
            if len({state["digest"] for state in states}) == 1 and not any(state["failing"] for state in states):
                return int(states[0]["revision"])
            assert time.monotonic() < deadline, f"seed {seed}: {states}"
            time.sleep(0.02)

    def _suffer(self, schedule: list[tuple[float, int, Fault]], middle: Callable[[], None]) -> None:
        began = time.monotonic()
        steps = [(at_s, lambda n=number, f=fault: self.proxies[n].suffer(f)) for at_s, number, fault in schedule]
        steps += [(LENGTH_S / 2, middle), (LENGTH_S, lambda: None)]
        for at_s, step in sorted(steps, key=lambda each: each[0]):
            time.sleep(max(0.0, began + at_s - time.monotonic()))
            step()

    def _check(self, seed: int, ends: list[Any], newest: int) -> None:
        """Check that the routes are what the changes lead to that were acknowledged, and no others."""
        acked: dict[int, Change] = {}
        uncertain: list[Change] = []
        for outcomes, (answered, errors) in ends:
            assert errors == [], f"seed {seed}"
            assert answered > 0
            for kind, change, result, taken_s in outcomes:
                self.counts[kind] += 1
                self.slowest_s = max(self.slowest_s, taken_s)
                assert kind != "broken", f"seed {seed}: {result}"
                if kind == "acked":
                    assert result not in acked, f"seed {seed}: two changes are revision {result}"
                    acked[result] = tuple(change)
                elif kind == "uncertain":
                    uncertain.append(tuple(change))
        assert max(acked, default=0) <= newest, f"seed {seed}: acknowledged changes are gone"
        first, *others = self.call("routes")
        assert others == [first] * len(others), f"seed {seed}"
        ends = [[[name, list(route)] for name, route in end.items()] for end in histories(acked, uncertain, newest)]
        assert first in ends, f"seed {seed}: {first} and not {ends}"


def histories(
    acked: dict[int, Change],
    uncertain: list[Change],
    newest: int,
    revision: int = 1,
    routes: Routes | None = None,
) -> Iterator[Routes]:
    """What the routes may be at a revision: one that nobody acknowledged is one of the uncertain changes."""
    routes = {} if routes is None else routes
    if revision > newest:
        yield routes
        return
    candidates = [acked[revision]] if revision in acked else uncertain
    for change in candidates:
        with contextlib.suppress(KeyError):
            after = replay(routes, change)
            rest = [each for each in uncertain if each is not change]
            yield from histories(acked, rest, newest, revision + 1, after)
