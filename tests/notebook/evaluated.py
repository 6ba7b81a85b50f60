"""Reports made up from a few decisions, and what a picture of one is made of."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from synaptoroute_core import AdaptiveRouter, Candidate, Decision, evaluate_decisions

QUICK = settings(max_examples=50, deadline=None)
THRESHOLD = 0.5
ROUTES = ("a", "b", "c")


def decided(best, score, threshold=THRESHOLD, *, close=False, confidence=None):
    """What the engine's rule makes of a best candidate; ``close`` = its lead is too small."""
    answered = score >= threshold and not close
    return Decision(
        route=best if answered else None,
        reason="matched" if answered else "ambiguous" if close and score >= threshold else "below_threshold",
        score=score,
        threshold=threshold,
        confidence=confidence,
        candidates=(Candidate(route=best, score=score, utterance="x"),),
    )


def evaluate(pairs, routes=ROUTES):
    """A report of (label, decision) pairs; the texts are t1, t2, ..."""
    examples = [(f"t{number}", label) for number, (label, _) in enumerate(pairs, start=1)]
    return evaluate_decisions(examples, [decision for _, decision in pairs], routes)


def cases(draw_threshold):
    scores = st.integers(-4, 16).map(lambda number: number / 16)  # few values, so that ties are common
    case = st.tuples(st.sampled_from([*"abc", None]), st.sampled_from("abc"), scores, draw_threshold, st.booleans())
    return st.lists(case, min_size=1, max_size=14)


one_threshold = cases(st.just(THRESHOLD))
several_thresholds = cases(st.sampled_from([0.25, 0.5, 0.625]))


def judged(rows, threshold=None):
    """A report of the rows, at their own threshold or another. A lead is only too small over the row's own one."""
    return evaluate(
        [
            (label, decided(best, score, own if threshold is None else threshold, close=close and score >= own))
            for label, best, score, own, close in rows
        ]
    )


def evaluate_really(encoder, routes, examples):
    """A report of a router, in which some texts are ambiguous."""
    with AdaptiveRouter(routes, encoder=encoder) as router:
        report = router.evaluate(examples)
    assert any(row.chosen is None and row.sureness >= row.threshold for row in report.rows)
    return report


def layers_of(picture, kind):
    return [layer for layer in picture.chart.layers if isinstance(layer, kind)]


def value_at(line, threshold):
    """What a stepped line shows for a threshold that lies on it."""
    return line.y[np.searchsorted(line.x, threshold, side="left") - 1]


def shown(values):
    return [np.nan if value is None else value for value in values]


NOTHING_ANSWERED = evaluate([("a", decided("a", 0.3)), ("b", decided("a", 0.2)), (None, decided("c", 0.1))])
OUTSIDE = evaluate([(None, decided("a", 0.9)), (None, decided("b", 0.1))])
