"""The referee: learners compared on the same child and the same tasks, all choices made on others."""

from netwright.referee.compare import check_experiment, compare, experiment_in, read_results
from netwright.referee.experiment import Experiment, experiment_of, read_experiment

__all__ = [
    "Experiment",
    "check_experiment",
    "compare",
    "experiment_in",
    "experiment_of",
    "read_experiment",
    "read_results",
]
