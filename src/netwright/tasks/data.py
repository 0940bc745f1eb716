"""Where raw data lies, how it is fetched, and where what is made of it is kept."""

import hashlib
import io
import os
import sys
import urllib.error
import urllib.request
import uuid
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from netwright.artifacts import write_file
from netwright.errors import ArtifactError, DataError


def cache_folder() -> Path:
    """$NETWRIGHT_CACHE, else $XDG_CACHE_HOME/netwright, else ~/.cache/netwright."""
    if "NETWRIGHT_CACHE" in os.environ:
        return Path(os.environ["NETWRIGHT_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "netwright"


def find_folder(name: str, files: list[str], data_root: str | Path | None) -> Path | None:
    """The folder of a data set that holds all `files`: data_root, $NETWRIGHT_DATA, ../shared/data, cache.

    Each root may be the folder that holds `name/`, or that folder itself.
    """
    roots = [data_root, os.environ.get("NETWRIGHT_DATA"), Path.cwd().parent / "shared" / "data"]
    roots = roots[:1] if data_root is not None else [*roots[1:], cache_folder()]
    folders = [Path(root) / part for root in roots if root for part in (name, ".")]
    return next((f for f in folders if all((f / file).is_file() for file in files)), None)


def download(url: str, path: Path) -> None:
    """Fetch a file, with progress on stderr; it appears whole or not at all.

    Raises:
        DataError: If it cannot be fetched or kept.
    """
    aside = path.with_name(f".aside-{uuid.uuid4().hex}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=30) as response, aside.open("wb") as file:
            total = int(response.headers.get("Content-Length") or 0)
            _copy(response.read, file.write, total, path.name)
            file.flush()
            os.fsync(file.fileno())
        if total and aside.stat().st_size != total:
            raise OSError(f"{aside.stat().st_size} of {total} bytes came")
        os.replace(aside, path)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise DataError(f"{url} could not be fetched: {error}.") from None
    finally:
        aside.unlink(missing_ok=True)


def _copy(
    read: Callable[[int], bytes], write: Callable[[bytes], int], total: int, name: str
) -> None:
    from rich.progress import Progress

    if not sys.stderr.isatty():
        print(f"downloading {name} ({total / 1e6:.1f} MB)", file=sys.stderr, flush=True)
        while block := read(1 << 18):
            write(block)
        return
    with Progress(transient=True) as bar:
        task = bar.add_task(f"downloading {name}", total=total or None)
        while block := read(1 << 18):
            write(block)
            bar.advance(task, len(block))


def sha256_of(*arrays: np.ndarray) -> str:
    """Digest of arrays: dtypes, shapes and values."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def cached_arrays(key: str, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays from the cache, else made and cached; a damaged or unwritable cache costs time only.

    Args:
        key: File name without ending; must change when `make` would give something else.
        make: Makes the arrays.
    """
    path = cache_folder() / f"{key}.npz"
    arrays = _read_arrays(path)
    if arrays is not None:
        return arrays
    arrays = dict(make())
    try:
        write_file(path, _to_bytes({**arrays, "sha256": np.array(_digest(arrays))}))
    except ArtifactError as error:
        print(f"not cached: {error}", file=sys.stderr)
    return arrays


def _read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        is_whole = str(arrays.pop("sha256")) == _digest(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        is_whole = False
    if is_whole:
        return arrays
    print(f"{path} is damaged and is made anew", file=sys.stderr)
    return None


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    return sha256_of(*(arrays[name] for name in sorted(arrays)))


def _to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
