"""`netwright train`."""

import time
from pathlib import Path
from typing import Any

from netwright.cli.output import next_folder, print_json, set_threads
from netwright.environments import ENVIRONMENTS
from netwright.errors import RunError
from netwright.hypernetwork import Hypernetwork
from netwright.objectives import objective_for
from netwright.runs import Run
from netwright.tasks import FAMILIES, Sized, TaskFamily
from netwright.tasks.columns import TABLE_ENDINGS
from netwright.tasks.data_set import DATA_SETS
from netwright.training import (
    Checkpoints,
    TrainingResult,
    build_family,
    build_hypernetwork,
    default_child,
    default_training,
    make_hypernetwork,
    plan_run,
    resolve_device,
    train_run,
)
from netwright.training import curves as training_curves

# What is named in a message.
_SIZES = {"fashion-mnist": "conv"}


def run_train(
    source: str | None,
    *,
    folder: Path | None,
    resume: Path | None,
    family_options: dict[str, Any],
    training: dict[str, Any],
    hypernetwork: dict[str, Any],
    objective: str | None,
    channels: int | None,
    hidden: str | None,
    sizes: str | None,
    threads: int,
    device: str,
    data_root: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train afresh or go on, then say what came of it."""
    if (source is None) == (resume is None):
        raise RunError(
            "Give either a task family (`netwright train glyphs`) or a run to go on with "
            "(`netwright train --resume runs/glyphs-1`)."
        )
    started = time.monotonic()
    if resume is not None:
        if objective is not None:
            raise RunError(
                f"`--objective` is {objective!r} and {resume} is resumed, expected none: it goes on as it was started. "
                "Leave it out."
            )
        folder = resume
        saved = Checkpoints(resume).newest()
        run = Run.from_json(saved.files["run.json"], name=f"run record in {saved.path}")
        set_threads(run.threads)
        family = build_family(run.family, data_root=data_root)
        network = build_hypernetwork(run)
    else:
        assert source is not None
        set_threads(threads)
        record = family_record(source, family_options, sizes)
        family = build_family(record, data_root=data_root)
        folder = folder or next_folder(_name_of(record))
        chosen = {name: value for name, value in training.items() if value is not None}
        training = {**default_training(family.shape), **chosen}
        network = _new_hypernetwork(family, training["seed"], hypernetwork, channels, hidden)
        scored_by = objective_for(family.shape.kind, parse_options(objective or ""), "--objective")
        run = plan_run(network, family, resolve_device(device), training, scored_by)
    result = train_run(
        run, network, family, folder=folder, resume=resume is not None, progress=not quiet
    )
    picture = training_curves.draw(folder, result.log)
    _report(result, folder, picture, time.monotonic() - started, as_json)


def family_record(source: str, options: dict[str, Any], sizes: str | None = None) -> dict[str, Any]:
    """The record of a task family from what a person typed.

    Args:
        source: A family, a data set, a machine, or a path.
        options: Of the family.
        sizes: Name of a ready space, if tasks are to ask for networks of many architectures.

    Raises:
        RunError: If it is neither a family's name nor a path that is there, or tasks would ask for nothing.
    """
    if sizes is not None:
        return {"name": "sized", "family": _family_record(source, options), "space": sizes}
    record = _family_record(source, options)
    if record["name"] == "data-set":
        raise RunError(
            f"{source} is one data set: there is nothing to write different networks from, expected networks of "
            f"many architectures. Say which: netwright train {source} --sizes {_SIZES.get(source, 'mlp')}"
        )
    return record


def _family_record(source: str, options: dict[str, Any]) -> dict[str, Any]:
    path = Path(source)
    if source in DATA_SETS:
        return {"name": "data-set", "data": source, **options}
    if source in FAMILIES:
        return {"name": source, **options}
    if source in ENVIRONMENTS:
        return {"name": "control", "environment": source, **options}
    if path.suffix.lower() in TABLE_ENDINGS:
        missing = [f"--{name}" for name in ("task", "target") if name not in options]
        if missing:
            raise RunError(
                f"{source} is a table, expected {' and '.join(missing)} as well: the column that names "
                "the task and the column to predict."
            )
        return {"name": "table", "path": str(path), **options}
    if path.is_dir():
        return {"name": "images", "root": str(path), **options}
    raise RunError(
        f"{source!r} is no task family and no path that is there, expected one of "
        f"{sorted([*FAMILIES, *ENVIRONMENTS, *DATA_SETS])}, a folder of pictures, or a .csv or .parquet file."
    )


def _new_hypernetwork(
    family: TaskFamily,
    seed: int,
    options: dict[str, Any],
    channels: int | None,
    hidden: str | None,
) -> Hypernetwork:
    if isinstance(family, Sized):
        if channels is not None or hidden is not None:
            raise RunError(
                "`--channels` and `--hidden` say what one network looks like, and `--sizes` asks for networks of "
                "many architectures, expected one of the two. Leave the others out."
            )
        return make_hypernetwork(family.shape, seed=seed, child=family.space.smallest(), **options)
    widths = None if hidden is None else parse_widths(hidden)
    child = default_child(family.shape, channels=channels, hidden=widths)
    return make_hypernetwork(family.shape, seed=seed, child=child, **options)


def _name_of(record: dict[str, Any]) -> str:
    """What a run's folder is called after."""
    if record["name"] == "sized":
        return f"{_name_of(record['family'])}-{record['space']}"
    return str(record.get("data", record["name"]))


def parse_widths(hidden: str) -> tuple[int, ...]:
    """Widths of hidden layers from a text such as 40,40.

    Raises:
        RunError: If it is none.
    """
    try:
        return tuple(int(width) for width in hidden.split(",") if width)
    except ValueError:
        raise RunError(f"`--hidden` is {hidden!r}, expected widths such as 40,40.") from None


def parse_options(text: str) -> dict[str, Any]:
    """Options and their values, as texts, from one such as discount=0.99,spread=0.7:0.15; a word before them is the objective's name.

    Raises:
        RunError: If it is none.

    >>> parse_options("discount=0.99,spread=0.7:0.15")
    {'discount': '0.99', 'spread': ['0.7', '0.15']}
    >>> parse_options("analytic-gradient,window=24")
    {'name': 'analytic-gradient', 'window': '24'}
    """
    found: dict[str, Any] = {}
    for place, part in enumerate(filter(None, text.split(","))):
        name, equals, value = part.partition("=")
        if not place and not equals:
            name, value = "name", name
        if not name or not value:
            raise RunError(
                f"`--objective` is {text!r}, expected options and values such as discount=0.99,spread=0.7:0.15, "
                "or a name before them, such as analytic-gradient,window=24."
            )
        found[name] = value.split(":") if ":" in value else value
    return found


def _report(
    result: TrainingResult,
    folder: Path,
    picture: Path | None,
    seconds: float,
    as_json: bool,
) -> None:
    if as_json:
        print_json(
            {
                "folder": folder,
                "run": result.run.digest,
                "step": result.step,
                "best_step": result.best_step,
                "best_value": result.best_value,
                "cpu_seconds": round(result.cpu_seconds, 1),
                "seconds": round(seconds, 1),
                "curves": picture,
            }
        )
        return
    print(f"{folder}: {result.step} steps in {result.cpu_seconds:.0f} CPU-seconds")
    if result.best_value is not None:
        print(f"best validation at step {result.best_step}: {result.best_value:.4f}")
    if picture is not None:
        print(f"curves: {picture}")
    print(f"next: netwright evaluate {folder}")
    if result.run.family["name"] == "sized":
        print(f"or:   netwright design {folder} --max-bytes 4096")


__all__ = ["family_record", "parse_options", "parse_widths", "run_train"]
