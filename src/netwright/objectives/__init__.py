"""What a batch of generated children is scored by.

`OBJECTIVES` turns the kinds of `TaskShape` into objectives, `NAMED` the names in records of runs, and `SUITED` says which
of these can be asked for instead.
"""

from netwright.objectives.analytic import AnalyticGradient
from netwright.objectives.base import Experienced, Objective, Predict, Score
from netwright.objectives.classification import Classification
from netwright.objectives.evolution import EvolutionStrategies
from netwright.objectives.gaussian import GaussianLikelihood
from netwright.objectives.imitation import Imitation
from netwright.objectives.policy_gradient import PolicyGradient
from netwright.objectives.records import (
    NAMED,
    OBJECTIVES,
    SUITED,
    objective_for,
    objective_from_record,
    objective_record,
)
from netwright.objectives.regression import Regression

__all__ = [
    "NAMED",
    "OBJECTIVES",
    "SUITED",
    "AnalyticGradient",
    "Classification",
    "EvolutionStrategies",
    "Experienced",
    "GaussianLikelihood",
    "Imitation",
    "Objective",
    "PolicyGradient",
    "Predict",
    "Regression",
    "Score",
    "objective_for",
    "objective_from_record",
    "objective_record",
]
