"""How good generated networks are, and how sure that is."""

from netwright.evaluation.critical_difference import (
    CriticalDifference,
    critical_difference,
    draw_critical_difference,
)
from netwright.evaluation.evaluate import Evaluation, evaluate, generation_ms
from netwright.evaluation.statistics import (
    Comparison,
    Estimate,
    calibration_error,
    compare_scores,
    mean_estimate,
)

__all__ = [
    "Comparison",
    "CriticalDifference",
    "Estimate",
    "Evaluation",
    "calibration_error",
    "compare_scores",
    "critical_difference",
    "draw_critical_difference",
    "evaluate",
    "generation_ms",
    "mean_estimate",
]
