"""A registry gives back what was added, to its owner and nobody else."""

import copy
import os
import subprocess
import sys
import threading

import pytest
import torch

from netwright.errors import (
    ArtifactError,
    MissingExtraError,
    RegistryError,
    RegistryUnavailableError,
    UnknownNetworkError,
)
from netwright.registry import Registry


def equal(a, b):
    x = torch.randn(5, *a.input_shape)
    return torch.equal(a(x), b(x)) and a.provenance == b.provenance and a.labels == b.labels


def test_a_network_comes_back_as_it_was_added(registry, networks):
    entry = registry.add(networks[0], owner="ann", network_id="net-1", about={"store": 7})
    assert equal(registry.get("net-1", owner="ann"), networks[0])
    assert registry.entry("net-1", owner="ann") == entry
    assert (entry.owner, entry.network_id, entry.about) == ("ann", "net-1", {"store": 7})
    assert entry.parameters == networks[0].size
    assert entry.labels == ("a", "b")
    assert entry.provenance["condition"] == networks[0].provenance.condition


def test_many_networks_come_back_in_order_by_one_call(registry, networks):
    entries = registry.add_many(networks, owner=list("abcabc"))
    assert [entry.owner for entry in entries] == list("abcabc")
    assert len({entry.network_id for entry in entries}) == 6
    found = registry.get_many([entry.network_id for entry in entries], owner=list("abcabc"))
    assert all(map(equal, found, networks))
    assert registry.add_many([]) == []


def test_artefacts_may_lie_in_any_place_that_fsspec_knows(url, networks, tmp_path):
    registry = Registry(url, f"memory://{tmp_path.name}-{os.getpid()}/networks")
    entries = registry.add_many(networks)
    assert all(map(equal, registry.get_many([e.network_id for e in entries]), networks))
    registry.remove(entries[0].network_id)
    assert registry.count() == 5
    assert registry.verify_all().whole == 5
    assert len(registry._packs.older_than(-1)) == 5
    registry.close()


def test_files_are_those_that_save_writes(registry, networks, tmp_path):
    registry.add(networks[0], network_id="one")
    networks[0].save(tmp_path / "saved")
    saved = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    assert registry.files("one") == saved


def test_artefacts_are_archives_that_tar_unpacks(registry, networks, tmp_path):
    registry.add_many(networks[:2], network_ids=["one", "two"])
    (pack,) = (tmp_path / "artifacts").glob("*.tar")
    subprocess.run(["tar", "xf", pack, "-C", tmp_path], check=True)
    folders = sorted(tmp_path.glob("*-*/"))
    assert [folder.name.rpartition("-")[2] for folder in folders] == ["one", "two"]
    from netwright import load_network

    assert equal(load_network(folders[1]), networks[1])


def test_the_same_network_under_its_id_again_changes_nothing(registry, networks):
    first = registry.add(networks[0], network_id="net")
    # How many are written at once changes the last bits.
    other = copy.deepcopy(networks[0])
    with torch.no_grad():
        next(other.network.parameters()).mul_(1 + 1e-7)
    assert registry.add(other, network_id="net") == first
    again = registry.add_many([networks[1], networks[0]], network_ids=["new", "net"])
    assert again[1] == first
    assert registry.count() == 2


def test_another_network_under_an_id_that_is_taken_is_refused(registry, networks):
    registry.add(networks[0], network_id="net")
    tuned = copy.deepcopy(networks[0])
    with torch.no_grad():
        next(tuned.network.parameters()).add_(0.1)
    for other in (networks[1], tuned, networks[0].labelled(("b", "a"))):
        with pytest.raises(RegistryError, match="'net' is another network's already.*Choose"):
            registry.add_many([networks[2], other], network_ids=["free", "net"])
    assert registry.count() == 1
    assert equal(registry.get("net"), networks[0])


def test_an_owner_sees_only_its_own(registry, networks):
    registry.add(networks[0], owner="ann", network_id="net")
    registry.add(networks[1], owner="bob", network_id="net")
    registry.add(networks[2], owner="bob", network_id="bobs")
    assert equal(registry.get("net", owner="ann"), networks[0])
    assert equal(registry.get("net", owner="bob"), networks[1])
    asked = (registry.get, registry.files, registry.entry, registry.verify, registry.remove)
    for ask in asked:
        with pytest.raises(UnknownNetworkError, match="no network 'bobs'"):
            ask("bobs", owner="ann")
    with pytest.raises(UnknownNetworkError, match="no network 'bobs'"):
        registry.get_many(["net", "bobs"], owner="ann")
    assert [e.network_id for e in registry.list(owner="ann")] == ["net"]
    assert [e.owner for e in registry.list(owner=None)] == ["ann", "bob", "bob"]
    assert (registry.count(owner="bob"), registry.count(), registry.count(owner="eve")) == (2, 3, 0)


def test_a_listing_goes_on_where_it_was_whatever_is_removed_meanwhile(registry, networks):
    registry.add_many(networks, network_ids=list("uvwxyz"))
    first = registry.list(limit=3)
    registry.remove("w")
    rest = registry.list(limit=3, after=first[-1].number)
    assert [e.network_id for e in first + rest] == list("uvwxyz")
    registry.remove("z")
    registry.add(networks[0], network_id="later")
    assert [e.network_id for e in registry.list(after=rest[-1].number)] == ["later"]


def test_what_is_removed_is_gone_from_the_disk(registry, networks, tmp_path):
    registry.add_many(networks[:2], network_ids=["one", "two"])
    (pack,) = (tmp_path / "artifacts").glob("*.tar")
    weights = registry.files("one")["model.safetensors"]
    assert weights in pack.read_bytes()
    registry.remove("one")
    assert weights not in pack.read_bytes()
    with pytest.raises(UnknownNetworkError):
        registry.get("one")
    assert equal(registry.get("two"), networks[1])
    registry.remove("two")
    assert not pack.exists()
    assert registry._rows.leftovers() == []


def test_damage_is_found_and_named(registry, networks, tmp_path):
    registry.add_many(networks[:3], owner="ann", network_ids=["one", "two", "three"])
    assert registry.verify_all().whole == 3
    (pack,) = (tmp_path / "artifacts").glob("*.tar")
    data = bytearray(pack.read_bytes())
    at = data.index(registry.files("two", owner="ann")["model.safetensors"])
    data[at + 300] ^= 4
    pack.write_bytes(data)
    with pytest.raises(ArtifactError, match="'two' has another sha256 than the registry says"):
        registry.get("two", owner="ann")
    found = registry.verify_all()
    assert (found.whole, list(found.damaged)) == (2, [("ann", "two")])
    assert equal(registry.get("three", owner="ann"), networks[2])
    pack.unlink()
    with pytest.raises(ArtifactError, match="'one' is not there"):
        registry.verify("one", owner="ann")


def test_networks_of_a_users_module_need_that_module(registry, networks):
    own = copy.deepcopy(networks[0])
    own.architecture = None
    registry.add(own, network_id="own")
    assert registry.verify("own").architecture is None
    with pytest.raises(ArtifactError, match="a module of your own"):
        registry.get("own")
    assert equal(registry.get("own", module=copy.deepcopy(networks[1].network)), networks[0])


@pytest.mark.parametrize("network_id", ["", "../x", "a/b", ".hidden", "ä", "x" * 65, "a b", "a\n"])
def test_what_is_no_id_is_refused(registry, networks, network_id):
    with pytest.raises(RegistryError, match="is none, expected 1 to 64 letters"):
        registry.add(networks[0], network_id=network_id)


def test_what_cannot_be_kept_is_refused_and_nothing_is_added(registry, networks):
    with pytest.raises(RegistryError, match="The owner .* is none"):
        registry.add(networks[0], owner="a\nb")
    with pytest.raises(RegistryError, match="`about` is no JSON"):
        registry.add(networks[0], about={"x": float("nan")})
    with pytest.raises(RegistryError, match="`about` has 200,010 characters, expected up to"):
        registry.add(networks[0], about={"x": "y" * 200_000 + "z"})
    with pytest.raises(RegistryError, match="'one' is given twice"):
        registry.add_many(networks[:2], network_ids=["one", "one"])
    with pytest.raises(RegistryError, match="2 networks, 1 owners, 2 ids"):
        registry.add_many(networks[:2], owner=["ann"])
    assert registry.count() == 0


def test_threads_may_add_and_remove_the_same_ids_at_once(registry, networks):
    faults = []

    def work(seed):
        for i in range(8):
            try:
                registry.add(networks[i % 3], network_id=f"n{i % 3}", owner="all")
                registry.add(networks[i % 3], network_id=f"{seed}-{i}")
                if (i + seed) % 3 == 0:
                    registry.remove(f"n{i % 3}", owner="all")
            except UnknownNetworkError:
                continue  # another thread was first
            except Exception as error:
                faults.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert registry.verify_all(owner="").whole == registry.count(owner="") == 32
    assert not registry.verify_all().damaged


@pytest.mark.parametrize("is_added_again", [False, True])
def test_what_another_removes_while_it_is_compared_is_added(
    registry, networks, monkeypatch, is_added_again
):
    registry.add(networks[0], network_id="n")
    read, asked = registry._packs.read, []

    def removed_first(place):
        if not asked:
            asked.append(place)
            registry.remove("n")
            if is_added_again:
                registry.add(networks[0], network_id="n")
        return read(place)

    monkeypatch.setattr(registry._packs, "read", removed_first)
    assert registry.add(networks[0], network_id="n").network_id == "n"
    assert asked
    assert registry.verify_all().whole == registry.count() == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(registry, networks):
    registry.add(networks[0], network_id="parent")
    child = os.fork()
    if child == 0:
        try:
            registry.add(networks[1], network_id="child")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    registry.add(networks[2], network_id="after")
    assert {entry.network_id for entry in registry.list()} == {"parent", "child", "after"}


def test_sqlite_is_asked_to_survive_the_loss_of_power_and_readers_not_to_wait(tmp_path):
    registry = Registry(f"sqlite:///{tmp_path}/r.db", tmp_path / "artifacts")
    registry.check()
    with registry._database.reading() as connection:
        asked = {n: connection.exec_driver_sql(f"PRAGMA {n}").scalar() for n in ("synchronous", "journal_mode", "busy_timeout")}  # fmt: skip
    assert asked == {"synchronous": 2, "journal_mode": "wal", "busy_timeout": 5000}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "cannot be read, expected sqlite:///FILE"),
        ("sqlite://", "'sqlite' without a place"),
        ("mysql://host/name", "of 'mysql'"),
    ],
)
def test_a_url_of_another_kind_is_refused(url, message, tmp_path):
    with pytest.raises(RegistryError, match=message):
        Registry(url, tmp_path)


def test_a_place_that_fsspec_does_not_know_is_refused(tmp_path):
    with pytest.raises(RegistryUnavailableError, match="nonsense://x cannot be reached"):
        Registry(f"sqlite:///{tmp_path}/r.db", "nonsense://x")


@pytest.mark.parametrize("package", ["sqlalchemy", "fsspec"])
def test_without_the_extra_the_message_names_it(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"`{package}`.*netwright\\[store\\]"):
        Registry(f"sqlite:///{tmp_path}/r.db", "memory://x")
