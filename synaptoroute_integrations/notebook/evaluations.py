"""How well a router does, as pictures of an :class:`~synaptoroute_core.EvaluationReport`.

Each takes what ``router.evaluate(examples)`` returned. All figures in a picture are those of the report, or come from
its ``rows`` in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core import CalibrationBin, ConfigurationError, EvaluationReport
from synaptoroute_core.errors import shorten
from synaptoroute_core.learning.evaluation.evaluating import coverage_at, risk_curve
from synaptoroute_core.words import counted
from synaptoroute_integrations.notebook.arguments import flag, number
from synaptoroute_integrations.notebook.charts import Axis, Bars, Chart, Floats, Layer, Line, Points, Rule, Tone
from synaptoroute_integrations.notebook.confusions import confusion_matrix
from synaptoroute_integrations.notebook.judgements import Judgements, judgements_of
from synaptoroute_integrations.notebook.labels import excerpt, percent, room_over
from synaptoroute_integrations.notebook.picture import Picture
from synaptoroute_integrations.notebook.thresholds import threshold_curves

__all__ = ["calibration_curve", "confusion_matrix", "risk_coverage", "score_histograms", "threshold_curves"]

WORDS = {
    "right best candidate": "whose best candidate is right",
    "wrong best candidate": "whose best candidate is wrong",
    "out of scope": "out of scope",
}
FEWEST_BARS, MOST_BARS = 8, 40
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
LEAST_STEP = 0.001
TELLING_COVERAGE = 0.1
"""Below this share of the texts the error jumps with every one of them, and does not set the scale."""
HEADROOM = 1.15
MOST_HOVERS = 1000
"""A line of more points says their numbers only: with words, each would take 100 bytes of the notebook."""
SMALLEST_DOT, LARGEST_DOT = 6.0, 26.0
ROOM = (-0.04, 1.04)
"""So that dots at the ends are whole."""


# --- sureness ------------------------------------------------------------------------------------


def score_histograms(report: EvaluationReport, *, normalise: bool = False) -> Picture:
    """How sure the router is of texts whose best candidate is right, of those whose is wrong, and out of scope.

    Sureness is the confidence, or the score where there is none. No bar lies on both sides of the threshold. Where
    routes have thresholds of their own, the one that most texts met is marked.

    Args:
        report: What ``router.evaluate(examples)`` returned.
        normalise: Whether a bar is a share of its kind of texts, so that kinds of unlike number can be compared;
            else it is the number of texts.

    Raises:
        ConfigurationError: It is no report, or has no texts.
    """
    return Picture(_histogram_chart(report, normalise=flag("normalise", normalise)))


def _histogram_chart(report: EvaluationReport, *, normalise: bool) -> Chart:
    judged = judgements_of(report)
    columns = judged.columns
    kinds: dict[str, tuple[NDArray[np.bool_], Tone]] = {
        "right best candidate": (columns.inside & columns.best_right, "good"),
        "wrong best candidate": (columns.inside & ~columns.best_right, "bad"),
        "out of scope": (~columns.inside, 0),
    }
    edges = _edges(judged)
    layers: list[Bars] = []
    sides = []
    for name, (among, tone) in kinds.items():
        if among.any():
            counts = np.histogram(columns.sureness[among], edges)[0]
            layers.append(_bars(name, edges, counts, tone=tone, normalise=normalise))
            sides.append(f"{int(columns.answered[among].sum()):,} of {counted(int(among.sum()), 'text')} {WORDS[name]}")
    sentence = f"Answered: {'; '.join(sides)}. The others were left unanswered."
    if judged.thresholds is not None:
        sentence += f" {judged.thresholds.sentence()}"
    return Chart(
        title=f"Distribution of the {judged.measure}",
        summary=sentence,
        x=Axis(judged.measure_title),
        y=Axis(
            "Relative frequency among texts of the kind" if normalise else "Frequency (texts)",
            limits=room_over(layers),
            whole=not normalise,
            percent=normalise,
        ),
        layers=(*layers, *([judged.thresholds.rule()] if judged.thresholds else ())),
    )


def _edges(judged: Judgements) -> Floats:
    """Edges of bars of a round width over all values, more bars for more texts; the threshold is one if it is near."""
    sureness = judged.columns.sureness
    low, high = float(sureness.min()), float(sureness.max())
    step = _round_up((high - low) / min(max(FEWEST_BARS, 2 * math.isqrt(len(sureness))), MOST_BARS))
    anchor = 0.0 if judged.thresholds is None else judged.thresholds.common
    first, last = math.floor((low - anchor) / step), math.floor((high - anchor) / step) + 1
    # One more at an end where the division was rounded to the wrong side of a value.
    first -= anchor + first * step > low
    last += anchor + last * step <= high
    edges: Floats = anchor + step * np.arange(first, last + 1, dtype=np.float64)
    least, most = (0.0 if judged.confident else -1.0), 1.0
    if edges[0] < least <= low:
        edges[0] = least
    if edges[-2] < high <= most < edges[-1]:
        edges[-1] = most
    return edges


def _round_up(width: float) -> float:
    """The least of 1, 2, 2.5 or 5 times a power of ten that is as wide."""
    if width <= LEAST_STEP:
        return LEAST_STEP
    power: float = 10.0 ** math.floor(math.log10(width))
    return next((factor * power for factor in STEPS if factor * power >= width), 10 * power)


def _bars(name: str, edges: Floats, counts: Floats, *, tone: Tone, normalise: bool) -> Bars:
    total = counts.sum()
    hover = [
        f"{name}\n{low:.3f} to {high:.3f}: {counted(int(count), 'text')}, {percent(count / total)} of {int(total):,}"
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    return Bars(name, edges, counts / total if normalise else counts.astype(np.float64), tone, hover)


# --- risk ----------------------------------------------------------------------------------------


def risk_coverage(
    report: EvaluationReport, *, error: float = 0.02, others: Mapping[str, EvaluationReport] | None = None
) -> Picture:
    """How many texts can be answered locally, each without an LLM call, and how many of those answers are wrong.

    One threshold moves from the surest text to the least sure. Points are where no text is torn from one that is as
    sure. The mark is the most that is answered within the error: ``coverage_at_error`` of the report; that threshold
    is the best for these very texts, so that others will do a little worse. The diamond is the router as it is; beside
    the line it stands where routes have thresholds of their own, or where too small a lead keeps it from answering.
    Errors among the surest tenth of the texts may lie above the picture: each of them is a large share of so few.

    Source: Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", 2017.

    Args:
        report: What ``router.evaluate(examples)`` returned.
        error: Share of wrong answers among the answered, from 0 to below 1.
        others: More reports by name, to compare with.

    Raises:
        ConfigurationError: One of them is no report or has no texts, or the error is no such share.
    """
    return Picture(_risk_chart(report, error, {} if others is None else others))


def _risk_chart(report: EvaluationReport, error: float, others: Mapping[str, EvaluationReport]) -> Chart:
    remedy = "use a share from 0 to below 1, such as 0.02 for 2 %"
    if not 0 <= number("error", error, remedy) < 1:
        raise ConfigurationError(f"error = {shorten(error)}: {remedy}")
    if not isinstance(others, Mapping):
        raise ConfigurationError(f"others = {shorten(others)}: give reports by name, such as {{'before': report}}")
    layers: list[Layer] = [Rule(error, f"{percent(error)} error", axis="y")]
    sentences = []
    top = error
    for place, (name, each) in enumerate([("this router", report), *others.items()]):
        judged = judgements_of(each)
        title = excerpt(str(name))
        line, coverage, risk = _risk_line(title, judged, error, tone=place)
        skipped = f"LLM calls skipped at {percent(error)} error: {percent(coverage)}"
        told = f"{title}: {percent(coverage)}" if place else skipped
        layers += [line, Rule(coverage, told, tone=place), *_risk_marks(each, title, place, (coverage, risk))]
        top = max(top, float(line.y[line.x >= TELLING_COVERAGE].max()), each.error or 0.0)
        sentences.append(_risk_sentence(each, title if others else "", coverage, error))
    return Chart(
        title="Risk-coverage curve",
        summary=" ".join([*sentences, "The thresholds are the best for these very texts."]),
        x=Axis("Coverage: texts answered locally, LLM calls skipped", limits=(0.0, 1.0), percent=True),
        y=Axis(
            "Selective risk: wrong among the answered", limits=(0.0, min(1.05, HEADROOM * max(top, 0.01))), percent=True
        ),
        layers=tuple(layers),
    )


def _risk_line(name: str, judged: Judgements, error: float, *, tone: int) -> tuple[Line, float, float]:
    """The curve, the coverage at the error, and the error that there is at that coverage."""
    columns = judged.columns
    risks, ends = risk_curve(columns.sureness, columns.best_right)
    shares, risks = (ends + 1) / len(risks), risks[ends]
    thresholds = -np.sort(-columns.sureness)[ends]
    coverage = coverage_at(risks, shares, error)
    found = risks[shares == coverage]
    told = zip(thresholds, shares, risks, strict=True) if len(ends) <= MOST_HOVERS else ()
    hover = [
        f"{name}\nthreshold: {threshold:.3f}\ncoverage: {percent(share)}\nselective risk: {percent(risk)}"
        for threshold, share, risk in told
    ]
    return Line(name, shares, risks, tone, hover=hover), coverage, float(found[0]) if len(found) else error


def _risk_marks(report: EvaluationReport, name: str, tone: int, within: tuple[float, float]) -> Iterator[Points]:
    """The point within the error, if there is one, and the one where the router is now."""
    coverage, risk = within
    if coverage:
        yield Points("", np.array([coverage]), np.array([risk]), tone, [f"{name}\n{percent(coverage)} skipped"])
    if report.error is not None:
        hover = f"{name} as it is\ncoverage: {percent(report.answered)}\nselective risk: {percent(report.error)}"
        at = np.array([report.answered]), np.array([report.error])
        yield Points("" if tone else "as it is", *at, tone, [hover], "diamond", 11.0)


def _risk_sentence(report: EvaluationReport, name: str, coverage: float, error: float) -> str:
    now = (
        "as it is, the router answers none"
        if report.error is None
        else f"as it is, the router answers {percent(report.answered)} with {percent(report.error)} wrong"
    )
    lead = f"{name}: " if name else ""
    return f"{lead}LLM calls skipped at {percent(error)} error: {percent(coverage)} of {report.total:,}; {now}."


# --- confidence ----------------------------------------------------------------------------------


def calibration_curve(report: EvaluationReport) -> Picture:
    """A reliability diagram: of texts with a confidence of 0.8, the best candidate of 80 % should be right.

    A dot is a bin of the report's ``calibration``, the larger the more texts are in it (the area counts). Over the
    diagonal, the router knows more than it says; under it, it promises too much.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, section 2.

    Args:
        report: What ``router.evaluate(examples)`` returned.

    Raises:
        ConfigurationError: It is no report, has no texts, or no decision has a confidence.
    """
    return Picture(_calibration_chart(report))


def _calibration_chart(report: EvaluationReport) -> Chart:
    judgements_of(report)  # refuses what is no report
    filled = [each for each in report.calibration if each.count]
    if not filled or report.calibration_error is None:
        raise ConfigurationError(
            "no decision of the report has a confidence: call router.fit() first, then evaluate again"
        )
    total = sum(each.count for each in filled)
    largest = max(each.count for each in filled)
    ends = np.array([0.0, 1.0])
    diagonal = Line("perfect calibration", ends, ends, "muted", dashed=True)
    stated, true = (np.array([getattr(each, name) for each in filled]) for name in ("confidence", "right"))
    return Chart(
        title="Reliability diagram",
        summary=(
            f"Expected calibration error {report.calibration_error:.3f} over {counted(total, 'text')}: by so much the "
            f"stated confidence is off, on average. Mean confidence {_mean(filled, 'confidence'):.3f}, best candidate "
            f"right {percent(_mean(filled, 'right'))}."
        ),
        x=Axis("Confidence: stated, mean of a bin", limits=ROOM, percent=True),
        y=Axis("Accuracy: best candidate right, of a bin", limits=ROOM, percent=True),
        layers=(diagonal, Line("this router", stated, true, 0), *(_dot(each, largest) for each in filled)),
        width=560,
        height=520,
    )


def _dot(each: CalibrationBin, largest: int) -> Points:
    hover = (
        f"confidence {each.lower:.3f} to {each.upper:.3f}: {counted(each.count, 'text')}\n"
        f"stated: {percent(each.confidence)} on average\nright: {percent(each.right)}"
    )
    size = max(SMALLEST_DOT, LARGEST_DOT * math.sqrt(each.count / largest))
    return Points("", np.array([each.confidence]), np.array([each.right]), 0, [hover], size=size)


def _mean(bins: list[CalibrationBin], name: str) -> float:
    return float(np.average([getattr(each, name) for each in bins], weights=[each.count for each in bins]))
