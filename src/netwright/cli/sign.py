"""`netwright sign` and `netwright verify`."""

from pathlib import Path

from netwright.artifacts import new_key, sign_folder, verify_folder
from netwright.bank.files import shard_folders
from netwright.cli.output import print_json


def run_sign(folder: Path, key: Path, *, make: bool, as_json: bool) -> None:
    """Sign a folder, perhaps with a key that is made for it."""
    public = new_key(key) if make else None
    signed_by = sign_folder(folder, key)
    if as_json:
        print_json({"folder": folder, "signed_by": signed_by, "public_key": public})
        return
    if public is not None:
        print(f"{key}: a new private key, for you alone; give away {public}")
    print(f"{folder}: signed by {signed_by}")
    print(f"next: netwright verify {folder} --key {public or 'PUBLIC.pem'}")


def run_verify(folder: Path, key: Path | None, *, as_json: bool) -> None:
    """Verify a folder, or all in a run folder or a bank of shards."""
    found = {part: verify_folder(part, key) for part in _parts(folder)}
    if as_json:
        print_json({str(part): vars(each) for part, each in found.items()})
        return
    for part, each in found.items():
        signed = f", signed by {each.signed_by}" if each.signed_by else ", not signed"
        print(f"{part}: whole {each.kind}, {each.files} files, {each.size:,} bytes{signed}")


def _parts(folder: Path) -> list[Path]:
    checkpoints = sorted((folder / "checkpoints").glob("step-*"))
    if checkpoints:
        return checkpoints
    is_sharded = folder.is_dir() and any(folder.glob("shard-*-of-*"))
    return shard_folders(folder) if is_sharded else [folder]
