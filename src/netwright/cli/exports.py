"""Commands that take a written network elsewhere, one function each.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.root import Json, app

NetworkFolder = Annotated[
    Path, typer.Argument(metavar="NETWORK", help="A folder that `generate` or `save` made.")
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="For onnx-int8: a support set, as `generate` takes it, or .npz with x alone."
    ),
]


@app.command()
def export(
    network: NetworkFolder,
    out: Annotated[
        Path, typer.Option(help="The file: .onnx, .pt2, .py (and an .npz beside it), .c or .h.")
    ],
    format: Annotated[
        str | None,
        typer.Option(
            help="onnx, onnx-weights, onnx-int8, torch-export, numpy or c; by default what the ending says."
        ),
    ] = None,
    calibration: Calibration = None,
    input_shape: Annotated[
        str | None,
        typer.Option(
            help="Of one input, such as 1,54: for policies that remember, what they remember is behind it."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a network as a file that needs none of this library: `netwright export net --out net.py`."""
    from netwright.cli.export import run_export

    run_export(
        network, out, format=format, calibration=calibration, input_shape=input_shape, as_json=as_json
    )  # fmt: skip


@app.command()
def benchmark(
    network: NetworkFolder,
    formats: Annotated[
        str | None, typer.Option(help="Such as onnx,c; by default all of them.")
    ] = None,
    calibration: Calibration = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each format.")] = 101,
    as_json: Json = False,
) -> None:
    """A network's latency and size in each format, one thread, in turns."""
    from netwright.cli.benchmark import run_benchmark

    run_benchmark(network, formats=formats, calibration=calibration, rounds=rounds, as_json=as_json)


__all__ = ["app"]
