"""The demo's table over several seeds.

python benchmarks/demo.py          # about 80 CPU-seconds a seed
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

RUN = [sys.executable, "-c", "from netwright.cli import main; main()", "demo", "--json"]


def rows_of(seed: int) -> list[Row]:
    """One demo: a row per rival, and the gap between the intervals of the first and the best other."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--folder", f"{folder}/demo", "--seed", str(seed)]
        done = subprocess.run([*RUN, *arguments], check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    command = f"python benchmarks/demo.py --seeds {seed}"
    rows = []
    for rival in report["rivals"]:
        name = "-".join(rival["name"].replace(",", "").split())
        value, low, high = (100 * rival[key] for key in ("accuracy", "low", "high"))
        note = f"{rival['note']}; {rival['milliseconds']:.1f} CPU-ms per task"
        rows.append(
            Row(f"demo-{name}-seed{seed}", value, low, high, "% accuracy", True,
                report["test_tasks"], [seed], 0, command, note)
        )  # fmt: skip
    generated, *others = rows
    gap = generated.low - max(row.high for row in others)
    note = (
        f"lower end of generated less upper end of the best rival; {report['seconds']:.0f} s in all"
    )
    rows.append(
        Row(f"demo-gap-seed{seed}", gap, None, None, "points between intervals", True,
            report["test_tasks"], [seed], 0, command, note)
    )  # fmt: skip
    return rows


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for seed in parser.parse_args().seeds:
        write_rows("demo", rows_of(seed))


if __name__ == "__main__":
    main()
