"""Files: either old or new, every bit checked, nothing that can run code."""

import os
import pickle
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from netwright.artifacts import (
    clean_leftovers,
    read_artifact,
    tensors_from_bytes,
    tensors_to_bytes,
    write_artifact,
    write_file,
    write_folder,
)
from netwright.errors import ArtifactError

FILES = {"a.bin": bytes(range(256)) * 3, "b.json": b'{"x": 1}'}


def test_what_was_written_is_read(tmp_path):
    write_artifact(tmp_path / "one", "network", FILES)
    assert read_artifact(tmp_path / "one", "network") == FILES


def test_files_are_readable_by_others_as_the_umask_says(tmp_path):
    write_file(tmp_path / "f", b"x")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o666 & ~umask


def test_writing_again_replaces_a_folder_of_the_same_kind_and_none_other(tmp_path):
    folder = tmp_path / "one"
    write_artifact(folder, "network", FILES)
    write_artifact(folder, "network", {"c": b"new"})
    assert read_artifact(folder, "network") == {"c": b"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    with pytest.raises(ArtifactError, match="is there already and is no checkpoint"):
        write_artifact(folder, "checkpoint", FILES)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="Choose another path; nothing was changed"):
        write_artifact(precious, "network", FILES)
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_every_flipped_bit_is_detected(tmp_path):
    folder = tmp_path / "one"
    write_artifact(
        folder, "network", {**FILES, "t.safetensors": tensors_to_bytes({"w": torch.ones(3)})}
    )
    rng = random.Random(0)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(150):
            bit = rng.randrange(8 * len(whole))
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << (bit % 8)
            path.write_bytes(bytes(damaged))
            with pytest.raises(ArtifactError):
                read_artifact(folder, "network")
        path.write_bytes(whole)
    read_artifact(folder, "network")


def test_every_truncation_is_detected(tmp_path):
    folder = tmp_path / "one"
    write_artifact(folder, "network", FILES)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for length in range(0, len(whole), 7):
            path.write_bytes(whole[:length])
            with pytest.raises(ArtifactError):
                read_artifact(folder, "network")
        path.write_bytes(whole)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", ".", "manifest.json", "a\\b"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    from netwright.artifacts import manifest

    listed = {name: {"bytes": 1, "sha256": "0"}}
    text = {"kind": "network", "format": 1, "files": listed}
    text["sha256"] = manifest._digest(text)
    write_folder(tmp_path / "one", {"manifest.json": manifest.json.dumps(text, indent=2).encode()})
    with pytest.raises(ArtifactError):
        read_artifact(tmp_path / "one", "network")


def test_links_out_of_the_folder_are_refused(tmp_path):
    folder = tmp_path / "one"
    write_artifact(folder, "network", FILES)
    (folder / "a.bin").rename(tmp_path / "outside")
    (folder / "a.bin").symlink_to(tmp_path / "outside")
    with pytest.raises(ArtifactError, match="is no plain file"):
        read_artifact(folder, "network")


def test_missing_added_newer_and_foreign_folders_each_have_their_words(tmp_path):
    folder = tmp_path / "one"
    with pytest.raises(ArtifactError, match="is not there, expected the folder of a network"):
        read_artifact(folder, "network")
    write_artifact(folder, "checkpoint", FILES)
    with pytest.raises(ArtifactError, match="holds a checkpoint, expected a network"):
        read_artifact(folder, "network")
    (folder / "extra").write_text("x")
    with pytest.raises(ArtifactError, match=r"has unlisted \['extra'\]"):
        read_artifact(folder, "checkpoint")
    (folder / "extra").unlink()
    (folder / "a.bin").unlink()
    with pytest.raises(ArtifactError, match=r"lacks \['a.bin'\]"):
        read_artifact(folder, "checkpoint")
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 7'))
    with pytest.raises(ArtifactError, match=r"format 7, expected at most 1.*Upgrade"):
        read_artifact(folder, "checkpoint")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match=r"is a folder without manifest.json"):
        read_artifact(tmp_path / "empty", "network")


class Canary:
    def __reduce__(self):
        return (os.system, ("touch canary-was-touched",))


def test_a_pickle_in_disguise_is_refused_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for data in (pickle.dumps(Canary()), b"\x80\x04" + b"\0" * 100, b"", b"\xff" * 64):
        with pytest.raises(ArtifactError, match="is not a whole safetensors file"):
            tensors_from_bytes(data)
    torch.save({"x": Canary()}, tmp_path / "disguised")
    with pytest.raises(ArtifactError):
        tensors_from_bytes((tmp_path / "disguised").read_bytes())
    assert not (tmp_path / "canary-was-touched").exists()


def test_tensors_of_any_layout_and_kind_come_back_equal():
    tensors = {
        "strided": torch.arange(12.0).reshape(3, 4).t(), "half": torch.ones(2).half(),
        "int": torch.tensor([1, 2]), "scalar": torch.tensor(3.0), "empty": torch.zeros(0, 2),
        "bool": torch.tensor([True]), "grad": torch.ones(1, requires_grad=True),
    }  # fmt: skip
    back = tensors_from_bytes(tensors_to_bytes(tensors))
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[n], t) and back[n].dtype == t.dtype for n, t in tensors.items())


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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "one"]


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
        with pytest.raises(ArtifactError, match=r"no space left on device \(200,\d+ bytes needed"):
            write_artifact(mounted / "one", "checkpoint", {"a": b"x" * 200_000})
        assert read_artifact(mounted / "one", "checkpoint") == {"a": b"old"}
        assert [path.name for path in mounted.iterdir()] == ["one"]
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


KILLED = """
import sys
from pathlib import Path
from netwright.artifacts import write_artifact
n = 0
while True:
    n += 1
    write_artifact(Path(sys.argv[1]) / "one", "checkpoint", {"n": str(n).encode(), "big": bytes(300_000)})
    print(n, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_folder(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(10):
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        written = int(writer.stdout.readline())
        time.sleep(float(rng.uniform(0, 0.05)))
        writer.kill()
        rest = writer.communicate()[0].split()
        written = max([written, *map(int, rest)])
        assert int(read_artifact(tmp_path / "one", "checkpoint")["n"]) in (written, written + 1)
    clean_leftovers(tmp_path)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["one"]
