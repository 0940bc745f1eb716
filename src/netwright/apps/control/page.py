"""A page to play with: sliders change the machine, and its policy is rewritten at once, in the browser."""

import base64
import html
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netwright.apps.control.flight import check_machine
from netwright.architectures import MLP
from netwright.artifacts import write_file
from netwright.conditioners import Context
from netwright.conditioners.encoding import encoded
from netwright.errors import RunError
from netwright.generators.dense import Dense
from netwright.hypernetwork import Hypernetwork
from netwright.tasks.control import Control

_ACTIVATIONS = {nn.GELU: "gelu", nn.Tanh: "tanh", nn.ReLU: "relu", nn.SiLU: "silu"}
# How far beyond training sliders go, in half ranges.
_BEYOND = 0.5


def write_page(
    hypernetwork: Hypernetwork, family: Control, path: str | Path, *, machine: Tensor | None = None
) -> Path:
    """One self-contained HTML file with machine, hypernetwork and child: nothing is fetched, nothing is sent.

    Args:
        hypernetwork: One that reads a machine's numbers (`Context`) and writes with a `Dense` generator.
        family: The machines.
        path: The file.
        machine: The one that is there when the page is opened, [1, P]; by default that of the textbook.

    Raises:
        RunError: If the hypernetwork is of another kind, or a page has not the physics of the machines.
        ConditionError: If the machine is far outside of what was trained on.
        ArtifactError: If the file cannot be written.
    """
    path = Path(path)
    here = files("netwright.apps.control")
    physics = (here / "physics.js").read_text()
    if f'"{family.name}": ' not in physics:
        raise RunError(
            f"A page has no physics of {family.name!r}, expected a machine that is written as tensors. "
            "Watch it in a GIF instead: `--out flight.gif`."
        )
    if machine is None:
        machine = family.environment.machine()
    check_machine(family.environment, machine)
    record = {
        "environment": family.name,
        "quantities": [
            {
                "name": q.name, "low": q.low, "high": q.high, "value": q.default, "kind": q.kind,
                "unit": q.unit, "start": start, **_slider(q, start),
            }
            for q, start in zip(family.environment.quantities, machine[0].tolist(), strict=True)
        ],
        "hypernetwork": hypernetwork_record(hypernetwork),
    }  # fmt: skip
    text = (here / "page.html").read_text()
    for mark, content in (
        ("/*PHYSICS*/", physics),
        ("/*NETWORKS*/", (here / "networks.js").read_text()),
        ("/*RECORD*/null", json.dumps(record).replace("<", "\\u003c")),
        ("<!--TITLE-->", html.escape(family.name.replace("-", " "))),
    ):
        text = text.replace(mark, content)
    write_file(path, text.encode())
    return path


@torch.no_grad()
def hypernetwork_record(hypernetwork: Hypernetwork) -> dict[str, Any]:
    """A hypernetwork as layers that a page can run: those from a context to all numbers of a child, and the child's.

    Raises:
        RunError: If it is of another kind than `Context`, `Dense` and an MLP that is written whole.
    """
    reader, generator = hypernetwork.conditioner, hypernetwork.generator
    child = hypernetwork.child.architecture
    whole = isinstance(child, MLP) and hypernetwork.child.space.size == child.parameters
    if not isinstance(reader, Context) or not isinstance(generator, Dense) or not whole:
        raise RunError(
            f"The hypernetwork reads with {type(reader).__name__} and writes {hypernetwork.child.space.size} numbers with "
            f"{type(generator).__name__}, expected Context, and Dense that writes a whole MLP: a page runs no other. "
            "Train it on `context` alone, with the emission `full`."
        )
    ranges = len(reader.low)
    points = torch.cat([torch.zeros(1, ranges), torch.eye(ranges)])
    shares = encoded((points - reader.low) / (reader.high - reader.low), reader.encoding)
    scaled = {"kind": "linear", **_linear((shares[1:] - shares[:1]).T, shares[0])}
    layers = [scaled, *_layers(reader.trunk), *_layers(generator.trunk)]
    spaces = [spec.name for spec in generator.space.tensors]
    places, at, weights, biases = {}, 0, [], []
    modules = dict(hypernetwork.child.template.named_children())
    for name in (
        f"{layer}.{part}" for layer, m in modules.items() for part, _ in m.named_parameters()
    ):
        head: Any = generator.heads[spaces.index(name)]
        places[name] = at
        at += len(head.base)
        weights.append(head.weight * head.scale)
        biases.append(head.base)
    layers.append({"kind": "linear", **_linear(torch.cat(weights), torch.cat(biases))})
    written: list[dict[str, Any]] = []
    for layer, module in modules.items():
        if isinstance(module, nn.Linear):
            first, split = places[f"{layer}.weight"], places[f"{layer}.bias"]
            written.append({"kind": "linear", "at": [first, split, split + module.out_features]})
        else:
            written.append({"kind": _ACTIVATIONS[type(module)]})
    return {"layers": layers, "child": written}


def _layers(trunk: nn.Module) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for module in trunk.children():
        if isinstance(module, nn.Linear):
            found.append({"kind": "linear", **_linear(module.weight, module.bias)})
        elif isinstance(module, nn.LayerNorm):
            found.append({"kind": "norm", **_linear(module.weight, module.bias)})
        else:
            found.append({"kind": _ACTIVATIONS[type(module)]})
    return found


def _linear(weight: Tensor, bias: Tensor) -> dict[str, str]:
    return {"weight": _packed(weight), "bias": _packed(bias)}


def _packed(tensor: Tensor) -> str:
    return base64.b64encode(tensor.detach().cpu().float().contiguous().numpy().tobytes()).decode()


def _slider(q: Any, start: float) -> dict[str, float]:
    """From where to where, `start` within."""
    if q.is_discrete:
        return {"least": q.low, "most": q.high, "step": 1.0}
    reach = _BEYOND * (q.high - q.low) / 2
    most = q.high + reach
    least = -most if q.kind == "signed" else max(0.2 * q.low, q.low - reach)
    least, most = min(least, start), max(most, start)
    return {"least": least, "most": most, "step": (most - least) / 200}


__all__ = ["hypernetwork_record", "write_page"]
