"""Results of a comparison that `netwright compare` made, as benchmark rows; its report beside the experiment file.

    netwright compare benchmarks/experiments/sine-referee.yaml --folder runs/sine-referee
    python benchmarks/referee.py runs/sine-referee

Learners that lack a result in a setting are left out of the rows of that setting, whose notes say so; the report says what is missing.
"""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

REPORTS = Path(__file__).parent / "reports"


def row_of(name: str, setting: dict[str, Any], row: dict[str, Any]) -> Row:
    """One learner in one setting: its mean with its interval, the corrected difference and costs in the note."""
    mean, difference, cost = row["mean"], row["difference"], row["cost"]
    note = row["verdict"]["outcome"]
    if difference is not None:
        note += (
            f"; minus {setting['reference']} {difference['value']:+.4g} "
            f"[{difference['low']:+.4g}, {difference['high']:+.4g}], corrected"
        )
    train = cost["train_cpu_seconds"]
    note += (
        f"; {cost['train_steps']:.0f} steps in {train:.0f} CPU-s, {cost['adapt_ms']:.2g} CPU-ms per task, "
        f"{cost['deployed_bytes'] / 1000:.3g} kB kept"
    )
    if cost.get("trial_steps"):
        note += f"; after {cost['trial_steps']:.0f} steps of trial on each machine"
    return Row(
        f"{name}-{setting['name']}-{row['learner']}",
        mean["value"], mean["low"], mean["high"], setting["metric"], setting["higher_is_better"],
        setting["episodes"], row["seeds"], round(train * len(row["seeds"])),
        f"netwright compare benchmarks/experiments/{name}.yaml", note,
    )  # fmt: skip


def main() -> None:
    """Report, write rows, copy the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    subprocess.run(
        [Path(sys.executable).with_name("netwright"), "report", args.folder, "--unfinished"],
        check=True,
    )
    summary = json.loads((args.folder / "summary.json").read_text())
    lacking = {(setting, learner) for setting, learner, _ in summary["missing"]}
    rows = []
    for setting in summary["settings"]:
        name = setting["name"]
        without = sorted(learner for each, learner in lacking if each == name)
        # Differences are to the reference: without it there is nothing to compare.
        if setting["reference"] in without:
            continue
        for row in setting["rows"]:
            if row["learner"] in without:
                continue
            found = row_of(summary["name"], setting, row)
            told = f"; not finished here: {', '.join(without)}" if without else ""
            rows.append(replace(found, note=found.note + told))
    write_rows(summary["name"].replace("-", "_"), rows)
    to = REPORTS / summary["name"]
    to.mkdir(parents=True, exist_ok=True)
    for file in ("report.html", "report.md", "summary.json"):
        shutil.copy(args.folder / file, to / file)


if __name__ == "__main__":
    main()
