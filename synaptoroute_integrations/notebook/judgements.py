"""What pictures of an evaluation have in common: its texts as arrays, its thresholds, and the words for both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core import ConfigurationError, EvaluationReport, JudgedText
from synaptoroute_core.errors import shorten
from synaptoroute_core.learning.evaluation.measuring import Columns, columns_of
from synaptoroute_integrations.notebook.charts import Rule


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
        """By what the texts are ranked."""
        return "confidence" if self.confident else "score"

    @property
    def measure_title(self) -> str:
        """The same as the title of an axis, with its range."""
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
