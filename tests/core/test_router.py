"""The router's blocking side: the same decision on every path, its limits, and its arguments."""

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from gates import PATIENCE_S, ROUTES, Gated

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    HashingEncoder,
    RouteNotFoundError,
    RouterConfig,
    RouterOverloadedError,
    RouterTimeoutError,
    SynaptoRouteError,
)


def in_thread(function, *arguments) -> tuple[threading.Thread, list]:
    """Call a function in a thread; the list holds what it returned or raised once the thread has ended."""
    outcome: list = []

    def call():
        try:
            outcome.append(function(*arguments))
        except BaseException as error:  # noqa: BLE001
            outcome.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, outcome


def occupy(router: AdaptiveRouter, encoder: Gated) -> tuple[threading.Thread, list]:
    """Keep the router's only worker busy until the gate is opened."""
    started = in_thread(router.route, "slow query")
    assert encoder.entered.acquire(timeout=PATIENCE_S)
    return started


# --- one decision on every path --------------------------------------------------------------------


@pytest.fixture(scope="module")
def support_router(bundled, support_routes):
    """The real model on the sample routes; without a cache, so that every path decides for itself."""
    with AdaptiveRouter(support_routes, encoder=bundled, config=RouterConfig(cache_size=0, workers=2)) as router:
        yield router


@pytest.fixture(scope="module")
def decisions(support_router, support_examples):
    """What is decided of each sample query when it is asked alone."""
    return {text: support_router.route(text) for text, _ in support_examples}


def shuffled(items, seed: int) -> list:
    items = list(items)
    random.Random(seed).shuffle(items)
    return items


def test_the_sample_queries_are_decided_in_more_than_one_way(decisions):
    """Or the tests below would compare abstentions with abstentions."""
    assert {decision.reason for decision in decisions.values()} >= {"matched", "below_threshold"}
    assert len({decision.route for decision in decisions.values()}) > 5


@pytest.mark.parametrize("seed", range(3))
def test_a_list_gets_the_decisions_that_its_texts_get_alone(support_router, decisions, seed):
    """Batch-mates, padding and order must not move an answer: a stranger's text would then change yours."""
    texts = shuffled(decisions, seed)
    assert support_router.route_batch(texts) == [decisions[text] for text in texts]


def test_threads_get_the_decisions_that_a_lone_caller_gets(support_router, decisions):
    texts = shuffled(decisions, 7)
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(support_router.route, texts)) == [decisions[text] for text in texts]


def test_queries_with_a_time_limit_get_the_same_decisions(support_router, decisions):
    texts = shuffled(decisions, 8)[:60]
    with ThreadPoolExecutor(6) as pool:
        answers = pool.map(lambda text: support_router.route(text, timeout=3600), texts)
        assert list(answers) == [decisions[text] for text in texts]


async def test_coroutines_get_the_decisions_that_threads_get(support_router, decisions):
    """The awaitable side once forgot the margin elsewhere: no path may have a rule of its own."""
    texts = shuffled(decisions, 9)
    assert await asyncio.gather(*map(support_router.aroute, texts)) == [decisions[text] for text in texts]
    assert await support_router.aroute_batch(texts) == [decisions[text] for text in texts]


def test_callers_of_every_kind_at_once_get_the_same_decisions(support_router, decisions):
    halves = shuffled(decisions, 10)[:80], shuffled(decisions, 11)[:80]

    async def ask(texts):
        return await asyncio.gather(*map(support_router.aroute, texts))

    with ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(support_router.route_batch, halves[0]),
            pool.submit(lambda: [support_router.route(text) for text in halves[1]]),
            pool.submit(lambda: asyncio.run(ask(halves[1]))),
            pool.submit(support_router.route_batch, halves[1]),
        ]
        expected = [[decisions[text] for text in half] for half in halves]
        assert [answer.result(PATIENCE_S) for answer in answers] == [expected[0], *[expected[1]] * 3]


def test_an_evaluation_rests_on_the_same_decisions(support_router, decisions, support_examples):
    report = support_router.evaluate(support_examples)
    assert report.total == len(support_examples)
    assert report.answered == sum(map(bool, decisions.values())) / report.total
    assert {mistake.text: mistake.decision for mistake in report.mistakes} == {
        text: decisions[text] for text, label in support_examples if decisions[text] and decisions[text].route != label
    }


def test_an_explanation_shows_the_same_decision(support_router, decisions):
    for text in shuffled(decisions, 12)[:20]:
        assert support_router.explain(text).decision == decisions[text]


def test_a_choice_gets_the_same_decision_on_every_path(support_router, decisions):
    allowed = shuffled(support_router.routes, 13)[:4]
    texts = shuffled(decisions, 13)[:40]
    alone = [support_router.route(text, allowed=allowed) for text in texts]
    assert support_router.route_batch(texts, allowed=allowed) == alone
    assert {decision.route for decision in alone} <= {*allowed, None}


# --- limits ----------------------------------------------------------------------------------------


def test_a_query_that_has_no_decision_in_time_is_given_up_and_not_encoded(gated):
    with AdaptiveRouter(ROUTES, encoder=gated, config=RouterConfig(workers=1)) as router:
        busy, answer = occupy(router, gated)
        with pytest.raises(RouterTimeoutError, match=r"within 0\.01 s") as raised:
            router.route("too late", timeout=0.01)
        assert isinstance(raised.value, TimeoutError)
        assert raised.value.timeout_s == 0.01
        gated.gate.set()
        busy.join(PATIENCE_S)
        router.close()
        assert "too late" not in gated.texts
        assert router.stats().dropped == 1
        assert answer[0].revision == 1


def test_a_time_limit_of_the_settings_holds_where_the_call_gives_none(gated):
    with AdaptiveRouter(ROUTES, encoder=gated, config=RouterConfig(workers=1, timeout_s=0.01)) as router:
        busy, _ = in_thread(lambda: router.route("slow query", timeout=3600))
        assert gated.entered.acquire(timeout=PATIENCE_S)
        with pytest.raises(RouterTimeoutError):
            router.route("hello there")
        patient, answer = in_thread(lambda: router.route("hello there", timeout=3600))
        gated.gate.set()
        busy.join(PATIENCE_S)
        patient.join(PATIENCE_S)
        assert answer[0].route == "greeting"


def test_a_time_limit_of_the_settings_holds_for_each_text_of_a_list(gated):
    """Each text is a query, and the settings promise each query its limit."""
    with AdaptiveRouter(ROUTES, encoder=gated, config=RouterConfig(workers=1, timeout_s=0.01)) as router:
        busy, _ = in_thread(lambda: router.route("slow query", timeout=3600))
        assert gated.entered.acquire(timeout=PATIENCE_S)
        caller, outcome = in_thread(router.route_batch, ["hello there", "good morning"])
        opener = threading.Timer(1, gated.gate.set)
        opener.start()
        caller.join(PATIENCE_S)
        assert isinstance(outcome[0], RouterTimeoutError)
        opener.join(PATIENCE_S)
        busy.join(PATIENCE_S)


def test_no_time_at_all_is_a_limit_too(gated):
    with AdaptiveRouter(ROUTES, encoder=gated, config=RouterConfig(workers=1)) as router:
        busy, _ = occupy(router, gated)
        with pytest.raises(RouterTimeoutError):
            router.route("hello there", timeout=0)
        gated.gate.set()
        busy.join(PATIENCE_S)


BAD_TIMEOUTS = [-1, -0.001, float("nan"), float("-inf"), "3", True, [], 1j]


@pytest.mark.parametrize("timeout", BAD_TIMEOUTS)
def test_a_time_limit_that_is_no_number_of_seconds_is_refused(timeout):
    with (
        AdaptiveRouter(ROUTES, encoder=HashingEncoder()) as router,
        pytest.raises(ConfigurationError, match="timeout"),
    ):
        router.route("hello there", timeout=timeout)


def test_a_bad_time_limit_is_refused_whether_or_not_the_text_is_remembered():
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder()) as router:
        router.route("hello there")
        with pytest.raises(ConfigurationError, match="timeout"):
            router.route("hello there", timeout=-1)


@pytest.mark.parametrize("timeout", [float("inf"), 1e12])
def test_a_time_limit_beyond_what_clocks_count_is_as_good_as_none_or_refused(timeout):
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder()) as router:
        with suppress(ConfigurationError):
            assert router.route("hello there", timeout=timeout).route == "greeting"
        with suppress(ConfigurationError):
            assert asyncio.run(router.aroute("good morning", timeout=timeout)).route == "greeting"


@pytest.mark.parametrize("setting", ["timeout_s", "drain_timeout_s"])
def test_a_setting_beyond_what_clocks_count_is_as_good_as_none_or_refused(setting):
    with suppress(ConfigurationError):
        config = RouterConfig(**{setting: 1e12})
        with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), config=config) as router:
            assert router.route("hello there").route == "greeting"
            assert router.route("good morning", timeout=PATIENCE_S).route == "greeting"


def test_a_query_beyond_the_bound_is_refused_at_once_and_the_router_recovers(gated):
    with AdaptiveRouter(ROUTES, encoder=gated, config=RouterConfig(workers=1, max_pending=1)) as router:
        busy, _ = occupy(router, gated)
        with pytest.raises(RouterOverloadedError, match="limit is 1") as raised:
            router.route("hello there")
        assert (raised.value.pending, raised.value.limit) == (1, 1)
        with pytest.raises(RouterOverloadedError):
            router.route("hello there", timeout=PATIENCE_S)
        with pytest.raises(RouterOverloadedError):
            router.route_batch(["hello there"])
        gated.gate.set()
        busy.join(PATIENCE_S)
        assert router.route("hello there").route == "greeting"
        assert router.stats().rejected == 3
    assert gated.texts.count("hello there") == 2, "once as an utterance, once as a query"


def test_a_remembered_query_is_answered_even_by_a_full_router(gated):
    with AdaptiveRouter(ROUTES, encoder=gated, config=RouterConfig(workers=1, max_pending=1)) as router:
        known = router.route("hello there")
        busy, _ = occupy(router, gated)
        assert router.route("hello there") == known
        gated.gate.set()
        busy.join(PATIENCE_S)


@pytest.mark.parametrize("max_pending", [1, 5, 40])
def test_a_list_may_be_longer_than_the_bound(max_pending):
    texts = [f"please refund order {number}" for number in range(100)]
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder()) as roomy:
        expected = roomy.route_batch(texts)
    config = RouterConfig(max_pending=max_pending, max_batch_size=8, workers=2)
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), config=config) as router:
        assert router.route_batch(texts) == expected


# --- arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "routes",
    [
        ["refund"],
        "refund",
        [("refund", ["money back"])],
        [ROUTES[0], None],
        {"refund": ["money back"]},
        ROUTES[0],
        5,
        None,
    ],
    ids=repr,
)
def test_something_that_is_no_route_is_refused(routes):
    with pytest.raises(ConfigurationError, match="Route"):
        AdaptiveRouter(routes, encoder=HashingEncoder())


class Incomplete:
    """An encoder to which each test gives all members but one."""


MEMBERS = {"fingerprint": "mine/1", "dim": 8, "batch_invariant": True, "encode": lambda texts: texts}


@pytest.mark.parametrize("missing", MEMBERS)
def test_an_encoder_without_one_of_its_members_is_refused(missing):
    encoder = Incomplete()
    for name, value in MEMBERS.items():
        if name != missing:
            setattr(encoder, name, value)
    with pytest.raises(ConfigurationError, match="it needs fingerprint, dim, batch_invariant and encode"):
        AdaptiveRouter(encoder=encoder)


@pytest.mark.parametrize("encoder", [HashingEncoder, 5, b"name", lambda texts: texts, ["BAAI/bge-small-en-v1.5"]])
def test_something_that_is_no_encoder_is_refused(encoder):
    with pytest.raises(ConfigurationError, match="no encoder"):
        AdaptiveRouter(encoder=encoder)


@pytest.mark.parametrize("store", [5, None, b"routes.db", object()])
def test_something_that_is_no_store_is_refused(store):
    with pytest.raises(ConfigurationError, match="no store"):
        AdaptiveRouter(encoder=HashingEncoder(), store=store)


def test_routes_may_come_from_any_iterable():
    with AdaptiveRouter(iter(ROUTES), encoder=HashingEncoder()) as router:
        assert list(router.routes) == ["refund", "greeting"]


def test_a_router_without_routes_abstains_on_everything():
    with AdaptiveRouter(encoder=HashingEncoder()) as router:
        assert router.route("hello there").reason == "no_routes"
        assert [decision.reason for decision in router.route_batch(["hello", "good morning"])] == ["no_routes"] * 2
        assert router.revision == 0
        assert not router.routes


def test_a_router_whose_last_route_went_abstains():
    with AdaptiveRouter(ROUTES[:1], encoder=HashingEncoder()) as router:
        assert router.route("i want my money back")
        router.remove_route("refund")
        decision = router.route("i want my money back")
        assert (decision.route, decision.reason, decision.revision) == (None, "no_routes", 2)


def test_an_evaluation_of_nothing_or_of_unknown_labels_is_refused():
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder()) as router:
        with pytest.raises(ConfigurationError, match="no examples"):
            router.evaluate([])
        with pytest.raises(RouteNotFoundError, match="did you mean 'refund'"):
            router.evaluate([("hello", "greeting"), ("hello", "refunds")])


@pytest.mark.parametrize("label", [5, True, ["refund"]])
def test_an_evaluation_with_a_label_that_is_no_name_is_refused_with_one_of_our_errors(label):
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder()) as router, pytest.raises(SynaptoRouteError):
        router.evaluate([("hello", label)])
