"""How good generated networks are, and how sure that is."""

from netwright.evaluation.evaluate import Evaluation, evaluate, generation_ms
from netwright.evaluation.statistics import Estimate, calibration_error, mean_estimate

__all__ = [
    "Estimate",
    "Evaluation",
    "calibration_error",
    "evaluate",
    "generation_ms",
    "mean_estimate",
]
