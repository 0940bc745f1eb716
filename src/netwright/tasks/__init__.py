"""What hypernetworks learn from.

`FAMILIES` turns the names in commands and run records into classes; a name is never reused.
"""

from netwright.tasks.base import SPLITS, Split, TaskBatch, TaskFamily, TaskShape
from netwright.tasks.omniglot import Omniglot
from netwright.tasks.sine import Sine

FAMILIES: dict[str, type[TaskFamily]] = {
    "omniglot": Omniglot,
    "sine": Sine,
}

__all__ = [
    "FAMILIES",
    "SPLITS",
    "Omniglot",
    "Sine",
    "Split",
    "TaskBatch",
    "TaskFamily",
    "TaskShape",
]
