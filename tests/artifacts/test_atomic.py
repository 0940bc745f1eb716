"""Files and folders that are old or new and never half: full disks, kills, permissions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netwright.artifacts import (
    atomic,
    clean_leftovers,
    read_artifact,
    write_artifact,
    write_file,
    write_folder,
)
from netwright.errors import ArtifactError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_was_written_is_there_and_nothing_else(tmp_path):
    write_file(tmp_path / "new" / "deep" / "file", b"one")
    write_file(tmp_path / "new" / "deep" / "file", b"two")
    assert contents(tmp_path / "new" / "deep") == {"file": b"two"}


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    write_folder(tmp_path / "one", {"a": b"1", "b": b"2"})
    write_folder(tmp_path / "one", {"b": b"3"})
    assert contents(tmp_path / "one") == {"b": b"3"}
    assert names(tmp_path) == ["one"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_readable_by_others_as_the_umask_says(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_file(tmp_path / "file", b"x")
        write_folder(tmp_path / "folder", {"a": b"x"})
    finally:
        os.umask(before)
    for path in (tmp_path / "file", tmp_path / "folder" / "a"):
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_link_is_replaced_and_not_what_it_points_to(tmp_path):
    write_folder(tmp_path / "real", {"a": b"old"})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_folder(tmp_path / "link", {"a": b"new"})
    assert contents(tmp_path / "real") == {"a": b"old"}
    assert contents(tmp_path / "link") == {"a": b"new"}
    assert names(tmp_path) == ["link", "real"]


def test_what_cannot_stand_there_is_refused_and_kept(tmp_path):
    write_file(tmp_path / "file", b"old")
    write_folder(tmp_path / "folder", {"a": b"old"})
    with pytest.raises(ArtifactError, match=r"folder could not be written: is a directory"):
        write_file(tmp_path / "folder", b"new")
    with pytest.raises(
        ArtifactError, match=r"file could not be written: not a directory\. What stood"
    ):
        write_folder(tmp_path / "file", {"a": b"new"})
    with pytest.raises(ArtifactError, match=r"not a directory.*check the path and its permissions"):
        write_file(tmp_path / "file" / "below", b"new")
    assert contents(tmp_path / "folder") == {"a": b"old"}
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("path", ["", ".", "/", ".."])
def test_a_path_without_a_name_of_its_own_is_refused(path):
    with pytest.raises(
        ArtifactError, match=r"names no file or folder of its own. Give it a name, such"
    ):
        write_folder(Path(path), {"a": b"x"})


class Interrupting(dict):
    """Files of which the second one is interrupted, as by Ctrl-C."""

    def items(self):
        yield "a", b"new"
        raise KeyboardInterrupt


def test_an_interrupt_leaves_what_was_there(tmp_path):
    write_folder(tmp_path / "one", {"a": b"old"})
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "one", Interrupting())
    assert contents(tmp_path / "one") == {"a": b"old"}
    assert names(tmp_path) == ["one"]


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path):
    write_folder(tmp_path / "one", {"a": b"1"})
    write_file(tmp_path / ".hidden", b"mine")
    (tmp_path / ".aside-0123").mkdir()
    (tmp_path / ".aside-0123" / "a").write_bytes(b"half")
    (tmp_path / ".aside-4567").write_bytes(b"half")
    clean_leftovers(tmp_path)
    assert names(tmp_path) == [".hidden", "one"]
    clean_leftovers(tmp_path / "not there")


def test_where_names_cannot_be_exchanged_a_folder_is_replaced_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda a, b: False)
    write_folder(tmp_path / "one", {"a": b"old"})
    write_folder(tmp_path / "one", {"b": b"new"})
    assert contents(tmp_path / "one") == {"b": b"new"}
    assert names(tmp_path) == ["one"]


def test_where_names_cannot_be_exchanged_a_kill_between_the_renames_is_mended(tmp_path):
    write_folder(tmp_path / ".before-one", {"a": b"old"})  # as the first of the two leaves it
    write_folder(tmp_path / ".aside-0123", {"a": b"new"})
    clean_leftovers(tmp_path)
    assert contents(tmp_path / "one") == {"a": b"old"}
    write_folder(tmp_path / ".before-one", {"a": b"older"})  # as the second leaves it
    clean_leftovers(tmp_path)
    assert contents(tmp_path / "one") == {"a": b"old"}
    assert names(tmp_path) == ["one"]


def test_where_names_cannot_be_exchanged_a_failure_puts_the_old_folder_back(tmp_path):
    write_folder(tmp_path / "one", {"a": b"old"})
    with pytest.raises(FileNotFoundError):
        atomic._replace_by_two_renames(tmp_path / "absent", tmp_path / "one")
    assert contents(tmp_path / "one") == {"a": b"old"}
    assert names(tmp_path) == ["one"]


# A disk that is full: writes beyond a limit fail in the kernel as they do on a full disk.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from netwright.artifacts import write_artifact, write_file
from netwright.errors import ArtifactError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
write_artifact(folder / "one", "checkpoint", {"a": b"old"})
write_file(folder / "file", b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
for write in (
    lambda: write_artifact(folder / "one", "checkpoint", {"a": b"x" * 5_000, "b": b"x" * 50_000}),
    lambda: write_file(folder / "file", b"x" * 50_000),
):
    try:
        write()
    except ArtifactError as error:
        print(error)
"""


def test_a_disk_that_fills_leaves_what_was_there_and_no_half(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all("could not be written: file too large" in line for line in lines)
    assert all("What stood there before is kept; make room" in line for line in lines)
    assert read_artifact(tmp_path / "one", "checkpoint") == {"a": b"old"}
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file", "one"]


def test_a_real_full_disk_is_named_with_what_is_free(tmp_path):
    mounted = tmp_path / "small"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mounted)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a small disk")
    try:
        write_artifact(mounted / "one", "checkpoint", {"a": b"old"})
        with pytest.raises(
            ArtifactError,
            match=r"one could not be written: no space left on device \(2\d\d,\d{3} bytes needed, [\d,]+ free",
        ):
            write_artifact(mounted / "one", "checkpoint", {"a": b"x" * 200_000})
        assert read_artifact(mounted / "one", "checkpoint") == {"a": b"old"}
        assert names(mounted) == ["one"]
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


# Forks writers, reads while they write, and kills each at a random moment: what is there is always
# the version last acknowledged, or the next one, and all bytes of it.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from netwright.artifacts import atomic, clean_leftovers, read_artifact, write_artifact, write_file

folder, moments, exchanges = Path(sys.argv[1]), random.Random(0), sys.argv[2] == "exchange"
if not exchanges:
    atomic._exchange = lambda a, b: False

def write_for_ever(n, pipe):
    while True:
        n += 1
        big = n.to_bytes(8, "little") * 20_000
        write_artifact(folder / "one", "checkpoint", {"n": str(n).encode(), "big": big})
        write_file(folder / "file", big)
        os.write(pipe, n.to_bytes(8, "little"))

def check_file():
    data = (folder / "file").read_bytes()
    assert len(data) == 160_000 and data == data[:8] * 20_000, "half a file"
    return int.from_bytes(data[:8], "little")

written = 0
for _ in range(40):
    receiver, sender = os.pipe()
    writer = os.fork()
    if writer == 0:
        write_for_ever(written, sender)
    os.close(sender)
    written = int.from_bytes(os.read(receiver, 8), "little")
    end = time.monotonic() + moments.uniform(0, 0.01)
    while time.monotonic() < end:
        check_file()
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    rest = b""
    while piece := os.read(receiver, 8_000):
        rest += piece
    os.close(receiver)
    if rest:
        written = int.from_bytes(rest[-8:], "little")
    if not exchanges:
        clean_leftovers(folder)
    files = read_artifact(folder / "one", "checkpoint")
    found = int(files["n"])
    assert found in (written, written + 1), (found, written)
    assert files["big"] == found.to_bytes(8, "little") * 20_000
    assert check_file() in (written, written + 1)
    print(len(list(folder.glob(".*"))))
    written = found
"""


@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_a_writer_killed_at_any_moment_leaves_a_whole_version(tmp_path, way):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), way], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    leftovers = list(map(int, done.stdout.split()))
    assert len(leftovers) == 40
    if way == "exchange":
        assert max(leftovers) > 0, "no writer was killed in the middle: nothing was tested"
    clean_leftovers(tmp_path)
    assert names(tmp_path) == ["file", "one"]
