"""`netwright doctor`."""

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

from netwright.cli.output import print_json, print_table

_EXTRAS = {
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "classical": ("scikit-learn",),
    "client": ("httpx",),
    "hpo": ("optuna",),
    "hub": ("huggingface_hub",),
    "nlp": ("transformers",),
    "plot": ("matplotlib",),
    "sign": ("cryptography",),
    "serve": ("fastapi", "uvicorn", "prometheus-client", "python-multipart", "httptools"),
    "stats": ("scipy", "statsmodels"),
    "store": ("sqlalchemy", "psycopg", "fsspec"),
    "table": ("pyarrow",),
    "video": ("imageio-ffmpeg",),
    "vision": ("pillow",),
}
_CORE = ("torch", "numpy", "safetensors", "pydantic", "typer", "rich", "pyyaml")


def run_doctor(*, as_json: bool) -> None:
    """Say what is there, and what is missing and how to get it."""
    facts = collect()
    if as_json:
        print_json(facts)
        return
    print_table(
        "netwright doctor", ["what", "found"], [[k, str(v)] for k, v in facts["machine"].items()]
    )
    rows = [[name, version or "not installed"] for name, version in facts["packages"].items()]
    print_table("packages", ["package", "version"], rows)
    for line in facts["advice"]:
        print(f"- {line}")
    print("all is well" if not facts["advice"] else f"{len(facts['advice'])} things to know, above")


def collect() -> dict[str, Any]:
    """Facts about this machine: versions, threads, devices, data, speed."""
    import torch

    from netwright import __version__
    from netwright.tasks.data import cache_folder, find_folder

    packages = {
        name: _version(name) for name in (*_CORE, *(p for e in _EXTRAS.values() for p in e))
    }
    omniglot = find_folder("omniglot", ["images_background.zip", "images_evaluation.zip"], None)
    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = {
        "netwright": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores,
        "load": f"{os.getloadavg()[0]:.1f}",
        "torch threads": torch.get_num_threads(),
        "matrix product, one thread": f"{_gflops():.0f} GFLOP/s",
        "GPU": cuda,
        "cache": cache_folder(),
        "omniglot": omniglot or "not here (downloaded on first use)",
    }
    return {"machine": machine, "packages": packages, "advice": _advice(packages, cores or 1)}


def _advice(packages: dict[str, str | None], cores: int) -> list[str]:
    advice = [
        f"pip install 'netwright[{extra}]' for {', '.join(p for p in names if not packages[p])}"
        for extra, names in _EXTRAS.items()
        if any(packages[name] is None for name in names)
    ]
    if os.getloadavg()[0] > cores:
        advice.append("other processes keep the cores busy: use --threads 1, timings will vary")
    if not os.access(_existing(Path.cwd()), os.W_OK):
        advice.append(f"{Path.cwd()} cannot be written: give --folder for runs")
    return advice


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gflops() -> float:
    """Rate of a 512 x 512 float32 matrix product on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        a = torch.randn(512, 512)
        a @ a
        started = time.perf_counter()
        for _ in range(10):
            a @ a
        return 10 * 2 * 512**3 / (time.perf_counter() - started) / 1e9
    finally:
        torch.set_num_threads(threads)
