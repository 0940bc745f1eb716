"""The layout of what a hypernetwork generates: names, shapes, and what each axis means."""

import copy
import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from netwright.errors import ParameterNameError, ShapeError
from netwright.shapes import check_shape, describe_shape


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a child.

    Args:
        name: Its dotted path in the module; the first one, for a tensor with several.
        shape: Its shape in the template, without a task axis.
        axes: What each axis counts: `class`, `hidden`, `feature` or `kernel`.
        role: `weight`, `bias`, `scale` (of a normalisation), `embedding` or `other`.
        fan_in: Numbers that one output sums over; 1 for a bias or a scale.
        std: Standard deviation that the child's own initialisation gives it; 0 for constants.
        aliases: Further paths that lead to the same tensor.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    role: str
    fan_in: int
    std: float
    aliases: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many numbers the tensor holds."""
        return prod(self.shape)

    @property
    def has_class_axis(self) -> bool:
        """Whether its first axis counts exchangeable classes, and so may differ between tasks."""
        return "class" in self.axes


@dataclass(frozen=True)
class ParameterSpace:
    """An ordered list of tensors, read as one vector; the order is part of its meaning.

    >>> ParameterSpace.of(nn.Linear(3, 2)).size
    8
    """

    tensors: tuple[TensorSpec, ...]

    @classmethod
    def of(
        cls,
        module: nn.Module,
        *,
        keep: Callable[[str], bool] = lambda name: True,
        class_module: str | None = None,
    ) -> "ParameterSpace":
        """The space of a module's parameters; a tied tensor stands in it once.

        Args:
            module: Any module.
            keep: Which parameters belong, by name.
            class_module: Path of the layer whose output counts exchangeable classes.
        """
        paths: dict[int, list[str]] = {}
        for name, parameter in module.named_parameters(remove_duplicate=False):
            paths.setdefault(id(parameter), []).append(name)
        stds = initial_stds(module)
        tensors = []
        for name, parameter in module.named_parameters():
            if keep(name):
                owner_path = name.rpartition(".")[0]
                owner = module.get_submodule(owner_path)
                role, axes = _meaning(owner, name, parameter)
                if class_module is not None and owner_path == class_module:
                    axes = ("class", *axes[1:])
                fan_in = prod(parameter.shape[1:]) if parameter.dim() > 1 else 1
                aliases = tuple(p for p in paths[id(parameter)] if p != name)
                shape = tuple(parameter.shape)
                tensors.append(TensorSpec(name, shape, axes, role, fan_in, stds[name], aliases))
        return cls(tuple(tensors))

    @property
    def size(self) -> int:
        """P, the number of generated numbers per child."""
        return sum(spec.size for spec in self.tensors)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(spec.name for spec in self.tensors)

    @property
    def digest(self) -> str:
        """Identity of the layout: equal digests, interchangeable parameters."""
        layout = [[s.name, list(s.shape), list(s.axes), s.role] for s in self.tensors]
        return hashlib.sha256(json.dumps(layout).encode()).hexdigest()[:16]

    def select(self, keep: Callable[[TensorSpec], bool]) -> "ParameterSpace":
        """The part of the space that `keep` accepts, in the same order."""
        return ParameterSpace(tuple(spec for spec in self.tensors if keep(spec)))

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """View theta [T, P] as params, each [T, *shape]. One task keeps its axis: T = 1.

        Raises:
            ShapeError: If theta is not [T, P].
        """
        hint = "Was it generated for another child? Compare their `ParameterSpace`s."
        check_shape("theta", theta, "T P", P=self.size, hint=hint)
        # One split: its backward is one cat. `narrow` or indexing would fill [T, P] per tensor.
        pieces = theta.split([spec.size for spec in self.tensors], dim=1)
        return {
            spec.name: piece.reshape(len(theta), *spec.shape)
            for spec, piece in zip(self.tensors, pieces, strict=True)
        }

    def flatten(self, params: Mapping[str, Tensor]) -> Tensor:
        """The inverse of `unflatten`: theta [T, P].

        Raises:
            ParameterNameError: If names are missing or unknown.
            ShapeError: If a tensor is not [T, *shape].
        """
        tasks = self.check(params, class_axes_may_differ=False)
        return torch.cat([params[spec.name].reshape(tasks, -1) for spec in self.tensors], dim=1)

    def check(
        self,
        params: Mapping[str, Tensor],
        *,
        class_axes_may_differ: bool = True,
        feature_axes_may_differ: bool = False,
    ) -> int:
        """Refuse params that are not of this space; returns T.

        Raises:
            ParameterNameError: If names are missing or unknown.
            ShapeError: If a tensor is not [T, *shape], or a dtype is not floating.
        """
        names = self.names
        if params.keys() != set(names):
            unknown = sorted(params.keys() - set(names))
            missing = sorted(set(names) - params.keys())
            raise ParameterNameError(
                f"`params` lacks {missing} and has unknown {unknown}, expected exactly {list(names)}. "
                "Make `params` with `ParameterSpace.unflatten` of the same child."
            )
        tasks = len(params[names[0]]) if names and params[names[0]].dim() else 1
        classes: int | None = None
        for spec in self.tensors:
            value = params[spec.name]
            expected = list(spec.shape)
            if spec.has_class_axis and class_axes_may_differ and value.dim() == len(expected) + 1:
                classes = classes if classes is not None else value.shape[1]
                expected[0] = classes
            if feature_axes_may_differ and value.dim() == len(expected) + 1:
                sizes = zip(spec.axes, value.shape[1:], expected, strict=True)
                expected = [own if axis == "feature" else size for axis, own, size in sizes]
            if list(value.shape) != [tasks, *expected]:
                axes = ", ".join([f"T={tasks}", *map(str, expected)])
                raise ShapeError(
                    f"`params[{spec.name!r}]` is {describe_shape(value)}, expected [{axes}]. "
                    "Each generated tensor has a leading task axis; no shape is broadcast."
                )
            if not value.is_floating_point():
                raise ShapeError(
                    f"`params[{spec.name!r}]` is {value.dtype}, expected a floating type. "
                    "Convert it first."
                )
        return tasks


@torch.no_grad()
def initial_stds(module: nn.Module, draws: int = 4) -> dict[str, float]:
    """Standard deviation per parameter under the module's own initialisation.

    Layers are initialised afresh `draws` times on a copy; a layer that cannot be is taken as it is.
    The global random state is left as it was.
    """
    module = copy.deepcopy(module)
    variances: dict[str, list[float]] = {name: [] for name, _ in module.named_parameters()}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(draws):
            initialise(module)
            for name, parameter in module.named_parameters():
                many = parameter.numel() > 1
                variances[name].append(float(parameter.var(correction=0)) if many else 0.0)
    return {name: (sum(values) / draws) ** 0.5 for name, values in variances.items()}


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """Initialise all layers afresh, in place; one that cannot be stays as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a layer without elements warns at each initialisation
        for part in module.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()


_NORMS = (
    nn.GroupNorm,
    nn.LayerNorm,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
)


def _meaning(owner: nn.Module, name: str, parameter: Tensor) -> tuple[str, tuple[str, ...]]:
    """Role and axes of a parameter, from the layer that owns it."""
    leaf = name.rpartition(".")[2]
    hidden_then_features = ("hidden", "feature")[: parameter.dim()]
    axes = hidden_then_features + ("kernel",) * (parameter.dim() - 2)
    if isinstance(owner, _NORMS):
        return ("scale" if leaf == "weight" else "bias"), axes
    if isinstance(owner, nn.Embedding):
        return "embedding", ("feature", "hidden")
    if leaf.startswith("bias"):
        return "bias", axes
    return ("weight" if leaf.startswith(("weight", "in_proj", "out_proj")) else "other"), axes
