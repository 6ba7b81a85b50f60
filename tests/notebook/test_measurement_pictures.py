"""Measurements are made on routers that do what the router does, and leave it alone."""

import time
from collections import Counter

import numpy as np
import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    HashingEncoder,
    InvalidTextError,
    Route,
    RouteNotFoundError,
    RouterConfig,
)
from synaptoroute_integrations.notebook.charts import Bars, Line, Rule
from synaptoroute_integrations.notebook.measurements import latency_distribution, learning_curve
from synaptoroute_integrations.notebook.routers import without_memory

ROUTES = (
    Route("refund", ["i want my money back", "refund my order", "how long does a refund take", "refund status"]),
    Route("parcel", ["where is my parcel", "track a parcel", "my parcel is late", "parcel tracking is stuck"]),
    Route("password", ["i forgot my password", "reset my password", "the password link expired"]),
)
EXAMPLES = [
    ("is my refund on its way", "refund"),
    ("money back for an order please", "refund"),
    ("is the parcel late again", "parcel"),
    ("where is the parcel", "parcel"),
    ("cannot reset the password", "password"),
    ("who won the cup final", None),
]
TEXTS = [text for text, _ in EXAMPLES]


class CountingEncoder(HashingEncoder):
    """Counts how often each text is encoded."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def encode(self, texts):
        self.counts.update(texts)
        return super().encode(texts)


@pytest.fixture
def router():
    config = RouterConfig(threshold=0.3, workers=1)  # one, since counting is not for several threads
    with AdaptiveRouter(ROUTES, encoder=CountingEncoder(), config=config) as router:
        yield router


@pytest.fixture(scope="module")
def fitted(bundled, support_routes):
    """A router of the real model with a head, few routes and utterances."""
    with AdaptiveRouter(support_routes[:4], encoder=bundled) as router:
        assert router.fit(progress=False).changed
        yield router


def layers_of(picture, kind):
    return [layer for layer in picture.chart.layers if isinstance(layer, kind)]


# --- learning --------------------------------------------------------------------------------------


def test_with_all_utterances_the_curve_has_the_figures_of_the_router(router):
    report = router.evaluate(EXAMPLES)
    accuracy, answered = layers_of(learning_curve(router, EXAMPLES, sizes=[4], progress=False), Line)
    right = sum(row.expected is not None and row.chosen == row.expected for row in report.rows)
    assert accuracy.y.tolist() == [report.accuracy]
    assert answered.y.tolist() == [right / report.in_scope]


def test_the_band_has_the_worst_and_the_best_draw(router):
    single = [
        layers_of(learning_curve(router, EXAMPLES, sizes=[1], draws=draws, progress=False), Line)[0]
        for draws in range(1, 9)
    ]
    means = [line.y[0] for line in single]
    draws = [n * means[n - 1] - (n - 1) * means[n - 2] if n > 1 else means[0] for n in range(1, 9)]
    assert single[-1].low[0] == pytest.approx(min(draws))
    assert single[-1].high[0] == pytest.approx(max(draws))
    assert min(draws) < max(draws)


def test_no_text_is_encoded_twice_and_no_utterance_again(router):
    before = Counter(router.encoder.counts)
    learning_curve(router, EXAMPLES, sizes=[1, 2, 3], progress=False)
    assert router.encoder.counts - before == Counter(TEXTS)


def test_the_router_itself_does_not_change(router):
    before = (dict(router.routes), router.revision, router.stats())
    learning_curve(router, EXAMPLES, progress=False)
    assert (dict(router.routes), router.revision, router.stats()) == before


def test_sizes_that_no_route_has_are_left_out_and_named(router):
    picture = learning_curve(router, EXAMPLES, sizes=(8, 2, 1, 2, 16), draws=1, progress=False)
    assert layers_of(picture, Line)[0].x.tolist() == [1, 2]
    assert picture.chart.summary.endswith("Left out, since no route has so many: 8, 16.")


def test_the_smaller_routers_can_be_fitted(fitted, support_examples):
    names = set(fitted.routes)
    examples = [(text, label) for text, label in support_examples if label in names]
    picture = learning_curve(fitted, examples, sizes=[12], fit=True, progress=False)
    report = fitted.evaluate(examples)
    assert layers_of(picture, Line)[0].y.tolist() == [report.accuracy]
    assert layers_of(picture, Line)[1].y.tolist() == [1 - len(report.mistakes + report.missed) / report.in_scope]


def test_a_progress_bar_can_be_had_or_not(router, capsys):
    learning_curve(router, EXAMPLES, sizes=[1], draws=1, progress=False)
    assert capsys.readouterr().err == ""
    learning_curve(router, EXAMPLES, sizes=[1], draws=1)
    assert "0/1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": [8]}, "no route has more than 4 utterances"),
        ({"sizes": []}, "sizes = "),
        ({"sizes": [0]}, "sizes = 0"),
        ({"sizes": [1.5]}, r"sizes = 1\.5"),
        ({"draws": 0}, "draws = 0"),
        ({"examples": [("hello", None)]}, "no examples with a route for a label"),
        ({"examples": []}, "no examples with a route for a label"),
    ],
)
def test_what_no_curve_can_be_made_of_is_refused(router, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        learning_curve(**{"router": router, "examples": EXAMPLES, "progress": False, **arguments})


def test_an_unknown_label_is_refused_before_anything_is_measured(router):
    with pytest.raises(RouteNotFoundError, match="'parcels'"):
        learning_curve(router, [("where is it", "parcels")])


# --- latency ---------------------------------------------------------------------------------------


def test_every_text_is_encoded_each_time_it_is_measured(router):
    router.route_batch(TEXTS)  # the router remembers them now
    before = Counter(router.encoder.counts)
    latency_distribution(router, TEXTS, repeats=3)
    encoded = router.encoder.counts - before
    assert encoded == Counter(dict.fromkeys(TEXTS, 3 + 1)) + Counter(TEXTS[:1])  # alone, together; once before


def test_what_is_measured_decides_as_the_router_does(fitted, support_examples):
    texts = [text for text, _ in support_examples[:40]]
    with without_memory(fitted) as twin:
        assert twin.stats().scorer == "head"
        found = [decision.model_copy(update={"revision": 0}) for decision in twin.route_batch(texts)]
    assert found == [decision.model_copy(update={"revision": 0}) for decision in fitted.route_batch(texts)]


def test_measuring_leaves_the_router_alone(router):
    before = (dict(router.routes), router.revision, router.stats())
    latency_distribution(router, TEXTS)
    assert (dict(router.routes), router.revision, router.stats()) == before


def test_bars_and_percentiles_are_of_all_times(router):
    picture = latency_distribution(router, TEXTS, repeats=5)
    (bars,), rules = layers_of(picture, Bars), layers_of(picture, Rule)
    assert picture.chart.x.title == "Latency (ms)"
    assert bars.heights.sum() <= 5 * len(TEXTS)
    half, most, nearly_all = (rule.at for rule in rules)
    assert 0 < bars.edges[0] <= half <= most <= nearly_all
    below = bars.heights[bars.edges[1:] <= half].sum(), bars.heights[bars.edges[:-1] <= half].sum()
    assert below[0] <= 5 * len(TEXTS) / 2 <= below[1]
    assert [rule.label.split()[0] for rule in rules] == ["p50", "p95", "p99"]
    assert f"p50 {half:.2f} ms" in picture.chart.summary


def test_where_some_take_far_longer_all_are_shown_on_a_logarithmic_axis():
    class SlowEncoder(HashingEncoder):
        def encode(self, texts):
            time.sleep(0.1 if "slow" in texts else 0.0)
            return super().encode(texts)

    with AdaptiveRouter(ROUTES, encoder=SlowEncoder()) as router:
        picture = latency_distribution(router, [*TEXTS, "slow"])
    assert picture.chart.x.logarithmic
    assert layers_of(picture, Bars)[0].heights.sum() == len(TEXTS) + 1


def test_texts_that_come_again_are_spoken_of(router):
    assert "Of the texts, 2 came before" in latency_distribution(router, [*TEXTS, *TEXTS[:2]]).chart.summary
    assert "came before" not in latency_distribution(router, TEXTS).chart.summary


def test_one_text_is_enough(router):
    picture = latency_distribution(router, iter(TEXTS[:1]))
    assert layers_of(picture, Bars)[0].heights.sum() == 1
    assert np.isfinite(layers_of(picture, Bars)[0].edges).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"texts": []}, ConfigurationError, r"texts = \[\]"),
        ({"texts": "where is it"}, ConfigurationError, "texts = 'where is it'"),
        ({"texts": [" "]}, InvalidTextError, "blank"),
        ({"repeats": 0}, ConfigurationError, "repeats = 0"),
        ({"router": "routes.yaml"}, ConfigurationError, "no AdaptiveRouter"),
    ],
)
def test_what_cannot_be_measured_is_refused(router, arguments, error, message):
    with pytest.raises(error, match=message):
        latency_distribution(**{"router": router, "texts": TEXTS, **arguments})


def test_a_router_without_routes_is_refused(hashing):
    with AdaptiveRouter(encoder=hashing) as empty:
        for measure in (learning_curve, latency_distribution):
            with pytest.raises(ConfigurationError, match="has no routes"):
                measure(empty, [])
