"""Figures of an evaluation, as arrays of numbers: nothing here knows texts or reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.types import Decision

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ERROR_LEVELS = (0.01, 0.02, 0.05)
IN_SCOPE_PERCENT = 95
CALIBRATION_BINS = 15


def sureness_of(decision: Decision) -> float:
    """By what decisions are ranked: the confidence, or the best score where there is none; -1 without candidates."""
    if decision.confidence is not None:
        return decision.confidence
    return -1.0 if decision.score is None else decision.score


def best_of(decision: Decision) -> str | None:
    """The best candidate, chosen or not; None without candidates."""
    return decision.candidates[0].route if decision.candidates else None


def share_of(values: Flags, among: Flags) -> float | None:
    """How many of the texts ``among`` have the value, from 0 to 1; None if there are no such texts."""
    return float(values[among].mean()) if among.any() else None


def risk_curve(sureness: Floats, right: Flags) -> tuple[Floats, NDArray[np.intp]]:
    """Error among the surest n texts, for n from 1 to all.

    Texts of equal sureness have no order: within them, the error is the one to expect of a random
    one, which lies on the straight line between those before and after them.

    Source: Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", 2017.

    Returns:
        The errors, shape (texts,), and the places in them where no text is torn from its equals.
    """
    ranking = np.argsort(-sureness, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(sureness[ranking]) != 0, True))
    wrong = np.cumsum(~right[ranking])[ends]
    counts = np.arange(1, len(right) + 1)
    expected = np.interp(counts, np.append(0, ends + 1), np.append(0, wrong))
    return expected / counts, ends


def coverage_at(risks: Floats, shares: Floats, error: float) -> float:
    """The largest of the shares whose risk is at most this error."""
    return float(shares[risks <= error].max(initial=0.0))


def auroc(inside: Floats, outside: Floats) -> float | None:
    """How often a random in-scope text is surer than a random out-of-scope one; of equals, one half counts.

    Source: Hanley and McNeil, "The Meaning and Use of the Area under a Receiver Operating
    Characteristic (ROC) Curve", Radiology 143, 1982.

    Args:
        inside: Sureness of the in-scope texts, shape (in scope,).
        outside: Sureness of the others, shape (out of scope,).

    Returns:
        From 0 to 1, 0.5 = no better than chance; None without texts of both kinds.
    """
    if not len(inside) or not len(outside):
        return None
    ranked = np.sort(outside)
    below = np.searchsorted(ranked, inside, "left") + np.searchsorted(ranked, inside, "right")
    return float(below.sum() / (2 * len(inside) * len(outside)))


def accepted_outside(inside: Floats, outside: Floats, percent: int = IN_SCOPE_PERCENT) -> float | None:
    """Share of the out-of-scope texts at or over the highest threshold that ``percent`` % of in-scope texts reach.

    Source: Liang, Li and Srikant, "Enhancing the Reliability of Out-of-distribution Image Detection
    in Neural Networks", 2018, section 4.2: FPR at 95 % TPR.

    Args:
        inside: Sureness of the in-scope texts, shape (in scope,).
        outside: Sureness of the others, shape (out of scope,).
        percent: Of the in-scope texts, from 1 to 100.

    Returns:
        From 0 to 1; None without texts of both kinds.
    """
    if not len(inside) or not len(outside):
        return None
    needed = -(-len(inside) * percent // 100)  # rounded up, in whole numbers: 0.95 has no exact float
    return float((outside >= np.sort(inside)[-needed]).mean())


def calibration_curve(
    confidence: Floats, right: Flags, bins: int = CALIBRATION_BINS
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Stated against true confidence, in bins of equal width from 0 to 1.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, section 2.

    Args:
        confidence: Stated probability of being right, shape (texts,).
        right: Whether it was, shape (texts,).
        bins: Their number. A bin holds its lower end, and the last one 1 too.

    Returns:
        Texts, mean confidence and share of right ones of each bin, each of shape (bins,); NaN where
        a bin is empty.
    """
    places = np.digitize(confidence, np.linspace(0.0, 1.0, bins + 1)[1:-1])
    counts = np.bincount(places, minlength=bins)
    filled = np.where(counts > 0, counts, np.nan)
    return (
        counts,
        np.bincount(places, weights=confidence, minlength=bins) / filled,
        np.bincount(places, weights=right, minlength=bins) / filled,
    )


def calibration_error(counts: NDArray[np.intp], stated: Floats, true: Floats) -> float | None:
    """Expected calibration error: mean distance of stated from true confidence over the bins, weighted by texts.

    Source: as :func:`calibration_curve`, whose output it takes.

    Returns:
        From 0 to 1; None without texts.
    """
    filled = counts > 0
    if not filled.any():
        return None
    return float(np.average(np.abs(stated - true)[filled], weights=counts[filled]))


def mcnemar(gained: int, lost: int) -> float:
    """How likely so uneven a split, or a more uneven one, would be if changes for better and worse were equally likely.

    The exact test, two-sided: under that hypothesis the gains are binomial with probability 1/2.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12, 1947; for classifiers: Dietterich, "Approximate Statistical Tests
    for Comparing Supervised Classification Learning Algorithms", 1998.

    Returns:
        The p-value, over 0 and up to 1; 1 if nothing changed.
    """
    changes = gained + lost
    ways, tail = 1, 1
    for number in range(min(gained, lost)):
        ways = ways * (changes - number) // (number + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << changes))
