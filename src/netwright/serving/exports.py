"""Networks as files to take away, written in a process of their own.

Exporting traces a network, for which torch's tracers change what calling a module means, in the whole process: beside it
no other thread could write or run networks.
"""

import asyncio
import contextlib
import ctypes
import io
import multiprocessing
import os
import signal
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from netwright.errors import ArtifactError, MissingExtraError
from netwright.generated import network_from_files
from netwright.serving.problems import RequestError, unavailable

_BINARY = "application/octet-stream"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class FileFormat:
    """A kind of file.

    Args:
        ending: Of its name.
        media_type: Of HTTP.
        written_as: The ending that `GeneratedNetwork.export` knows; several files become one .zip.
    """

    ending: str
    media_type: str
    written_as: str


FORMATS = {
    "onnx": FileFormat(".onnx", _BINARY, ".onnx"),
    "onnx-weights": FileFormat(".onnx", _BINARY, ".onnx"),
    "torch-export": FileFormat(".pt2", _BINARY, ".pt2"),
    "numpy": FileFormat(".zip", "application/zip", ".py"),
    "c": FileFormat(".c", "text/x-c; charset=utf-8", ".c"),
    "safetensors": FileFormat(".safetensors", "application/vnd.safetensors", ""),
}


class Exporter:
    """One process that writes files, started when the first is asked for."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def export(self, files: Mapping[str, bytes], name: str, seconds: float) -> bytes:
        """A network in a format by name.

        Args:
            files: Of the network, as the registry has them.
            name: In `FORMATS`.
            seconds: Within which it is wanted.

        Raises:
            RequestError: 422 if the network has no such form, 503 if the process broke, 504 if it took too long.
        """
        if name == "safetensors":
            return files["model.safetensors"]
        # In whatever thread is at hand: starting a process takes milliseconds.
        future = self._running().submit(_exported, dict(files), name)
        try:
            data, refused = await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            raise RequestError(504, "deadline", "Writing the file took too long.") from None
        except BrokenProcessPool:
            self.close()
            raise unavailable() from None
        if refused == "not_installed":
            raise RequestError(
                501, refused, "This server lacks what it takes to write this format."
            )
        if refused:
            raise RequestError(
                422, refused, "This network has no such form. Ask for another format."
            )
        return data

    def warm(self) -> None:
        """Start the process, so that the first who asks need not wait for it."""
        self._running().submit(_warmed)

    def close(self) -> None:
        """Let the process go."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                1, context, initializer=_begin, initargs=(os.getpid(),)
            )
        return self._pool


def _begin(server: int) -> None:
    """Stay for as long as the server does: not be ended by the terminal before it, and not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # It may have ended while this process was starting, which takes a second: nobody would be told of it any more.
        if os.getppid() != server:
            os._exit(0)
    import torch

    torch.set_num_threads(1)


def _warmed() -> None:
    """Write the smallest network once: what that imports takes seconds."""
    from torch import nn

    from netwright.export.onnx import export_onnx

    # Without the extra there is nothing to have at hand.
    with (
        contextlib.suppress(MissingExtraError),
        tempfile.TemporaryDirectory(prefix="netwright-") as folder,
    ):
        export_onnx(nn.Sequential(nn.Linear(1, 1)), (1,), Path(folder) / "network.onnx")


def _exported(files: dict[str, bytes], name: str) -> tuple[bytes, str]:
    """A file's bytes, or a word for why there are none: errors would not survive the way between processes."""
    try:
        return _written(files, name), ""
    except MissingExtraError:
        return b"", "not_installed"
    except ArtifactError:
        return b"", "no_such_form"


def _written(files: dict[str, bytes], name: str) -> bytes:
    network = network_from_files(files, Path("network"))
    with tempfile.TemporaryDirectory(prefix="netwright-") as folder:
        path = Path(folder) / f"network{FORMATS[name].written_as}"
        network.export(path, format=name)
        made = sorted(Path(folder).iterdir())
        if len(made) == 1:
            return made[0].read_bytes()
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as zipped:
            for each in made:
                zipped.writestr(zipfile.ZipInfo(each.name), each.read_bytes())
        return archive.getvalue()
