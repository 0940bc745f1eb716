"""`netwright predict`."""

from pathlib import Path

import torch

from netwright.cli.inputs import inputs_of
from netwright.cli.output import print_json
from netwright.errors import ConditionError
from netwright.generated import GeneratedNetwork, load_network
from netwright.shapes import check_shape


def run_predict(network_folder: Path, inputs: Path, *, as_json: bool) -> None:
    """Print a prediction per picture or row."""
    network = load_network(network_folder)
    x, names = inputs_of(inputs, network.input_shape, network.preparation)
    axes = {"N": len(x), **{f"D{i}": size for i, size in enumerate(network.input_shape)}}
    check_shape("x", x, " ".join(axes), hint="Give what the network was written for.", **axes)
    with torch.no_grad():
        outputs = network(x)
    if not outputs.isfinite().all():
        raise ConditionError("The network's outputs are not finite; its inputs are too extreme.")
    rows = _rows(network, outputs, names)
    if as_json:
        print_json({"network": network_folder, "predictions": rows})
        return
    for row in rows:
        confidence = f"  {row['probability']:.3f}" if "probability" in row else ""
        print(f"{row['input']}\t{row['prediction']}{confidence}")


def _rows(
    network: GeneratedNetwork, outputs: torch.Tensor, names: tuple[str, ...]
) -> list[dict[str, object]]:
    preparation = network.preparation or {}
    is_values = preparation.get("kind") == "table" and not preparation.get("labels")
    if is_values or outputs.shape[1] == 1:
        mean, std = preparation.get("mean", 0.0), preparation.get("std", 1.0)
        values = (outputs[:, 0] * std + mean).tolist()
        return [{"input": n, "prediction": round(v, 6)} for n, v in zip(names, values, strict=True)]
    probabilities, classes = outputs.softmax(dim=1).max(dim=1)
    labels = network.labels or tuple(map(str, range(outputs.shape[1])))
    return [
        {"input": name, "prediction": labels[int(c)], "probability": float(p)}
        for name, c, p in zip(names, classes, probabilities, strict=True)
    ]
