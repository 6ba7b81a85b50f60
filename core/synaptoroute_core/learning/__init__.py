"""What is learned from labelled texts, and how well a router does on them."""

from synaptoroute_core.learning.evaluation import (
    Confusion,
    EvaluationReport,
    Mistake,
    RouteQuality,
    evaluate_decisions,
)

__all__ = ["Confusion", "EvaluationReport", "Mistake", "RouteQuality", "evaluate_decisions"]
