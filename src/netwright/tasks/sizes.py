"""Tasks that ask for networks of different architectures, in one batch."""

from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.errors import ConditionError
from netwright.hypernetwork import Hypernetwork
from netwright.tasks.base import TaskBatch
from netwright.writer import Writer


def by_architecture(
    writer: Writer, batch: TaskBatch
) -> Iterator[tuple[Writer, TaskBatch, Tensor | None]]:
    """What writes each of the architectures that a batch asks for, its tasks, and where in the batch these stand.

    A batch that asks for none is one part, all of it; its place is None.

    Args:
        writer: A hypernetwork; for batches that ask for no architecture, any writer.
        batch: T tasks.

    Raises:
        ConditionError: If architectures are asked for and the writer is no hypernetwork.
        RunError: If it cannot write one of them.
    """
    wanted = batch.condition.architecture
    if wanted is None:
        yield writer, batch, None
        return
    if not isinstance(writer, Hypernetwork):
        raise ConditionError(
            f"The tasks ask for architectures and {type(writer).__name__} writes one, expected a hypernetwork. "
            "Use a family that asks for none."
        )
    for architecture, tasks in wanted.groups().items():
        place = torch.tensor(tasks)
        yield writer.for_architecture(architecture), batch.rows(place), place


__all__ = ["by_architecture"]
