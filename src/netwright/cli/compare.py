"""`netwright compare` and `netwright ablate`."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from netwright.architectures import to_record
from netwright.cli.output import next_folder, print_json, print_table
from netwright.cli.train import family_record, parse_widths
from netwright.errors import RunError
from netwright.referee import Experiment, compare, experiment_in, experiment_of, read_experiment
from netwright.referee.compare import check_experiment
from netwright.referee.episodes import metrics_of
from netwright.referee.standings import Standing, standings
from netwright.tasks import TaskFamily
from netwright.training.recipe import build_family, default_child

# What everything is compared with unless an experiment says otherwise.
REFERENCE = "hypernetwork"
_UNITS_S = {"s": 1, "m": 60, "h": 3600}
_MOST_STEPS = 50_000


def run_compare(
    source: str | None,
    *,
    learners: str,
    seeds: int,
    budget: str,
    folder: Path | None,
    resume: Path | None,
    family_options: dict[str, Any],
    channels: int | None,
    hidden: str | None,
    test_episodes: int,
    validation_episodes: int,
    check: bool,
    data_root: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare afresh or go on, then say how learners stand."""
    if (source is None) == (resume is None):
        raise RunError(
            "Give either a task family or an experiment (`netwright compare sine`, `netwright compare "
            "experiment.yaml`) or a folder to go on with (`netwright compare --resume runs/compare-sine-1`)."
        )
    say_where(data_root)
    if resume is not None:
        _run(experiment_in(resume), resume, True, quiet, as_json)
        return
    assert source is not None
    if Path(source).suffix in (".yaml", ".yml"):
        experiment = read_experiment(source)
    else:
        names = [name for name in learners.split(",") if name]
        experiment = experiment_of(
            comparison_record(
                source,
                {name.replace(":", "-"): {"kind": name} for name in names},
                seeds=seeds,
                budget=budget,
                family_options=family_options,
                channels=channels,
                hidden=hidden,
                test_episodes=test_episodes,
                validation_episodes=validation_episodes,
            ),
            "the command",
        )
    if check:
        check_experiment(experiment)
        print(f"experiment {experiment.hash}: all in it holds together")
        return
    folder = folder or next_folder(f"compare-{experiment.name}")
    _run(experiment, folder, False, quiet, as_json)


def run_ablate(
    source: str | None,
    *,
    vary: Sequence[str],
    seeds: int,
    budget: str,
    folder: Path | None,
    resume: Path | None,
    family_options: dict[str, Any],
    channels: int | None,
    hidden: str | None,
    test_episodes: int,
    validation_episodes: int,
    data_root: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Vary one choice of a hypernetwork at a time, through the machinery of `compare`."""
    if (source is None) == (resume is None):
        raise RunError(
            "Give either a task family (`netwright ablate sine --vary generator=dense,slots`) or a folder to go on "
            "with (`netwright ablate --resume runs/ablate-sine-1`)."
        )
    say_where(data_root)
    if resume is not None:
        _run(experiment_in(resume), resume, True, quiet, as_json)
        return
    assert source is not None
    record = comparison_record(
        source,
        variants(vary),
        seeds=seeds,
        budget=budget,
        family_options=family_options,
        channels=channels,
        hidden=hidden,
        test_episodes=test_episodes,
        validation_episodes=validation_episodes,
    )
    record["question"] = (
        "What does each choice of the hypernetwork do, the others left at their default?"
    )
    experiment = experiment_of(record, "the command")
    _run(experiment, folder or next_folder(f"ablate-{experiment.name}"), False, quiet, as_json)


def variants(vary: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Learners of an ablation by name, from choices such as `generator=dense,slots`.

    Raises:
        RunError: If a choice is not of this form.
    """
    found: dict[str, dict[str, Any]] = {REFERENCE: {"kind": "hypernetwork"}}
    for choice in vary:
        name, _, values = choice.partition("=")
        each = [value for value in values.split(",") if value]
        if not name or not each:
            raise RunError(
                f"`--vary` is {choice!r}, expected a choice and its values, such as generator=dense,slots."
            )
        for value in each:
            found[f"{name}={value}"] = {"kind": "hypernetwork", name: yaml.safe_load(value)}
    if len(found) == 1:
        raise RunError("Nothing varies, expected `--vary`, such as --vary generator=dense,slots.")
    return found


def parse_budget(text: str) -> dict[str, Any]:
    """A budget from `steps=5000`, `cpu=30m` (s, m or h) or `patience=5`, perhaps `,most_steps=20000`.

    Raises:
        RunError: If it is none of these.
    """
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    try:
        match parts:
            case {"steps": steps} if len(parts) == 1:
                return {"steps": int(steps)}
            case {"cpu": time} if len(parts) == 1 and (
                found := re.fullmatch(r"([\d.]+)([smh])", time)
            ):
                return {"cpu_minutes": float(found[1]) * _UNITS_S[found[2]] / 60}
            case {"patience": patience, **rest} if rest.keys() <= {"most_steps"}:
                return {
                    "patience": int(patience),
                    "most_steps": int(rest.get("most_steps", _MOST_STEPS)),
                }
    except ValueError:
        pass
    raise RunError(
        f"`--budget` is {text!r}, expected steps=5000, cpu=30m (s, m or h), or patience=5, perhaps with "
        ",most_steps=20000."
    )  # fmt: skip


def comparison_record(
    source: str,
    learners: Mapping[str, Any],
    *,
    seeds: int,
    budget: str,
    family_options: dict[str, Any],
    channels: int | None,
    hidden: str | None,
    test_episodes: int,
    validation_episodes: int,
) -> dict[str, Any]:
    """An experiment of one setting, as plain values, from what a person typed.

    Raises:
        RunError: If a name is unknown or an option does not fit.
    """
    record = family_record(source, family_options)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem).strip("-.") or "tasks"
    if seeds < 1:
        raise RunError(f"`--seeds` is {seeds}, expected at least 1.")
    family = build_family(record)
    return {
        "name": name,
        "settings": {name: {"family": record, "child": _child(family, channels, hidden)}},
        "metric": metrics_of(family)[0],
        "reference": REFERENCE if REFERENCE in learners else next(iter(learners), ""),
        "learners": dict(learners),
        "seeds": list(range(seeds)),
        "budget": parse_budget(budget),
        "test_episodes": test_episodes,
        "validation_episodes": validation_episodes,
    }


def _child(family: TaskFamily, channels: int | None, hidden: str | None) -> dict[str, Any]:
    widths = None if hidden is None else parse_widths(hidden)
    record = to_record(default_child(family.shape, channels=channels, hidden=widths))
    follows = ("inputs", "image", "classes", "outputs")
    own = {name: value for name, value in record.items() if name not in ("family", *follows)}
    return {"name": record["family"], **own}


def _run(experiment: Experiment, folder: Path, resume: bool, quiet: bool, as_json: bool) -> None:
    def say(line: str) -> None:
        if not quiet:
            # What is to be read by a program goes to stdout alone.
            print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    try:
        results = compare(experiment, folder, resume=resume, say=say)
    except (KeyboardInterrupt, SystemExit):
        print(f"stopped; go on with: netwright compare --resume {folder}", file=sys.stderr)
        raise
    table = {name: standings(experiment, results, name) for name in experiment.settings}
    failed = [r for r in results if r["status"] == "failed"]
    if as_json:
        print_json(
            {
                "folder": folder,
                "experiment": experiment.hash,
                "metric": experiment.metric,
                "settings": {n: [s.to_json() for s in rows] for n, rows in table.items()},
                "failed": [{k: r[k] for k in ("setting", "learner", "seed", "error")} for r in failed],
            }
        )  # fmt: skip
        return
    for name, rows in table.items():
        _print(experiment, name, rows)
    if len(experiment.seeds) == 1:
        print("One seed: nothing can be claimed of others. Give --seeds 3 or more.")
    for result in failed:
        print(f"failed: {result['setting']} {result['learner']} seed {result['seed']}: {result['error']}")  # fmt: skip
    print(f"saved: {folder}")


def _print(experiment: Experiment, setting: str, rows: Sequence[Standing]) -> None:
    lines = [
        [
            row.learner,
            _value(row.mean, row.high),
            _value(row.difference, row.difference_high, sign="+"),
            row.verdict.partition(":")[0],
            "" if row.train_cpu_seconds is None else f"{row.train_cpu_seconds:.1f}",
            "" if row.adapt_ms is None else f"{row.adapt_ms:.1f}",
            "" if row.deployed_bytes is None else f"{row.deployed_bytes / 1000:.1f}",
        ]
        for row in rows
    ]
    seeds, episodes = len(experiment.seeds), experiment.test_episodes
    title = (
        f"{setting}: {episodes} test tasks, {seeds} seed{'s' * (seeds > 1)}, 95 % intervals; "
        f"differences to {experiment.reference}"
    )
    columns = ["learner", experiment.metric, "difference", "verdict", "train s", "ms", "kB"]
    print_table(title, columns, lines)
    for why in dict.fromkeys(row.verdict for row in rows if ":" in row.verdict):
        print(f"{', '.join(row.learner for row in rows if row.verdict == why)}: {why}")


def _value(value: float | None, high: float | None, sign: str = "") -> str:
    """Intervals of this table have equal halves."""
    if value is None:
        return ""
    half = "" if high is None or high != high else f" ± {high - value:.2g}"
    return f"{value:{sign}.3g}{half}"


def say_where(data_root: Path | None) -> None:
    """Where data lie, for this process and those that it starts."""
    if data_root is not None:
        os.environ["NETWRIGHT_DATA"] = str(data_root.resolve())


__all__ = [
    "comparison_record",
    "parse_budget",
    "run_ablate",
    "run_compare",
    "say_where",
    "variants",
]
