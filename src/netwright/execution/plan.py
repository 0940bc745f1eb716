"""How T children are run: what is decided, and why, as a table that a person can read."""

from dataclasses import dataclass

from torch import Tensor, nn

# Activations of one chunk of tasks, after the first convolution, that are still run fastest together.
CHUNK_BYTES = 6_000_000
# Narrow convolutions fill a processor's vectors only several tasks at a time, whatever their rows take;
# wide ones do so alone.
LEAST_TOGETHER, WIDE_CHANNELS = 4, 32
# What a graph keeps of a task, in units of what its first convolution puts out: norms, pooling and the
# layers behind it.
_KEPT = 5
# Activations beyond which a training step differentiates children a few tasks at a time, and how much
# of them at a time. Below, one graph is faster.
ONE_GRAPH_BYTES, STAGE_BYTES = 256_000_000, 48_000_000


@dataclass(frozen=True)
class PlanLine:
    """How one part is run.

    Args:
        path: Of the part in the module; empty for the module itself.
        layer: Its type.
        how: `kernel`, `kernels` (one after the other), `vmap` or `loop`.
        written: Its tensors that differ between tasks.
        why: What speaks against a kernel, where there is none.
    """

    path: str
    layer: str
    how: str
    written: str
    why: str


@dataclass(frozen=True)
class Plan:
    """How inputs of one kind are run.

    Args:
        tasks: T.
        chunk: How many tasks are run at once.
        how: `chain`, `composite`, `vmap` or `loop`.
        why: What speaks against anything faster.
        lines: The parts that tasks differ in; everything else runs once on the rows of all tasks.
    """

    tasks: int
    chunk: int
    how: str
    why: str
    lines: tuple[PlanLine, ...]

    def __str__(self) -> str:
        """A table."""
        head = f"{self.tasks} tasks, {self.chunk} at once, as a {self.how}"
        if self.why:
            head += f" ({self.why})"
        columns = ("part", "layer", "how", "written per task", "why")
        rows: list[tuple[str, ...]] = [
            columns,
            *((x.path or "(all)", x.layer, x.how, x.written, x.why) for x in self.lines),
        ]
        if not any(line.why for line in self.lines):
            rows = [row[:-1] for row in rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([head, *lines])


class Chunking:
    """How many tasks are run at once: all, but for convolutions on a CPU, which should stay in a cache.

    A rule and no measurement at run time: what is chosen decides the last bits of a result, and the same
    run must give the same bits.

    Args:
        module: The template.
        is_chain: Whether layers keep the layout that grouped convolutions want between them; other
            modules run one task at a time, for which no layout has to change.
    """

    def __init__(self, module: nn.Module, *, is_chain: bool) -> None:
        self._first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
        self._is_chain = is_chain

    def tasks_at_once(self, x: Tensor) -> int:
        """How many tasks one call runs at once, for inputs like x [T, N, *]."""
        bytes_of_task = self._first_output_bytes(x)
        if bytes_of_task is None:
            return max(1, len(x))
        assert self._first is not None
        if not self._is_chain or self._first.out_channels >= WIDE_CHANNELS:
            return 1
        return min(len(x), max(LEAST_TOGETHER, CHUNK_BYTES // bytes_of_task))

    def tasks_per_stage(self, x: Tensor) -> int:
        """How many tasks a training step differentiates at once: all, or as many as memory allows."""
        bytes_of_task = self._first_output_bytes(x)
        if bytes_of_task is None or _KEPT * bytes_of_task * len(x) <= ONE_GRAPH_BYTES:
            return max(1, len(x))
        return max(1, min(len(x), STAGE_BYTES // (_KEPT * bytes_of_task)))

    def _first_output_bytes(self, x: Tensor) -> int | None:
        """What the first convolution puts out for one task; None where that is no matter."""
        first = self._first
        if first is None or x.device.type != "cpu" or x.dim() != 5:
            return None
        rows, pixels = x.shape[1], x.shape[3] * x.shape[4] // (first.stride[0] * first.stride[-1])
        return max(1, rows * pixels * first.out_channels * x.element_size())
