"""Sine waves: the standard toy of few-shot regression."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from netwright.conditions import Condition, ExampleSet, Texts
from netwright.errors import DataError
from netwright.tasks.base import (
    SPLITS,
    Source,
    Split,
    TaskBatch,
    TaskFamily,
    TaskShape,
    check_sources,
    check_split,
)

AMPLITUDES = (0.1, 5.0)
PHASES = (0.0, np.pi)
INPUTS = (-5.0, 5.0)
# The box of tasks is cut into this many cells each way; each cell belongs to one split.
_CELLS = 64
# Of 100 cells: how many are for validation and for testing.
_SHARES = {"validation": 10, "test": 20}


class Sine(TaskFamily):
    """y = amplitude * sin(x - phase), with amplitude in [0.1, 5], phase in [0, pi], x in [-5, 5].

    The paper names the ranges only; the sign of the phase is that of its authors' code.

    Splits share no task by construction: the box of amplitude and phase is cut into 64 x 64 cells,
    each given to one split by a fixed hash, so that every split covers the whole box evenly.

    Args:
        shots: K, support points per task, or a range that each batch draws from.
        queries: Query points per task.
        noise: Standard deviation of what is added to support values.
        sources: What the condition holds, of `examples` and `description`; a description says amplitude
            and phase to one decimal.

    Raises:
        DataError: If a size is below 1, the noise is negative, or a source is unknown.

    References:
        Finn et al., MAML, arXiv:1703.03400.
    """

    def __init__(
        self,
        shots: int | Sequence[int] = 10,
        queries: int = 50,
        *,
        noise: float = 0.0,
        sources: Sequence[Source] = ("examples",),
    ) -> None:
        low_high = [shots, shots] if isinstance(shots, int) else list(shots)
        if len(low_high) != 2 or low_high[0] > low_high[1]:
            raise DataError(
                f"`shots` is {shots!r}, expected a number, or two with low before high."
            )
        for name, size in (("shots", low_high[0]), ("queries", queries)):
            if not isinstance(size, int) or size < 1:
                raise DataError(f"`{name}` is {size!r}, expected a whole number of at least 1.")
        if not 0 <= noise < float("inf"):
            raise DataError(f"`noise` is {noise}, expected a standard deviation of at least 0.")
        self.shots = shots if isinstance(shots, int) else (low_high[0], low_high[1])
        self.queries, self.noise = queries, noise
        self.sources = check_sources(sources)
        self.shape = TaskShape((1,), 1, "values", sources=self.sources)

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T sine waves, and points on each."""
        check_split(split)
        own = self._cells[split]
        cells = own[rng.integers(0, len(own), tasks)]
        within = rng.random((2, tasks))
        amplitude = _between(AMPLITUDES, (cells // _CELLS + within[0]) / _CELLS)
        phase = _between(PHASES, (cells % _CELLS + within[1]) / _CELLS)
        shots = self._draw_shots(rng)
        points = np.empty((2, tasks, shots + self.queries, 1), dtype=np.float32)
        points[0, ..., 0] = x = _between(INPUTS, rng.random((tasks, shots + self.queries)))
        points[1, ..., 0] = amplitude[:, None] * np.sin(x - phase[:, None])
        if self.noise:
            points[1, :, :shots, 0] += self.noise * rng.standard_normal((tasks, shots))
        support, query = torch.from_numpy(points).split([shots, self.queries], dim=2)
        texts = [f"amplitude {a:.1f}, phase {p:.1f}" for a, p in zip(amplitude, phase, strict=True)]
        condition = Condition(
            examples=ExampleSet.of(*support) if "examples" in self.sources else None,
            description=Texts(texts) if "description" in self.sources else None,
        )
        return TaskBatch(condition, ExampleSet.of(*query))

    def members(self, split: Split) -> tuple[str, ...]:
        """Cells of the split, as `amplitude cell/phase cell`."""
        check_split(split)
        return tuple(f"{cell // _CELLS:02d}/{cell % _CELLS:02d}" for cell in self._cells[split])

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        shots = self.shots if isinstance(self.shots, int) else list(self.shots)
        record = {"shots": shots, "queries": self.queries, "noise": self.noise}
        # Left out where it is the default: runs from before there were descriptions keep their identity.
        return record if self.sources == ("examples",) else {**record, "sources": [*self.sources]}

    def _draw_shots(self, rng: np.random.Generator) -> int:
        if isinstance(self.shots, int):
            return self.shots
        return int(rng.integers(self.shots[0], self.shots[1] + 1))

    @cached_property
    def _cells(self) -> dict[Split, np.ndarray]:
        hashes = [hashlib.sha256(f"sine {cell}".encode()).digest() for cell in range(_CELLS**2)]
        share = np.array([int.from_bytes(digest[:4], "little") % 100 for digest in hashes])
        bounds = np.array([_SHARES["validation"], _SHARES["validation"] + _SHARES["test"]])
        owner = np.array(["validation", "test", "train"])[
            np.searchsorted(bounds, share, side="right")
        ]
        return {split: np.flatnonzero(owner == split) for split in SPLITS}


def _between(ends: tuple[float, float], fraction: np.ndarray) -> np.ndarray:
    return ends[0] + (ends[1] - ends[0]) * fraction
