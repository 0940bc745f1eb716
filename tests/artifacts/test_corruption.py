"""Damaged and hand-made files of every kind are refused by a typed error, and nothing else happens.

The whole of it is benchmarks/file_corruption.py; here a part of each.
"""

import random

import corruption
import pytest

from netwright.errors import NetwrightError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("saved")
    (root / "canary").write_text("alive")
    before = (root / "canary").stat().st_mtime_ns
    yield root, {subject.name: subject for subject in corruption.subjects(root)}
    assert (root / "canary").read_text() == "alive"
    assert (root / "canary").stat().st_mtime_ns == before


KINDS = [
    "network", "signed-network", "ensemble", "hypernetwork", "table-hypernetwork", "bank", "adapter", "checkpoints",
    "registry",
]  # fmt: skip
WITH_TENSORS = [kind for kind in KINDS if kind not in ("adapter", "registry")]


def test_every_kind_is_here(saved):
    assert list(saved[1]) == KINDS


def refused(subject):
    """Loading says in one line what is wrong."""
    with pytest.raises(NetwrightError) as told:
        subject.load()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_and_cut_files_are_detected(saved, kind):
    subject = saved[1][kind]
    rng = random.Random(0)
    damaged = list(corruption.flips(subject, 3 * len(subject.files), rng))
    for path in subject.files:
        damaged += [(path, data) for data in corruption.truncations(path, 85, rng)][::10]
    for path, data in damaged:
        whole = path.read_bytes()
        path.write_bytes(data)
        refused(subject)
        path.write_bytes(whole)
    subject.load()


def cases(subject, canary):
    yield from corruption.traversals(subject)
    yield from corruption.disguises(subject, canary)
    yield from corruption.crafted_headers(subject)


@pytest.mark.parametrize("kind", WITH_TENSORS)
def test_files_made_by_hand_are_refused_though_their_digests_are_right(saved, kind):
    root, subjects = saved
    subject = subjects[kind]
    folder, _, _ = corruption.artifact_files(subject)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    made = list(cases(subject, root / "canary"))
    assert len(made) >= 30 + 30 + 60
    # All of them for one kind; of the others, which have the same reader below them, some.
    for _, make in made if kind == "network" else made[::7]:
        make()
        refused(subject)
    corruption.fill(folder, whole)
    subject.load()


def test_the_canary_sings_when_a_pickle_is_read(tmp_path):
    import pickle

    for data in corruption.pickles(tmp_path / "canary")[:6]:
        pickle.loads(data)
        (tmp_path / "canary").unlink()
