"""`netwright serve`."""

import re
from pathlib import Path
from typing import Any

from netwright.cli.output import set_threads
from netwright.errors import RunError
from netwright.serving import ServerLimits, serve

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def run_serve(
    runs: tuple[Path, ...],
    *,
    host: str,
    port: int,
    token_file: Path | None,
    registry: str,
    artifacts: str,
    bank_bytes: str,
    max_body: str,
    threads: int,
    limits: dict[str, Any],
) -> None:
    """Serve until told to stop."""
    set_threads(threads)
    bounds = ServerLimits(
        bank_bytes=bytes_of(bank_bytes, "--bank-bytes"),
        body_bytes=bytes_of(max_body, "--max-body"),
        **limits,
    )
    shown = f"[{host}]" if ":" in host else host
    serve(
        runs,
        registry=registry,
        artifacts=artifacts,
        token_file=token_file,
        host=host,
        port=port,
        limits=bounds,
        # Whoever waits for this line may be a program that reads it through a pipe.
        started=lambda bound: print(f"serving on http://{shown}:{bound}", flush=True),
    )


def bytes_of(text: str, option: str) -> int:
    """How many bytes `500MB` is.

    Raises:
        RunError: If it is no number of bytes.
    """
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)", text.strip().lower())
    unit = (
        _UNITS.get(match[2].removesuffix("b") + "b" if match[2] not in ("", "b") else "")
        if match
        else None
    )
    if match is None or unit is None or float(match[1]) * unit < 1:
        raise RunError(f"`{option}` is {text!r}, expected bytes such as 500MB or 2GB.")
    return int(float(match[1]) * unit)
