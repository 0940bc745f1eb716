"""Signatures tell who made a folder, and a folder that is signed is read as before."""

import json
import os
import random
import stat
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from netwright.artifacts import (
    check_files,
    new_key,
    read_artifact,
    sign_folder,
    verify_folder,
    write_artifact,
)
from netwright.errors import ArtifactError, MissingExtraError, SignatureError

FILES = {"a.bin": bytes(range(256)), "b.json": b'{"x": 1}'}


@pytest.fixture
def key(tmp_path):
    new_key(tmp_path / "key.pem")
    return tmp_path / "key.pem"


@pytest.fixture
def folder(tmp_path):
    write_artifact(tmp_path / "one", "network", FILES)
    return tmp_path / "one"


def test_a_signed_folder_is_read_as_before_and_says_who_signed_it(folder, key, tmp_path):
    before = verify_folder(folder)
    assert (before.kind, before.files, before.size, before.signed_by) == ("network", 2, 264, "")
    signed_by = sign_folder(folder, key)
    assert read_artifact(folder, "network") == FILES
    assert verify_folder(folder, tmp_path / "key.pub.pem").signed_by == signed_by
    assert verify_folder(folder).signed_by == signed_by
    there = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert check_files(there, "network", "one") == FILES
    # By a library of its own: what is signed is the manifest behind a line that says so.
    said = json.loads(there["signature.json"])
    public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed_by))
    import base64

    public.verify(
        base64.b64decode(said["signature"]),
        b"netwright manifest signature 1\n" + there["manifest.json"],
    )


def test_the_private_key_is_for_its_owner_alone_and_never_replaced(key, tmp_path):
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE" not in (tmp_path / "key.pub.pem").read_bytes()
    before = key.read_bytes()
    for path in (key, tmp_path / "key.pub.pem"):
        path.rename(tmp_path / "away")
        with pytest.raises(SignatureError, match="(is there already|file exists)"):
            new_key(key)
        (tmp_path / "away").rename(path)
    assert key.read_bytes() == before


def test_another_key_and_no_signature_are_told_apart(folder, key, tmp_path):
    other = new_key(tmp_path / "other.pem")
    with pytest.raises(SignatureError, match="one is not signed, expected a signature of"):
        verify_folder(folder, other)
    sign_folder(folder, key)
    with pytest.raises(
        SignatureError, match="one is signed by the key .*, expected .*Do not trust"
    ):
        verify_folder(folder, other)
    # Signed again by the other: the newest signature counts.
    sign_folder(folder, tmp_path / "other.pem")
    verify_folder(folder, other)


def test_a_signature_of_another_folder_is_refused_by_every_reader(folder, key, tmp_path):
    write_artifact(tmp_path / "two", "network", {"a.bin": b"x"})
    sign_folder(tmp_path / "two", key)
    (folder / "signature.json").write_bytes((tmp_path / "two" / "signature.json").read_bytes())
    for read in (verify_folder, lambda f: read_artifact(f, "network")):
        with pytest.raises(ArtifactError, match="signature.json is of another manifest.json"):
            read(folder)


def forge(folder, **changes):
    from netwright.artifacts.signed import signature_text

    path = folder / "signature.json"
    said = {**json.loads(path.read_bytes()), **changes}
    said.pop("sha256")
    path.write_bytes(signature_text(said))


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "A" * 86 + "=="}, {"signature": "no base64"}, {"signature": 7}, {"signature": ""},
        {"public_key": "00" * 32}, {"public_key": "xy"}, {"public_key": None}, {"algorithm": "none"}, {"format": 2},
    ],
    ids=range(9),
)  # fmt: skip
def test_a_false_signature_is_refused_though_its_record_is_whole(folder, key, changes):
    sign_folder(folder, key)
    forge(folder, **changes)
    with pytest.raises(SignatureError, match=r"signature.json is no signature of its manifest"):
        verify_folder(folder)


def test_another_key_may_not_pass_for_the_trusted_one(folder, key, tmp_path):
    trusted = sign_folder(folder, key)
    new_key(tmp_path / "mallory.pem")
    sign_folder(folder, tmp_path / "mallory.pem")
    forge(folder, public_key=trusted)
    with pytest.raises(SignatureError, match="is no signature of its manifest"):
        verify_folder(folder, tmp_path / "key.pub.pem")


def test_every_flipped_bit_of_a_signature_is_detected_by_every_reader(folder, key):
    sign_folder(folder, key)
    path = folder / "signature.json"
    whole = path.read_bytes()
    rng = random.Random(0)
    damaged = [whole[:n] for n in range(0, len(whole), 7)]
    for bit in rng.sample(range(8 * len(whole)), 150):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        damaged.append(bytes(flipped))
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(ArtifactError, match="signature.json"):
            read_artifact(folder, "network")
    path.write_bytes(b"x" * 20_000)
    with pytest.raises(ArtifactError, match="has 20,000 bytes, expected at most 10,000"):
        read_artifact(folder, "network")
    path.unlink()
    path.symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match=r"signature.json is no plain file"):
        read_artifact(folder, "network")


def test_a_damaged_folder_is_not_signed(folder, key):
    (folder / "a.bin").write_bytes(bytes(256))
    with pytest.raises(ArtifactError, match="a.bin has another sha256"):
        sign_folder(folder, key)
    assert not (folder / "signature.json").exists()


def test_no_file_can_take_the_place_of_a_signature(tmp_path):
    with pytest.raises(ArtifactError, match="cannot hold a file named 'signature.json'"):
        write_artifact(tmp_path / "one", "network", {"signature.json": b""})


def test_writing_a_folder_anew_drops_the_signature_of_what_was_there(folder, key):
    sign_folder(folder, key)
    write_artifact(folder, "network", {"a.bin": b"new"})
    assert verify_folder(folder).signed_by == ""


def test_what_is_no_key_is_refused_in_one_line(folder, key, tmp_path):
    rsa_key = rsa.generate_private_key(65537, 1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    locked = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    wrong = {"text.pem": b"hello", "empty.pem": b"", "rsa.pem": rsa_key, "locked.pem": locked}
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
        for use in (sign_folder, verify_folder):
            with pytest.raises(SignatureError, match=f"{name} is not a.* key of Ed25519") as told:
                use(folder, tmp_path / name)
            assert "\n" not in str(told.value)
    with pytest.raises(SignatureError, match="key.pub.pem is not a key of Ed25519"):
        sign_folder(folder, tmp_path / "key.pub.pem")
    with pytest.raises(SignatureError, match="key.pem is not a key of Ed25519"):
        verify_folder(folder, key)
    with pytest.raises(SignatureError, match="absent.pem cannot be read: no such file"):
        sign_folder(folder, tmp_path / "absent.pem")
    assert not (folder / "signature.json").exists()


def test_without_the_extra_the_message_names_it(folder, key, monkeypatch):
    sign_folder(folder, key)
    for name in [n for n in sys.modules if n.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert read_artifact(folder, "network") == FILES
    for use in (lambda: sign_folder(folder, key), lambda: verify_folder(folder)):
        with pytest.raises(MissingExtraError, match="`cryptography`.*netwright\\[sign\\]"):
            use()


def test_readers_never_see_a_third_name(folder, key, monkeypatch):
    seen = []
    real = os.replace

    def replace(source, target):
        seen.append({path.name for path in folder.iterdir()})
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    sign_folder(folder, key)
    assert seen == [{"a.bin", "b.json", "manifest.json"}]
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []
