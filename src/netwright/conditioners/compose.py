"""Several kinds of condition at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditions import Condition
from netwright.errors import ConditionError, RunError


class Compose(Conditioner):
    """Lays the tokens of several conditioners side by side; the global tokens are mixed linearly.

    With `dropout`, training leaves out kinds of condition at random, per task, and networks can then be
    written from any of them: a learned vector stands for what is absent. A part that is `optional`, such as
    `Noise`, is always read, and does not count as a kind to write from.

    Args:
        parts: Conditioners of one width, each reading its own kind of condition.
        dropout: How often a kind is left out in training; one always stays, and so do classes. 0: all
            kinds are needed.

    Raises:
        RunError: If there are fewer than two parts, widths differ, or two read the same kind.
    """

    def __init__(self, parts: Sequence[Conditioner], *, dropout: float = 0.0) -> None:
        super().__init__()
        if len(parts) < 2:
            raise RunError(
                f"To compose there are {len(parts)} conditioners, expected at least two. "
                "Give a single one to the hypernetwork as it is."
            )
        if not 0 <= dropout < 1:
            raise RunError(f"`dropout` is {dropout}, expected at least 0 and less than 1.")
        self.reads = tuple(name for part in parts for name in part.reads)
        if len(set(self.reads)) < len(self.reads):
            raise RunError(
                f"The conditioners read {list(self.reads)}, expected a kind of condition for each of them."
            )
        sizes = sorted({part.size for part in parts})
        if len(sizes) != 1:
            raise RunError(
                f"The conditioners have sizes {sizes}, expected one common size. "
                "Give each the same `size`."
            )
        self.size = sizes[0]
        self.parts = nn.ModuleList(parts)
        self.mix = nn.Linear(self.size * len(parts), self.size)
        self.source = nn.Parameter(torch.randn(len(parts), self.size) * 0.1)
        self.norm = nn.LayerNorm(self.size)
        self.dropout = dropout
        self.absent = nn.Parameter(torch.randn(len(parts), self.size) * 0.1) if dropout else None

    def options(self) -> dict[str, Any]:
        """Not used: a record holds the options of each part."""
        return {}

    def forward(self, condition: Condition) -> Embedding:
        """Read every kind of condition that is there."""
        there = condition.present()
        needed = [name for part in self._members() if not part.optional for name in part.reads]
        if needed and not any(name in there for name in needed):
            raise ConditionError(
                f"The condition has {sorted(there)}, expected at least one of {needed}."
            )
        read: dict[int, Embedding] = {
            i: part(condition)
            for i, part in enumerate(self._members())
            if self.absent is None or part.optional or any(name in there for name in part.reads)
        }
        stays = self._draw(read, condition.tasks)
        z = self.norm(self.mix(torch.cat(self._globals(read, stays), dim=-1)))
        # A learned mark says which source a token came from; sets have no positions to tell.
        tokens = torch.cat([e.tokens + self.source[i] for i, e in read.items()], dim=1)
        mask = torch.cat([e.mask & stays[:, i, None] for i, e in read.items()], dim=1)
        return Embedding(z, tokens, mask, self._classes(read, z))

    def check(self, condition: Condition) -> None:
        """Refuse what one of the parts refuses, and kinds that none of them reads."""
        super().check(condition)
        for part in self._members():
            own = {n: v for n, v in condition.present().items() if n in part.reads}
            if own:
                part.check(Condition(**own))  # type: ignore[arg-type]

    def _globals(self, read: Mapping[int, Embedding], stays: Tensor) -> list[Tensor]:
        """The global token of each part, [T, E], or what stands for it."""
        if self.absent is None:
            return [embedding.z for embedding in read.values()]
        stand_ins = self.absent.unsqueeze(1).expand(-1, len(stays), -1)
        return [
            torch.where(stays[:, i, None], read[i].z, stand_in) if i in read else stand_in
            for i, stand_in in enumerate(stand_ins)
        ]

    def _draw(self, read: Mapping[int, Embedding], tasks: int) -> Tensor:
        """Which parts each task keeps, [T, parts]: in training some are left out, never all."""
        device = next(iter(read.values())).z.device
        optional = torch.tensor([part.optional for part in self._members()])
        there = torch.zeros(len(self.parts), dtype=torch.bool)
        there[list(read)] = True
        if not (self.training and self.dropout):
            return there.expand(tasks, -1).to(device)
        drawn = torch.rand(tasks, len(self.parts)).masked_fill(~there | optional, -1)
        stays = (drawn >= self.dropout) & there
        # The one that came closest, where all were to go.
        stays |= ~stays.any(dim=1, keepdim=True) & (drawn == drawn.amax(dim=1, keepdim=True))
        stays |= there & optional
        # Rows of classes come from class tokens: what has them stays.
        stays[:, [i for i, embedding in read.items() if embedding.classes is not None]] = True
        return stays.to(device)

    def _members(self) -> list[Conditioner]:
        return [part for part in self.parts if isinstance(part, Conditioner)]

    def _classes(self, read: Mapping[int, Embedding], z: Tensor) -> Tensor | None:
        classes = next((e.classes for e in read.values() if e.classes is not None), None)
        return None if classes is None else classes + z.unsqueeze(1)
