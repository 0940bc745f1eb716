"""Folders that are read back whole or refused: every bit, every name, every kind."""

import json
import os
import random

import pytest
import torch

from netwright.artifacts import (
    digest,
    read_artifact,
    tensors_to_bytes,
    write_artifact,
    write_folder,
)
from netwright.errors import ArtifactError

FILES = {"a.bin": bytes(range(256)) * 3, "b.json": b'{"x": 1}'}


@pytest.fixture
def folder(tmp_path):
    write_artifact(tmp_path / "one", "network", FILES)
    return tmp_path / "one"


def forge(folder, manifest, **files):
    """A folder whose manifest says whatever it says with a right sha256."""
    manifest = {**manifest, "sha256": digest(manifest)}
    write_folder(folder, {**files, "manifest.json": json.dumps(manifest, indent=2).encode()})


def test_what_was_written_is_read(folder):
    assert read_artifact(folder, "network") == FILES


def test_a_folder_without_files_is_read(tmp_path):
    write_artifact(tmp_path / "none", "network", {})
    assert read_artifact(tmp_path / "none", "network") == {}


def test_writing_again_replaces_a_folder_of_the_same_kind_and_none_other(folder, tmp_path):
    write_artifact(folder, "network", {"c": b"new"})
    assert read_artifact(folder, "network") == {"c": b"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    with pytest.raises(ArtifactError, match=r"is there already and is no checkpoint"):
        write_artifact(folder, "checkpoint", FILES)
    assert read_artifact(folder, "network") == {"c": b"new"}


def test_a_folder_of_the_users_own_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match=r"Choose another path; nothing was changed"):
        write_artifact(tmp_path, "network", FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    write_artifact(tmp_path / "empty", "network", FILES)
    assert read_artifact(tmp_path / "empty", "network") == FILES


def test_every_flipped_bit_is_detected(tmp_path):
    folder = tmp_path / "one"
    tensors = tensors_to_bytes({"w": torch.ones(3)})
    write_artifact(folder, "network", {**FILES, "t.safetensors": tensors})
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
    assert len(read_artifact(folder, "network")) == 3


def test_every_truncation_and_every_addition_is_detected(folder):
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        cut = [whole[:length] for length in range(len(whole))]
        for damaged in (*cut, whole + b"\0", whole + b"\n", b" " + whole, whole * 2):
            path.write_bytes(damaged)
            with pytest.raises(ArtifactError):
                read_artifact(folder, "network")
        path.write_bytes(whole)
    assert read_artifact(folder, "network") == FILES


NAMES_THAT_LEAD_ELSEWHERE = [
    "../x",
    "/etc/x",
    "a/b",
    "..",
    ".",
    "",
    "manifest.json",
    "a\\b",
    "C:x",
    "a\0",
]


@pytest.mark.parametrize("name", NAMES_THAT_LEAD_ELSEWHERE)
def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path, name):
    listed = {name: {"bytes": 1, "sha256": "0"}}
    forge(tmp_path / "one", {"kind": "network", "format": 1, "files": listed})
    with pytest.raises(
        ArtifactError, match=r"lists .*, expected plain file names inside the folder"
    ):
        read_artifact(tmp_path / "one", "network")


@pytest.mark.parametrize("name", NAMES_THAT_LEAD_ELSEWHERE)
def test_files_are_not_written_elsewhere(tmp_path, name):
    with pytest.raises(ArtifactError, match=r"cannot hold a file named .*expected plain names"):
        write_artifact(tmp_path / "one", "network", {"good": b"", name: b"x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "manifest",
    [
        {"format": 1, "files": {}},
        {"kind": "network", "files": {}},
        {"kind": "network", "format": 1},
        {"kind": "network", "format": 1, "files": []},
        {"kind": "network", "format": 1, "files": {"a": 1}},
        {"kind": "network", "format": 1, "files": {"a": {"bytes": [], "sha256": ""}}},
        {"kind": "network", "format": 1, "files": {"a": {"bytes": 1}}},
        {"kind": "network", "format": "1", "files": {}},
        {"kind": "network", "format": 0, "files": {}},
    ],
)
def test_a_manifest_of_another_form_is_refused_though_its_sha256_is_right(tmp_path, manifest):
    forge(tmp_path / "one", manifest)
    with pytest.raises(
        ArtifactError, match=r"manifest.json (is not a manifest|has another sha256)"
    ):
        read_artifact(tmp_path / "one", "network")


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"7", b"\xff\xfe", b'{"a": ', b"[" * 100_000, b'{"format": 1e999}', b"9" * 5_000],
    ids=["empty", "list", "number", "no text", "cut", "deep", "infinite", "long number"],
)
def test_what_is_no_manifest_is_refused(folder, text):
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(ArtifactError, match=r"manifest.json is not a manifest"):
        read_artifact(folder, "network")


def test_a_huge_manifest_is_not_even_read(folder):
    with (folder / "manifest.json").open("wb") as file:
        file.truncate(2**40)  # a terabyte of zeros that takes no room
    with pytest.raises(
        ArtifactError, match=r"has 1,099,511,627,776 bytes, expected at most 1,000,000"
    ):
        read_artifact(folder, "network")


def test_a_file_that_grew_is_not_even_read(folder):
    with (folder / "a.bin").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(
        ArtifactError, match=r"a.bin has 1,099,511,627,776 bytes, expected at most 768"
    ):
        read_artifact(folder, "network")


def test_a_file_of_another_length_or_content_is_named(folder):
    (folder / "a.bin").write_bytes(b"x")
    with pytest.raises(
        ArtifactError, match=r"a.bin has 1 bytes, expected 768: it was cut or changed"
    ):
        read_artifact(folder, "network")
    (folder / "a.bin").write_bytes(b"x" * 768)
    with pytest.raises(ArtifactError, match=r"a.bin has another sha256 than its manifest says"):
        read_artifact(folder, "network")


def test_a_manifest_that_was_edited_is_refused(folder):
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("network", "checkpoint"))
    with pytest.raises(ArtifactError, match=r"manifest.json has another sha256 than it says"):
        read_artifact(folder, "checkpoint")


def test_links_out_of_the_folder_are_refused(folder, tmp_path):
    for name in ("a.bin", "manifest.json"):
        (folder / name).rename(tmp_path / "outside")
        (folder / name).symlink_to(tmp_path / "outside")
        with pytest.raises(ArtifactError, match=f"{name} is no plain file, expected one"):
            read_artifact(folder, "network")
        (folder / name).unlink()
        (tmp_path / "outside").rename(folder / name)
    assert read_artifact(folder, "network") == FILES


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(folder):
    (folder / "a.bin").unlink()
    os.mkfifo(folder / "a.bin")
    with pytest.raises(ArtifactError, match=r"a.bin is no plain file"):
        read_artifact(folder, "network")


def test_a_folder_of_another_kind_is_refused(folder):
    with pytest.raises(
        ArtifactError, match=r"holds a network, expected a checkpoint. Give the path of"
    ):
        read_artifact(folder, "checkpoint")


def test_a_path_that_is_no_artifact_is_refused_with_what_it_is(folder, tmp_path):
    with pytest.raises(ArtifactError, match=r"two is not there, expected the folder of a network"):
        read_artifact(tmp_path / "two", "network")
    with pytest.raises(ArtifactError, match=r"a.bin is a file, expected the folder of a network"):
        read_artifact(folder / "a.bin", "network")
    with pytest.raises(ArtifactError, match=r"is a folder without manifest.json.*Check the path"):
        read_artifact(tmp_path, "network")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ArtifactError, match=r"is a run folder.*Give a checkpoint inside it\."):
        read_artifact(tmp_path, "checkpoint")


def test_missing_and_added_files_are_named(folder):
    (folder / "a.bin").rename(folder / "extra")
    with pytest.raises(ArtifactError, match=r"lacks \['a.bin'\] and has unlisted \['extra'\]"):
        read_artifact(folder, "network")


def test_a_folder_of_a_newer_version_says_to_upgrade(tmp_path):
    forge(tmp_path / "one", {"kind": "network", "format": 7, "files": {}, "signature": "new"})
    with pytest.raises(
        ArtifactError, match=r"format 7, expected at most 1.*newer netwright. Upgrade"
    ):
        read_artifact(tmp_path / "one", "network")


@pytest.fixture
def as_nobody():
    """Without the rights of the superuser, whom no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_folder_that_may_not_be_read_or_written_is_refused(folder, as_nobody):
    if os.getuid() != 0:
        folder.chmod(0)
    try:
        with pytest.raises(
            ArtifactError, match=r"cannot be read: permission denied. Check its perm"
        ):
            read_artifact(folder, "network")
        with pytest.raises(
            ArtifactError, match=r"cannot be read: permission denied. Check its perm"
        ):
            write_artifact(folder, "network", FILES)
    finally:
        if os.getuid() != 0:
            folder.chmod(0o700)


def test_a_name_that_the_system_cannot_take_is_refused(tmp_path):
    name = "x" * 300
    # Later Pythons say of such a path that it is not there; both are true.
    with pytest.raises(ArtifactError, match=r"cannot be read: file name too long|is not there"):
        read_artifact(tmp_path / name, "network")
    with pytest.raises(ArtifactError, match=r"file name too long"):
        write_artifact(tmp_path / name, "network", FILES)
