"""Put the results into docs/benchmarks.md, between its markers.

python benchmarks/tables.py
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
COLUMNS = ["id", "value", "interval", "unit", "n", "CPU-s", "note"]


def table_of(rows: list[dict[str, object]]) -> str:
    """A Markdown table of result rows."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    for row in rows:
        has_interval = row["low"] is not None
        interval = f"{row['low']:.4g} to {row['high']:.4g}" if has_interval else ""
        cells = [
            f"`{row['id']}`", f"{row['value']:.4g}", interval, row["unit"], row["n"],
            row["cpu_seconds"] or "", row["note"],
        ]  # fmt: skip
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def pivot_of(rows: list[dict[str, object]]) -> str:
    """Rows `exec-CELL-VARIANT` as a table of cells by variants: ratios with their quartiles."""
    variants = ["ours", "loop", "loop-channels-last", "vmap"]
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        name = str(row["id"]).removeprefix("exec-")
        variant = next((v for v in sorted(variants, key=len)[::-1] if name.endswith(f"-{v}")), None)
        if variant is None or row["unit"] != "times the limit":
            continue
        spread = f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        cells.setdefault(name.removesuffix(f"-{variant}"), {})[variant] = spread
    lines = ["| cell | " + " | ".join(variants) + " |", "| --- " * (len(variants) + 1) + "|"]
    for cell in sorted(
        cells, key=lambda c: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", c)]
    ):
        lines.append(f"| `{cell}` | " + " | ".join(cells[cell].get(v, "") for v in variants) + " |")
    return "\n".join(lines)


def learners_of(rows: list[dict[str, object]]) -> str:
    """Rows `tabular-METRIC-LEARNER` as a table of learners by metrics."""
    metrics = {"auroc": "AUROC", "log_loss": "log loss", "balanced_accuracy": "balanced accuracy", "ece": "ECE", "fit_seconds": "s to fit"}  # fmt: skip
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        metric = str(row["unit"])
        start = f"tabular-{metric.replace('_', '-')}-"
        if metric in metrics and str(row["id"]).startswith(start):
            rank = re.search(r"mean rank ([0-9.]+)", str(row["note"]))
            cell = f"{row['value']:.3f}" + (f" (rank {rank[1]})" if rank else "")
            cells.setdefault(str(row["id"]).removeprefix(start), {})[metric] = cell
    lines = ["| | " + " | ".join(metrics.values()) + " |", "| --- " * (len(metrics) + 1) + "|"]
    for learner in sorted(cells, key=lambda name: cells[name].get("auroc", ""), reverse=True):
        lines.append(
            f"| {learner} | " + " | ".join(cells[learner].get(m, "") for m in metrics) + " |"
        )
    return "\n".join(lines)


def filled(text: str) -> str:
    """The page with each `<!-- results: NAME -->` block made anew."""
    parts = text.split("<!-- results: ")
    done = [parts[0]]
    for part in parts[1:]:
        name, rest = part.split(" -->", 1)
        after = rest.split("<!-- end -->", 1)[1]
        rows = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
        commands = "\n".join(dict.fromkeys(str(row["command"]) for row in rows))
        others = [row for row in rows if row["unit"] != "times the limit" or name != "execution"]
        others += [row for row in rows if name == "execution" and "generation" in str(row["id"])]
        table = table_of(others)
        if name == "execution":
            table = f"{pivot_of(rows)}\n\n{table}"
        if name == "tabular":
            table = f"{learners_of(rows)}\n\n{table}"
        block = f"\n```console\n{commands}\n```\n\n{table}\n\nMachine: {rows[0]['machine']}.\n"
        done.append(f"{name} -->{block}<!-- end -->{after}")
    return "<!-- results: ".join(done)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
