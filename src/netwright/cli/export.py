"""`netwright export`."""

from dataclasses import asdict
from pathlib import Path

import torch

from netwright.cli.inputs import inputs_of, support_of
from netwright.cli.output import print_json
from netwright.conditions import ExampleSet
from netwright.errors import DataError, RunError
from netwright.export import Int8Cost, files_of, format_of, read_int8_cost
from netwright.generated import GeneratedNetwork, load_network


def run_export(
    folder: Path,
    out: Path,
    *,
    format: str | None,
    calibration: Path | None,
    input_shape: str | None,
    as_json: bool,
) -> None:
    """Write a saved network in another format, and say what came."""
    name = format_of(out, format)
    network = load_network(folder)
    rows = None if calibration is None else calibration_of(calibration, network)
    network.export(out, format=name, calibration=rows, input_shape=_shape_of(input_shape))
    files = files_of(out, name)
    size = sum(each.stat().st_size for each in files)
    cost = read_int8_cost(out) if name == "onnx-int8" else None
    if as_json:
        print_json(
            {
                "format": name,
                "files": [str(each) for each in files],
                "parameters": network.size,
                "bytes": size,
                "int8": None if cost is None else asdict(cost),
            }
        )
        return
    print(f"{' and '.join(map(str, files))}: {name}, {network.size:,} parameters, {size:,} bytes")
    if cost is not None:
        print(say_cost(cost))


def say_cost(cost: Int8Cost) -> str:
    """What int8 costs, in a sentence or two."""
    said = ""
    if cost.before is not None and cost.after is not None:
        said = f"{cost.metric} on {cost.rows} rows: {cost.before:.3g} in float32, {cost.after:.3g} in int8; "
    return (
        f"{said}{cost.agreement:.1%} of {cost.rows} rows have the same largest output, outputs differ by up to "
        f"{cost.gap:.1%} of the largest; {cost.bytes_before:,} bytes in float32, {cost.bytes_after:,} in int8"
    )


def calibration_of(path: Path, network: GeneratedNetwork) -> ExampleSet | torch.Tensor:
    """Rows that a network is to meet, with their classes or values where they are known.

    Raises:
        DataError: If they cannot be read, or are of other classes than the network's.
    """
    if path.suffix.lower() == ".npz":
        return _arrays(path, network)
    support, names = support_of(path, network.input_shape, network.preparation, None)
    if support.classes is not None and network.labels and names != network.labels:
        raise DataError(
            f"{path} has classes {list(names)}, expected those of the network, {list(network.labels)}."
        )
    return support


def _arrays(path: Path, network: GeneratedNetwork) -> ExampleSet | torch.Tensor:
    """x, and y where there is one: values, or classes by number or as labels name them."""
    import numpy as np

    x, _ = inputs_of(path, network.input_shape, None)
    with np.load(path, allow_pickle=False) as file:
        if "y" not in file.files:
            return x
        y = file["y"]
    if len(y) != len(x):
        raise DataError(f"{path} has {len(x)} rows in x and {len(y)} in y, expected as many.")
    if y.ndim > 1:
        return ExampleSet.of(x[None], torch.from_numpy(y.astype(np.float32))[None])
    with torch.no_grad():
        outputs = network(x[:1]).shape[-1]
    if outputs == 1:
        return ExampleSet.of(x[None], torch.from_numpy(y.astype(np.float32))[None, :, None])
    names = [str(int(each)) if each == int(each) else str(each) for each in y.tolist()]
    labels = list(network.labels) or [str(each) for each in range(outputs)]
    if unknown := sorted(set(names) - set(labels)):
        raise DataError(f"{path} has classes {unknown}, expected those of the network, {labels}.")
    classes = torch.tensor([labels.index(name) for name in names])
    return ExampleSet.of(x[None], classes[None], classes=outputs)


def _shape_of(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise RunError(f"`--input-shape` is {text!r}, expected such as 1,28,28.")
    return tuple(int(part) for part in parts)


__all__ = ["calibration_of", "run_export", "say_cost"]
