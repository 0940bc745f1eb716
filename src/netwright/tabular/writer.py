"""The hypernetwork for tables: any number of rows, columns and classes, in one forward pass."""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.anchors.ridge_path import ridge_path
from netwright.architectures.table_net import Squash, TableNet
from netwright.attention import SetBlock
from netwright.child import Child
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.generated import GeneratedNetwork, Provenance, condition_digest, weights_digest
from netwright.tabular.branch import Branch, Fixed, fixed_numbers
from netwright.tabular.judging import TEMPERATURES, judged
from netwright.tabular.statistics import FOURTH, STATISTICS, column_statistics
from netwright.tabular.values import QUANTILES, levels_of, value_heads
from netwright.writer import Writer

# Penalties that each branch starts from; features have a mean squared length of 1.
_PENALTIES = (0.02, 0.15, 1.0, 8.0)
_PER_TASK = 5
# Logarithms of the least and the largest penalty.
_BOUNDS = (log(3e-3), log(100.0))


class TableWriter(Writer):
    """Writes a `TableNet` from labelled rows: of classes, or of values.

    Columns are tokens: each is described by what it has to do with the classes and with other columns, and
    attends to the others. From what is read of all of them come the settings of M branches of a hidden layer, whose
    directions are fixed random numbers, scaled by the part that each column plays by itself: how much that part
    counts, how many columns a unit reads, how sharply it bends, penalties. The head is solved in closed form
    per branch, for several penalties, and judged by what it says of rows left out; how these solutions are mixed and how
    sure the answer is, is learned. All of it is one pass, and differentiable.

    Sizes of single columns are not learned: measured, they fit made-up tables better and real ones worse. Columns that
    are nearly always the same, as pixels at the edge, are made light: scaling them to one spread blows them up.

    For values y [T, S, 1] the outputs are their mean and quantiles, see `netwright.tabular.values`; branches are the same,
    and nothing of the head is learned.

    Nothing depends on the order of rows, nor on how classes are numbered or how many there are; columns are read
    in the order of what they have to do with the classes.

    Args:
        size: E, the width of a token.
        hidden: Hidden units per branch.
        depth: Number of attention blocks over columns.
        branches: Whether settings of branches are `learned` or `fixed`, which leaves the judging to be learned.

    Raises:
        RunError: If `branches` is neither.

    References:
        Rahimi and Recht, Random features for large-scale kernel machines, NeurIPS 2007.
        Mueller et al., MotherNet, arXiv:2312.08598 (networks for tables in one pass).
    """

    BRANCHES = 3

    def __init__(
        self,
        *,
        size: int = 64,
        hidden: int = 96,
        depth: int = 2,
        branches: Literal["learned", "fixed"] = "learned",
    ) -> None:
        super().__init__()
        if branches not in ("learned", "fixed"):
            raise RunError(f"`branches` is {branches!r}, expected 'learned' or 'fixed'.")
        self.size, self.width, self.depth, self.branches = size, hidden, depth, branches
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
        # Per branch: size of what units read, how few columns they read, offsets, share of the hidden layer, how much
        # the parts of columns count before it and beside it, penalties.
        numbers = self.BRANCHES * (6 + len(_PENALTIES))
        self.to_branch = _quiet(nn.Linear(size, numbers)) if branches == "learned" else None
        judged = len(TEMPERATURES) + 3
        self.judge = nn.Sequential(
            nn.Linear(judged + size, size), nn.GELU(), _quiet(nn.Linear(size, 1))
        )
        self.trust = nn.Parameter(torch.tensor(log(0.1)))
        self.temper = nn.Sequential(
            nn.Linear(len(TEMPERATURES) + 2 + size, size), nn.GELU(), _quiet(nn.Linear(size, 2))
        )
        self.register_buffer("start", torch.tensor([log(p) for p in _PENALTIES]), persistent=False)
        self.start: Tensor

    def record(self) -> dict[str, Any]:
        """The JSON-able description."""
        return {
            "writer": "table",
            "size": self.size,
            "hidden": self.width,
            "depth": self.depth,
            "branches": self.branches,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], *, child: Child | None = None) -> "TableWriter":
        """An untrained one as described.

        Raises:
            RunError: If the record is of another kind of writer, or it is to write a child of the user's own.
        """
        options = dict(record)
        if options.pop("writer", None) != "table" or child is not None:
            raise RunError(
                "The record is of another kind of writer, expected one for tables, and no child of your own. Use "
                "`netwright.training.load_writer`."
            )
        return cls(**options)

    def of_width(self, hidden: int) -> "TableWriter":
        """The same hypernetwork, with the same learned numbers, writing children of other widths."""
        other = TableWriter(size=self.size, hidden=hidden, depth=self.depth, branches=self.branches)
        other.to(self.trust).load_state_dict(self.state_dict())
        other.run_digest, other.run_folder, other.run = self.run_digest, self.run_folder, self.run
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

    def forward(
        self, condition: Condition, *, levels: Sequence[float] = QUANTILES
    ) -> dict[str, Tensor]:
        """Params of a `TableNet`, each [T, *shape], from rows x [T, S, D] and classes y [T, S] or values y [T, S, 1].

        Args:
            condition: The rows.
            levels: For values, which quantiles follow the mean.

        Raises:
            ConditionError: If there are no examples with classes, or with one value each.
        """
        examples = _labelled(condition)
        weight = examples.has_label.to(examples.x.dtype)
        real = weight.unsqueeze(-1)
        rows = weight.sum(dim=1).clamp(min=1)
        x = self.squash(examples.cleared().x)
        mean = (x * real).sum(dim=1) / rows[:, None]
        spread = ((x - mean.unsqueeze(1)).square() * real).sum(dim=1).div(rows[:, None]).sqrt()
        inverse = torch.where(spread > 1e-3, 1 / spread.clamp(min=1e-3), torch.zeros_like(spread))
        x = (x - mean.unsqueeze(1)) * inverse.unsqueeze(1)
        values = None if examples.classes is not None else examples.cleared().y
        if values is None:
            classes = examples.classes or 0
            y = F.one_hot(examples.y.masked_fill(~examples.has_label, 0), classes).to(real) * real
        else:
            # What columns have to do with values is read from a few levels of these.
            y = levels_of(values, real)
        statistics = column_statistics(x, y, weight)
        # Which random numbers a column is given follows from its part, not from its place.
        order = statistics[..., 0].argsort(dim=1, descending=True, stable=True)
        x = x.gather(2, order.unsqueeze(1).expand_as(x))
        statistics = statistics.gather(1, order.unsqueeze(2).expand_as(statistics))
        z = self._read(statistics, y, rows)
        branches = self._branches(z, statistics, x * real, rows)
        if values is None:
            heads = self._heads(branches, x, y, real, z)
        else:
            heads = value_heads(branches, x, values, real, levels, self.trust.exp())
        return _assembled(branches, heads, order.argsort(dim=1), mean, inverse)

    def _read(self, statistics: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        """What the table is like, [T, E], from what its columns are like."""
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
        z: Tensor = self.norm(tokens).mean(dim=1) + task
        return z

    def _branches(self, z: Tensor, statistics: Tensor, x: Tensor, count: Tensor) -> list[Branch]:
        """The M branches, from z [T, E], for standardised columns x [T, S, D] of `count` [T] real rows."""
        # Of a column that is nearly always the same, what its size would be had all columns their own units.
        light = -0.5 * ((statistics[..., FOURTH] + 1.4).expm1() / 3).clamp(min=1).log()
        # The part that a column plays by itself.
        part = 0.5 * (statistics[..., 0] + 0.5 * statistics[..., 4] + 0.01).log() + light
        branches = []
        numbers = 6 + len(_PENALTIES)
        chosen = (
            z.new_zeros(len(z), self.BRANCHES * numbers)
            if self.to_branch is None
            else self.to_branch(z)
        )
        settings = chosen.unflatten(-1, (self.BRANCHES, numbers)).unbind(1)
        for m, own in enumerate(settings):
            fixed = fixed_numbers(m, self.width, x.shape[2], x)
            rows = _directions(m, own, part, light, fixed)
            spread = ((x @ rows.transpose(1, 2)).square().sum(dim=1) / count[:, None]).clamp(
                min=1e-6
            )
            branches.append(
                Branch(
                    rows=rows,
                    offsets=spread.sqrt() * fixed.offsets * own[:, 2:3].exp(),
                    beside=_up_to_one(0.5 * part * own[:, 5:6].exp()),
                    share=torch.sigmoid(own[:, 3:4] + (1.0 if m else 0.0)),
                    penalties=(self.start + own[:, 6:]).clamp(*_BOUNDS).exp(),
                    is_ramps=m == 0,
                )
            )
        return branches

    def _heads(
        self, branches: list[Branch], x: Tensor, y: Tensor, real: Tensor, z: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Weights [T, D + H + 1, C] of each branch, all solutions mixed, and a bias [T, C]."""
        classes, count = y.shape[2], real.sum(dim=(1, 2)).clamp(min=1)[:, None]
        label, weight = y.argmax(dim=2), real.squeeze(-1) / count
        solutions, unseen, preferred = [], [], []
        for m, branch in enumerate(branches):
            features, gain = branch.features(x, real)
            weights, loo = ridge_path(features, y - real / classes, branch.penalties)
            found = judged(loo, label, weight)
            told = torch.cat(
                [
                    found / log(max(classes, 2)),
                    torch.full_like(found[..., :1], m - 1),
                    branch.penalties.log().unsqueeze(-1) / 3,
                    z.unsqueeze(1).expand(-1, loo.shape[1], -1),
                ],
                dim=-1,
            )
            best = found[..., :-1].amin(dim=-1)
            preferred.append(self.judge(told).squeeze(-1) - self.trust.exp() * count * best)
            solutions.append(weights * gain[:, None, :, None])
            unseen.append(loo)
        mix = torch.softmax(torch.cat(preferred, dim=1), dim=1)
        parts = mix.split(len(_PENALTIES), dim=1)
        mixed = [torch.einsum("tk,tkfc->tfc", p, s) for p, s in zip(parts, solutions, strict=True)]
        loo = torch.einsum("tk,tksc->tsc", mix, torch.cat(unseen, dim=1))
        found = judged(loo.unsqueeze(1), label, weight).squeeze(1)
        sharpness, towards_prior = self._tempered(found, classes, count, z)
        prior = ((y.sum(dim=1) + 0.5) / (count + 0.5 * classes)).log()
        return [w * sharpness.unsqueeze(-1) for w in mixed], towards_prior * prior

    def _tempered(
        self, found: Tensor, classes: int, count: Tensor, z: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Inverse temperature [T, 1], and how far frequent classes are favoured [T, 1]."""
        likely = torch.softmax(-0.3 * count * found[:, :-1], dim=1)
        grid = torch.tensor(TEMPERATURES, dtype=z.dtype, device=z.device).log()
        start = (likely @ grid).unsqueeze(1)
        change = self.temper(torch.cat([found / log(max(classes, 2)), start, z], dim=-1))
        return (start + change[:, :1]).exp(), change[:, 1:2]


def _assembled(
    branches: list[Branch],
    heads: tuple[list[Tensor], Tensor],
    back: Tensor,
    mean: Tensor,
    inverse: Tensor,
) -> dict[str, Tensor]:
    """The child's own tensors: columns in their places, standardisation folded in."""
    weights, bias = heads
    columns, place = mean.shape[1], back.unsqueeze(1)
    rows = torch.cat([branch.rows for branch in branches], dim=1)
    rows = rows.gather(2, place.expand(-1, rows.shape[1], -1)) * inverse.unsqueeze(1)
    offsets = torch.cat([branch.offsets for branch in branches], dim=1)
    beside = torch.stack([w[:, :columns] for w in weights]).sum(dim=0).transpose(1, 2)
    beside = beside.gather(2, place.expand(-1, beside.shape[1], -1)) * inverse.unsqueeze(1)
    hidden = torch.cat([w[:, columns:-1] for w in weights], dim=1).transpose(1, 2)
    bias = torch.stack([w[:, -1] for w in weights]).sum(dim=0) + bias
    return {
        "hidden.weight": rows,
        "hidden.bias": offsets - torch.einsum("thd,td->th", rows, mean),
        "head.weight": torch.cat([beside, hidden], dim=2),
        "head.bias": bias - torch.einsum("tcd,td->tc", beside, mean),
    }


def _directions(branch: int, own: Tensor, part: Tensor, light: Tensor, fixed: Fixed) -> Tensor:
    """Rows [T, H, D] of a branch: of all columns alike, of columns by their part [T, D], or of few columns each.

    Alike but for columns that are made light, [T, D].
    """
    size = part * own[:, 4:5].exp() if branch else light + part * own[:, 4:5]
    if branch == 2:
        sharpness = (own[:, 1:2] + 0.7).exp().unsqueeze(1)
        rows = fixed.directions * torch.softmax(
            sharpness * (size.unsqueeze(1) + fixed.luck), dim=-1
        )
    else:
        rows = fixed.directions * _up_to_one(size).unsqueeze(1)
    return F.normalize(rows, dim=-1) * (own[:, 0:1] + 0.4).exp().unsqueeze(-1)


def _up_to_one(logarithms: Tensor) -> Tensor:
    """Sizes of columns [T, D], the largest of which is 1."""
    return torch.exp(logarithms - logarithms.amax(dim=1, keepdim=True))


def _quiet(linear: nn.Linear) -> nn.Linear:
    """Nearly zero outputs at the start: the classical answer."""
    with torch.no_grad():
        linear.weight.mul_(0.05)
        linear.bias.zero_()
    return linear


def _labelled(condition: Condition) -> ExampleSet:
    examples = condition.examples
    is_values = examples is not None and examples.y.dim() == 3 and examples.y.shape[2] == 1
    if examples is None or (examples.classes is None and not is_values):
        raise ConditionError(
            f"The condition has {sorted(condition.present())}, expected rows with classes, or with one value each. "
            "Give `Condition(ExampleSet.of(x, y))` with y of whole numbers [T, S], or of values [T, S, 1]."
        )
    return examples


__all__ = ["TableWriter"]
