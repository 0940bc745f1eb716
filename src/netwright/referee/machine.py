"""What a result was made on."""

import importlib.metadata
import platform
import sys
from pathlib import Path

import torch


def machine() -> str:
    """Processor and threads, without names of hosts."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    threads = torch.get_num_threads()
    return f"{model or platform.processor() or platform.machine()}, {threads} thread{'s' * (threads > 1)}"


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    found = {"python": platform.python_version()}
    for package in ("netwright", "torch", "numpy", "scikit-learn"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_mb() -> float:
    """Most memory that this process has held so far.

    From the kernel's own mark where there is one: `ru_maxrss` counts in what the process that started this one had.
    """
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    import resource  # Of Unix alone.

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


__all__ = ["machine", "peak_memory_mb", "versions"]
