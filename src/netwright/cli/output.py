"""What commands print."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netwright.errors import RunError

# Characters of a table's row in a file.
_WIDEST = 10_000


def json_text(value: Any) -> str:
    """Indented JSON; NaN, which is not JSON, becomes null."""
    return json.dumps(_strict(value), indent=2)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    print(json_text(value))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, as wide as the terminal allows; in a file or a pipe nothing is cut."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="", box=SIMPLE_HEAD, padding=(0, 1)
    )
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDEST)
        console.width = max(80, console.measure(table).maximum)
    console.print(table)


def next_folder(name: str, root: Path = Path("runs")) -> Path:
    """runs/NAME-N with the smallest N that is free."""
    taken = {path.name for path in root.glob(f"{name}-*")} if root.is_dir() else set()
    return root / next(
        f"{name}-{n}" for n in range(1, len(taken) + 2) if f"{name}-{n}" not in taken
    )


def set_threads(threads: int) -> None:
    """Use this many CPU threads.

    Raises:
        RunError: If there are not that many.
    """
    import os

    import torch

    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not 1 <= threads <= (available or 1):
        raise RunError(f"`--threads` is {threads}, expected 1 to {available} on this machine.")
    torch.set_num_threads(threads)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return str(value) if isinstance(value, Path) else value
