"""Shards: each whole or not there, the same whoever runs them and however often."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import netwright as nw
from netwright.artifacts import read_artifact
from netwright.bank import NetworkBank, write_shard
from netwright.errors import ArtifactError, ConditionError, RunError


def make(seed: int = 0) -> nw.Hypernetwork:
    torch.manual_seed(seed)
    child = nw.Child(nw.architectures.mlp(inputs=3, hidden=(6,), outputs=2))
    return nw.Hypernetwork(child, nw.conditioners.Context([0.0] * 4, [1.0] * 4), "dense")


@pytest.fixture
def condition() -> nw.Condition:
    return nw.Condition(context=torch.rand(23, 4, generator=torch.Generator().manual_seed(1)))


IDS = [f"device-{i}" for i in range(23)]


def test_all_shards_together_are_the_networks_of_all_conditions(tmp_path, condition):
    hypernetwork = make()
    # In any order, as a scheduler would.
    for index in (2, 0, 3, 1):
        write_shard(hypernetwork, condition, IDS, tmp_path, shard=(index, 4), tasks_at_once=4)
    bank = NetworkBank.load(tmp_path)
    assert bank.ids == tuple(IDS)
    networks = hypernetwork.generate_many(condition)
    x = torch.randn(23, 3)
    with torch.no_grad():
        expected = torch.cat([n(row[None]) for n, row in zip(networks, x, strict=True)])
    torch.testing.assert_close(bank.run(IDS, x), expected, rtol=1e-5, atol=1e-6)


def test_a_shard_that_is_there_is_left_and_a_damaged_one_is_mended(tmp_path, condition):
    hypernetwork = make()
    done = write_shard(hypernetwork, condition, IDS, tmp_path)
    assert (done.networks, done.was_there, done.mended) == (23, False, "")
    before = {path.name: path.stat().st_mtime_ns for path in done.folder.iterdir()}
    assert write_shard(hypernetwork, condition, IDS, tmp_path).was_there
    assert before == {path.name: path.stat().st_mtime_ns for path in done.folder.iterdir()}
    good = read_artifact(done.folder, "bank")
    path = done.folder / "00000-networks.safetensors"
    for damage in (path.read_bytes()[:-7], path.read_bytes()[:-1] + b"\x07"):
        path.write_bytes(damage)
        again = write_shard(hypernetwork, condition, IDS, tmp_path)
        assert not again.was_there
        assert "cut or changed after it was saved" in again.mended
        assert read_artifact(done.folder, "bank") == good


def test_a_shard_of_another_hypernetwork_or_condition_is_written_anew(tmp_path, condition):
    first = write_shard(make(), condition, IDS, tmp_path)
    files = read_artifact(first.folder, "bank")
    again = write_shard(make(seed=1), condition, IDS, tmp_path)
    assert not again.was_there
    assert not again.mended
    assert read_artifact(first.folder, "bank") != files


def test_half_precision_halves_the_files(tmp_path, condition):
    sizes = {}
    for at_rest in ("float32", "float16"):
        folder = tmp_path / at_rest
        done = write_shard(make(), condition, IDS, folder, at_rest=at_rest)
        sizes[at_rest] = (done.folder / "00000-networks.safetensors").stat().st_size
        assert NetworkBank.load(folder).at_rest == at_rest
    assert sizes["float16"] < 0.6 * sizes["float32"]


def test_missing_and_foreign_shards_are_named(tmp_path, condition):
    for index in (0, 2):
        write_shard(make(), condition, IDS, tmp_path, shard=(index, 3))
    with pytest.raises(ArtifactError, match=r"lacks shard-00002-of-00003, .* --shard 2/3"):
        NetworkBank.load(tmp_path)
    write_shard(make(), condition, IDS, tmp_path, shard=(1, 3))
    write_shard(make(), condition, IDS, tmp_path, shard=(1, 4))
    with pytest.raises(ArtifactError, match="beside shards of 3, expected one set"):
        NetworkBank.load(tmp_path)


def test_impossible_shards_and_ids_are_refused(tmp_path, condition):
    with pytest.raises(RunError, match="The shard is 5 of 4, expected 1 to 4"):
        write_shard(make(), condition, IDS, tmp_path, shard=(4, 4))
    with pytest.raises(ConditionError, match="22 ids, 22 of them distinct, for 23 tasks"):
        write_shard(make(), condition, IDS[:-1], tmp_path)
    with pytest.raises(ConditionError, match="23 ids, 22 of them distinct"):
        write_shard(make(), condition, [*IDS[:-1], IDS[0]], tmp_path)
    condition.context[3, 1] = float("nan")
    with pytest.raises(ConditionError, match=r"`context` is nan at \[3, 1\]"):
        write_shard(make(), condition, IDS, tmp_path)
    assert not list(tmp_path.iterdir())


WRITER = """
import sys, torch
sys.path.insert(0, sys.argv[2])
import test_mass
torch.set_num_threads(1)
condition = test_mass.nw.Condition(context=torch.rand(60_000, 4))
print("ready", flush=True)
test_mass.write_shard(test_mass.make(), condition, range(60_000), sys.argv[1], tasks_at_once=500)
"""


@contextmanager
def writer_midway(folder: Path) -> Iterator[subprocess.Popen]:
    """A process that has written a part of a shard, and goes on."""
    arguments = [sys.executable, "-c", WRITER, str(folder), str(Path(__file__).parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        while not list(folder.glob(".aside-*/0*")) and process.poll() is None:
            time.sleep(0.002)
        try:
            yield process
        finally:
            process.kill()


def make_old(folder: Path) -> list[Path]:
    """Half-written folders, as if they had been begun an hour ago."""
    asides = list(folder.glob(".aside-*"))
    for aside in asides:
        os.utime(aside, (time.time() - 3_600,) * 2)
    return asides


def test_a_shard_killed_midway_is_not_there_at_all(tmp_path, condition):
    folder = tmp_path / "out"
    with writer_midway(folder) as process:
        process.send_signal(signal.SIGKILL)
    assert not list(folder.glob("shard-*"))
    with pytest.raises(ArtifactError, match="holds no bank of networks"):
        NetworkBank.load(folder)
    # The next writer of any shard removes what it has left.
    assert make_old(folder)
    write_shard(make(), condition, IDS, folder, shard=(1, 2))
    assert [path.name for path in folder.iterdir()] == ["shard-00002-of-00002"]


def test_what_another_writer_is_writing_is_left_to_it(tmp_path, condition):
    folder = tmp_path / "out"
    with writer_midway(folder) as process:
        process.send_signal(signal.SIGSTOP)
        asides = make_old(folder)
        write_shard(make(), condition, IDS, folder, shard=(1, 2))
        assert asides
        assert all(aside.exists() for aside in asides)
