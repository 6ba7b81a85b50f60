"""Two routers on one store do random things and are compared with a dictionary and a naive score.

At every step each router shows one of the versions that were ever acknowledged, whole; after looking
at the store it shows the newest.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from places import Place
from watching import look

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    Decision,
    EncoderError,
    HashingEncoder,
    InvalidTextError,
    Receipt,
    Route,
    RouteExistsError,
    RouteNotFoundError,
    RouterConfig,
    StorageError,
)
from synaptoroute_core import index as index_module

CONFIG = RouterConfig(follow_interval_s=0, threshold=0.5, min_margin=0.05, max_candidates=3, cache_size=8, workers=1)
CLOSE = 1e-5
"""How far float32 scores may lie from those worked out here in float64."""

PHASES = [phase for phase in Phase if phase is not Phase.explain]

NAMES = ("refund", "delivery", "account", "other")
WORDS = ("where", "is", "my", "order", "money", "back", "Back", "parcel", "sign", "in", "please")

Who = st.sampled_from([0, 1])
Name = st.sampled_from(NAMES)
Text = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
Texts = st.lists(Text, min_size=1, max_size=4)
Number = st.integers(0, 7)
Threshold = st.none() | st.floats(-1, 1)
Twin = st.sampled_from([str, str.upper, " {} ".format])


class FragileEncoder(HashingEncoder):
    """Counts calls, and fails when told to."""

    def __init__(self) -> None:
        super().__init__(dim=16)
        self.broken = False
        self.calls = 0

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.calls += 1
        if self.broken:
            raise OSError("the model is gone")
        return super().encode(texts)


def unique(texts: Sequence[str], known: Sequence[str] = ()) -> list[str]:
    """The texts that are not known yet, the first of those that differ only in case or spacing."""
    keys, new = {" ".join(text.lower().split()) for text in known}, []
    for text in texts:
        if " ".join(text.lower().split()) not in keys:
            keys.add(" ".join(text.lower().split()))
            new.append(text)
    return new


def naive_score(texts: Sequence[str], query: str) -> float:
    """The formula of the scoring module, word by word, in float64."""
    vectors = HashingEncoder(dim=16).encode([*texts, query]).astype(np.float64)
    asked, own = vectors[-1], vectors[:-1]
    mean = sum(own) / len(own)
    length = float(np.sqrt(sum(mean * mean)))
    trust = 0.7 * length**2
    nearest = max(float(sum(row * asked)) for row in own)
    centre = float(sum(mean * asked)) / length if length > 0 else 0.0
    return min(1.0, max(-1.0, (1 - trust) * nearest + trust * centre))


def check_decision(decision: Decision, routes: dict[str, Route], query: str) -> None:
    """Compare a decision with one worked out here, but where it hangs on the last digits."""
    scores = {name: naive_score(route.utterances, query) for name, route in routes.items()}
    ranking = sorted(scores.values(), reverse=True)
    assert [candidate.score for candidate in decision.candidates] == pytest.approx(ranking[:3], abs=CLOSE)
    for candidate in decision.candidates:
        assert candidate.score == pytest.approx(scores[candidate.route], abs=CLOSE)
        nearest = max(naive_score([text], query) for text in routes[candidate.route].utterances)
        assert naive_score([candidate.utterance], query) == pytest.approx(nearest, abs=CLOSE)
    if not scores:
        assert (decision.route, decision.reason) == (None, "no_routes")
        return
    best = decision.candidates[0].route
    threshold = CONFIG.threshold if routes[best].threshold is None else routes[best].threshold
    margin = ranking[0] - ranking[1] if len(ranking) > 1 else 2.0
    assert decision.threshold == threshold
    if abs(ranking[0] - threshold) < 2 * CLOSE or abs(margin - CONFIG.min_margin) < 2 * CLOSE:
        return
    reason = "below_threshold" if ranking[0] < threshold else "ambiguous" if margin < CONFIG.min_margin else "matched"
    assert (decision.reason, decision.route) == (reason, best if reason == "matched" else None)


def has_routes(machine: "TwoRoutersOnOneStore") -> bool:
    return bool(machine.newest)


class TwoRoutersOnOneStore(RuleBasedStateMachine):
    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(index_module, "MAX_IDLE_ROWS", 2)  # rows are moved and the matrix grows now and then
        self.patch.setattr(index_module, "FIRST_CAPACITY", 4)
        self.encoder = FragileEncoder()
        self.versions: list[dict[str, Route]] = [{}]
        self.routers: list[AdaptiveRouter] = []

    @initialize(first=Texts, second=Texts)
    def open_both(self, first: list[str], second: list[str]) -> None:
        self.routers = [self.open(), self.open()]
        self.put(0, "refund", first, None)
        self.put(1, "other", second, 0.3)

    def teardown(self) -> None:
        for router in self.routers:
            router.close()
        self.patch.undo()
        self.place.remove()

    def open(self) -> AdaptiveRouter:
        return AdaptiveRouter(encoder=self.encoder, store=self.place.argument, config=CONFIG)

    @property
    def newest(self) -> dict[str, Route]:
        return self.versions[-1]

    def stored(self, receipt: Receipt, changed: int, routes: dict[str, Route]) -> None:
        """Compare a receipt with what was expected, and remember the new version."""
        if routes != self.newest:
            self.versions.append(routes)
        assert receipt == Receipt(revision=len(self.versions) - 1, changed=changed)

    def pick(self, number: int) -> Route:
        """One of the routes there are."""
        return self.newest[sorted(self.newest)[number % len(self.newest)]]

    # --- changes -----------------------------------------------------------------------------------

    @rule(who=Who, name=Name, texts=Texts, threshold=Threshold)
    def put(self, who: int, name: str, texts: list[str], threshold: float | None) -> None:
        route = Route(name, texts, threshold=threshold, description=f"{len(texts)} texts", metadata={"texts": texts})
        changed = 0 if self.newest.get(name) == route else len(route.utterances)
        receipt = self.routers[who].add_route(route, overwrite=name in self.newest)
        self.stored(receipt, changed, {**self.newest, name: route})

    @rule(who=Who, number=Number)
    @precondition(has_routes)
    def remove(self, who: int, number: int) -> None:
        gone = self.pick(number)
        rest = {name: route for name, route in self.newest.items() if name != gone.name}
        self.stored(self.routers[who].remove_route(gone.name), len(gone.utterances), rest)

    @rule(who=Who, number=Number, texts=Texts)
    @precondition(has_routes)
    def add_utterances(self, who: int, number: int, texts: list[str]) -> None:
        route = self.pick(number)
        new = unique(texts, route.utterances)
        longer = route.model_copy(update={"utterances": (*route.utterances, *new)})
        receipt = self.routers[who].add_utterances(route.name, texts)
        self.stored(receipt, len(new), {**self.newest, route.name: longer})

    @rule(who=Who, number=Number, first=Number, step=st.integers(1, 3), twin=Twin)
    @precondition(has_routes)
    def remove_utterances(self, who: int, number: int, first: int, step: int, twin: Callable[[str], str]) -> None:
        route = self.pick(number)
        gone = route.utterances[first % len(route.utterances) :: step]
        kept = tuple(text for text in route.utterances if text not in gone)
        if not kept:
            with pytest.raises(ConfigurationError):
                self.routers[who].remove_utterances(route.name, map(twin, gone))
            return
        receipt = self.routers[who].remove_utterances(route.name, map(twin, gone))
        shorter = route.model_copy(update={"utterances": kept})
        self.stored(receipt, len(gone), {**self.newest, route.name: shorter})

    @rule(who=Who, number=Number, value=Threshold)
    @precondition(has_routes)
    def set_threshold(self, who: int, number: int, value: float | None) -> None:
        route = self.pick(number)
        if value == route.threshold:
            return  # whether that is a change is not for this test to say
        receipt = self.routers[who].update_threshold(route.name, value)
        self.stored(receipt, 1, {**self.newest, route.name: route.model_copy(update={"threshold": value})})

    # --- changes that fail -------------------------------------------------------------------------

    @rule(who=Who, name=Name, texts=Texts)
    def fail_to_write(self, who: int, name: str, texts: list[str]) -> None:
        with self.place.strike(), pytest.raises(StorageError, match=self.place.struck):
            self.routers[who].add_route(Route(name, [*texts, "never stored"]), overwrite=True)
        assert self.routers[who].revision == len(self.versions) - 1  # it saw what the other had done

    @rule(who=Who, name=Name)
    def be_refused(self, who: int, name: str) -> None:
        router = self.routers[who]
        self.encoder.broken = True
        with pytest.raises(EncoderError):
            router.add_route(Route(name, ["never encoded"]), overwrite=True)
        self.encoder.broken = False
        with pytest.raises(InvalidTextError):
            router.add_utterances(name, ["fine", " "])
        if name in self.newest:
            with pytest.raises(RouteExistsError):
                router.add_route(Route(name, ["taken"]))
        else:
            with pytest.raises(RouteNotFoundError):
                router.remove_route(name)

    # --- looking -----------------------------------------------------------------------------------

    @rule(who=Who, query=Text, allowed=st.none() | st.lists(Name, unique=True))
    def ask(self, who: int, query: str, allowed: list[str] | None) -> None:
        routes = self.newest
        if allowed is not None:
            allowed = [name for name in allowed if name in routes]
            routes = {name: routes[name] for name in allowed}
        decision = look(self.routers[who]).route(query, allowed=allowed)
        assert decision.revision == len(self.versions) - 1
        check_decision(decision, routes, query)

    @rule(who=Who, query=Text)
    def ask_without_looking(self, who: int, query: str) -> None:
        decision = self.routers[who].route(query)
        check_decision(decision, self.versions[decision.revision], query)

    @rule(who=Who)
    def reopen(self, who: int) -> None:
        self.routers[who].close()
        before = self.encoder.calls
        self.routers[who] = self.open()
        assert self.encoder.calls == before
        assert self.routers[who].revision == len(self.versions) - 1

    @rule(queries=st.lists(Text, max_size=3))
    def compare_with_a_router_of_its_own(self, queries: list[str]) -> None:
        with AdaptiveRouter(self.newest.values(), encoder=HashingEncoder(dim=16), config=CONFIG) as fresh:
            expected = [decision.candidates for decision in fresh.route_batch(queries)]
        for who in (0, 1):
            assert [decision.candidates for decision in look(self.routers[who]).route_batch(queries)] == expected

    @invariant()
    def each_shows_a_version_that_was_acknowledged(self) -> None:
        for router in self.routers:
            assert dict(router.routes) == self.versions[router.revision]


@pytest.mark.timeout(600)  # a failure takes long to simplify
def test_two_routers_on_one_store_are_a_dictionary_and_a_naive_score(new_place, place) -> None:
    examples = round(120 * place.effort)
    limits = settings(max_examples=examples, stateful_step_count=40, deadline=None, phases=PHASES)
    run_state_machine_as_test(lambda: TwoRoutersOnOneStore(new_place()), settings=limits)
