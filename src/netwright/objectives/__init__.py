"""What a batch of generated children is scored by.

`OBJECTIVES` turns the kinds of `TaskShape` into objectives.
"""

from netwright.objectives.base import Experienced, Objective, Predict, Score
from netwright.objectives.classification import Classification
from netwright.objectives.gaussian import GaussianLikelihood
from netwright.objectives.imitation import Imitation
from netwright.objectives.policy_gradient import PolicyGradient
from netwright.objectives.regression import Regression

OBJECTIVES: dict[str, type[Objective]] = {
    "exchangeable-classes": Classification,
    "fixed-classes": Classification,
    "values": Regression,
    "actions": PolicyGradient,
}

__all__ = [
    "OBJECTIVES",
    "Classification",
    "Experienced",
    "GaussianLikelihood",
    "Imitation",
    "Objective",
    "PolicyGradient",
    "Predict",
    "Regression",
    "Score",
]
