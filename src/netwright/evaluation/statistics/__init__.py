"""Statistics that hold: intervals, tests and verdicts when learners are compared over tasks and seeds."""

from netwright.evaluation.statistics.aggregate import (
    PerformanceProfile,
    interquartile_mean,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
)
from netwright.evaluation.statistics.bootstrap import bca_interval, paired, percentile_interval
from netwright.evaluation.statistics.calibration import (
    ReliabilityDiagram,
    brier_score,
    calibration_error,
    reliability_diagram,
)
from netwright.evaluation.statistics.compare import Comparison, ComparisonRow, compare_scores
from netwright.evaluation.statistics.correction import (
    CORRECTIONS,
    bonferroni,
    bonferroni_levels,
    holm,
    holm_levels,
)
from netwright.evaluation.statistics.crossed import CrossedMean, crossed_mean
from netwright.evaluation.statistics.effects import EffectSizes, effect_sizes
from netwright.evaluation.statistics.estimate import Estimate, mean_estimate
from netwright.evaluation.statistics.friedman import (
    FriedmanTest,
    friedman_test,
    nemenyi_difference,
)
from netwright.evaluation.statistics.interval import Interval
from netwright.evaluation.statistics.power import episodes_needed, power_of, smallest_difference
from netwright.evaluation.statistics.ranks import average_ranks
from netwright.evaluation.statistics.significance import (
    PairedTest,
    sign_flip_test,
    wilcoxon_test,
)
from netwright.evaluation.statistics.two_level import (
    nested_interval,
    pigeonhole_interval,
    stratified_interval,
)

__all__ = [
    "CORRECTIONS",
    "Comparison",
    "ComparisonRow",
    "CrossedMean",
    "EffectSizes",
    "Estimate",
    "FriedmanTest",
    "Interval",
    "PairedTest",
    "PerformanceProfile",
    "ReliabilityDiagram",
    "average_ranks",
    "bca_interval",
    "bonferroni",
    "bonferroni_levels",
    "brier_score",
    "calibration_error",
    "compare_scores",
    "crossed_mean",
    "effect_sizes",
    "episodes_needed",
    "friedman_test",
    "holm",
    "holm_levels",
    "interquartile_mean",
    "mean_estimate",
    "nemenyi_difference",
    "nested_interval",
    "optimality_gap",
    "paired",
    "percentile_interval",
    "performance_profile",
    "pigeonhole_interval",
    "power_of",
    "probability_of_improvement",
    "reliability_diagram",
    "sign_flip_test",
    "smallest_difference",
    "stratified_interval",
    "wilcoxon_test",
]
