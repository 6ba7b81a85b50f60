"""How well decisions fit their labels.

A text labelled with a route is *in scope*; one labelled None belongs to no route and is *out of
scope*. Answering it is always wrong; abstaining on it is right. What is left over goes to the
language model, so the share that is answered is the share of LLM calls saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from synaptoroute_core.errors import ConfigurationError
from synaptoroute_core.frozen import readable
from synaptoroute_core.learning.evaluation.comparing import ComparisonReport, check_amount, compare_rows, make_deltas
from synaptoroute_core.learning.evaluation.figures import accepted_outside, auroc, coverage_at, risk_curve, share_of
from synaptoroute_core.learning.evaluation.judging import (
    Confusion,
    JudgedText,
    Missed,
    Mistake,
    RouteQuality,
    confusions_section,
    failures_section,
    find_confusions,
    find_missed,
    find_mistakes,
    judge_texts,
    macro_averages,
    route_qualities,
    routes_section,
)
from synaptoroute_core.learning.evaluation.measuring import (
    CalibrationBin,
    Latency,
    Savings,
    columns_of,
    cost_of,
    measure_calibration,
    measure_latency,
    measure_risk,
    measure_savings,
    savings_section,
)
from synaptoroute_core.learning.markdown import table, title_of
from synaptoroute_core.learning.reports import Report, shown
from synaptoroute_core.text import replace_surrogates
from synaptoroute_core.types import Decision, Example
from synaptoroute_core.words import counted

__all__ = [
    "CalibrationBin",
    "Confusion",
    "EvaluationReport",
    "JudgedText",
    "Latency",
    "Missed",
    "Mistake",
    "RouteQuality",
    "Savings",
    "coverage_at",
    "evaluate_decisions",
    "risk_curve",
]


class EvaluationReport(Report):
    """How well a router does on labelled texts. All shares are from 0 to 1, None where undefined.

    Attributes:
        total: Texts.
        in_scope: Texts labelled with a route.
        accuracy: Share of in-scope texts whose best candidate is the label, abstention or not.
        macro_precision: Mean precision of the routes that texts are labelled with. One that was never
            chosen counts as 0, here and in ``macro_f1``.
        macro_recall: Mean recall of the same routes; an abstention counts against it.
        macro_f1: Mean F1 of the same routes.
        answered: Share of all texts that were answered: the LLM calls saved.
        answered_in_scope: Share of in-scope texts that were answered.
        error: Share of wrong answers among the answered.
        out_of_scope_accepted: Share of out-of-scope texts that were answered.
        auroc: How often a random in-scope text is surer than a random out-of-scope one; 0.5 is chance.
        fpr_at_95: Share of out-of-scope texts that are answered at the highest threshold at which 95 %
            of the in-scope texts are.
        aurc: Area under the risk-coverage curve: the error among the surest n texts, mean over all
            n; lower is better. Sureness is the confidence, or the score where there is none. Equally
            sure texts count with their mean error.
        coverage_at_error: For 1, 2 and 5 % error, the largest share of all texts that can be
            answered within it by moving one threshold.
        calibration_error: Expected calibration error of the confidence that the best candidate is
            right, over 15 bins; None if no decision has a confidence.
        calibration: Those bins; none without confidence.
        llm_calls_saved: Texts that were answered, each without an LLM call.
        price_per_call: What an LLM call costs; None if it was not given.
        money_saved: What the saved calls would have cost; None without a price.
        at_error: What could be saved within 1, 2 and 5 % error.
        latency: How long the decisions took; None if it was not measured.
        routes: How each route did, in the order of the router.
        confusions: Most frequent first.
        mistakes: All wrong answers, surest first.
        missed: All in-scope texts that were left unanswered, surest first.
        rows: What became of each text, in their order.
    """

    total: int
    in_scope: int
    accuracy: float | None
    macro_precision: float | None
    macro_recall: float | None
    macro_f1: float | None
    answered: float
    answered_in_scope: float | None
    error: float | None
    out_of_scope_accepted: float | None
    auroc: float | None
    fpr_at_95: float | None
    aurc: float
    coverage_at_error: Mapping[float, float]
    calibration_error: float | None
    calibration: tuple[CalibrationBin, ...]
    llm_calls_saved: int
    price_per_call: float | None
    money_saved: float | None
    at_error: tuple[Savings, ...]
    latency: Latency | None
    routes: tuple[RouteQuality, ...]
    confusions: tuple[Confusion, ...]
    mistakes: tuple[Mistake, ...]
    missed: tuple[Missed, ...]
    rows: tuple[JudgedText, ...]

    @classmethod
    def from_json(cls, text: str | bytes) -> EvaluationReport:
        """The report that :meth:`to_json` wrote.

        Raises:
            ConfigurationError: It is no such report; the message says where.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise readable(error) from error

    def headline(self) -> dict[str, float | None]:
        """The figures that tell two reports apart, in the order in which to read them.

        Returns:
            By the name of their field; ``coverage_at_0.01`` and so on are those of ``coverage_at_error``,
            and ``mean_ms`` is that of ``latency``.
        """
        names = (
            *("accuracy", "macro_precision", "macro_recall", "macro_f1"),
            *("answered", "answered_in_scope", "error", "out_of_scope_accepted"),
            *("auroc", "fpr_at_95", "aurc", "calibration_error"),
        )
        return {
            **{name: getattr(self, name) for name in names},
            **{f"coverage_at_{level:g}": coverage for level, coverage in self.coverage_at_error.items()},
            "mean_ms": None if self.latency is None else self.latency.mean_ms,
        }

    def compare(self, after: EvaluationReport, *, price_per_call: float | None = None) -> ComparisonReport:
        """What changed from this evaluation to a later one of the same texts.

        Args:
            after: The later one.
            price_per_call: What an LLM call costs; None = as in the later report, or else in this one.

        Raises:
            ConfigurationError: The labelled texts are not the same, or the price is no amount.
        """
        prices = [price for price in (price_per_call, after.price_per_call, self.price_per_call) if price is not None]
        deltas = make_deltas(self.headline(), after.headline())
        return compare_rows(self.rows, after.rows, deltas, price_per_call=prices[0] if prices else None)

    def to_markdown(self) -> str:
        """The figures, what could be saved, the worst routes, and some of the texts that went wrong."""
        money = "" if self.money_saved is None else f", {self.money_saved:,.2f} in money"
        figures = [(title_of(name), shown(value)) for name, value in self.headline().items() if value is not None]
        summary = (
            f"**{counted(self.total, 'text')}**, {self.total - self.in_scope:,} of them out of scope, on "
            f"{counted(len(self.routes), 'route')}: {counted(self.llm_calls_saved, 'LLM call')} saved{money}."
        )
        lines = [
            summary,
            "",
            *table(["figure", ">value"], figures),
            *savings_section(self.at_error),
            *routes_section(self.routes),
            *confusions_section(self.confusions),
            *failures_section("Surest wrong answers", self.mistakes),
            *failures_section("Surest of those left unanswered", self.missed),
        ]
        return "\n".join(lines) + "\n"


def evaluate_decisions(
    examples: Sequence[Example],
    decisions: Sequence[Decision],
    routes: Sequence[str],
    *,
    seconds: float | None = None,
    price_per_call: float | None = None,
) -> EvaluationReport:
    """Compare decisions with labels.

    Args:
        examples: The labelled texts.
        decisions: What was decided of each, in their order.
        routes: Names of all routes.
        seconds: How long all decisions took; None = not measured.
        price_per_call: What an LLM call costs, in any currency; None = not known.

    Raises:
        ConfigurationError: There are no examples, or the seconds or the price are no amount.
    """
    if not examples:
        raise ConfigurationError("there are no examples to evaluate on")
    check_amount("seconds", seconds)
    check_amount("price_per_call", price_per_call)
    rows = judge_texts([(replace_surrogates(text), label) for text, label in examples], decisions)
    columns = columns_of(rows)
    inside, outside = columns.sureness[columns.inside], columns.sureness[~columns.inside]
    qualities = route_qualities(rows, routes)
    precision, recall, f1 = macro_averages(qualities)
    aurc, coverages = measure_risk(columns)
    bins, miscalibration = measure_calibration(decisions, columns.best_right)
    saved = int(columns.answered.sum())
    return EvaluationReport(
        total=len(rows),
        in_scope=len(inside),
        accuracy=share_of(columns.best_right, columns.inside),
        macro_precision=precision,
        macro_recall=recall,
        macro_f1=f1,
        answered=saved / len(rows),
        answered_in_scope=share_of(columns.answered, columns.inside),
        error=share_of(columns.wrong, columns.answered),
        out_of_scope_accepted=share_of(columns.answered, ~columns.inside),
        auroc=auroc(inside, outside),
        fpr_at_95=accepted_outside(inside, outside),
        aurc=aurc,
        coverage_at_error=coverages,
        calibration_error=miscalibration,
        calibration=bins,
        llm_calls_saved=saved,
        price_per_call=price_per_call,
        money_saved=cost_of(saved, price_per_call),
        at_error=measure_savings(coverages, len(rows), price_per_call),
        latency=measure_latency(len(rows), seconds),
        routes=qualities,
        confusions=find_confusions(rows),
        mistakes=find_mistakes(rows, decisions),
        missed=find_missed(rows, decisions),
        rows=rows,
    )
