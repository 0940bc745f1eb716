"""`netwright evaluate`."""

from pathlib import Path
from typing import Any

from netwright.artifacts import write_file
from netwright.cli.inputs import trained
from netwright.cli.output import json_text, print_table
from netwright.errors import RunError
from netwright.evaluation import Evaluation, evaluate
from netwright.generated import weights_digest
from netwright.saved import is_saved
from netwright.tasks import SPLITS
from netwright.training import build_family, resolve_device


def run_evaluate(
    run_folder: Path,
    *,
    tasks: int,
    split: str,
    seed: int,
    weights: str,
    shifts: int | None,
    overrides: dict[str, Any],
    device: str,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Evaluate a run, print the result and leave it in the run folder."""
    if split not in SPLITS:
        raise RunError(f"`--split` is {split!r}, expected one of {list(SPLITS)}.")
    if tasks < 2:
        raise RunError(f"`--tasks` is {tasks}, expected at least 2 for an interval.")
    hypernetwork, run = trained(run_folder, weights, shifts)
    hypernetwork.to(resolve_device(device))
    record = {**run.family, **overrides}
    family = build_family(record, data_root=data_root)
    found = evaluate(hypernetwork, family, split=split, tasks=tasks, seed=seed)
    report = {
        "run": run.digest,
        "family": record,
        "seed": seed,
        "weights": weights,
        "digest": weights_digest(hypernetwork),
        "shifts": hypernetwork.shifts,
        **found.to_json(),
    }
    # Into a folder that is sealed by its manifest nothing is written.
    path = None if is_saved(run_folder) else run_folder / f"evaluation-{split}.json"
    if path is not None:
        write_file(path, json_text(report).encode())
    if as_json:
        print(json_text(report))
        return
    _print(run_folder, found, path)


def _print(folder: Path, found: Evaluation, path: Path | None) -> None:
    rows = [[name, str(own), str(found.shuffled[name])] for name, own in found.metrics.items()]
    title = f"{folder}: {found.tasks} {found.split} tasks, 95 % intervals"
    print_table(title, ["metric", "generated networks", "shuffled conditions"], rows)
    if found.calibration_error is not None:
        print(f"calibration error {found.calibration_error:.3f}")
    print(
        f"{found.parameters:,} parameters per network, written in {found.generate_ms:.1f} ms alone, "
        f"{found.generate_ms_of_64:.2f} ms each when 64 are written at once"
    )
    print(f"saved: {path}" if path else f"not saved: {folder} is sealed; keep it with --json")
