"""A comparison folder: what was decided beforehand, and the results, checked against each other."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from netwright.errors import ArtifactError
from netwright.referee.report.results import Result, read_result


class Design(BaseModel):
    """What a report needs of an experiment; the rest of its file is for who runs it.

    Args:
        name: Of the experiment.
        question: What it is to answer.
        hypotheses: What was expected beforehand.
        settings: Task family and child, by name.
        metric: The primary one.
        reference: The learner that others are compared with.
        learners: Kind and options, by name.
        seeds: Each learner is trained with each.
        stopping_rule: When training ends, in words.
        budget: What each learner may use.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    question: str = ""
    hypotheses: tuple[str, ...] = ()
    settings: dict[str, dict[str, dict[str, Any] | None]]
    metric: str
    reference: str
    learners: dict[str, dict[str, Any]]
    seeds: tuple[int, ...]
    stopping_rule: str = ""
    budget: dict[str, Any] | None = None


@dataclass(frozen=True)
class ComparisonFolder:
    """A comparison as it lies on the disk.

    Args:
        name: Of the folder.
        design: What was decided.
        experiment_hash: The sha256 of `experiment.yaml`.
        plan: What was decided from timing, as it was written; None if nothing was.
        results: By setting, learner and seed.
        missing: Contestants without a result: (setting, learner, seed).
    """

    name: str
    design: Design
    experiment_hash: str
    plan: Any
    results: dict[tuple[str, str, int], Result]
    missing: tuple[tuple[str, str, int], ...]

    def of(self, setting: str, learner: str) -> tuple[Result, ...]:
        """The results of one learner in one setting, in the order of seeds."""
        places = ((setting, learner, seed) for seed in self.design.seeds)
        return tuple(self.results[place] for place in places if place in self.results)


def read_comparison(folder: Path, *, unfinished: bool = False) -> ComparisonFolder:
    """Read a comparison and check that its results belong together.

    Args:
        folder: What `netwright compare` made.
        unfinished: Whether results may be missing; a learner that lacks one gets no verdict.

    Raises:
        ArtifactError: If something cannot be read, results are missing, or they were not scored on the same episodes.
    """
    design, experiment_hash = _read_design(folder / "experiment.yaml")
    results: dict[tuple[str, str, int], Result] = {}
    for path in sorted((folder / "results").glob("*/*/seed*.json")):
        result = read_result(path)
        _check_known(path, result, design)
        if (place := (result.setting, result.learner, result.seed)) in results:
            raise ArtifactError(
                f"{path} is a second result of {result.place}, expected one. Remove one of the two."
            )
        results[place] = result
    for setting in design.settings:
        _check_comparable([r for place, r in results.items() if place[0] == setting], design)
    missing = tuple(place for place in _contestants(design) if place not in results)
    if missing and not (unfinished and results):
        raise ArtifactError(_lack(folder, missing, len(results)))
    plan = _read_plan(folder / "plan.json")
    return ComparisonFolder(folder.resolve().name, design, experiment_hash, plan, results, missing)


def _read_design(path: Path) -> tuple[Design, str]:
    try:
        text = path.read_bytes()
        design = Design.model_validate(yaml.safe_load(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(
            f"{path} cannot be read ({reason}), expected the experiment of a comparison. Name the folder that `netwright "
            "compare` made."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"])) or "the whole"
        raise ArtifactError(
            f"{path}: `{at}` cannot be used ({first['msg'].lower()}), expected an experiment as `netwright compare` "
            "writes it."
        ) from None
    if design.reference not in design.learners:
        raise ArtifactError(
            f"{path}: `reference` is {design.reference!r}, expected one of {list(design.learners)}."
        )
    return design, hashlib.sha256(text).hexdigest()


def _read_plan(path: Path) -> Any:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(
            f"{path} cannot be read ({reason}), expected JSON. Restore it: the results were made by it."
        ) from None


def _contestants(design: Design) -> Iterator[tuple[str, str, int]]:
    for setting in design.settings:
        for learner in design.learners:
            for seed in design.seeds:
                yield setting, learner, seed


def _check_known(path: Path, result: Result, design: Design) -> None:
    """Refuse a result that the experiment does not ask for, or of another metric."""
    asked: dict[str, tuple[object, list[Any]]] = {
        "setting": (result.setting, list(design.settings)),
        "learner": (result.learner, list(design.learners)),
        "seed": (result.seed, list(design.seeds)),
        "metric": (result.metric, [design.metric]),
    }
    for field, (found, expected) in asked.items():
        if found not in expected:
            raise ArtifactError(
                f"{path} has {field} {found!r}, expected one of {expected} as in experiment.yaml. It belongs to another "
                "experiment: remove it."
            )


def _check_comparable(results: list[Result], design: Design) -> None:
    """Refuse results of one setting that were not scored alike; the reference's are the measure."""
    done = [result for result in results if result.status == "done"]
    done.sort(key=lambda result: result.learner != design.reference)
    for result in done[1:]:
        first = done[0]
        facts = {
            "test episodes of fingerprint": (result.fingerprint, first.fingerprint),
            "number of test episodes:": (len(result.primary), len(first.primary)),
            "direction: higher_is_better": (result.higher_is_better, first.higher_is_better),
        }
        for what, (found, expected) in facts.items():
            if found != expected:
                raise ArtifactError(
                    f"{result.place} has {what} {found!r}, expected {expected!r} as {first.place} has: they cannot be "
                    "compared. Remove the results of one and compare again with --resume."
                )


def _lack(folder: Path, missing: tuple[tuple[str, str, int], ...], found: int) -> str:
    shown = ", ".join(
        f"{learner} with seed {seed} in {setting}" for setting, learner, seed in missing[:3]
    )
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    way = f"Finish it with `netwright compare --resume {folder}`"
    way += ", or look at what is there with --unfinished." if found else "."
    return f"{folder} lacks the results of {shown}{more}, expected all that experiment.yaml names. {way}"
