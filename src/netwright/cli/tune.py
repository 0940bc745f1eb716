"""`netwright tune`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from netwright.artifacts import write_file
from netwright.cli.compare import comparison_record, say_where
from netwright.cli.output import next_folder, print_json
from netwright.errors import RunError
from netwright.referee import experiment_of
from netwright.referee.search import default_space, parse_range, search_in, seek, with_options


def run_tune(
    source: str | None,
    *,
    learner: str,
    trials: int,
    search: Sequence[str],
    steps: int,
    seed: int,
    folder: Path | None,
    resume: Path | None,
    family_options: dict[str, Any],
    channels: int | None,
    hidden: str | None,
    validation_episodes: int,
    data_root: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Search afresh or go on, then say what was best."""
    if (source is None) == (resume is None):
        raise RunError(
            "Give either a task family (`netwright tune sine`) or a folder to go on with (`netwright tune "
            "--resume runs/tune-sine-1`)."
        )
    if trials < 1:
        raise RunError(f"`--trials` is {trials}, expected at least 1.")
    say_where(data_root)
    torch.set_num_threads(1)
    if resume is not None:
        folder = resume
        experiment, space, seed = search_in(resume)
    else:
        assert source is not None
        name = learner.replace(":", "-")
        record = comparison_record(
            source,
            {name: {"kind": learner, "grid": {}}},
            seeds=1,
            budget=f"steps={steps}",
            family_options=family_options,
            channels=channels,
            hidden=hidden,
            test_episodes=2,
            validation_episodes=validation_episodes,
        )
        experiment = experiment_of(record, "the command")
        space = dict(map(parse_range, search)) or default_space(experiment.learners[name])
        folder = folder or next_folder(f"tune-{experiment.name}")

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    found = seek(experiment, folder, space=space, trials=trials, seed=seed, say=say)
    name, found_for = next(iter(experiment.learners.items()))
    best = {"learners": {name: with_options(found_for, found.best)}}
    text = yaml.safe_dump(best, sort_keys=False)
    write_file(folder / "best.yaml", text.encode())
    if as_json:
        print_json(
            {
                "folder": folder,
                "metric": experiment.metric,
                "validation": found.validation,
                **best,
                "trials": found.trials,
            }
        )
        return
    print(f"best of {len(found.trials)}: validation {experiment.metric} {found.validation:.4f}")
    print(text, end="")
    print(f"saved: {folder}/best.yaml")


__all__ = ["run_tune"]
