"""A child: any module as a pure function of the parameters that a hypernetwork writes."""

import copy
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from netwright.emission import (
    Emission,
    Frozen,
    Full,
    Selector,
    Shared,
    assign_emissions,
    emission_record,
)
from netwright.errors import ShapeError, UnsupportedChildError
from netwright.execution import Executor, Plan, Precision, Strategy, check_rows
from netwright.factors import (
    concrete,
    initial_values,
    is_written,
    trains_base,
    weight_of,
    written_specs,
)
from netwright.graph import ChildGraph, requested_graph
from netwright.layers import Weight, affine, dense
from netwright.module_copy import copy_module
from netwright.shapes import check_shape, describe_shape
from netwright.space import ParameterSpace

BatchNormPolicy = Literal["refuse", "batch", "group"]


@runtime_checkable
class BuildsModule(Protocol):
    """A declarative architecture: see `netwright.architectures`."""

    def build(self) -> nn.Module:
        """A freshly initialised module."""
        ...

    @property
    def class_head(self) -> str | None:
        """Path of the layer whose outputs count exchangeable classes, if there is one."""
        ...


class Child(nn.Module):
    """The network that is written: a template, its parameter space, and what is not generated.

    Called with generated parameters and inputs it runs T networks at once, each on its own rows.
    The module that is passed in is copied and never modified.

    Args:
        module: Any module that maps [N, *] to [N, C] row by row, or an architecture.
        emissions: Rules (selector, emission), first match wins; what no rule selects is generated.
        batch_norm: What becomes of BatchNorm: `batch` (statistics of each task's own rows, at
            training and at use), `group` (replaced by GroupNorm), or `refuse`.
        class_head: Path of the last layer, an `nn.Linear`, if its outputs count exchangeable
            classes. Its rows are then written per class, and their number may differ.
        precision: In what kernels multiply; outputs and gradients are in that of the parameters.
            `bfloat16` changes outputs by up to about 2 % of their largest.
        free_features: Whether inputs may be of another width than the template's, as those of tables are;
            tensors written in full then have columns for as many.
        graph: Of the module, for generators that read graphs, where it cannot be traced without an input
            (`netwright.graph_export.exported_graph`).

    Raises:
        UnsupportedChildError: If the module cannot be run as a function of its parameters.
        ParameterNameError: If a rule selects nothing.

    >>> child = Child(nn.Linear(3, 2))
    >>> params = child.space.unflatten(torch.zeros(5, child.space.size))
    >>> child(params, torch.randn(5, 7, 3)).shape
    torch.Size([5, 7, 2])
    """

    def __init__(
        self,
        module: nn.Module | BuildsModule,
        *,
        emissions: Sequence[tuple[Selector, Emission | str]] = (),
        batch_norm: BatchNormPolicy = "refuse",
        class_head: str | None = None,
        precision: Precision = "float32",
        free_features: bool = False,
        graph: ChildGraph | None = None,
    ) -> None:
        super().__init__()
        if precision not in get_args(Precision):
            raise UnsupportedChildError(
                f"`precision` is {precision!r}, expected one of {list(get_args(Precision))}."
            )
        self.precision, self.free_features, self._graph = precision, free_features, graph
        self.architecture = module if isinstance(module, BuildsModule) else None
        if isinstance(module, BuildsModule):
            class_head = class_head or module.class_head
            module = module.build()
        check_supported(module)
        template = copy.deepcopy(module)
        template = _apply_batch_norm_policy(template, batch_norm)
        self.class_head = class_head
        self.batch_norm = batch_norm
        self.template = template
        whole = ParameterSpace.of(template, class_module=class_head)
        chosen = assign_emissions(template, emissions)
        self.emissions: dict[str, Emission] = {
            spec.name: concrete(chosen[spec.name], spec) for spec in whole.tensors
        }
        self._written = whole.select(lambda spec: is_written(self.emissions[spec.name]))
        self.space = ParameterSpace(
            tuple(
                part
                for spec in self._written.tensors
                for part in written_specs(spec, self.emissions[spec.name])
            )
        )
        if not self.space.tensors:
            raise UnsupportedChildError(
                f"{type(template).__name__} has no parameter to generate, expected at least one. "
                "Leave at least one tensor out of the `shared` and `frozen` rules."
            )
        for name, parameter in template.named_parameters():
            parameter.requires_grad_(trains_base(self.emissions[name]))
        own = dict(template.named_parameters())
        self._initial: dict[str, Tensor] = {}
        for spec in self._written.tensors:
            if not isinstance(self.emissions[spec.name], Full):
                self._initial |= initial_values(spec, self.emissions[spec.name], own[spec.name])
        self._buffer_names = [name for name, _ in template.named_buffers()]
        generated = frozenset(self._written.names)
        self._whole = Executor(template, generated, precision)
        self._body = (
            None
            if class_head is None
            else Executor(_without_head(template, class_head), generated, precision)
        )

    @property
    def graph(self) -> ChildGraph:
        """Its operations and which reads from which, for generators that read graphs.

        Raises:
            UnsupportedChildError: If it was not given and the module cannot be traced.
        """
        return self._graph or requested_graph(self.architecture or self.template)

    def forward(
        self,
        params: Mapping[str, Tensor],
        x: Tensor,
        *,
        strategy: Strategy = "auto",
        tasks_at_once: int | None = None,
    ) -> Tensor:
        """Run T children, each on its own N rows, in one call.

        Args:
            params: Generated parameters by name, each [T, *shape].
            x: Inputs, [T, N, *].
            strategy: How; never changes the answer. See `netwright.execution` and `plan`.
            tasks_at_once: How many tasks are run at once; by default what is fastest.

        Returns:
            Outputs, [T, N, C].

        Raises:
            ParameterNameError: If names are missing or unknown.
            ShapeError: If a shape, T or a dtype does not fit.
        """
        tasks = self._check(params)
        self._check_inputs(params, x, tasks)
        if not x.shape[1]:
            # One row of zeros tells the shape of no row at all.
            y = self.forward(params, x.new_zeros(tasks, 1, *x.shape[2:]), strategy=strategy)
            return y[:, :0]
        y = self._whole.run(
            self._weights(params),
            self._common(),
            x,
            strategy=strategy,
            chunk=tasks_at_once,
            training=self.training,
        )
        check_rows(y, x)
        return y

    def run_weights(self, weights: Mapping[str, Weight], x: Tensor) -> Tensor:
        """As a call, with weights in whatever form layers take them; nothing is checked.

        Args:
            weights: By name of the template's tensors, for T tasks; see `netwright.layers`.
            x: Inputs, [T, N, *].
        """
        return self._whole.run(weights, self._common(), x, training=self.training)

    def tasks_at_once(self, x: Tensor) -> int:
        """How many tasks a call on inputs like x [T, N, *] runs at once, by default."""
        return self._whole.tasks_at_once(x)

    def tasks_per_stage(self, x: Tensor) -> int:
        """How many tasks a training step on inputs like x differentiates at once, by default."""
        return self._whole.tasks_per_stage(x)

    def compile(self, **options: Any) -> None:
        """From now on run kernels through `torch.compile`, with one graph per power of two of tasks.

        The first call of each kind takes 5 to 70 seconds on a CPU. Measured there, it pays for chains
        of pointwise operations (transformers, a tenth), and not for linear, convolutional or recurrent
        children.

        Args:
            options: Of `torch.compile`, such as `mode` or `backend`.
        """
        for executor in (self._whole, self._body):
            if executor is not None:
                executor.compile(options)

    def plan(self, x: Tensor) -> Plan:
        """How inputs like x would be run; `print` shows a table.

        Args:
            x: Inputs, [T, N, *]; of their values nothing is kept.

        Raises:
            ShapeError: If x has no task or no row.
        """
        params = {name: v.to(x.device) for name, v in self.initial_params(len(x)).items()}
        self._check_inputs(params, x, len(x))
        if not x.shape[1]:
            raise ShapeError(f"`x` is {describe_shape(x)}, expected at least one row per task.")
        return self._whole.plan(self._weights(params), self._common(), x, training=self.training)

    def features(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """What the class head reads, [T, N, F]; `params` may lack the head.

        Raises:
            UnsupportedChildError: If the child has no class head.
            ShapeError: If the body does not end in vectors, or inputs do not fit.
        """
        if self._body is None:
            raise UnsupportedChildError(
                "The child has no class head, expected one to read features before it. "
                'Pass `class_head="name.of.the.last.linear"` to `Child`.'
            )
        body = self.space.select(lambda spec: not spec.has_class_axis)
        own = {name: params[name] for name in body.names if name in params}
        tasks = (
            body.check(own, feature_axes_may_differ=self.free_features)
            if body.tensors
            else x.shape[0]
        )
        self._check_inputs(own, x, tasks)
        features = self._body.run(self._weights(own), self._common(), x, training=self.training)
        check_shape("features", features, "T N F", hint="The class head must read vectors.")
        return features

    def readout(self, params: Mapping[str, Tensor], features: Tensor) -> Tensor:
        """Outputs [T, N, C] of the class head for features [T, N, F]."""
        head = self.template.get_submodule(str(self.class_head))
        assert isinstance(head, nn.Linear)
        weight, bias = f"{self.class_head}.weight", f"{self.class_head}.bias"
        tensors = {**self._common(), **params}
        return affine(features, tensors[weight], tensors[bias] if head.bias is not None else None)

    def materialise(self, params: Mapping[str, Tensor], task: int = 0) -> nn.Module:
        """Task `task` as an ordinary module of its own, ready for use, outside any graph.

        Raises:
            ParameterNameError: If names are missing or unknown.
            ShapeError: If a shape does not fit, or there is no such task.
        """
        tasks = self._check(params)
        if not -tasks <= task < tasks:
            raise ShapeError(f"Task {task} was asked for, expected 0 to {tasks - 1}.")
        own = dict(self.template.named_parameters())
        of_task = {name: value.detach()[task][None] for name, value in params.items()}
        with torch.no_grad():
            values = {
                name: dense(weight)[0].clone() for name, weight in self._weights(of_task).items()
            }
        # What the copy would copy is replaced by what was generated; ties stay ties.
        memo: dict[int, object] = {id(own[name]): nn.Parameter(v) for name, v in values.items()}
        network = copy_module(self.template, memo).train(self.training)
        for spec in self._written.tensors:
            if spec.has_class_axis:
                head = network.get_submodule(spec.name.rpartition(".")[0])
                assert isinstance(head, nn.Linear)
                head.out_features = len(values[spec.name])
        if self.free_features:
            for layer in network.modules():
                if isinstance(layer, nn.Linear):
                    layer.in_features = layer.weight.shape[1]
        for parameter in network.parameters():
            parameter.requires_grad_(True)
        return network

    def export(
        self,
        path: str | Path,
        *,
        input_shape: tuple[int, ...] | None = None,
        opset: int | None = None,
        tolerance: float = 1e-5,
    ) -> Path:
        """Write one ONNX graph for every child of the space: inputs `x` and each tensor that is written, by its name.

        Its weights are those of `materialise(params).state_dict()`, or of a generated network's, by the same names. What all
        tasks share stands in the file, as it is now.

        Args:
            path: The file, which ends in .onnx.
            input_shape: Shape of one input, for modules of the user's own.
            opset: Of ONNX, 18 if not given.
            tolerance: By how much answers of the file may differ, relative to the largest answer.

        Raises:
            MissingExtraError: If the `export` extra is not installed.
            ExportError: If ONNX cannot express the child so, or the file gives other answers.
            ArtifactError: If the file cannot be written.
        """
        from netwright.export import export_network

        shape = (
            getattr(self.architecture, "input_shape", ()) if input_shape is None else input_shape
        )
        # A copy whose class head is as it would be: out of any graph, not in training.
        network = self.materialise(self.initial_params())
        return export_network(
            network,
            tuple(shape),
            path,
            format="onnx-weights",
            free=self._written.names,
            tolerance=tolerance,
            opset=opset,
            class_head=self.class_head,
        )

    def emission_records(self) -> dict[str, Any]:
        """How tensors that are not written in full come about, JSON-able, by name."""
        return {
            name: emission_record(emission)
            for name, emission in self.emissions.items()
            if not isinstance(emission, Full)
        }

    def initial_params(self, tasks: int = 1) -> dict[str, Tensor]:
        """What makes every task's weights the template's own, each [T, *shape]."""
        own = {**dict(self.template.named_parameters()), **self._initial}
        return {
            spec.name: own[spec.name].detach().expand(tasks, *spec.shape).clone()
            for spec in self.space.tensors
        }

    def _check(self, params: Mapping[str, Tensor]) -> int:
        return self.space.check(params, feature_axes_may_differ=self.free_features)

    def _weights(self, params: Mapping[str, Tensor]) -> dict[str, Weight]:
        """What layers run with, by name; of the class head only if params has it."""
        weights: dict[str, Weight] = {}
        for spec in self._written.tensors:
            emission = self.emissions[spec.name]
            if not isinstance(emission, Full):
                base = self.template.get_parameter(spec.name)
                weights[spec.name] = weight_of(spec, emission, base, params)
            elif spec.name in params:
                weights[spec.name] = params[spec.name]
        return weights

    def _common(self) -> dict[str, Tensor]:
        """Shared and frozen tensors, and copies of the buffers, so that no call can write them."""
        common: dict[str, Tensor] = {
            name: self.template.get_parameter(name)
            for name, emission in self.emissions.items()
            if not is_written(emission)
        }
        common.update((name, self.template.get_buffer(name).clone()) for name in self._buffer_names)
        return common

    def _check_inputs(self, params: Mapping[str, Tensor], x: Tensor, tasks: int) -> None:
        if not tasks:
            raise ShapeError("There are no tasks ([T=0]), expected at least one.")
        if x.dim() < 2 or x.shape[0] != tasks:
            raise ShapeError(
                f"`x` is {describe_shape(x)}, expected [T={tasks}, N, *]. "
                "One task keeps its axis: pass x[None] for one."
            )
        for name, value in params.items():
            if x.is_floating_point() and value.dtype != x.dtype:
                raise ShapeError(
                    f"`params[{name!r}]` is {value.dtype} and `x` is {x.dtype}, expected one "
                    "dtype. Convert one of them."
                )
        self._check_common_dtype(x)

    def _check_common_dtype(self, x: Tensor) -> None:
        """Refuse inputs of another floating type than the tensors that all tasks share."""
        own = self.template.get_parameter(self._written.names[0]).dtype
        if not x.is_floating_point() or x.dtype == own or torch.is_autocast_enabled(x.device.type):
            return
        for name, parameter in self.template.named_parameters():
            # What the module itself keeps in another type it also converts itself.
            if parameter.dtype == own and not isinstance(self.emissions[name], Full):
                raise ShapeError(
                    f"`x` is {x.dtype} and {name!r}, which all tasks share, is {own}, expected one dtype. "
                    f"Convert `x` and `params`, or the child: `child.to({x.dtype})`."
                )


def _without_head(template: nn.Module, class_head: str) -> nn.Module:
    """A view of the template whose last layer passes its inputs on; tensors stay the same."""
    try:
        head = template.get_submodule(class_head)
    except AttributeError:
        head = None
    if type(head) is not nn.Linear:
        linears = [path for path, part in template.named_modules() if type(part) is nn.Linear]
        raise UnsupportedChildError(
            f"`class_head` is {class_head!r}, expected the path of the last nn.Linear, "
            f"one of {linears}."
        )
    memo: dict[int, object] = {id(p): p for p in template.parameters()}
    memo.update((id(b), b) for b in template.buffers())
    body = copy.deepcopy(template, memo)
    parent, _, leaf = class_head.rpartition(".")
    setattr(body.get_submodule(parent), leaf, nn.Identity())
    return body


@lru_cache(maxsize=4096)
def child_of(architecture: Hashable, precision: Precision = "float32") -> Child:
    """The child of an architecture; of the last thousands it is kept, and not to be changed."""
    # Its initial numbers are never used: none may come out of the caller's random state.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Child(architecture, precision=precision)  # type: ignore[arg-type]


def check_supported(module: nn.Module) -> None:
    """Refuse a module that cannot be run with other tensors than its own.

    Raises:
        UnsupportedChildError: If weights are parametrised, computed in a hook, in TorchScript or not there yet.
    """
    for path, part in module.named_modules():
        place = f"{type(part).__name__} at {path!r}" if path else type(part).__name__
        if parametrize.is_parametrized(part):
            raise UnsupportedChildError(
                f"{place} has parametrised weights, expected plain ones: what is generated would be "
                "ignored. Call torch.nn.utils.parametrize.remove_parametrizations first."
            )
        if any("norm" in type(hook).__name__.lower() for hook in part._forward_pre_hooks.values()):
            raise UnsupportedChildError(
                f"{place} computes its weight in a hook, expected plain weights. "
                "Call torch.nn.utils.remove_weight_norm or remove_spectral_norm first."
            )
        if isinstance(part, torch.jit.ScriptModule):
            raise UnsupportedChildError(f"{place} is TorchScript, expected a Python module.")
        for name, parameter in part.named_parameters(recurse=False):
            if isinstance(parameter, nn.parameter.UninitializedParameter):
                raise UnsupportedChildError(
                    f"{place}.{name} has no shape yet, expected an initialised module. "
                    "Run the lazy module once before making a child of it."
                )


_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _apply_batch_norm_policy(module: nn.Module, policy: BatchNormPolicy) -> nn.Module:
    if policy not in ("refuse", "batch", "group"):
        raise UnsupportedChildError(
            f"`batch_norm` is {policy!r}, expected 'refuse', 'batch' or 'group'."
        )
    for path, part in list(module.named_modules()):
        is_batch_norm = isinstance(part, nn.modules.batchnorm._NormBase)
        if not is_batch_norm or not (part.track_running_stats or isinstance(part, _BATCH_NORMS)):
            continue
        if policy == "refuse":
            raise UnsupportedChildError(
                f"{type(part).__name__} at {path!r} keeps statistics that belong to no single task, "
                'expected a stated policy. Pass `batch_norm="batch"` (statistics of each task\'s own '
                'rows) or `batch_norm="group"` (GroupNorm instead).'
            )
        if policy == "batch" or not isinstance(part, _BATCH_NORMS):
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
        else:
            replacement = _group_norm_like(part)
            if not path:
                return replacement
            parent, _, leaf = path.rpartition(".")
            setattr(module.get_submodule(parent), leaf, replacement)
    return module


def _group_norm_like(norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> nn.GroupNorm:
    channels = norm.num_features
    groups = next(g for g in (8, 4, 2, 1) if (channels % g == 0 and channels // g > 1) or g == 1)
    group_norm = nn.GroupNorm(groups, channels, eps=norm.eps, affine=norm.affine)
    if norm.affine:
        group_norm.load_state_dict({"weight": norm.weight.detach(), "bias": norm.bias.detach()})
    return group_norm


__all__ = ["BatchNormPolicy", "BuildsModule", "Child", "Frozen", "Full", "Shared"]
