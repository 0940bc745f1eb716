"""ONNX with weights as inputs: one graph that serves every child of a parameter space."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from netwright.artifacts import write_file
from netwright.errors import ExportError
from netwright.export.checking import Runner, check_gap, with_weights
from netwright.export.lowering import program_of
from netwright.export.onnx import check_onnx_is_there, check_opset, open_onnx, with_labels
from netwright.export.onnx_source import onnx_model
from netwright.export.tracing import ROWS, sample_inputs, standing

_CHILDREN = 3


def export_onnx_weights(
    network: nn.Module,
    input_shape: tuple[int, ...],
    path: Path,
    *,
    free: Callable[[str], bool] = lambda name: True,
    class_head: str | None = None,
    opset: int = 18,
    tolerance: float = 1e-5,
    labels: Sequence[str] = (),
) -> Path:
    """Write a network as one ONNX file without its weights: inputs `x` and each parameter by its name, output `y`.

    The file is run with the network's own weights and with those of other children, and compared each time.

    Args:
        network: Any child of the space, in evaluation mode.
        input_shape: Shape of one input.
        path: The file.
        free: Which parameters are inputs, by name; the others stand in the file.
        class_head: Path of the last layer if its outputs count exchangeable classes: their number is then free as well.
        opset: ONNX operator set, 18 to 23.
        tolerance: Largest difference between its answers and the network's, relative to the largest answer.
        labels: Names of the outputs, which the file's metadata hold as JSON under `labels`.

    Raises:
        MissingExtraError: If the `export` extra is not installed.
        ExportError: If the network does what there is no step for, or answers differ by more.
        ArtifactError: If the file cannot be written.
    """
    check_onnx_is_there()
    check_opset(opset)
    own = standing(network)
    program = program_of(own, input_shape, free=free)
    read = set(program.parameters.values())
    inputs = [n for n, _ in own.named_parameters(remove_duplicate=False) if n in read and free(n)]
    if not inputs:
        raise ExportError(
            f"{type(own).__name__} has no parameter that could be an input, expected at least one. Export it as onnx."
        )
    if taken := sorted({"x", "y"} & set(inputs)):
        raise ExportError(
            f"{type(own).__name__} has a parameter named {taken[0]!r}, as the graph's own input or output is, expected "
            "another name. Rename it, or export it as onnx."
        )
    heads = [n for n in inputs if class_head is not None and n.rpartition(".")[0] == class_head]
    axes = {name: {0: "classes"} for name in heads}
    if heads:
        axes["y"] = {0: "rows", len(program.output_shape): "classes"}
    model = onnx_model(program, opset=opset, inputs=inputs, free_axes=axes)
    data = with_labels(model, labels, weights=json.dumps(inputs))
    _check(data, own, inputs, heads, input_shape, tolerance)
    write_file(path, data)
    return path


def run_onnx_weights(data: bytes | str, weights: Mapping[str, Tensor]) -> Runner:
    """Answers of such a file with one child's weights.

    Args:
        data: The model, or where it lies.
        weights: By name, such as a `state_dict`; those that the file does not ask for are left out.
    """
    session = open_onnx(data)
    names = [each.name for each in session.get_inputs() if each.name != "x"]
    feeds = {name: weights[name].detach().cpu().to(torch.float32).numpy() for name in names}
    return lambda x: session.run(None, {"x": x, **feeds})[0]


def _check(
    data: bytes,
    network: nn.Module,
    inputs: Sequence[str],
    heads: Sequence[str],
    input_shape: tuple[int, ...],
    tolerance: float,
) -> None:
    """Compare with the network's own weights, and with those of other children; the last has more classes."""
    rng = torch.Generator().manual_seed(0)
    for number in range(_CHILDREN):
        weights = {name: network.get_parameter(name).detach() for name in inputs}
        if number:
            weights = {n: w + 0.1 * torch.randn(w.shape, generator=rng) for n, w in weights.items()}
        if number == _CHILDREN - 1:
            weights |= {n: torch.cat([weights[n], weights[n][:1]]) for n in heads}
        child = with_weights(network, weights)
        run = run_onnx_weights(data, dict(child.named_parameters(remove_duplicate=False)))
        for rows in (1, ROWS + 3):
            x = sample_inputs(rows, input_shape)
            with torch.no_grad():
                check_gap(run(x.numpy()), child(x), tolerance)


__all__ = ["export_onnx_weights", "run_onnx_weights"]
