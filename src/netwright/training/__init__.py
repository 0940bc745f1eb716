"""Meta-training: the loop, its checkpoints and its log; from records to hypernetworks and back."""

from netwright.training.checkpoints import Checkpoint, Checkpoints
from netwright.training.plan import family_name, plan_run, resolve_device
from netwright.training.recipe import (
    build_family,
    build_hypernetwork,
    default_child,
    default_conditioner,
    default_training,
    load_hypernetwork,
    load_writer,
    make_hypernetwork,
    seeded_weights,
)
from netwright.training.train import TrainingResult, train, train_run

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "TrainingResult",
    "build_family",
    "build_hypernetwork",
    "default_child",
    "default_conditioner",
    "default_training",
    "family_name",
    "load_hypernetwork",
    "load_writer",
    "make_hypernetwork",
    "plan_run",
    "resolve_device",
    "seeded_weights",
    "train",
    "train_run",
]
