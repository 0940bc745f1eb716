"""The hypernetwork for tables: any number of rows, columns and classes, in one forward pass."""

from collections.abc import Mapping
from functools import cache
from math import log
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.anchors.ridge_path import ridge_path
from netwright.architectures.table_net import Squash, TableNet, bump
from netwright.attention import SetBlock
from netwright.child import Child
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError
from netwright.generated import GeneratedNetwork, Provenance, condition_digest, weights_digest
from netwright.tabular.statistics import STATISTICS, column_statistics
from netwright.writer import Writer

# Inverse temperatures at which predictions for rows left out are judged.
_TEMPERATURES = (1.0, 1.5, 2.2, 3.3, 5.0, 7.5, 11.0, 17.0)
# Penalties that each branch starts from; features have a mean squared length of 1.
_PENALTIES = (0.02, 0.15, 1.0, 8.0)
_PER_TASK = 5
_RANK = 8
# Numbers that tell the units of a branch apart.
_MARKS = 32


class TableWriter(Writer):
    """Writes a `TableNet` from labelled rows.

    Columns are tokens: each is described by what it has to do with the classes and with other columns, and
    attends to the others. From its token comes how large a part it plays in each of the M branches of the hidden
    layer, whose directions are fixed random numbers, scaled by column, plus a correction of low rank. The head is
    solved in closed form per branch, for several penalties, and judged by what it says of rows left out; how
    these solutions are mixed and how sure the answer is, is learned. All of it is one pass, and differentiable.

    Nothing depends on the order of rows, nor on how classes are numbered or how many there are; columns are read
    in the order of what they have to do with the classes.

    Args:
        size: E, the width of a token.
        hidden: Hidden units per branch.
        depth: Number of attention blocks over columns.

    References:
        Rahimi and Recht, Random features for large-scale kernel machines, NeurIPS 2007.
        Mueller et al., MotherNet, arXiv:2312.08598 (networks for tables in one pass).
    """

    BRANCHES = 3

    def __init__(self, *, size: int = 64, hidden: int = 96, depth: int = 2) -> None:
        super().__init__()
        self.size, self.width, self.depth = size, hidden, depth
        # Of its own numbers none is ever used: not to be trained, saved or counted.
        self.__dict__["child"] = Child(
            TableNet(columns=4, hidden=hidden * self.BRANCHES, ramps=hidden, classes=2),
            free_features=True,
        )
        self.squash = Squash()
        self.read = nn.Sequential(nn.Linear(STATISTICS, size), nn.GELU(), nn.Linear(size, size))
        self.read_task = nn.Linear(_PER_TASK, size)
        self.blocks = nn.ModuleList(SetBlock(size) for _ in range(depth))
        self.norm = nn.LayerNorm(size)
        # Per branch: log scale of a column before the hidden layer and beside it, and one side of the correction.
        self.to_columns = _quiet(nn.Linear(size, self.BRANCHES * (2 + _RANK)))
        self.directions = nn.Parameter(torch.randn(self.BRANCHES, _RANK, _MARKS) * _MARKS**-0.5)
        # Per branch: share of the hidden layer, size of its inputs, offset, sharpness, penalties.
        self.to_branch = _quiet(nn.Linear(size, self.BRANCHES * (4 + len(_PENALTIES))))
        judged = len(_TEMPERATURES) + 3
        self.judge = nn.Sequential(
            nn.Linear(judged + size, size), nn.GELU(), _quiet(nn.Linear(size, 1))
        )
        self.trust = nn.Parameter(torch.tensor(log(0.1)))
        self.temper = nn.Sequential(
            nn.Linear(len(_TEMPERATURES) + 2 + size, size), nn.GELU(), _quiet(nn.Linear(size, 2))
        )
        self.register_buffer("start", torch.tensor([log(p) for p in _PENALTIES]), persistent=False)
        self.start: Tensor

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        return {"writer": "table", "size": self.size, "hidden": self.width, "depth": self.depth}

    def of_width(self, hidden: int) -> "TableWriter":
        """The same hypernetwork, with the same learned numbers, writing children of other widths."""
        other = TableWriter(size=self.size, hidden=hidden, depth=self.depth)
        other.to(self.trust).load_state_dict(self.state_dict())
        other.run_digest = self.run_digest
        return other

    def network_of(
        self,
        params: dict[str, Tensor],
        condition: Condition,
        *,
        labels: tuple[str, ...] = (),
        preparation: Mapping[str, Any] | None = None,
    ) -> GeneratedNetwork:
        """Params of one task, T = 1, as a network that knows where it comes from.

        Args:
            params: Each [1, *shape].
            condition: What they were written from.
            labels: Names of the classes.
            preparation: How raw rows become inputs.
        """
        classes, both = params["head.weight"].shape[1:]
        columns = params["hidden.weight"].shape[2]
        architecture = TableNet(
            columns=columns, hidden=both - columns, ramps=self.width, classes=classes
        )
        provenance = Provenance(
            hypernetwork=weights_digest(self),
            condition=condition_digest(condition),
            space=self.child.space.digest,
            run=self.run_digest,
        )
        return GeneratedNetwork(
            self.child.materialise(params).eval(),
            provenance=provenance,
            input_shape=(columns,),
            architecture=architecture,
            labels=labels,
            preparation=preparation,
        )

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Params of a `TableNet`, each [T, *shape], from rows x [T, S, D] and classes y [T, S].

        Raises:
            ConditionError: If there are no examples with classes.
        """
        examples = _labelled(condition)
        weight = examples.has_label.to(examples.x.dtype)
        real = weight.unsqueeze(-1)
        classes = examples.classes or 0
        y = F.one_hot(examples.y.masked_fill(~examples.has_label, 0), classes).to(real) * real
        rows = weight.sum(dim=1).clamp(min=1)
        x = self.squash(examples.cleared().x)
        mean = (x * real).sum(dim=1) / rows[:, None]
        spread = ((x - mean.unsqueeze(1)).square() * real).sum(dim=1).div(rows[:, None]).sqrt()
        inverse = torch.where(spread > 1e-3, 1 / spread.clamp(min=1e-3), torch.zeros_like(spread))
        x = (x - mean.unsqueeze(1)) * inverse.unsqueeze(1)
        statistics = column_statistics(x, y, weight)
        # Which random numbers a column is given follows from its part, not from its place.
        order = statistics[..., 0].argsort(dim=1, descending=True, stable=True)
        x = x.gather(2, order.unsqueeze(1).expand_as(x))
        statistics = statistics.gather(1, order.unsqueeze(2).expand_as(statistics))
        tokens, z = self._read(statistics, y, rows)
        bodies = self._bodies(tokens, z, statistics, x * real, rows)
        heads = self._heads(bodies, x, y, real, rows, z)
        back = order.argsort(dim=1)
        return _assembled(bodies, heads, back, mean, inverse)

    def _read(self, statistics: Tensor, y: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Column tokens [T, D, E] and one of the task [T, E]."""
        share = y.sum(dim=1) / rows[:, None]
        entropy = -(share * share.clamp(min=1e-9).log()).sum(dim=1)
        columns = torch.full_like(rows, float(statistics.shape[1]))
        present = (share > 0).sum(dim=1).to(rows)
        of_task = torch.stack(
            [
                rows.log() / 2 - 2,
                columns.log() / 2 - 1,
                present.clamp(min=1).log(),
                entropy,
                (columns / rows).log() / 2,
            ],
            dim=-1,
        )
        task = self.read_task(of_task)
        tokens = self.read(statistics) + task.unsqueeze(1)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return tokens, tokens.mean(dim=1) + task

    def _bodies(
        self, tokens: Tensor, z: Tensor, statistics: Tensor, x: Tensor, rows: Tensor
    ) -> list["_Body"]:
        columns, count = tokens.shape[1], rows[:, None]
        per_column = self.to_columns(tokens).unflatten(-1, (self.BRANCHES, -1)).unbind(2)
        per_branch = self.to_branch(z).unflatten(-1, (self.BRANCHES, -1)).unbind(1)
        # The part that a column alone plays, as a start: all columns alike, by part, and few at a time.
        part = 0.5 * (statistics[..., 0] + 0.5 * statistics[..., 4] + 0.01).log()
        bodies = []
        for m, (own, whole) in enumerate(zip(per_column, per_branch, strict=True)):
            size = own[..., 0] + (part if m else 0 * part)
            drawn, offsets, luck, marks = (
                torch.from_numpy(a).to(x) for a in _random_numbers(m, self.width, columns)
            )
            if m == 2:
                sharp = (whole[:, 1:2] + 0.7).exp()
                chosen = torch.softmax(sharp.unsqueeze(1) * (size.unsqueeze(1) + luck), dim=-1)
                rows = drawn * chosen
            else:
                scale = torch.exp(size - size.amax(dim=1, keepdim=True))
                rows = drawn * scale.unsqueeze(1)
            low = torch.einsum("tdr,rh->thd", own[..., 2:], self.directions[m] @ marks)
            rows = F.normalize(rows, dim=-1)
            rows = F.normalize(rows + low * rows.abs().amax(dim=-1, keepdim=True), dim=-1)
            rows = rows * (whole[:, 0:1] + 0.4).exp().unsqueeze(-1)
            inside = x @ rows.transpose(1, 2)
            spread = (inside.square().sum(dim=1) / count).clamp(min=1e-6).sqrt()
            offset = spread * offsets * (whole[:, 2:3]).exp()
            beside = torch.exp(own[..., 1] - own[..., 1].amax(dim=1, keepdim=True))
            beside = beside * torch.exp(0.5 * part - (0.5 * part).amax(dim=1, keepdim=True))
            penalties = (self.start + whole[:, 4:]).clamp(log(3e-3), log(100.0)).exp()
            share = torch.sigmoid(whole[:, 3:4] + (1.0 if m else 0.0))
            bodies.append(_Body(rows, offset, beside, share, penalties, is_relu=m == 0))
        return bodies

    def _heads(
        self,
        bodies: list["_Body"],
        x: Tensor,
        y: Tensor,
        real: Tensor,
        rows: Tensor,
        z: Tensor,
    ) -> "_Heads":
        """Solutions of all branches, mixed."""
        classes = y.shape[2]
        target = y - real / classes
        solutions, unseen, logits = [], [], []
        label = y.argmax(dim=2)
        weight = real.squeeze(-1) / rows[:, None]
        for m, body in enumerate(bodies):
            features, gain = body.features(x, real)
            weights, loo = ridge_path(features, target, body.penalties)
            judged = _judged(loo, label, weight)
            flags = z.new_zeros(len(z), loo.shape[1], 1) + (m - 1)
            told = torch.cat(
                [judged / log(max(classes, 2)), flags, body.penalties.log().unsqueeze(-1) / 3,
                 z.unsqueeze(1).expand(-1, loo.shape[1], -1)], dim=-1,
            )  # fmt: skip
            trust = self.trust.exp() * rows[:, None]
            own = self.judge(told).squeeze(-1) - trust * judged[..., :-1].amin(dim=-1)
            logits.append(own)
            solutions.append(weights * gain[:, None, :, None])
            unseen.append(loo)
        mix = torch.softmax(torch.cat(logits, dim=1), dim=1)
        loo = torch.einsum("tk,tksc->tsc", mix, torch.cat(unseen, dim=1))
        parts = mix.split([s.shape[1] for s in solutions], dim=1)
        mixed = [torch.einsum("tk,tkfc->tfc", p, s) for p, s in zip(parts, solutions, strict=True)]
        judged = _judged(loo.unsqueeze(1), label, weight).squeeze(1)
        found = torch.softmax(-0.3 * rows[:, None] * judged[:, :-1], dim=1)
        grid = torch.tensor(_TEMPERATURES, dtype=z.dtype, device=z.device).log()
        told = torch.cat([judged / log(max(classes, 2)), (found @ grid).unsqueeze(1), z], dim=-1)
        change = self.temper(told)
        sharpness = ((found @ grid) + change[:, 0]).exp()
        prior = ((y.sum(dim=1) + 0.5) / (rows[:, None] + 0.5 * classes)).log()
        return _Heads([w * sharpness[:, None, None] for w in mixed], change[:, 1:2] * prior)


class _Body:
    """One branch: hidden rows [T, H, D], offsets [T, H], scales of columns beside it [T, D], and how it is solved."""

    def __init__(
        self,
        rows: Tensor,
        offset: Tensor,
        beside: Tensor,
        share: Tensor,
        penalties: Tensor,
        *,
        is_relu: bool,
    ) -> None:
        self.rows, self.offset, self.beside = rows, offset, beside
        self.share, self.penalties, self.is_relu = share, penalties, is_relu

    def features(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Features [T, S, D + H + 1], of a mean squared length of 2, and by what each was multiplied [T, D + H + 1]."""
        inside = x @ self.rows.transpose(1, 2) + self.offset.unsqueeze(1)
        hidden = torch.relu(inside) if self.is_relu else bump(inside)
        count = real.sum(dim=1)
        lengths = [
            ((v.square()).sum(dim=2, keepdim=True) * real).sum(dim=1) / count.clamp(min=1)
            for v in (x * self.beside.unsqueeze(1), hidden)
        ]
        one = (1 - self.share) / lengths[0].clamp(min=1e-6)
        two = self.share / lengths[1].clamp(min=1e-6)
        gain = torch.cat(
            [self.beside * one.sqrt(), two.sqrt().expand_as(self.offset), torch.ones_like(one)],
            dim=1,
        )
        whole = torch.cat([x, hidden, torch.ones_like(x[..., :1])], dim=2)
        return whole * gain.unsqueeze(1) * real, gain


class _Heads:
    """Weights [T, D + H + 1, C] of each branch, and what is added to all classes' logits [T, C]."""

    def __init__(self, weights: list[Tensor], bias: Tensor) -> None:
        self.weights, self.bias = weights, bias


def _assembled(
    bodies: list[_Body], heads: _Heads, back: Tensor, mean: Tensor, inverse: Tensor
) -> dict[str, Tensor]:
    """The child's own tensors: columns in their places, standardisation folded in."""
    columns = mean.shape[1]
    place = back.unsqueeze(1)
    rows = torch.cat([body.rows for body in bodies], dim=1)
    rows = rows.gather(2, place.expand(-1, rows.shape[1], -1)) * inverse.unsqueeze(1)
    offset = torch.cat([body.offset for body in bodies], dim=1)
    offset = offset - torch.einsum("thd,td->th", rows, mean)
    linear = torch.stack([w[:, :columns] for w in heads.weights]).sum(dim=0).transpose(1, 2)
    linear = linear.gather(2, place.expand(-1, linear.shape[1], -1)) * inverse.unsqueeze(1)
    hidden = torch.cat([w[:, columns:-1] for w in heads.weights], dim=1).transpose(1, 2)
    bias = torch.stack([w[:, -1] for w in heads.weights]).sum(dim=0) + heads.bias
    bias = bias - torch.einsum("tcd,td->tc", linear, mean)
    return {
        "hidden.weight": rows,
        "hidden.bias": offset,
        "head.weight": torch.cat([linear, hidden], dim=2),
        "head.bias": bias,
    }


def _judged(loo: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Log loss at each temperature, and accuracy, of predictions [T, K, S, C] for rows left out: [T, K, 9]."""
    index = label[:, None, :, None].expand(-1, loo.shape[1], -1, 1)
    own = loo.gather(3, index).squeeze(-1)
    losses = [
        ((torch.logsumexp(t * loo, dim=3) - t * own) * weight.unsqueeze(1)).sum(dim=2)
        for t in _TEMPERATURES
    ]
    hits = ((loo.argmax(dim=3) == label.unsqueeze(1)) * weight.unsqueeze(1)).sum(dim=2)
    return torch.stack([*losses, hits], dim=-1)


@cache
def _random_numbers(branch: int, hidden: int, columns: int) -> tuple[np.ndarray, ...]:
    """Directions [H, D], offsets [H], luck [H, D] and marks [M, H].

    Those for fewer columns or units are the first of those for more.
    """
    drawn = np.stack(
        [np.random.default_rng([branch, 0, d]).standard_normal(hidden) for d in range(columns)],
        axis=1,
    )
    luck = np.stack(
        [np.random.default_rng([branch, 1, d]).gumbel(size=hidden) for d in range(columns)], axis=1
    )
    offsets = np.random.default_rng([branch, 2]).standard_normal(hidden)
    marks = np.random.default_rng([branch, 3]).standard_normal((hidden, _MARKS)).T
    return tuple(a.astype(np.float32) for a in (drawn, offsets, luck, marks))


def _quiet(linear: nn.Linear) -> nn.Linear:
    """Nearly zero outputs at the start: the classical answer."""
    with torch.no_grad():
        linear.weight.mul_(0.05)
        linear.bias.zero_()
    return linear


def _labelled(condition: Condition) -> ExampleSet:
    examples = condition.examples
    if examples is None or examples.classes is None:
        raise ConditionError(
            f"The condition has {sorted(condition.present())}, expected rows with classes. Give "
            "`Condition(ExampleSet.of(x, y))` with y of whole numbers."
        )
    return examples


__all__ = ["TableWriter"]
