"""What reads a condition.

`CONDITIONERS` turns the names in run records into classes; a name is never reused.
"""

from netwright.conditioners.architecture import Architecture
from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditioners.compose import Compose
from netwright.conditioners.context import Context
from netwright.conditioners.description import Description
from netwright.conditioners.examples import Examples
from netwright.conditioners.frozen_text import FrozenText
from netwright.conditioners.hyperparameters import Hyperparameters
from netwright.conditioners.identity import Identity
from netwright.conditioners.input import Input
from netwright.conditioners.noise import Noise
from netwright.conditioners.preference import Preference

CONDITIONERS: dict[str, type[Conditioner]] = {
    "architecture": Architecture,
    "context": Context,
    "description": Description,
    "examples": Examples,
    "frozen-text": FrozenText,
    "hyperparameters": Hyperparameters,
    "identity": Identity,
    "input": Input,
    "noise": Noise,
    "preference": Preference,
}

__all__ = [
    "CONDITIONERS",
    "Architecture",
    "Compose",
    "Conditioner",
    "Context",
    "Description",
    "Embedding",
    "Examples",
    "FrozenText",
    "Hyperparameters",
    "Identity",
    "Input",
    "Noise",
    "Preference",
]
