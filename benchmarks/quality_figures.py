"""What an answer is, and the figures that answers are judged by; one code for all contenders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from datasets import OUT_OF_SCOPE
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
BINS = 15
CURVE_POINTS = 200


@dataclass(frozen=True)
class Answers:
    """What a contender says of some texts.

    Attributes:
        routes: The route that it would choose if it had to, of each text.
        sureness: How sure it is of each, on any scale; greater is surer.
        ms: Milliseconds a text, in a batch, without the encoding.
        probable: ``sureness`` is meant as the probability that the route is right.
    """

    routes: list[str]
    sureness: Array
    ms: float
    probable: bool = False


def judge(answers: Answers, labels: list[str]) -> dict[str, float]:
    """All figures that are defined; shares are from 0 to 1.

    ``accuracy``: right among in scope, no abstention. ``auroc``: chance that a text in scope is surer than one out
    of scope. ``fpr95``: share of out of scope that is accepted where 95 % of in scope is. ``cov1``, ``cov2``,
    ``cov5``: largest share of all texts that can be answered with at most 1, 2, 5 % of the answers wrong.
    ``aurc``: mean of that error over all coverages. ``ece``: how far probabilities are from the truth, over all
    texts; ``ece_inside``: over those in scope.
    """
    inside = np.array([label != OUT_OF_SCOPE for label in labels])
    right = np.array([route == label for route, label in zip(answers.routes, labels, strict=True)])
    risks, ends = risk_curve(answers.sureness, right)
    found = {"accuracy": float(right[inside].mean())}
    if not inside.all():
        found["auroc"] = auroc(answers.sureness[inside], answers.sureness[~inside])
        found["fpr95"] = fpr_at(answers.sureness[inside], answers.sureness[~inside])
    found |= {f"cov{percent}": coverage_at(risks, ends, percent / 100) for percent in (1, 2, 5)}
    found["aurc"] = float(risks.mean())
    if answers.probable:
        found["ece"] = calibration_error(answers.sureness, right)
        found["ece_inside"] = calibration_error(answers.sureness[inside], right[inside])
    return found | {"ms": answers.ms}


def curve(answers: Answers, labels: list[str]) -> list[list[float]]:
    """Coverage and error, to be drawn."""
    right = np.array([route == label for route, label in zip(answers.routes, labels, strict=True)])
    risks, _ = risk_curve(answers.sureness, right)
    counts = np.unique(np.linspace(1, len(risks), CURVE_POINTS).round().astype(int))
    return [[round(count / len(risks), 5), round(float(risks[count - 1]), 5)] for count in counts]


def risk_curve(sureness: Array, right: Flags) -> tuple[Array, NDArray[np.intp]]:
    """Error among the surest n texts for n from 1 to all, and the places where equally sure ones end.

    Within equals, which no threshold tells apart, the wrong ones are spread evenly.
    """
    ranking = np.argsort(-sureness, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(sureness[ranking]) != 0, True))
    counts = np.arange(1, len(right) + 1)
    wrong = np.cumsum(~right[ranking])[ends]
    return np.interp(counts, np.append(0, ends + 1), np.append(0, wrong)) / counts, ends


def coverage_at(risks: Array, ends: NDArray[np.intp], error: float) -> float:
    """The largest share of all texts whose error is at most this, where one threshold can make it."""
    return float(((ends + 1) / len(risks))[risks[ends] <= error].max(initial=0.0))


def auroc(inside: Array, outside: Array) -> float:
    """Chance that one of ``inside`` is greater than one of ``outside``; equal ones count half."""
    ranked = np.sort(outside)
    below, up_to = np.searchsorted(ranked, inside, "left"), np.searchsorted(ranked, inside, "right")
    return float((below + up_to).mean() / 2 / len(ranked))


def fpr_at(inside: Array, outside: Array, accepted: float = 0.95) -> float:
    """Share of ``outside`` at or above the highest cut that lets at least ``accepted`` of ``inside`` through."""
    cut = np.sort(inside)[::-1][int(np.ceil(accepted * len(inside))) - 1]
    return float((outside >= cut).mean())


def calibration_error(probabilities: Array, right: Flags) -> float:
    """Expected calibration error: mean gap of mean probability and share of right, over bins of equal width.

    Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.
    """
    places = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = np.bincount(places, weights=probabilities - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))
