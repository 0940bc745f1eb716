"""Small hypernetworks to serve, and servers of them, made for a test."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

import netwright as nw
from netwright.conditioners import Architecture as ReadsArchitecture
from netwright.conditioners import Context, Description, Examples
from netwright.registry import Registry
from netwright.serving.app import build_app
from netwright.serving.limits import ServerLimits
from netwright.serving.run import make_server
from netwright.serving.served import Served, add_served
from netwright.serving.service import Service

COLUMNS = 4


def letters() -> nw.Hypernetwork:
    """From rows of 4 numbers with classes of the task's own."""
    child = nw.Child(nw.architectures.mlp(inputs=COLUMNS, hidden=(8, 6), classes=3))
    return nw.Hypernetwork(child, Examples([COLUMNS], size=16, channels=16), "dense")


def machines() -> nw.Hypernetwork:
    """From three numbers: values."""
    child = nw.Child(nw.architectures.mlp(inputs=2, hidden=(5,), outputs=2))
    return nw.Hypernetwork(child, Context([0.0] * 3, [1.0] * 3, size=16), "dense")


def pictures() -> nw.Hypernetwork:
    """From pictures of 8 x 8 with classes of the task's own."""
    child = nw.Child(nw.architectures.conv(channels=4, depth=2, image=(1, 8, 8), classes=2))
    return nw.Hypernetwork(child, Examples([1, 8, 8], size=16, channels=8), "layer-tokens")


def sizes() -> nw.Hypernetwork:
    """Of any width, from rows with classes of the task's own and the architecture, or from a text beside it."""
    child = nw.Child(nw.architectures.mlp(inputs=COLUMNS, hidden=(6,), classes=3))
    parts = [Examples([COLUMNS], size=16, channels=16), ReadsArchitecture(size=16)]
    return nw.Hypernetwork(child, parts, "graph", head="anchor-only")


def texts() -> nw.Hypernetwork:
    """From a text: values."""
    child = nw.Child(nw.architectures.mlp(inputs=2, hidden=(3,), outputs=1))
    return nw.Hypernetwork(child, Description(size=16, buckets=64), "dense")


MAKERS = {
    "letters": letters, "machines": machines, "pictures": pictures, "sizes": sizes, "texts": texts,
}  # fmt: skip


def served(*names: str) -> dict[str, Served]:
    """Hypernetworks by name, untrained."""
    found: dict[str, Served] = {}
    for name in names or tuple(MAKERS):
        torch.manual_seed(0)
        add_served(found, Served(name, MAKERS[name]()))
    return found


def make_service(folder: Path, *names: str, **limits: float) -> Service:
    """A service whose registry is in a folder."""
    registry = Registry(f"sqlite:///{folder}/registry.db", folder / "artifacts")
    return Service(served(*names), registry, ServerLimits(**limits))  # type: ignore[arg-type]


def make_app(folder: Path, *names: str, tokens=None, **limits: float):
    """The application of such a service."""
    return build_app(make_service(folder, *names, **limits), tokens=tokens)


def condition(seed: int = 0, shots: int = 6, classes: int = 3) -> dict:
    """Rows with classes, as JSON has them."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(shots, COLUMNS, generator=rng)
    return {"examples": {"x": x.tolist(), "y": [i % classes for i in range(shots)]}}


def asks(seed: int = 0, **more) -> dict:
    """The body of a request for a network."""
    return {"hypernetwork": "letters", "condition": condition(seed, **more)}


@contextmanager
def threaded_server(folder: Path, tokens=None, **limits) -> Iterator[int]:
    """A server on a port of the system's choosing, in a thread of this process."""
    service = make_service(folder, "letters", **limits)
    ports: queue.Queue[int] = queue.Queue()
    app = build_app(service, tokens=tokens)
    server = make_server(app, service, host="127.0.0.1", port=0, started=ports.put)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield ports.get(timeout=30)
    finally:
        server.should_exit = True
        thread.join(30)


# A server process of untrained hypernetworks: what `netwright serve` does with runs.
_PROGRAM = """
import sys
from pathlib import Path
from servers import served
from netwright.serving import ServerLimits, serve
home, limits, names = Path(sys.argv[1]), eval(sys.argv[2]), sys.argv[3:]
serve(
    served(*names), registry=f"sqlite:///{home}/registry.db", artifacts=str(home / "artifacts"), port=0,
    limits=ServerLimits(**limits),
    started=lambda port: print(port, flush=True),
)
"""


@contextmanager
def server_process(
    home: Path, names: Sequence[str] = ("letters",), **limits
) -> Iterator[tuple[subprocess.Popen, int]]:
    """A server process on a port of the system's choosing: its process and port."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(home), repr(limits), *names],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )  # fmt: skip
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(process.stderr.read())
    try:
        yield process, int(line)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
