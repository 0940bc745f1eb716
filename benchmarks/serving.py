"""What the server's benchmarks share: a run to serve, a server process, a client that costs little."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS, CLASSES, SHOTS = 16, 5, 10
# Hidden widths that make a network of 9,021 numbers.
HIDDEN = (88, 80)
NAME = "shops"


def make_run(folder: Path) -> Path:
    """A run that writes classifiers of 9,021 numbers from ten rows of 16 columns, trained for a moment."""
    if folder.exists():
        return folder
    import netwright as nw
    from netwright.tasks import FAMILIES

    folder.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines = [",".join(["task", *(f"c{i}" for i in range(COLUMNS)), "y"])]
    for task in range(40):
        centres = rng.normal(size=(CLASSES, COLUMNS))
        for row in range(30):
            values = centres[row % CLASSES] + 0.3 * rng.normal(size=COLUMNS)
            cells = [f"t{task}", *(f"{v:.4f}" for v in values), "abcde"[row % CLASSES]]
            lines.append(",".join(cells))
    table = folder.parent / "shops.csv"
    table.write_text("\n".join(lines) + "\n")
    family = FAMILIES["table"](table, task="task", target="y", shots=SHOTS)
    child = nw.architectures.mlp(inputs=COLUMNS, hidden=HIDDEN, outputs=CLASSES)
    hypernetwork = nw.make_hypernetwork(family.shape, seed=0, child=child, generator="dense")
    nw.train(
        hypernetwork, family, folder=folder, steps=60, tasks=8, validate_every=30,
        validation_tasks=6, checkpoint_every=30, log_every=30, progress=False,
    )  # fmt: skip
    return folder


def condition(seed: int) -> dict[str, Any]:
    """Ten rows of one task."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES, COLUMNS))
    y = [i % CLASSES for i in range(SHOTS)]
    x = centres[y] + 0.3 * rng.normal(size=(SHOTS, COLUMNS))
    return {"examples": {"x": x.round(4).tolist(), "y": y}}


def rows(seed: int, count: int = 1) -> list[list[float]]:
    """Rows to predict for."""
    found: list[list[float]] = (
        np.random.default_rng([7, seed]).normal(size=(count, COLUMNS)).round(4).tolist()
    )
    return found


@dataclass
class Server:
    """A server process."""

    process: subprocess.Popen[str]
    port: int
    seconds_to_start: float

    @property
    def address(self) -> str:
        """Of HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Used so far, by all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Of memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def start(
    run: Path, home: Path, *options: str, port: int = 0, limits: dict[int, int] | None = None,
    environment: dict[str, str] | None = None,
) -> Server:  # fmt: skip
    """Start `netwright serve` on a port of the system's choosing, its networks kept below `home`.

    Args:
        run: What is served.
        home: Where networks are kept.
        options: Further ones of the command.
        port: If not any.
        limits: Of `resource`, such as the size of files.
        environment: Further variables.
    """
    command = [
        sys.executable, "-c", "import netwright.cli; netwright.cli.main()", "serve", str(run),
        "--port", str(port), "--artifacts", str(home / "files"),
    ]  # fmt: skip
    if "--registry" not in options:
        command += ["--registry", f"sqlite:///{home}/registry.db"]

    def limit() -> None:
        for name, value in (limits or {}).items():
            resource.setrlimit(name, (value, value))

    began = time.perf_counter()
    log = (home.parent / f"{home.name}.log").open("a")
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=limit,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    if "serving on" not in line:
        process.wait()
        raise RuntimeError(f"the server did not start: see {log.name}")
    return Server(process, int(line.rsplit(":", 1)[1]), time.perf_counter() - began)


@contextmanager
def running(run: Path, home: Path, *options: str, **more: Any) -> Iterator[Server]:
    """A server for a while."""
    server = start(run, home, *options, **more)
    try:
        yield server
    finally:
        server.process.terminate()
        try:
            server.process.wait(30)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


def request_bytes(
    method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """One request on a connection that stays open."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json"] * bool(body)
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def post(path: str, value: Any, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A request with JSON."""
    return request_bytes("POST", path, json.dumps(value).encode(), headers)


class Connection:
    """One connection, kept open: as little as there can be between asyncio and the server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            ConnectionError: If the server went away.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        reader, writer = self._streams
        writer.write(request)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 : lower.find(b"\r", at)]) if at >= 0 else 0
            body = await reader.readexactly(length)
        except asyncio.IncompleteReadError:
            self.close()
            raise ConnectionError("the server went away") from None
        if b"connection: close" in lower:
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        """Let it go."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def asked_by(
    port: int, clients: int, requests: Sequence[bytes], done: Any = None
) -> tuple[float, list[float]]:
    """Send all requests by so many clients, each one after the other.

    Args:
        port: Of the server.
        clients: At once.
        requests: What is sent.
        done: Called with the number of the request, its status and its answer.

    Returns:
        Seconds altogether, and of each request.
    """
    numbers = iter(range(len(requests)))
    seconds = [0.0] * len(requests)

    async def client() -> None:
        connection = Connection(port)
        for number in numbers:
            began = time.perf_counter()
            status, body = await connection.ask(requests[number])
            seconds[number] = time.perf_counter() - began
            if done is not None:
                done(number, status, body)
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - began, seconds
