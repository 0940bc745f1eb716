"""A network on its way into a registry."""

import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from netwright.artifacts import archive_of, with_manifest
from netwright.errors import RegistryError
from netwright.generated import KIND, GeneratedNetwork
from netwright.registry.entry import facts_of

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_OWNER = 200
_LARGEST_ABOUT = 100_000


class NewNetwork:
    """A network that is to be added: its key, its row and its bytes.

    Args:
        network: What is added.
        owner: Whose it is.
        network_id: Its name; None for a new one.
        about: What else is to be known of it.

    Raises:
        RegistryError: If the id, the owner or `about` is none.
        ArtifactError: If its numbers cannot be saved.
    """

    def __init__(
        self,
        network: GeneratedNetwork,
        owner: str,
        network_id: str | None,
        about: Mapping[str, Any] | None,
    ) -> None:
        self.is_named = network_id is not None
        name = secrets.token_hex(10) if network_id is None else network_id
        if not _ID.fullmatch(name):
            raise RegistryError(
                f"The id {name[:80]!r} is none, expected 1 to 64 letters, digits, dots, dashes and underscores of "
                "ASCII, a letter or digit first. Choose such an id."
            )
        if len(owner) > _LONGEST_OWNER or not owner.isprintable():
            raise RegistryError(
                f"The owner {owner[:80]!r} is none, expected up to {_LONGEST_OWNER} printable characters. Choose such "
                "a name."
            )
        self.network = network
        self.key = (owner, name)
        files = with_manifest(
            KIND, network.files(indent=None), provenance=asdict(network.provenance)
        )
        # Of two owners with the same id `tar` makes two folders.
        whose = hashlib.sha256(owner.encode()).hexdigest()[:8]
        self.piece = archive_of(files, f"{whose}-{name}")
        self.row = {
            "owner": owner,
            "network_id": name,
            "created": time.time(),
            "parameters": network.size,
            "sha256": hashlib.sha256(self.piece).hexdigest(),
            "facts": json.dumps(facts_of(network)),
            "about": _note(about or {}),
        }


def _note(about: Mapping[str, Any]) -> str:
    try:
        note = json.dumps(dict(about), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RegistryError(
            f"`about` is no JSON ({error}), expected texts, finite numbers, lists and mappings of them. Convert it."
        ) from None
    if len(note) > _LARGEST_ABOUT:
        raise RegistryError(
            f"`about` has {len(note):,} characters, expected up to {_LARGEST_ABOUT:,}. Keep it elsewhere."
        )
    return note
