"""T tasks' activations in the layout that the last layer left them in.

Layers ask for the layout they need; a conversion happens only between layers that disagree.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Activations of T tasks x N examples, in one of two layouts.

    Args:
        data: [T, N, *], or, if grouped, [N, T * C, *] (channels of all tasks side by side).
        tasks: T.
        is_grouped: Which of the two layouts.
    """

    data: Tensor
    tasks: int
    is_grouped: bool = False

    @classmethod
    def of_merged(cls, data: Tensor, tasks: int) -> "Rows":
        """From [T * N, *], the rows of task 0, then those of task 1 and so on."""
        return cls(data.reshape(tasks, len(data) // tasks, *data.shape[1:]), tasks)

    @property
    def separate(self) -> Tensor:
        """[T, N, *]."""
        if not self.is_grouped:
            return self.data
        count, channels = self.data.shape[:2]
        per_task = self.data.reshape(
            count, self.tasks, channels // self.tasks, *self.data.shape[2:]
        )
        return per_task.transpose(0, 1)

    @property
    def merged(self) -> Tensor:
        """[T * N, *]."""
        if self.tasks == 1:
            # Without a reshape, which could lay the memory out anew.
            return self.data if self.is_grouped else self.data.squeeze(0)
        return self.separate.flatten(0, 1)

    @property
    def grouped(self) -> Tensor:
        """[N, T * C, *]."""
        if self.is_grouped:
            return self.data
        return self.data.squeeze(0) if self.tasks == 1 else self.data.transpose(0, 1).flatten(1, 2)

    def with_separate(self, data: Tensor) -> "Rows":
        """The same tasks with new activations [T, N, *]."""
        return Rows(data, self.tasks)

    def with_merged(self, data: Tensor) -> "Rows":
        """The same tasks with new activations [T * N, *]."""
        if self.tasks == 1:
            return Rows(data.unsqueeze(0), 1)
        return Rows.of_merged(data, self.tasks)

    def with_grouped(self, data: Tensor) -> "Rows":
        """The same tasks with new activations [N, T * C, *]."""
        return Rows(data, self.tasks, is_grouped=True)

    def with_same_layout(self, data: Tensor) -> "Rows":
        """The same tasks with activations changed elementwise or within one channel."""
        return Rows(data, self.tasks, self.is_grouped)
