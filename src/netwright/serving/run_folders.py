"""What run folders and comparison folders say of themselves, for a page: how they learned, what they are worth.

Read only, and from files of the given folders only, whatever links lie in them.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from netwright.artifacts import read_artifact
from netwright.errors import NetwrightError
from netwright.runs import Run
from netwright.training import Checkpoints

# Points of a curve; of more, neighbours are put together.
MOST_POINTS = 300
_MOST_BYTES = 50_000_000


def is_comparison(folder: Path) -> bool:
    """Whether a folder was made by `netwright compare` or holds the report of one."""
    names = ("experiment.yaml", "summary.json")
    return not (folder / "checkpoints").exists() and any(
        (folder / name).is_file() for name in names
    )


def named(folders: Iterable[Path]) -> dict[str, Path]:
    """Folders by their names; of two of one name the second is called name-2."""
    found: dict[str, Path] = {}
    for folder in folders:
        own = folder.resolve()
        name, number = own.name, 1
        while name in found:
            number += 1
            name = f"{own.name}-{number}"
        found[name] = own
    return found


def line_of(name: str, folder: Path) -> dict[str, Any]:
    """What stands in the list of runs."""
    if is_comparison(folder):
        summary = _json(folder, "summary.json") or {}
        return {
            "name": name, "kind": "comparison", "title": str(summary.get("name", name)), "steps": None,
            "planned_steps": None, "best": None, "metric": summary.get("metric"),
        }  # fmt: skip
    run, best = _run_of(folder)
    log = _log(folder)
    return {
        "name": name,
        "kind": "run",
        "title": name if run is None else str(run.family.get("name", name)),
        "steps": max((line["step"] for line in log), default=0),
        "planned_steps": None if run is None else run.training.steps,
        "best": best,
        "metric": _metric(log),
    }


def detail_of(name: str, folder: Path) -> dict[str, Any]:
    """All that a page shows of one."""
    line = line_of(name, folder)
    detail: dict[str, Any] = {
        **line,
        **{"record": None, "curves": [], "evaluations": [], "question": "", "settings": []},
        "report": _inside(folder, "report.html") is not None,
    }
    if line["kind"] == "comparison":
        summary = _json(folder, "summary.json") or {}
        detail["question"] = str(summary.get("question", ""))
        detail["settings"] = [_setting(each) for each in summary.get("settings", [])]
        return detail
    run, _ = _run_of(folder)
    detail["record"] = None if run is None else run.model_dump()
    detail["curves"] = _curves(_log(folder), line["metric"])
    found = [_json(folder, path.name) for path in sorted(folder.glob("evaluation-*.json"))]
    detail["evaluations"] = [_evaluation(each) for each in found if each]
    return detail


def report_of(folder: Path) -> bytes | None:
    """The page of a comparison's report, if it was written."""
    path = _inside(folder, "report.html")
    return None if path is None else path.read_bytes()


def _inside(folder: Path, name: str) -> Path | None:
    """A file of a folder; None if there is none, or it is a link to somewhere else, or endless."""
    path = (folder / name).resolve()
    fits = path.is_file() and path.is_relative_to(folder.resolve())
    return path if fits and path.stat().st_size <= _MOST_BYTES else None


def _json(folder: Path, name: str) -> dict[str, Any] | None:
    path = _inside(folder, name)
    if path is None:
        return None
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _run_of(folder: Path) -> tuple[Run | None, float | None]:
    """The record of a run and its best validation, from its newest checkpoint or from a package."""
    try:
        if (folder / "checkpoints").is_dir():
            files: Mapping[str, bytes] = Checkpoints(folder).newest().files
        else:
            files = read_artifact(folder, "hypernetwork")
        progress = json.loads(files.get("progress.json", b"{}"))
        return Run.from_json(files["run.json"]), _finite(progress.get("best_value"))
    except (NetwrightError, KeyError, ValueError):
        return None, None


def _log(folder: Path) -> list[dict[str, Any]]:
    path = _inside(folder, "log.jsonl")
    if path is None:
        return []
    lines = []
    # A line that is being written is not whole yet.
    for text in path.read_text(errors="replace").split("\n")[:-1]:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines


def _metric(log: list[dict[str, Any]]) -> str | None:
    names = [name for line in log for name in line if name.startswith("validation_")]
    found = next((name for name in names if name != "validation_loss"), None)
    return None if found is None else found.removeprefix("validation_")


def _curves(log: list[dict[str, Any]], metric: str | None) -> list[dict[str, Any]]:
    steps = [(line["step"], _finite(line.get("loss"))) for line in log if "loss" in line]
    each = max(1, -(-len(steps) // MOST_POINTS))
    curves = []
    for first in range(0, len(steps), each):
        part = steps[first : first + each]
        known = [loss for _, loss in part if loss is not None]
        mean = sum(known) / len(known) if known else None
        curves.append(
            {"step": part[-1][0], "loss": mean, "validation_loss": None, "validation": None}
        )
    for line in log:
        if "validation_loss" in line:
            curves.append(
                {
                    "step": line["step"],
                    "loss": None,
                    "validation_loss": _finite(line["validation_loss"]),
                    "validation": _finite(line.get(f"validation_{metric}")),
                }
            )
    return sorted(curves, key=lambda point: point["step"])


def _evaluation(found: dict[str, Any]) -> dict[str, Any]:
    def intervals(name: str) -> dict[str, list[float]]:
        values = found.get(name) or {}
        return {key: triple for key, each in values.items() if (triple := _triple(each))}

    return {
        "split": str(found.get("split", "")),
        "tasks": int(found.get("tasks", 0)),
        "metrics": intervals("metrics"),
        "shuffled": intervals("shuffled"),
        "calibration_error": _finite(found.get("calibration_error")),
        "parameters": int(found.get("parameters", 0)),
        "generate_ms": _finite(found.get("generate_ms")) or 0.0,
    }


def _setting(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": str(found.get("name", "")),
        "reference": str(found.get("reference", "")),
        "higher_is_better": bool(found.get("higher_is_better", True)),
        "rows": [
            {
                "learner": str(row.get("learner", "")),
                "estimate": _triple(row.get("mean")),
                "verdict": _sentence(row, str(found.get("reference", ""))),
            }
            for row in found.get("rows", [])
        ],
    }


def _sentence(row: dict[str, Any], reference: str) -> str:
    verdict = row.get("verdict") or {}
    outcome, learner = verdict.get("outcome"), row.get("learner")
    told = {
        "win": f"{learner} beats {reference}.",
        "loss": f"{reference} beats {learner}.",
        "tie": f"{learner} and {reference} tie: not shown to differ.",
        "no claim": f"{learner} against {reference}: no claim, {verdict.get('reason', '')}.",
    }
    return told.get(str(outcome), "")


def _triple(value: Any) -> list[float] | None:
    if not isinstance(value, dict):
        return None
    numbers = [_finite(value.get(name)) for name in ("value", "low", "high")]
    middle = numbers[0]
    if middle is None:
        return None
    return [middle if number is None else number for number in numbers]


def _finite(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if is_number else None


__all__ = ["detail_of", "is_comparison", "line_of", "named", "report_of"]
