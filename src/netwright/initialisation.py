"""What a new hypernetwork writes, beside what the child's own initialisation gives."""

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor, nn

from netwright.child import Child
from netwright.space import initialise

# Outside of these, training starts from a badly initialised child.
BOUNDS = (0.5, 2.0)
MOST_DEAD = 0.5
# Tasks whose weights are formed to be measured.
_FORMED = 4
# The variance of fewer numbers than these says nothing about how they were drawn.
_FEWEST = 32
# Children initialised afresh that one with a start of its own is compared with: outputs of a single one are 0.5 to 1.5 times their mean.
_DRAWS = 8


@dataclass(frozen=True)
class TensorCheck:
    """One tensor of the child at step 0.

    Args:
        name: Its path in the child.
        size: How many numbers are written per task.
        formed: How many the tensor holds that they make: more, where a shared base is corrected.
        variance: Variance of the tensor that they make, over that of the child's own initialisation (or of its
            pretrained values); None for constants, which have none.
        dead: Share of its rows (output units) that no gradient reaches, over tasks.
        judged: Whether the variance has to be near 1; rows of classes come from an anchor, the variance of a
            few numbers is chance, and a generator may begin a layer otherwise on purpose.
        of_classes: Whether it has a row per class.
        usual_dead: As `dead`, the mean of children that start by their own initialisation; 0 where the start is one of these.
    """

    name: str
    size: int
    formed: int
    variance: float | None
    dead: float
    judged: bool = True
    of_classes: bool = False
    usual_dead: float = 0.0


@dataclass(frozen=True)
class Initialisation:
    """How a hypernetwork starts.

    Args:
        tensors: What is written per task.
        output: Standard deviation of the children's outputs, over that of the child as initialised (the mean of several,
            where theta_0 is not this one).
        unreached: Trainable parameters of the hypernetwork that nothing written depends on: shown, and no
            problem of the start.
    """

    tensors: tuple[TensorCheck, ...]
    output: float
    unreached: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is out of bounds, a line each; empty if nothing is."""
        low, high = BOUNDS
        found = [
            f"`{t.name}` starts with {t.variance:.2g} times the variance of the child's own "
            f"initialisation, expected {low} to {high}"
            for t in self.tensors
            if t.judged and t.variance is not None and not low <= t.variance <= high
        ]
        found += [
            f"{t.dead:.0%} of the rows of `{t.name}` have no gradient"
            for t in self.tensors
            if t.dead > max(MOST_DEAD, high * t.usual_dead)
        ]
        if not any(t.of_classes for t in self.tensors) and not low <= self.output <= high:
            found.append(
                f"outputs start with {self.output:.2g} times the spread of the child's own, expected "
                f"{low} to {high}"
            )
        return tuple(found)

    def __str__(self) -> str:
        """A table."""
        rows = [("tensor", "numbers", "variance", "without gradient")]
        rows += [
            (
                t.name,
                f"{t.size:,}",
                "" if t.variance is None else f"{t.variance:.2f}",
                f"{t.dead:.0%}",
            )
            for t in self.tensors
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        ]  # fmt: skip
        lines.append(f"outputs: {self.output:.2f} times the spread of the child's own")
        lines += [f"! {problem}" for problem in self.problems]
        # No problem by itself: generators that read the global token leave what marks the others alone.
        lines += [
            f"- nothing that is written depends on `{name}` of the hypernetwork"
            for name in self.unreached
        ]
        return "\n".join(lines)


def measure_initialisation(
    child: Child,
    params: Mapping[str, Tensor],
    x: Tensor,
    writer: nn.Module,
    *,
    otherwise: Collection[str] = (),
    drawn: bool = False,
) -> Initialisation:
    """Compare what was written with the child's own initialisation.

    Args:
        child: What is written.
        params: Params of T tasks, with the graph that leads to the writer.
        x: Inputs [T, N, *].
        writer: The hypernetwork.
        otherwise: Names of tensors that are not meant to start with the variance of the child's own initialisation.
        drawn: Whether theta_0 is a draw of its own. It is then compared with what such draws are like, of which the child as it is
            is a single one: the variance with that of the initialisation, outputs and rows without gradient with those of
            several draws.
    """
    outputs = child(params, x)
    trainable = {n: p for n, p in writer.named_parameters() if p.requires_grad}
    gradients = _gradients(outputs, [*params.values(), *trainable.values()])
    dead, reached = _dead(params, gradients), gradients[len(params) :]
    alike = _has_own_shape(child, params)
    usual: dict[str, float] = {}
    spread = outputs.detach().std()
    if alike and drawn:
        spread, usual = _usual(child, x)
    elif alike:
        with torch.no_grad():
            spread = child(child.initial_params(len(x)), x).std()
    variances = _variances(child, params, drawn=drawn)
    return Initialisation(
        tuple(
            TensorCheck(
                spec.name,
                params[spec.name][0].numel(),
                child.template.get_parameter(_whole(spec.name, child)).numel(),
                variances.get(spec.name),
                dead[spec.name],
                judged=not spec.has_class_axis
                and spec.size >= _FEWEST
                and spec.name not in otherwise,
                of_classes=spec.has_class_axis,
                usual_dead=usual.get(spec.name, 0.0),
            )
            for spec in child.space.tensors
        ),
        float(outputs.detach().std() / spread.clamp(min=1e-12)),
        # A gradient of zeros may be as it should be: attention to a single token has no choice to learn.
        tuple(name for name, g in zip(trainable, reached, strict=True) if g is None),
    )


def _gradients(outputs: Tensor, sources: Sequence[Tensor]) -> list[Tensor | None]:
    """Of each source; None where none reaches it."""
    # A fixed probe in place of a loss: any gradient that can flow, flows.
    probe = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0))
    reached = [source for source in sources if source.requires_grad]
    found: Iterator[Tensor | None] = repeat(None)
    if outputs.requires_grad:  # not so for a hypernetwork that is frozen as a whole
        aim = (outputs * probe.to(outputs.device)).mean()
        found = iter(torch.autograd.grad(aim, reached, allow_unused=True))
    return [next(found) if source.requires_grad else None for source in sources]


def _dead(params: Mapping[str, Tensor], gradients: Sequence[Tensor | None]) -> dict[str, float]:
    """Share of the rows of each tensor, over tasks, that no gradient reaches."""
    return {
        name: 1.0
        if g is None
        else float((g.flatten(2) == 0).all(dim=2).float().mean())
        if g.dim() > 2
        else float((g == 0).float().mean())
        for name, g in zip(params, gradients, strict=False)
    }


def _usual(child: Child, x: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Spread of outputs and share of rows without gradient of children initialised afresh, the mean of several.

    What is written as a whole is drawn anew; what is shared between tasks, and corrected, is as it is.
    """
    module, spreads, every = copy.deepcopy(child.template), [], []
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(0)
        for _ in range(_DRAWS):
            initialise(module)
            drawn = dict(module.named_parameters())
            params = {
                name: (drawn[name].detach().expand_as(own).clone() if name in drawn else own).requires_grad_()
                for name, own in child.initial_params(len(x)).items()
            }  # fmt: skip
            outputs = child(params, x)
            spreads.append(outputs.detach().std())
            every.append(_dead(params, _gradients(outputs, list(params.values()))))
    mean = {name: sum(each[name] for each in every) / _DRAWS for name in every[0]}
    return torch.stack(spreads).mean(), mean


def _has_own_shape(child: Child, params: Mapping[str, Tensor]) -> bool:
    """Whether there are as many classes as in the template."""
    return all(tuple(params[s.name].shape[1:]) == s.shape for s in child.space.tensors)


def _whole(name: str, child: Child) -> str:
    """The tensor that a written one belongs to: `w.down`, `w.up` and `w.film` are parts of `w`."""
    names = {name for name, _ in child.template.named_parameters()}
    return name if name in names else name.rpartition(".")[0]


@torch.no_grad()
def _variances(child: Child, params: Mapping[str, Tensor], *, drawn: bool) -> dict[str, float]:
    """Variance of each tensor as formed, over the template's; corrections are judged by what they make.

    Where theta_0 was drawn, over the mean of such draws: of a hundred numbers one draw has 0.8 to 1.25 times that.
    """
    tasks = min(_FORMED, len(next(iter(params.values()))))
    formed = [dict(child.materialise(params, t).named_parameters()) for t in range(tasks)]
    template = child.template
    found = {}
    for spec in child.space.tensors:
        name = _whole(spec.name, child)
        parameter = template.get_parameter(name)
        own = float(parameter.var()) if parameter.numel() > 1 else 0.0
        if drawn and name == spec.name:
            own = spec.std**2
        if own > 0:
            found[spec.name] = sum(float(p[name].var()) for p in formed) / tasks / own
    return found
