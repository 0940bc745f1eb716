"""What a new hypernetwork writes, beside what the child's own initialisation gives."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netwright.child import Child

# Outside of these, training starts from a badly initialised child.
BOUNDS = (0.5, 2.0)
MOST_DEAD = 0.5
# Tasks whose weights are formed to be measured.
_FORMED = 4
# The variance of fewer numbers than these says nothing about how they were drawn.
_FEWEST = 32


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
    """

    name: str
    size: int
    formed: int
    variance: float | None
    dead: float
    judged: bool = True
    of_classes: bool = False


@dataclass(frozen=True)
class Initialisation:
    """How a hypernetwork starts.

    Args:
        tensors: What is written per task.
        output: Standard deviation of the children's outputs, over that of the child as initialised.
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
            if t.dead > MOST_DEAD
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
) -> Initialisation:
    """Compare what was written with the child's own initialisation.

    Args:
        child: What is written.
        params: Params of T tasks, with the graph that leads to the writer.
        x: Inputs [T, N, *].
        writer: The hypernetwork.
        otherwise: Names of tensors that are not meant to start with the variance of the child's own initialisation.
    """
    outputs = child(params, x)
    # A fixed probe in place of a loss: any gradient that can flow, flows.
    probe = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0)).to(
        outputs.device
    )
    trainable = {n: p for n, p in writer.named_parameters() if p.requires_grad}
    written = {name: value for name, value in params.items() if value.requires_grad}
    sources = [*written.values(), *trainable.values()]
    gradients: tuple[Tensor | None, ...] = (None,) * len(sources)
    if outputs.requires_grad:  # not so for a hypernetwork that is frozen as a whole
        gradients = torch.autograd.grad((outputs * probe).mean(), sources, allow_unused=True)
    dead = {
        name: 1.0
        if g is None
        else float((g.flatten(2) == 0).all(dim=2).float().mean())
        if g.dim() > 2
        else float((g == 0).float().mean())
        for name, g in zip(written, gradients, strict=False)
    }
    reached = gradients[len(written) :]
    with torch.no_grad():
        own = child(child.initial_params(len(x)), x) if _has_own_shape(child, params) else outputs
        variances = _variances(child, params)
        output = float(outputs.std() / own.std().clamp(min=1e-12))
    return Initialisation(
        tuple(
            TensorCheck(
                spec.name,
                params[spec.name][0].numel(),
                child.template.get_parameter(_whole(spec.name, child)).numel(),
                variances.get(spec.name),
                dead.get(spec.name, 1.0),
                judged=not spec.has_class_axis
                and spec.size >= _FEWEST
                and spec.name not in otherwise,
                of_classes=spec.has_class_axis,
            )
            for spec in child.space.tensors
        ),
        output,
        # A gradient of zeros may be as it should be: attention to a single token has no choice to learn.
        tuple(name for name, g in zip(trainable, reached, strict=True) if g is None),
    )


def _has_own_shape(child: Child, params: Mapping[str, Tensor]) -> bool:
    """Whether there are as many classes as in the template."""
    return all(tuple(params[s.name].shape[1:]) == s.shape for s in child.space.tensors)


def _whole(name: str, child: Child) -> str:
    """The tensor that a written one belongs to: `w.down`, `w.up` and `w.film` are parts of `w`."""
    names = {name for name, _ in child.template.named_parameters()}
    return name if name in names else name.rpartition(".")[0]


def _variances(child: Child, params: Mapping[str, Tensor]) -> dict[str, float]:
    """Variance of each tensor as formed, over the template's; corrections are judged by what they make."""
    tasks = min(_FORMED, len(next(iter(params.values()))))
    formed = [dict(child.materialise(params, t).named_parameters()) for t in range(tasks)]
    template = child.template
    found = {}
    for spec in child.space.tensors:
        name = _whole(spec.name, child)
        parameter = template.get_parameter(name)
        own = float(parameter.var()) if parameter.numel() > 1 else 0.0
        if own > 0:
            found[spec.name] = sum(float(p[name].var()) for p in formed) / tasks / own
    return found
