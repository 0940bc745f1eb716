"""Commands that write networks and use them, one function each.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.root import DataRoot, Json, RunFolder, Shifts, Weights, app


@app.command()
def generate(
    run: RunFolder,
    out: Annotated[
        Path,
        typer.Option(help="Folder to make, or a file: .safetensors, .onnx, .pt2, .py, .c or .h."),
    ],
    support: Annotated[
        Path | None,
        typer.Option(help="Folder of <class>/pictures, a CSV or Parquet, or .npz with x and y."),
    ] = None,
    describe: Annotated[
        str | None,
        typer.Option(help="What the network should do, in words; alone or beside --support."),
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="A machine, such as mass=1.3,gain=-1 (policies).")
    ] = None,
    weights: Weights = "best",
    shifts: Shifts = None,
    many: Annotated[
        Path | None,
        typer.Option(
            help="Many tasks at once: .npz with x [T, S, ...], y, perhaps mask, context, ids; or a "
            "table with the task column."
        ),
    ] = None,
    shard: Annotated[
        str, typer.Option(help="With --many: which part of how many, as 3/16.")
    ] = "1/1",
    at_rest: Annotated[
        str, typer.Option(help="With --many: float32, float16 or int8 in banks that read it.")
    ] = "float32",
    as_json: Json = False,
) -> None:
    """Write a network for a new task from a support set, a description or both, or --many networks."""
    from netwright.cli.generate import run_generate, run_generate_many
    from netwright.errors import RunError

    if (support is None and describe is None and not context) == (many is None):
        raise RunError(
            "Give --support, --describe or --context, or several of them, for one task, or --many, for many."
        )
    if many is not None:
        run_generate_many(
            run, many, out, shard=shard, at_rest=at_rest, weights=weights, shifts=shifts, as_json=as_json
        )  # fmt: skip
    else:
        run_generate(
            run, support, describe, tuple(context or ()), out, weights=weights, shifts=shifts, as_json=as_json
        )  # fmt: skip


@app.command()
def design(
    run: RunFolder,
    support: Annotated[
        Path | None,
        typer.Option(help="Folder of <class>/pictures, a CSV or Parquet, or .npz with x and y."),
    ] = None,
    describe: Annotated[
        str | None, typer.Option(help="What the network should do, in words; needs --held-out.")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="Rows to choose by, as --support or, for runs on a data set, .npz or CSV; by default the support "
            "set held out in turn, or the data set's validation rows."
        ),
    ] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Of the weights in float32.")] = None,
    max_parameters: Annotated[int | None, typer.Option(help="Numbers of the network.")] = None,
    max_flops: Annotated[int | None, typer.Option(help="Per input; a multiply-add is two.")] = None,
    max_activation_bytes: Annotated[
        int | None, typer.Option(help="Most that is alive at once while one input is run.")
    ] = None,
    latency_ms: Annotated[
        float | None, typer.Option(help="Most milliseconds per input, measured on this machine.")
    ] = None,
    candidates: Annotated[int, typer.Option(help="Architectures that are tried.")] = 200,
    method: Annotated[str, typer.Option(help="evolution, random, tpe or nsga2.")] = "evolution",
    by: Annotated[
        str,
        typer.Option(
            help="Costs that the front is about: of bytes, parameters, flops, activation_bytes, latency_ms."
        ),
    ] = "bytes,flops",
    polish: Annotated[
        int, typer.Option(help="Gradient steps for the best five, kept where they help.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Decides what is proposed and held out.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to make, or a file: .safetensors, .onnx, .pt2, .py, .c or .h; by default network in the folder."
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="A .png or .svg; by default front.png in the folder.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where candidates are kept; by default runs/design-N.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this folder, all else as it was.")
    ] = None,
    weights: Weights = "best",
    shifts: Shifts = None,
    data_root: DataRoot = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """The best network under a budget: architectures proposed, each written in one pass, ranked: `netwright design RUN --support photos --max-bytes 4096`."""
    from netwright.cli.design import run_design

    run_design(
        run, support=support, describe=describe, held_out=held_out,
        limits={
            "bytes": max_bytes, "parameters": max_parameters, "flops": max_flops,
            "activation_bytes": max_activation_bytes,
        },
        latency_ms=latency_ms, method=method, candidates=candidates, seed=seed, by=by, polish=polish,
        out=out, picture=picture, folder=folder, resume=resume, weights=weights, shifts=shifts,
        data_root=data_root, quiet=quiet, as_json=as_json,
    )  # fmt: skip


@app.command()
def classify(
    table: Annotated[Path, typer.Argument(help="A CSV, TSV or Parquet file.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to make, or a file .onnx; by default below runs/.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out, such as an identifier.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    as_json: Json = False,
) -> None:
    """Write a classifier for a table in one pass, and say what it is worth beside usual baselines."""
    from netwright.cli.classify import run_classify

    run_classify(
        table, target, out, ignore=tuple(ignore or ()), folds=folds, seed=seed, as_json=as_json
    )


@app.command()
def regress(
    table: Annotated[Path, typer.Argument(help="A CSV, TSV or Parquet file.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to make, or a file .onnx; by default below runs/.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out, such as an identifier.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    as_json: Json = False,
) -> None:
    """Write a regressor with quantiles for a table in one pass, and say what it is worth beside usual baselines."""
    from netwright.cli.regress import run_regress

    run_regress(
        table, target, out, ignore=tuple(ignore or ()), folds=folds, seed=seed, as_json=as_json
    )


@app.command()
def play(
    run: RunFolder,
    context: Annotated[
        list[str] | None, typer.Option(help="The machine, such as mass=1.3,gain=-1.")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option(help="What it becomes under way, such as gain=1.")
    ] = None,
    at: Annotated[int | None, typer.Option(help="Step of the change; by default half way.")] = None,
    rewrite_every: Annotated[
        int, typer.Option(min=0, help="Steps between rewrites of the policy; 0: never.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the state to begin in.")] = 0,
    plane: Annotated[
        str | None,
        typer.Option(
            "--map", help="Draw what policies earn over two quantities, such as gain,mass."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .gif, or a page to play with, .html; with --map a .png; by default below runs/."
        ),
    ] = None,
    weights: Weights = "best",
    as_json: Json = False,
) -> None:
    """Write a policy for a machine and watch it: `netwright play RUN --context gain=-1`, `--out page.html`."""
    from netwright.cli.play import run_play

    run_play(
        run, tuple(context or ()), tuple(change or ()), at=at, rewrite_every=rewrite_every,
        seed=seed, plane=plane, out=out, weights=weights, as_json=as_json,
    )  # fmt: skip


@app.command()
def predict(
    network: Annotated[Path, typer.Argument(help="A folder that `generate` or `save` made.")],
    inputs: Annotated[
        Path, typer.Argument(help="Folder of pictures, CSV or Parquet, or .npz with x.")
    ],
    as_json: Json = False,
) -> None:
    """Run a written network on new inputs."""
    from netwright.cli.predict import run_predict

    run_predict(network, inputs, as_json=as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is installed, and what this machine can do."""
    from netwright.cli.doctor import run_doctor

    run_doctor(as_json=as_json)


__all__ = ["app"]
