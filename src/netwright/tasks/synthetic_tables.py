"""Made-up tables, as many and as different as anyone's: what the hypernetwork for tables learns from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.conditions import Condition, ExampleSet
from netwright.errors import DataError
from netwright.tasks.base import SPLITS, Split, TaskBatch, TaskFamily, TaskShape, check_split
from netwright.tasks.mechanisms import Mechanisms, standardised

# As in `ColumnEncoder`: numbers beyond this many spreads are as extreme as it gets.
_CLIP = 8.0
_SPREADS_BETWEEN_TENTHS = 2.563


class SyntheticTables(TaskFamily):
    """Tables of labelled rows from random mechanisms, encoded as a real table would be.

    Columns come from independent noise, shared causes, clusters or a random causal network; classes from linear,
    additive, tree, network and nearest-place scores of some of the columns, or from nodes of the causal network. Then
    columns are warped, rounded, cut into levels and categories, copied, hidden here and there; labels are noisy and
    classes unequal. All tables of a batch have the same numbers of rows, columns and classes, drawn anew per batch.

    Args:
        rows: Fewest and most support rows, drawn on a logarithmic scale.
        columns: Fewest and most columns before categories are spread out, on a logarithmic scale.
        classes: Most classes.
        queries: Query rows per table.
        device: Where tables are drawn. Another device draws other tables.

    Raises:
        DataError: If a range is empty or a size is too small.

    References:
        Mueller et al., Transformers Can Do Bayesian Inference, arXiv:2112.10510 (priors of tables).
        Hollmann et al., TabPFN, arXiv:2207.01848 (structural causal models as a prior).
    """

    def __init__(
        self,
        *,
        rows: Sequence[int] = (16, 640),
        columns: Sequence[int] = (2, 48),
        classes: int = 10,
        queries: int = 96,
        device: str = "cpu",
    ) -> None:
        for name, (low, high), least in (("rows", rows, 4), ("columns", columns, 1)):
            if not least <= low <= high:
                raise DataError(
                    f"`{name}` is {[low, high]}, expected two whole numbers of at least {least}, the lower first."
                )
        if classes < 2 or queries < 1:
            raise DataError(
                f"`classes` is {classes} and `queries` {queries}, expected at least 2 and at least 1."
            )
        self.rows, self.columns = tuple(rows), tuple(columns)
        self.classes, self.queries, self.device = classes, queries, device
        self.shape = TaskShape((None,), classes, "exchangeable-classes")

    def members(self, split: Split) -> tuple[str, ...]:
        """Streams of random numbers that tables of the split are made of: one per split."""
        check_split(split)
        return (f"synthetic/{split}",)

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        options = {
            "rows": list(self.rows),
            "columns": list(self.columns),
            "classes": self.classes,
            "queries": self.queries,
        }
        return options if self.device == "cpu" else {**options, "device": self.device}

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tables."""
        check_split(split)
        # The same numbers must not be drawn in two splits, whatever stream they are drawn from.
        seed = int(rng.integers(2**60)) * len(SPLITS) + SPLITS.index(split)
        source = torch.Generator(self.device).manual_seed(seed)
        support = _between(source, *self.rows)
        columns = _between(source, *self.columns)
        draws = Mechanisms(tasks, support + self.queries, source)
        # Mostly few, as of real tables.
        classes = 2
        if not draws.chance(0.5):
            classes = draws.integer(2, draws.integer(min(3, self.classes), self.classes))
        classes = min(classes, max(2, support // 4))
        x, y = _table(draws, columns, classes, support)
        x = x.clamp(-_CLIP, _CLIP)
        seen = F.one_hot(y[:, :support], classes).sum(dim=1) > 0
        query = ExampleSet.of(
            x[:, support:], y[:, support:], classes=classes, labelled=seen.gather(1, y[:, support:])
        )
        condition = Condition(
            examples=ExampleSet.of(x[:, :support], y[:, :support], classes=classes)
        )
        return TaskBatch(condition, query)


def _between(source: torch.Generator, low: int, high: int) -> int:
    share = float(torch.rand((), generator=source, device=source.device))
    return round(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))


def _table(m: Mechanisms, columns: int, classes: int, support: int) -> tuple[Tensor, Tensor]:
    """Encoded columns [T, N, D] and classes [T, N]."""
    ordered = m.chance(0.25)
    outputs = 1 if ordered else classes
    kind = m.integer(0, 5)
    scores: Tensor | None = None
    if kind <= 1:
        latent, scores = m.causal(columns, outputs)
    else:
        latent = {2: m.noise, 3: m.clusters}.get(kind, m.factors)(columns)
    latent = standardised(latent)
    shown, blocks = _observed(m, latent, support)
    if scores is None or m.chance(0.4):
        seen = standardised(shown if m.chance(0.75) else latent)
        scores = _scores(m, seen, outputs)
    y = _classes(m, standardised(scores), classes, ordered)
    return torch.cat(blocks, dim=2), y


def _scores(m: Mechanisms, x: Tensor, outputs: int) -> Tensor:
    """What classes are decided by: one mechanism or a mixture of two, of some of the columns."""
    relevance = (m.normal(x.shape[2]) * m.uniform(1, high=2.0)).exp()
    keep = m.uniform(x.shape[2]) < m.uniform(1, low=0.25, high=1.0)
    keep[:, m.integer(0, x.shape[2] - 1)] = True
    relevance = relevance * keep
    relevance = relevance / relevance.square().sum(dim=1, keepdim=True).sqrt()
    scaled = x * relevance.unsqueeze(1)

    def one() -> Tensor:
        kind = m.integer(0, 9)
        if kind <= 3:
            return m.trees(x, outputs, relevance)
        if kind == 4:
            return m.linear(scaled, outputs)
        if kind == 5:
            return m.additive(scaled, outputs)
        if kind == 6:
            return m.neighbours(x * relevance.unsqueeze(1) * 1.5, outputs)
        return m.network(scaled * 1.5, outputs)

    scores = standardised(one())
    return scores + m.uniform(1, 1) * standardised(one()) if m.chance(0.4) else scores


def _classes(m: Mechanisms, scores: Tensor, classes: int, ordered: bool) -> Tensor:
    """Classes [T, N] from scores [T, N, C], or cut from one score [T, N, 1]."""
    # A third of the tables obey their rule without exception, as records and games do.
    noise = m.log_uniform(0.005, 0.6, 1, 1) * (m.uniform(1, 1) > 0.35)
    unequal = m.uniform(1, high=1.3)
    if not ordered:
        gumbel = -(-m.uniform(m.rows, classes, low=1e-6, high=1 - 1e-6).log()).log()
        bias = m.normal(classes) * unequal
        return (scores + noise * gumbel + bias.unsqueeze(1)).argmax(dim=2)
    noisy = (scores + noise * m.normal(m.rows, 1)).squeeze(2)
    shares = (m.normal(classes) * unequal).exp().cumsum(dim=1)
    at = (shares / shares[:, -1:])[:, :-1] * (m.rows - 1)
    cuts = noisy.sort(dim=1).values.gather(1, at.long())
    level = torch.searchsorted(cuts.contiguous(), noisy.contiguous())
    names = m.uniform(classes).argsort(dim=1)
    return names.gather(1, level)


def _observed(m: Mechanisms, latent: Tensor, support: int) -> tuple[Tensor, list[Tensor]]:
    """What of the latent columns is seen [T, N, D], and how it is encoded, in blocks of columns."""
    columns = latent.shape[2]
    mixed = m.chance(0.55)
    share = 1.0 if m.chance(0.25) else 0.7 * float(m.uniform(1)[0, 0])
    missing = m.chance(0.2)
    shown: list[Tensor] = []
    blocks: list[Tensor] = []
    for d in range(columns):
        values = latent[..., d]
        if d and m.chance(0.04):
            values = latent[..., d - 1] + 0.1 * m.normal(m.rows)
        discrete = mixed and m.chance(share)
        if discrete:
            levels = 2 if m.chance(0.4) else m.integer(3, 8)
            cuts = m.normal(levels - 1).sort(dim=1).values
            level = torch.searchsorted(cuts.contiguous(), values.contiguous())
            if levels == 2 or m.chance(0.4):
                seen = level.to(values)
                block = _scaled(seen, support)
            else:
                seen = m.normal(levels).gather(1, level)
                block = F.one_hot(level, levels).to(values)
        else:
            seen = values
            block = _scaled(_warped(m, values), support)
        shown.append(seen)
        block = block if block.dim() == 3 else block.unsqueeze(2)
        if missing and m.chance(0.3):
            hidden = m.uniform(m.rows) < m.uniform(1, high=0.4)
            block = block.masked_fill(hidden.unsqueeze(2), 0)
            if not discrete:
                block = torch.cat([block, hidden.to(block).unsqueeze(2)], dim=2)
        blocks.append(block)
    return torch.stack(shown, dim=2), blocks


def _warped(m: Mechanisms, values: Tensor) -> Tensor:
    """As instruments and accountants leave numbers: powers, exponentials, roundings."""
    kind = m.integer(0, 9)
    if kind <= 3:
        return values
    if kind <= 5:
        power = (0.5 * m.normal(1)).exp()
        return values.sign() * values.abs().pow(power)
    if kind == 6:
        return (values * m.uniform(1, low=0.3, high=1.5)).exp()
    if kind == 7:
        return values.sigmoid().logit(0.02)
    step = m.uniform(1, low=0.2, high=1.0)
    return (values / step).round() * step


def _scaled(values: Tensor, support: int) -> Tensor:
    """Centred by the median and scaled by tenths of support rows [T, N]."""
    known = values[:, :support]
    tenths = torch.tensor([0.1, 0.5, 0.9], dtype=values.dtype, device=values.device)
    low, centre, high = known.quantile(tenths, dim=1).unsqueeze(2)
    scale = (high - low) / _SPREADS_BETWEEN_TENTHS
    scale = torch.where(scale > 1e-6, scale, known.std(dim=1, keepdim=True).clamp(min=1e-6))
    scaled: Tensor = (values - centre) / scale
    return scaled


__all__ = ["SyntheticTables"]
