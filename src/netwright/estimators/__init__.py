"""Estimators with scikit-learn's interface, that write networks and train nothing."""

from netwright.estimators.classifier import NetwrightClassifier
from netwright.estimators.regressor import NetwrightRegressor

__all__ = ["NetwrightClassifier", "NetwrightRegressor"]
