"""The commands, one function each; they parse, call the library and report.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="netwright",
    help="One network that writes networks: train a hypernetwork once, then write a small network "
    "for a task it has never seen, in one forward pass.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder with the data sets (else $NETWRIGHT_DATA, else download)."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]
Weights = Annotated[str, typer.Option(help="best by validation, or last.")]
Shifts = Annotated[
    int | None,
    typer.Option(help="Read each support picture with copies shifted by so many pixels."),
]
Seeds = Annotated[int, typer.Option(help="How many; one allows no claim.")]
Budget = Annotated[
    str,
    typer.Option(help="steps=5000, cpu=30m (s, m or h), or patience=5, perhaps ,most_steps=20000."),
]
ComparisonFolder = Annotated[
    Path | None, typer.Option(help="Where results go; by default below runs/.")
]
Resume = Annotated[Path | None, typer.Option(help="Go on with this folder.")]
Ways = Annotated[int | None, typer.Option(help="Classes per task (pictures).")]
Shots = Annotated[int | None, typer.Option(help="Support examples per class, or per task.")]
Queries = Annotated[int | None, typer.Option(help="Query examples per class, or per task.")]
Task = Annotated[str | None, typer.Option(help="Column that names the task (tables).")]
Target = Annotated[str | None, typer.Option(help="Column to predict (tables).")]
Channels = Annotated[
    int | None, typer.Option(help="Channels of a child for pictures; by default 8.")
]
Hidden = Annotated[
    str | None, typer.Option(help="Hidden widths of a child for vectors; by default 40,40.")
]
TestEpisodes = Annotated[int, typer.Option(help="Test tasks, the same for all.")]
ValidationEpisodes = Annotated[int, typer.Option(help="Validation tasks, for every choice.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Options before the command."""
    if version:
        from netwright import __version__

        typer.echo(f"netwright {__version__}")
        raise typer.Exit


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
            help="glyphs, omniglot, sine, digit-rules, pendulum and other machines, a folder of pictures, or a CSV or Parquet file.",
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Run folder; by default runs/FAMILY-N.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Optimiser steps; by default 5000, for machines 2400.")
    ] = None,
    tasks: Annotated[
        int | None, typer.Option(help="Tasks per step; by default 16, for machines 128.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Peak rate of AdamW.")] = 1e-3,
    average: Annotated[
        float,
        typer.Option(help="Decay of a running average of the weights, such as 0.999; 0: none."),
    ] = 0.0,
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
    generator: Annotated[
        str | None, typer.Option(help="dense, chunked, low-rank, basis or layer-tokens.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="anchored, anchor-only or residual-only.")
    ] = None,
    size: Annotated[int, typer.Option(help="Width of the embedding.")] = 64,
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
        channels=channels,
        hidden=hidden,
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
def generate(
    run: RunFolder,
    out: Annotated[
        Path, typer.Option(help="Folder to make, or a file: .safetensors, .onnx or .c.")
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


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is installed, and what this machine can do."""
    from netwright.cli.doctor import run_doctor

    run_doctor(as_json=as_json)
