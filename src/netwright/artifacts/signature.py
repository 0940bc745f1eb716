"""Signatures over a folder's manifest, and with it over every file that the manifest lists; by Ed25519.

signature.json: {"format", "algorithm", "manifest": sha256 of manifest.json, "public_key", "signature", "sha256" of all the rest}

It stands beside the manifest, which does not list it: what was signed is not changed by signing. Readers check that it is
whole and of this manifest; who signed is checked by `verify_folder` alone, against a key that the user trusts.

References:
    Josefsson and Liusvaara, Edwards-curve digital signature algorithm (EdDSA), RFC 8032.
"""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.artifacts.atomic import add_file
from netwright.artifacts.manifest import kind_of, read_files
from netwright.artifacts.plain import MANIFEST, SIGNATURE
from netwright.artifacts.signed import read_signature, signature_text
from netwright.errors import MissingExtraError, SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519 as curve

FORMAT = 1
_ALGORITHM = "ed25519"
# A signature of something else, by the same key, is none of a manifest.
_DOMAIN = b"netwright manifest signature 1\n"


@dataclass(frozen=True)
class Verified:
    """What `verify_folder` found.

    Args:
        kind: What the folder holds.
        files: How many files, manifest and signature aside.
        size: Their bytes.
        signed_by: The public key that signed it, 64 hexadecimal digits; "" if nobody has.
    """

    kind: str
    files: int
    size: int
    signed_by: str


def new_key(path: str | Path) -> Path:
    """Make a key to sign with, readable by its owner alone, and beside it the public key to give away.

    Args:
        path: Of the private key, such as key.pem; the public one is key.pub.pem.

    Returns:
        Path of the public key.

    Raises:
        MissingExtraError: If the `sign` extra is not installed.
        SignatureError: If a file is there already, or cannot be written.
    """
    serialization, ed25519 = _cryptography()
    path = Path(path)
    public = path.with_name(f"{path.stem}.pub{path.suffix or '.pem'}")
    if public.exists():
        raise SignatureError(f"{public} is there already, expected a new name. Choose another.")
    key = ed25519.Ed25519PrivateKey.generate()
    private_text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_text = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write_new(path, private_text, 0o600)
    _write_new(public, public_text, 0o644)
    return public


def sign_folder(folder: str | Path, key: str | Path) -> str:
    """Check a folder and sign its manifest; a signature that is there is replaced.

    Args:
        folder: What `write_artifact` wrote.
        key: Path of a private key, PEM.

    Returns:
        The public key, 64 hexadecimal digits.

    Raises:
        MissingExtraError: If the `sign` extra is not installed.
        ArtifactError: If the folder is not whole, or the signature cannot be written.
        SignatureError: If the key is none.
    """
    folder = Path(folder)
    private = _private_key(Path(key))
    kind = kind_of(folder)
    for _ in read_files(folder, kind):
        pass
    manifest = (folder / MANIFEST).read_bytes()
    public = private.public_key().public_bytes_raw().hex()
    signature: dict[str, Any] = {
        "format": FORMAT,
        "algorithm": _ALGORITHM,
        "manifest": hashlib.sha256(manifest).hexdigest(),
        "public_key": public,
        "signature": base64.b64encode(private.sign(_DOMAIN + manifest)).decode(),
    }
    add_file(folder, SIGNATURE, signature_text(signature))
    return public


def verify_folder(folder: str | Path, key: str | Path | None = None) -> Verified:
    """Check every byte of a folder, and its signature where it has one.

    Args:
        folder: What `write_artifact` wrote.
        key: Path of the public key, PEM, that it has to be signed by; None if that does not matter.

    Raises:
        MissingExtraError: If there is a signature and the `sign` extra is not installed.
        ArtifactError: If the folder is not whole.
        SignatureError: If the signature is false, of another key, or missing though a key is given.
    """
    folder = Path(folder)
    trusted = None if key is None else _public_key(Path(key)).public_bytes_raw().hex()
    kind = kind_of(folder)
    sizes = [len(data) for _, data in read_files(folder, kind)]
    signature = read_signature(folder)
    if signature is None:
        if trusted is not None:
            raise SignatureError(
                f"{folder} is not signed, expected a signature of {trusted[:16]}. Ask whoever made it to sign it."
            )
        return Verified(kind, len(sizes), sum(sizes), "")
    said = str(signature.get("public_key"))
    if trusted is not None and said != trusted:
        raise SignatureError(
            f"{folder} is signed by the key {said[:16]}, expected {trusted[:16]}. Do not trust it, or give the key of "
            "whoever signed it."
        )
    _check_signature(folder, signature)
    return Verified(kind, len(sizes), sum(sizes), said)


def _check_signature(folder: Path, signature: dict[str, Any]) -> None:
    _, ed25519 = _cryptography()
    from cryptography.exceptions import InvalidSignature

    try:
        if (signature["format"], signature["algorithm"]) != (FORMAT, _ALGORITHM):
            raise ValueError
        public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature["public_key"]))
        made = base64.b64decode(signature["signature"], validate=True)
        public.verify(made, _DOMAIN + (folder / MANIFEST).read_bytes())
    except (InvalidSignature, KeyError, TypeError, ValueError, binascii.Error):
        raise SignatureError(
            f"{folder / SIGNATURE} is no signature of its manifest, expected one of {_ALGORITHM}. Do not trust it; get "
            "the folder again from whoever signed it."
        ) from None


def _private_key(path: Path) -> "curve.Ed25519PrivateKey":
    _cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _read_key(path, lambda data: load_pem_private_key(data, password=None))
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "a private key of Ed25519")
    return key


def _public_key(path: Path) -> "curve.Ed25519PublicKey":
    _cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = _read_key(path, load_pem_public_key)
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "a public key of Ed25519")
    return key


def _read_key(path: Path, load: Any) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load(path.read_bytes()[:100_000])
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SignatureError(
            f"The key {path} cannot be read: {reason}. Give the path of a key; `netwright sign --new-key` makes one."
        ) from None
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise _no_key(path, "a key of Ed25519, without password") from None


def _no_key(path: Path, expected: str) -> SignatureError:
    return SignatureError(
        f"{path} is not {expected}, expected one in PEM. Sign with the private key, key.pem, and verify with the public "
        "one, key.pub.pem."
    )


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SignatureError(
            f"The key {path} cannot be written: {reason}. Choose another path; a key is never replaced."
        ) from None


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise MissingExtraError("cryptography", "sign", "Signing and checking signatures") from None
    return serialization, ed25519


__all__ = ["Verified", "new_key", "sign_folder", "verify_folder"]
