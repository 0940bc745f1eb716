"""Several kinds of condition at once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditions import Condition
from netwright.errors import RunError


class Compose(Conditioner):
    """Lays the tokens of several conditioners side by side; the global tokens are mixed linearly.

    Args:
        parts: Conditioners of one width, each reading its own kind of condition.

    Raises:
        RunError: If there is no part, or widths differ.
    """

    def __init__(self, parts: Sequence[Conditioner]) -> None:
        super().__init__()
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

    def options(self) -> dict[str, Any]:
        """Not used: a record holds the options of each part."""
        return {}

    def forward(self, condition: Condition) -> Embedding:
        """Read every kind of condition."""
        read: list[Embedding] = [part(condition) for part in self.parts]
        z = self.norm(self.mix(torch.cat([embedding.z for embedding in read], dim=-1)))
        # A learned mark says which source a token came from; sets have no positions to tell.
        tokens = torch.cat([e.tokens + self.source[i] for i, e in enumerate(read)], dim=1)
        mask = torch.cat([embedding.mask for embedding in read], dim=1)
        return Embedding(z, tokens, mask, self._classes(read, z))

    def _classes(self, read: Sequence[Embedding], z: Tensor) -> Tensor | None:
        classes = next((e.classes for e in read if e.classes is not None), None)
        return None if classes is None else classes + z.unsqueeze(1)
