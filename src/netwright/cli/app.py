"""Commands that learn, measure and compare, one function each; they parse, call the library and report.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.root import (
    Budget,
    Channels,
    ComparisonFolder,
    DataRoot,
    Device,
    Hidden,
    Json,
    Queries,
    Resume,
    RunFolder,
    Seeds,
    Shifts,
    Shots,
    Target,
    Task,
    TestEpisodes,
    ValidationEpisodes,
    Ways,
    Weights,
    app,
)


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Option(help="Run folder; by default runs/demo-N.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of meta-training.")] = 1_500,
    seed: Annotated[int, typer.Option(help="Decides everything.")] = 0,
    as_json: Json = False,
) -> None:
    """The whole story in about two minutes: train, write networks for unseen scripts, compare."""
    from netwright.cli.demo import run_demo

    run_demo(folder, steps=steps, seed=seed, as_json=as_json)


@app.command()
def train(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FAMILY",
            help="glyphs, omniglot, sine, digit-rules, pendulum and other machines, digits or fashion-mnist (with --sizes), a folder of pictures, or a CSV or Parquet file.",
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Run folder; by default runs/FAMILY-N.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Optimiser steps; by default 5000, machines 2400, with --sizes 4000."),
    ] = None,
    tasks: Annotated[
        int | None,
        typer.Option(help="Tasks per step; by default 16, for machines 128, with --sizes 8."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Peak rate of AdamW; by default 0.001, with --sizes 0.003."),
    ] = None,
    average: Annotated[
        float | None,
        typer.Option(
            help="Decay of a running average of the weights, such as 0.999; by default none, for machines 0.98, with --sizes 0.99."
        ),
    ] = None,
    patience: Annotated[
        int, typer.Option(help="Validations without gain before stopping; 0: never.")
    ] = 0,
    validate_every: Annotated[
        int | None,
        typer.Option(help="Steps between validations; by default 500, for machines 240."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides weights, tasks and dropout.")] = 0,
    sources: Annotated[
        str | None,
        typer.Option(help="What networks are written from, such as context,examples (machines)."),
    ] = None,
    ways: Annotated[int | None, typer.Option(help="Classes per task (pictures).")] = None,
    shots: Annotated[
        int | None, typer.Option(help="Support examples per class, or per task.")
    ] = None,
    queries: Annotated[
        int | None, typer.Option(help="Query examples per class, or per task.")
    ] = None,
    jitter: Annotated[
        int | None, typer.Option(help="Largest random shift in training, pixels.")
    ] = None,
    warps: Annotated[
        str | None,
        typer.Option(
            help="Further training classes by affine maps: how many times, or fresh (omniglot)."
        ),
    ] = None,
    validation_alphabets: Annotated[
        int | None, typer.Option(help="Background alphabets kept for validation (omniglot).")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Column that names the task (tables).")] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict (tables).")] = None,
    channels: Annotated[
        int | None, typer.Option(help="Channels of a child for pictures; by default 8.")
    ] = None,
    hidden: Annotated[
        str | None, typer.Option(help="Hidden widths of a child for vectors; by default 40,40.")
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Write networks of many architectures: mlp, residual, conv, recurrent or transformer; see `netwright design`."
        ),
    ] = None,
    generator: Annotated[
        str | None, typer.Option(help="dense, chunked, low-rank, basis or layer-tokens.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="anchored, anchor-only or residual-only.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="Options of what tasks are scored by, such as discount=0.99,spread=0.7:0.15 (machines); a name before them for another "
            "one: policy-gradient, analytic-gradient, evolution-strategies."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Width of the embedding; by default 64, with --sizes conv 128 where classes are fixed."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; part of what decides the bits.")] = 1,
    device: Device = "auto",
    data_root: DataRoot = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Meta-train a hypernetwork: `netwright train glyphs`, `netwright train sales.csv --task store --target units`."""
    from netwright.cli.train import run_train

    family_options = {
        "ways": ways, "shots": shots, "queries": queries, "jitter": jitter,
        "warps": int(warps) if warps and warps.isdigit() else warps,
        "validation_alphabets": validation_alphabets, "task": task, "target": target,
        "sources": sources.split(",") if sources else None,
    }  # fmt: skip
    run_train(
        source,
        folder=folder,
        resume=resume,
        family_options={name: value for name, value in family_options.items() if value is not None},
        training={
            "steps": steps, "tasks": tasks, "learning_rate": learning_rate, "average": average,
            "patience": patience,
            "validate_every": validate_every, "seed": seed,
        },
        hypernetwork={"generator": generator, "head": head, "size": size},
        objective=objective,
        channels=channels,
        hidden=hidden,
        sizes=sizes,
        threads=threads,
        device=device,
        data_root=data_root,
        quiet=quiet,
        as_json=as_json,
    )  # fmt: skip


@app.command()
def evaluate(
    run: RunFolder,
    tasks: Annotated[int, typer.Option(help="Unseen tasks.")] = 600,
    split: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    shots: Annotated[int | None, typer.Option(help="Other than in training.")] = None,
    ways: Annotated[int | None, typer.Option(help="Other than in training.")] = None,
    seed: Annotated[int, typer.Option(help="Which tasks.")] = 0,
    weights: Weights = "best",
    shifts: Shifts = None,
    device: Device = "auto",
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Score networks written for fixed tasks that the hypernetwork has never seen."""
    from netwright.cli.evaluate import run_evaluate

    overrides = {"shots": shots, "ways": ways}
    run_evaluate(
        run,
        tasks=tasks,
        split=split,
        seed=seed,
        weights=weights,
        shifts=shifts,
        overrides={name: value for name, value in overrides.items() if value is not None},
        device=device,
        data_root=data_root,
        as_json=as_json,
    )


@app.command()
def compare(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FAMILY_OR_EXPERIMENT",
            help="What `train` takes as a family, or an experiment: a .yaml file.",
        ),
    ] = None,
    learners: Annotated[
        str, typer.Option(help="Kinds of learners, with commas between; see docs/comparing.md.")
    ] = "hypernetwork,maml,reptile,joint,joint+tune,scratch,nearest-neighbours",
    seeds: Seeds = 3,
    budget: Budget = "steps=5000",
    folder: ComparisonFolder = None,
    resume: Resume = None,
    ways: Ways = None,
    shots: Shots = None,
    queries: Queries = None,
    task: Task = None,
    target: Target = None,
    channels: Channels = None,
    hidden: Hidden = None,
    test_episodes: TestEpisodes = 600,
    validation_episodes: ValidationEpisodes = 200,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether all in the experiment holds together.")
    ] = False,
    data_root: DataRoot = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Hypernetworks and their rivals on the same child and the same tasks: `netwright compare sine --learners hypernetwork,maml`."""
    from netwright.cli.compare import run_compare

    family_options = {
        "ways": ways,
        "shots": shots,
        "queries": queries,
        "task": task,
        "target": target,
    }
    run_compare(
        source, learners=learners, seeds=seeds, budget=budget, folder=folder, resume=resume,
        family_options={name: value for name, value in family_options.items() if value is not None},
        channels=channels, hidden=hidden, test_episodes=test_episodes,
        validation_episodes=validation_episodes, check=check, data_root=data_root, quiet=quiet,
        as_json=as_json,
    )  # fmt: skip


@app.command()
def ablate(
    source: Annotated[
        str | None, typer.Argument(metavar="FAMILY", help="What `train` takes as a family.")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="A choice and its values, such as generator=dense,slots; emission, size, width, anchor, "
            "head, or an option of the generator such as learns_base. One varies at a time."
        ),
    ] = None,
    seeds: Seeds = 3,
    budget: Budget = "steps=5000",
    folder: ComparisonFolder = None,
    resume: Resume = None,
    ways: Ways = None,
    shots: Shots = None,
    queries: Queries = None,
    task: Task = None,
    target: Target = None,
    channels: Channels = None,
    hidden: Hidden = None,
    test_episodes: TestEpisodes = 600,
    validation_episodes: ValidationEpisodes = 200,
    data_root: DataRoot = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """What each choice of a hypernetwork does, one varied at a time around the default."""
    from netwright.cli.compare import run_ablate

    family_options = {
        "ways": ways,
        "shots": shots,
        "queries": queries,
        "task": task,
        "target": target,
    }
    run_ablate(
        source, vary=vary or [], seeds=seeds, budget=budget, folder=folder, resume=resume,
        family_options={name: value for name, value in family_options.items() if value is not None},
        channels=channels, hidden=hidden, test_episodes=test_episodes,
        validation_episodes=validation_episodes, data_root=data_root, quiet=quiet, as_json=as_json,
    )  # fmt: skip


@app.command()
def tune(
    source: Annotated[
        str | None, typer.Argument(metavar="FAMILY", help="What `train` takes as a family.")
    ] = None,
    learner: Annotated[str, typer.Option(help="A kind of learner.")] = "hypernetwork",
    trials: Annotated[int, typer.Option(help="Trainings, those in the folder counted in.")] = 20,
    search: Annotated[
        list[str] | None,
        typer.Option(help="An option and its values: size=32,64 or learning_rate=1e-4:1e-2:log."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of each training.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Decides what is proposed.")] = 0,
    folder: ComparisonFolder = None,
    resume: Resume = None,
    ways: Ways = None,
    shots: Shots = None,
    queries: Queries = None,
    task: Task = None,
    target: Target = None,
    channels: Channels = None,
    hidden: Hidden = None,
    validation_episodes: ValidationEpisodes = 200,
    data_root: DataRoot = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Search a learner's options on validation tasks; test tasks are never drawn."""
    from netwright.cli.tune import run_tune

    family_options = {
        "ways": ways,
        "shots": shots,
        "queries": queries,
        "task": task,
        "target": target,
    }
    run_tune(
        source, learner=learner, trials=trials, search=search or [], steps=steps, seed=seed,
        folder=folder, resume=resume,
        family_options={name: value for name, value in family_options.items() if value is not None},
        channels=channels, hidden=hidden, validation_episodes=validation_episodes,
        data_root=data_root, quiet=quiet, as_json=as_json,
    )  # fmt: skip


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A comparison that `compare` made.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The HTML file; by default report.html in the folder.")
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Report though results are missing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verdicts, tables and one self-contained page from a comparison's results."""
    from netwright.cli.report import run_report

    run_report(folder, out=out, unfinished=unfinished, as_json=as_json)


__all__ = ["app"]
