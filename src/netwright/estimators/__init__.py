"""Estimators with scikit-learn's interface, that write networks and train nothing."""

from netwright.estimators.classifier import NetwrightClassifier

__all__ = ["NetwrightClassifier"]
