"""What a router would be with fewer utterances, as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from tqdm.auto import tqdm

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Encoder, EvaluationReport, Example, Route
from synaptoroute_core.errors import shorten
from synaptoroute_core.types import checked_examples
from synaptoroute_core.words import counted
from synaptoroute_integrations.examples import limit_utterances
from synaptoroute_integrations.notebook.arguments import flag, flag_or_none, listed, whole
from synaptoroute_integrations.notebook.charts import Axis, Chart, Line
from synaptoroute_integrations.notebook.labels import percent
from synaptoroute_integrations.notebook.picture import Picture
from synaptoroute_integrations.notebook.routers import RememberingEncoder, routes_of


def learning_curve(
    router: AdaptiveRouter,
    examples: Iterable[Example],
    *,
    sizes: Iterable[int] = (1, 2, 4, 8, 16),
    draws: int = 3,
    fit: bool = False,
    progress: bool | None = None,
) -> Picture:
    """How good the router would be with fewer utterances: whether more of them are worth writing.

    For each size, so many utterances of each route are drawn at random, several times, and the examples are routed by
    a router in memory that has no others. Encoder, settings and the routes' own thresholds are those of the router,
    which is not changed; no text is encoded twice. A fit of the router does not take part, but each of the smaller
    routers may be fitted anew.

    Args:
        router: The router.
        examples: Pairs of a text and the name of its route, or None if it belongs to none; none of the utterances.
        sizes: Utterances of each route. A route that has fewer gives all it has; sizes that no route has are left out.
        draws: Draws of each size; the band goes from the worst to the best.
        fit: Whether to ``fit()`` each of the smaller routers: takes much longer.
        progress: Whether to show a progress bar; None = yes.

    Raises:
        ConfigurationError: There are no routes or no in-scope examples, or an argument is not valid.
        RouteNotFoundError: A label is no route's name.
        InvalidTextError: A text is not usable.
        ImportError: ``fit`` is set and scikit-learn is not installed.
    """
    shown = flag_or_none("progress", progress) is not False
    chart = _learning_chart(router, examples, sizes, whole("draws", draws), fit=flag("fit", fit), progress=shown)
    return Picture(chart)


MOST_TICKS = 18
FIGURES = ("accuracy", "answered_right")


@dataclass(frozen=True, slots=True)
class Draw:
    """How a router with some of the utterances did.

    Attributes:
        accuracy: Share of in-scope texts whose best candidate is right.
        answered_right: Share of in-scope texts that were sent to their route.
        fitted: Whether a fitted head decided.
    """

    accuracy: float
    answered_right: float
    fitted: bool


def _learning_chart(
    router: AdaptiveRouter,
    examples: Iterable[Example],
    sizes: Iterable[int],
    draws: int,
    *,
    fit: bool,
    progress: bool,
) -> Chart:
    routes = routes_of(router)
    asked, dropped = _usable_sizes(sizes, routes)
    given = listed("examples", examples, "pairs of a text and a label")
    pairs = checked_examples(given, [route.name for route in routes])
    inside = sum(label is not None for _, label in pairs)
    if not inside:
        raise ConfigurationError("there are no examples with a route for a label: give some, as to router.evaluate()")
    run = partial(_run_draw, router, _remembering(router, routes), pairs, fit=fit)
    plans = [(size, seed) for size in asked for seed in range(_draws_of(size, routes, draws))]
    found: dict[int, list[Draw]] = {size: [] for size in asked}
    for size, seed in tqdm(plans, desc="routers", unit="router", leave=False, disable=not progress):
        found[size].append(run(limit_utterances(routes, size, seed=seed)))
    return Chart(
        title="Learning curve",
        summary=_summary(found, inside, dropped, fit=fit),
        x=Axis("Training size (utterances per route)", logarithmic=True, ticks=_ticks(list(found))),
        y=Axis("Share of in-scope texts", limits=(0.0, 1.05), percent=True),
        layers=(
            _line(
                "accuracy (best candidate right)",
                {size: [one.accuracy for one in each] for size, each in found.items()},
            ),
            _line(
                "recall (answered rightly)",
                {size: [one.answered_right for one in each] for size, each in found.items()},
                1,
            ),
        ),
    )


def _ticks(sizes: Sequence[int]) -> tuple[float, ...]:
    """The sizes, but for those that on a logarithmic axis would stand on the one before."""
    shown = [sizes[0]]
    apart = (sizes[-1] / sizes[0]) ** (1 / MOST_TICKS)
    for size in sizes[1:]:
        if size >= apart * shown[-1]:
            shown.append(size)
    return tuple(map(float, shown))


def _remembering(router: AdaptiveRouter, routes: Iterable[Route]) -> RememberingEncoder:
    """The router's encoder, which knows the vectors of all utterances."""
    known = {
        text: vector
        for route in routes
        for text, vector in zip(route.utterances, router.vectors(route.name), strict=True)
    }
    return RememberingEncoder(router.encoder, known)


def _usable_sizes(sizes: Iterable[int], routes: Sequence[Route]) -> tuple[list[int], list[int]]:
    """The sizes that a route has, rising, and those that none has."""
    given = sorted({whole("sizes", size) for size in listed("sizes", sizes, "whole numbers", least=1)})
    most = max(len(route.utterances) for route in routes)
    asked = [size for size in given if size <= most]
    if not asked:
        raise ConfigurationError(f"sizes = {shorten(given)}: no route has more than {counted(most, 'utterance')}")
    return asked, given[len(asked) :]


def _draws_of(size: int, routes: Sequence[Route], draws: int) -> int:
    """One where there is nothing to draw, since all utterances are taken."""
    return draws if any(len(route.utterances) > size for route in routes) else 1


def _run_draw(
    router: AdaptiveRouter, encoder: Encoder, examples: Sequence[Example], routes: Sequence[Route], *, fit: bool
) -> Draw:
    with AdaptiveRouter(routes, encoder=encoder, config=router.config) as smaller:
        fitted = fit and smaller.fit(progress=False).changed
        report = smaller.evaluate(examples)
    return Draw(report.accuracy or 0.0, _answered_right(report), fitted)


def _answered_right(report: EvaluationReport) -> float:
    return sum(row.expected is not None and row.chosen == row.expected for row in report.rows) / report.in_scope


def _line(name: str, values: Mapping[int, Sequence[float]], tone: int = 0) -> Line:
    means, lows, highs = (np.array([pick(each) for each in values.values()]) for pick in (np.mean, min, max))
    hover = [
        f"{name}, {counted(size, 'utterance')} a route\n{percent(mean)} on average\n"
        f"{percent(low)} to {percent(high)} in {counted(len(each), 'draw')}"
        for (size, each), mean, low, high in zip(values.items(), means, lows, highs, strict=True)
    ]
    sizes = np.array(list(values), np.float64)
    return Line(name, sizes, means, tone, marked=True, low=lows, high=highs, hover=hover)


def _summary(found: Mapping[int, Sequence[Draw]], inside: int, dropped: Sequence[int], *, fit: bool) -> str:
    told = "; ".join(_sentence(size, found[size]) for size in dict.fromkeys((min(found), max(found))))
    sentences = [f"Of {counted(inside, 'in-scope text')}, {told}."]
    unfitted = [size for size, each in found.items() if not all(draw.fitted for draw in each)]
    if fit and unfitted:
        sentences.append(f"Not every draw could be fitted with gain: {_listed(unfitted)}.")
    if dropped:
        sentences.append(f"Left out, since no route has so many: {_listed(dropped)}.")
    return " ".join(sentences)


def _sentence(size: int, draws: Sequence[Draw]) -> str:
    accuracy, answered = (float(np.mean([getattr(draw, name) for draw in draws])) for name in FIGURES)
    return (
        f"with {counted(size, 'utterance')} of each route, {percent(accuracy)} have the right best candidate and "
        f"{percent(answered)} are answered rightly"
    )


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(f"{number:,}" for number in numbers)
