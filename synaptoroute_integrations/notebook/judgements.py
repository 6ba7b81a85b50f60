"""What pictures of an evaluation have in common: its texts as arrays, its thresholds, and the words for both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core import ConfigurationError, EvaluationReport, JudgedText
from synaptoroute_core.errors import shorten
from synaptoroute_core.learning.evaluation.measuring import Columns, columns_of
from synaptoroute_integrations.notebook.charts import Bars, Rule
from synaptoroute_integrations.notebook.labels import shortened

SHOWN_CHARACTERS = 80
ROOM_OVER = 1.15
LEAST_PERCENT, MOST_PERCENT = 0.05, 99.95
"""What lies outside would be rounded to 0 or 100 % and is neither."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The sureness that the best candidates of a report's texts needed.

    Attributes:
        common: The one that most texts met.
        low: The least.
        high: The greatest.
    """

    common: float
    low: float
    high: float

    @property
    def several(self) -> bool:
        """Whether routes have different ones."""
        return self.low < self.high

    def rule(self) -> Rule:
        """A line at the most common one."""
        return Rule(self.common, f"{'most common ' if self.several else ''}threshold {self.common:.2f}")

    def sentence(self) -> str:
        """What there is to say of them."""
        if not self.several:
            return f"The threshold is {self.common:.3f}."
        return (
            f"Routes have thresholds of their own, from {self.low:.3f} to {self.high:.3f}; marked is the one that most "
            f"texts met, {self.common:.3f}."
        )


@dataclass(frozen=True, slots=True)
class Judgements:
    """The texts of a report, as arrays of shape (texts,), and what they met.

    Attributes:
        columns: What became of them.
        eligible: Whether a threshold decides on it: it has a candidate, and was not left unanswered over its
            threshold, as is one whose two best candidates are too close.
        thresholds: Those that the best candidates needed; None if the report does not say.
        confident: Whether sureness is the confidence; else it is the score.
    """

    columns: Columns
    eligible: NDArray[np.bool_]
    thresholds: Thresholds | None
    confident: bool

    @property
    def measure(self) -> str:
        """By what the texts are ranked, as the title of an axis."""
        return "Confidence (0 to 1)" if self.confident else "Score (-1 to 1)"


def judgements_of(report: EvaluationReport) -> Judgements:
    """The texts of a report.

    Raises:
        ConfigurationError: It is no report, or there are no texts in it.
    """
    if not isinstance(report, EvaluationReport):
        raise ConfigurationError(f"{shorten(report)} is no report: give what router.evaluate(examples) returns")
    if not report.rows:
        raise ConfigurationError("there are no texts in the report: evaluate the router on some examples")
    return Judgements(
        columns=columns_of(report.rows),
        eligible=np.array([row.best is not None and not _is_held_back(row) for row in report.rows]),
        thresholds=_thresholds_of(report.rows),
        confident=report.calibration_error is not None,
    )


def _is_held_back(row: JudgedText) -> bool:
    return row.chosen is None and row.threshold is not None and row.sureness >= row.threshold


def _thresholds_of(rows: Sequence[JudgedText]) -> Thresholds | None:
    met = Counter(row.threshold for row in rows if row.threshold is not None)
    if not met:
        return None
    return Thresholds(common=met.most_common(1)[0][0], low=min(met), high=max(met))


def percent(share: float | None) -> str:
    """A share for people: to a tenth of a percent, and never 0 or 100 % where it is something else."""
    if share is None or math.isnan(share):
        return "undefined"
    value = 100 * share
    if 0 < value < LEAST_PERCENT:
        return "under 0.1 %"
    if MOST_PERCENT <= value < 100:  # noqa: PLR2004  # percent
        return "over 99.9 %"
    return f"{round(value, 1):g} %"


def counted(count: int, what: str) -> str:
    """A number of things: ``1 text``, ``2 texts``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def excerpt(text: str) -> str:
    """A text of a user on one line, at most 80 characters."""
    return shortened(text, SHOWN_CHARACTERS)


def room_over(layers: Iterable[Bars]) -> tuple[float, float]:
    """Limits for an axis of bars, with room for a word over the highest."""
    return 0.0, ROOM_OVER * max((float(layer.heights.max()) for layer in layers), default=1.0)
