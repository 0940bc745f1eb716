"""Nothing that was acknowledged is lost: kills, full disks, databases that go and come back."""

import itertools
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial

import pytest
import torch
from databases import new_database, patiently

from netwright.errors import RegistryError, RegistryUnavailableError, UnknownNetworkError
from netwright.registry import Registry
from netwright.registry import registry as registry_module

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def work(url, artifacts, network, name, rounds, pipe):
    """Add and remove, and say what was acknowledged."""
    registry = Registry(url, artifacts)
    for n in rounds:
        ids = [f"{name}-{n}-{i}" for i in range(3)]
        registry.add_many([network] * 3, network_ids=ids)
        os.write(pipe, "".join(f"+{i} " for i in [*ids]).encode() + f"?{ids[1]} ".encode())
        registry.remove(ids[1])
        os.write(pipe, f"-{ids[1]} ".encode())


def fork(*arguments):
    """A process that works, and where it says what was acknowledged."""
    receiver, sender = os.pipe()
    worker = os.fork()
    if worker == 0:
        code = 1
        try:
            work(*arguments, sender)
            code = 0
        finally:
            os._exit(code)
    os.close(sender)
    return worker, receiver


def rest_of(pipe):
    with os.fdopen(pipe, "rb") as file:
        return file.read().decode()


def acknowledged(lines):
    """Ids that must be there, and those that may be."""
    there, unsure = set(), set()
    for word in lines.split():
        if word[0] == "+":
            there.add(word[1:])
        elif word[0] == "?":
            there.discard(word[1:])
            unsure.add(word[1:])
        else:
            unsure.discard(word[1:])
    return there, unsure


def test_killed_at_any_moment_nothing_acknowledged_is_lost(url, networks, tmp_path, monkeypatch):
    moments = random.Random(0)
    must, may, removed = set(), set(), set()
    for attempt in range(4):
        workers = [
            fork(url, tmp_path / "artifacts", networks[0], f"{attempt}-{i}", itertools.count())
            for i in range(2)
        ]
        said = [os.read(pipe, 1).decode() for _, pipe in workers]
        time.sleep(moments.uniform(0, 0.15))
        for (worker, pipe), first in zip(workers, said, strict=True):
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
            words = first + rest_of(pipe)
            there, unsure = acknowledged(words)
            must |= there
            may |= unsure
            removed |= {w[1:] for w in words.split() if w[0] == "-"}
    registry = Registry(url, tmp_path / "artifacts")
    ids = {entry.network_id for entry in registry.list(limit=10_000)}
    assert must <= ids
    assert not ids & (removed - may)
    assert registry.verify_all().whole == len(ids) >= 6
    # Of what was not acknowledged nothing stays behind once it is old.
    monkeypatch.setattr(registry_module, "_SECONDS_ABANDONED", -1.0)
    registry.clean()
    used = {row["pack"] for row in registry._rows.after(0, None, 10_000)}
    assert {path.name for path in (tmp_path / "artifacts").glob("*.tar")} == used
    assert not list((tmp_path / "artifacts").glob(".*"))
    assert registry._rows.leftovers() == []
    assert registry.verify_all().whole == len(ids)
    registry.close()


def test_what_killed_writers_left_goes_when_it_is_old_and_not_before(
    registry, networks, tmp_path, monkeypatch
):
    registry.add(networks[0], network_id="net")
    abandoned = tmp_path / "artifacts" / f"{'0' * 32}.tar"
    abandoned.write_bytes(b"half a network")
    assert registry.clean() == 0
    assert abandoned.exists()
    os.utime(abandoned, (0, 0))
    assert registry.clean() == 1
    assert not abandoned.exists()
    # Removed, and killed before the bytes were: at the next start they go.
    weights = registry.files("net")["model.safetensors"]
    registry._rows.delete(("", "net"))
    (pack,) = (tmp_path / "artifacts").glob("*.tar")
    assert weights in pack.read_bytes()
    again = Registry(registry._database.url.render_as_string(False), tmp_path / "artifacts")
    assert again.list() == []
    assert not pack.exists()
    again.close()


def test_artefacts_that_were_cleaned_away_before_they_were_told_of_are_not_acknowledged(
    registry, networks, monkeypatch
):
    registry.check()
    real = registry._packs.put

    def put_and_sleep(pieces):
        places = real(pieces)
        monkeypatch.setattr(registry_module, "_SECONDS_ABANDONED", -1.0)
        registry.clean()
        return places

    monkeypatch.setattr(registry._packs, "put", put_and_sleep)
    with pytest.raises(RegistryUnavailableError, match="artefacts were removed. Add them again"):
        registry.add(networks[0])
    assert registry.list() == []


def test_many_processes_add_at_once(url, networks, tmp_path):
    workers = [fork(url, tmp_path / "artifacts", networks[0], f"w{i}", range(6)) for i in range(3)]
    said = [rest_of(pipe) for _, pipe in workers]
    assert [os.waitpid(worker, 0)[1] for worker, _ in workers] == [0, 0, 0]
    registry = Registry(url, tmp_path / "artifacts")
    assert registry.verify_all().whole == registry.count() == 3 * 6 * 2
    there = set().union(*(acknowledged(words)[0] for words in said))
    assert {entry.network_id for entry in registry.list()} == there
    registry.close()


def test_a_lost_file_of_sqlite_is_told_and_never_made_anew(networks, tmp_path):
    registry = Registry(f"sqlite:///{tmp_path}/db/registry.db", tmp_path / "artifacts")
    registry.add(networks[0], network_id="net")
    (tmp_path / "db").rename(tmp_path / "away")
    packs = list((tmp_path / "artifacts").glob("*.tar"))
    for ask in (
        lambda: registry.get("net"),
        lambda: registry.add(networks[1]),
        registry.check,
        lambda: Registry(f"sqlite:///{tmp_path}/db/registry.db", tmp_path / "artifacts").list(),
    ):
        with pytest.raises(RegistryUnavailableError, match="The database .*registry.db"):
            ask()
    assert not (tmp_path / "db").exists()
    (tmp_path / "away").rename(tmp_path / "db")
    assert registry.get("net").provenance == networks[0].provenance
    assert registry.add(networks[1], network_id="net2").number == 2
    assert registry.count() == 2
    # What was written while there was no database is left to cleaning, or gone.
    assert len(list((tmp_path / "artifacts").glob("*.tar"))) == len(packs) + 1


def test_a_file_of_sqlite_that_is_put_back_is_taken_up(networks, tmp_path):
    path = tmp_path / "registry.db"
    registry = Registry(f"sqlite:///{path}", tmp_path / "artifacts")
    registry.add(networks[0], network_id="before")
    registry.close()
    backup = path.read_bytes()
    registry.add(networks[1], network_id="later")
    registry.close()
    (tmp_path / "new").write_bytes(backup)
    registry.check()
    os.replace(tmp_path / "new", path)
    assert [entry.network_id for entry in registry.list()] == ["before"]


def test_a_database_that_is_down_is_told_soon_and_used_when_it_is_up(postgres, networks, tmp_path):
    registry = Registry(new_database(postgres), tmp_path / "artifacts")
    registry.add(networks[0], network_id="net")
    postgres.stop()
    try:
        for ask in (lambda: registry.get("net"), lambda: registry.add(networks[1])):
            with pytest.raises(RegistryUnavailableError, match="cannot be used now") as told:
                ask()
            assert not isinstance(told.value, UnknownNetworkError)
            assert "secret-word" not in str(told.value)
            assert "\n" not in str(told.value)
        # One that starts while the database is down comes up with it.
        late = Registry(registry._database.url.render_as_string(False), tmp_path / "artifacts")
        with pytest.raises(RegistryUnavailableError):
            late.check()
    finally:
        postgres.start()
    assert torch.equal(
        *(n.network.head.bias for n in (patiently(lambda: registry.get("net")), networks[0]))
    )
    registry.add(networks[1], network_id="new")
    assert patiently(late.count) == 2
    registry.close()
    late.close()


def test_a_server_killed_under_writers_loses_nothing_acknowledged(postgres, networks, tmp_path):
    url = new_database(postgres)
    registry = Registry(url, tmp_path / "artifacts")
    kept = []
    for round_ in range(3):
        for i in range(5):
            kept.append(registry.add(networks[i % 6], network_id=f"{round_}-{i}").network_id)
        postgres.stop()
        with pytest.raises(RegistryUnavailableError):
            registry.add(networks[0], network_id=f"lost-{round_}")
        postgres.start()
        # The same again is answered as if nothing had been.
        again = partial(registry.add, networks[0], network_id=f"lost-{round_}")
        kept.append(patiently(again).network_id)
    assert [entry.network_id for entry in registry.list()] == kept
    assert registry.verify_all().whole == 18
    registry.close()


def test_a_locked_database_is_told_and_used_when_it_is_free(networks, tmp_path, monkeypatch):
    from netwright.registry import database

    monkeypatch.setattr(database, "_BUSY_MS", 50)
    registry = Registry(f"sqlite:///{tmp_path}/r.db", tmp_path / "artifacts")
    registry.add(networks[0], network_id="net")
    with registry._database.writing():
        with pytest.raises(RegistryUnavailableError, match="database is locked"):
            registry.add(networks[1])
        assert registry.get("net").labels == ("a", "b")
    registry.add(networks[1])
    assert registry.count() == 2
    assert len(list((tmp_path / "artifacts").glob("*.tar"))) == 2


def small_disk(folder, size):
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a small disk")


@pytest.mark.parametrize("full", ["artifacts", "database"])
def test_on_a_full_disk_nothing_is_half_and_with_room_it_goes_on(full, networks, tmp_path):
    disk = tmp_path / "disk"
    small_disk(disk, "400k")
    try:
        where = {"artifacts": tmp_path / "artifacts", "database": tmp_path / "db"}
        where[full] = disk / full
        registry = Registry(f"sqlite:///{where['database']}/r.db", where["artifacts"])
        registry.add(networks[0], network_id="first")
        filler, count = disk / "filler", 1
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(1000)):
                pass
        with pytest.raises(RegistryUnavailableError, match="no space left|disk is full|disk I/O"):  # noqa: PT012
            while True:
                registry.add(networks[1], network_id=f"n{count}")
                count += 1
        assert registry.verify_all().whole == count
        assert registry.get("first").provenance == networks[0].provenance
        filler.unlink()
        registry.add(networks[1], network_id=f"n{count}")
        assert registry.verify_all().whole == count + 1
        packs = list(where["artifacts"].glob("*.tar"))
        assert len(packs) == count + 1
        registry.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_artefacts_that_are_not_mounted_are_unavailable_and_not_damaged(
    registry, networks, tmp_path
):
    registry.add(networks[0], network_id="net")
    (tmp_path / "artifacts").rename(tmp_path / "away")
    for ask in (lambda: registry.get("net"), lambda: registry.add(networks[1]), registry.check):
        with pytest.raises(RegistryUnavailableError, match="artefacts"):
            ask()
    assert not (tmp_path / "artifacts").exists()
    (tmp_path / "away").rename(tmp_path / "artifacts")
    assert registry.verify_all().whole == 1


def test_artefacts_of_another_registry_are_not_touched(registry, networks, tmp_path):
    registry.add(networks[0], network_id="net")
    for path in (tmp_path / "artifacts").glob("*.tar"):
        os.utime(path, (0, 0))
    other = Registry(f"sqlite:///{tmp_path}/other.db", tmp_path / "artifacts")
    with pytest.raises(RegistryError, match="other.db"):
        other.list()
    (tmp_path / "third.db").touch()
    third = Registry(f"sqlite:///{tmp_path}/third.db", tmp_path / "artifacts")
    with pytest.raises(RegistryError, match="belong to another registry than .*third.db"):
        third.list()
    third.close()
    assert registry.verify_all().whole == 1
