"""What decisions cost and save, and how far their confidence can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.learning.evaluation.figures import (
    CALIBRATION_BINS,
    ERROR_LEVELS,
    Flags,
    Floats,
    calibration_curve,
    calibration_error,
    coverage_at,
    risk_curve,
)
from synaptoroute_core.learning.evaluation.judging import JudgedText
from synaptoroute_core.learning.markdown import section
from synaptoroute_core.learning.reports import UNDEFINED, shown
from synaptoroute_core.types import Decision


class CalibrationBin(FrozenModel):
    """Texts of about the same confidence.

    Attributes:
        lower: Least confidence, 0 to 1.
        upper: Confidence at which the next bin begins.
        count: Texts.
        confidence: Their mean confidence; None if there are none.
        right: Share of those whose best candidate is right; None if there are none.
    """

    lower: float
    upper: float
    count: int
    confidence: float | None
    right: float | None


class Latency(FrozenModel):
    """How long the decisions took.

    Attributes:
        queries: Texts.
        total_s: Seconds for all of them, as whoever routed them measured it.
        mean_ms: Milliseconds for each, ``total_s`` shared out: of texts that were handed in together
            this is less than one alone would take.
    """

    queries: int
    total_s: float
    mean_ms: float


class Savings(FrozenModel):
    """What could be saved within a given error.

    Attributes:
        error: The greatest share of wrong answers among the answered.
        coverage: The largest share of all texts that can be answered within it by moving one threshold.
            The threshold is the best for these very texts, so that others will do a little worse.
        calls_saved: How many texts that is: LLM calls that are not made.
        money_saved: What those would have cost; None without a price.
    """

    error: float
    coverage: float
    calls_saved: int
    money_saved: float | None


@dataclass(frozen=True, slots=True)
class Columns:
    """What became of all texts, as arrays of shape (texts,).

    Attributes:
        inside: Whether it is in scope.
        answered: Whether it was answered.
        wrong: Whether it was answered wrongly.
        best_right: Whether its best candidate is its label, chosen or not.
        sureness: By what the texts are ranked.
    """

    inside: Flags
    answered: Flags
    wrong: Flags
    best_right: Flags
    sureness: Floats


def columns_of(rows: Sequence[JudgedText]) -> Columns:
    """The texts as arrays."""
    return Columns(
        inside=np.array([row.expected is not None for row in rows]),
        answered=np.array([row.chosen is not None for row in rows]),
        wrong=np.array([row.wrong for row in rows]),
        best_right=np.array([row.expected is not None and row.best == row.expected for row in rows]),
        sureness=np.array([row.sureness for row in rows]),
    )


def measure_risk(columns: Columns) -> tuple[float, dict[float, float]]:
    """The area under the risk-coverage curve, and the coverage at each of the error levels."""
    risks, ends = risk_curve(columns.sureness, columns.best_right)
    shares = (ends + 1) / len(risks)
    return float(risks.mean()), {level: coverage_at(risks[ends], shares, level) for level in ERROR_LEVELS}


def measure_calibration(
    decisions: Sequence[Decision], best_right: Flags
) -> tuple[tuple[CalibrationBin, ...], float | None]:
    """The bins of the confidence and its expected calibration error; nothing and None without confidence."""
    stated = [decision.confidence for decision in decisions if decision.confidence is not None]
    if not stated:
        return (), None
    right = best_right[[decision.confidence is not None for decision in decisions]]
    counts, means, shares = calibration_curve(np.array(stated), right)
    bins = tuple(
        CalibrationBin(
            lower=number / CALIBRATION_BINS,
            upper=(number + 1) / CALIBRATION_BINS,
            count=int(count),
            confidence=float(mean) if count else None,
            right=float(share) if count else None,
        )
        for number, (count, mean, share) in enumerate(zip(counts, means, shares, strict=True))
    )
    return bins, calibration_error(counts, means, shares)


def measure_savings(coverages: Mapping[float, float], total: int, price_per_call: float | None) -> tuple[Savings, ...]:
    """What could be saved at each coverage."""
    return tuple(
        Savings(
            error=error,
            coverage=coverage,
            calls_saved=round(coverage * total),
            money_saved=cost_of(round(coverage * total), price_per_call),
        )
        for error, coverage in coverages.items()
    )


def measure_latency(queries: int, seconds: float | None) -> Latency | None:
    """The time of each of the queries; None if it was not measured."""
    if seconds is None:
        return None
    return Latency(queries=queries, total_s=seconds, mean_ms=1000 * seconds / queries)


def cost_of(calls: int, price_per_call: float | None) -> float | None:
    """What so many LLM calls cost; None without a price."""
    return None if price_per_call is None else price_per_call * calls


def savings_section(savings: Iterable[Savings]) -> list[str]:
    """The savings in Markdown."""
    return section(
        "What one threshold could save",
        [">error", ">coverage", ">LLM calls saved", ">money saved"],
        [
            (
                f"{100 * each.error:g} %",
                shown(each.coverage),
                f"{each.calls_saved:,}",
                UNDEFINED if each.money_saved is None else f"{each.money_saved:,.2f}",
            )
            for each in savings
        ],
    )
