"""From a row to a network, every byte checked on the way."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from netwright.artifacts import check_files, files_of_archive
from netwright.errors import ArtifactError, RegistryError, UnknownNetworkError
from netwright.generated import KIND, GeneratedNetwork, network_from_files
from netwright.registry.packs import Packs
from netwright.registry.same import same_network

if TYPE_CHECKING:
    from netwright.registry.rows import Row, Rows


class Reader:
    """Reads the artefacts that rows tell of.

    Args:
        rows: Asked again where an artefact is not as its row says: it may have been removed meanwhile.
        packs: Where artefacts lie.
    """

    def __init__(self, rows: "Rows", packs: Packs) -> None:
        self._rows, self._packs = rows, packs

    def files(self, row: "Row") -> dict[str, bytes]:
        """The files of a network, its manifest among them.

        Raises:
            ArtifactError: If they are damaged.
            UnknownNetworkError: If the network has been removed meanwhile.
        """
        name = str(row["network_id"])
        files = files_of_archive(self._piece(row), name)
        check_files(files, KIND, name)
        return files

    def network(self, row: "Row", module: nn.Module | None = None) -> GeneratedNetwork:
        """The network, built.

        Args:
            row: Of the network.
            module: The template, for children that are modules of the user's own.
        """
        return network_from_files(self.files(row), Path(str(row["network_id"])), module=module)

    def verify(self, row: "Row") -> None:
        """Read all of a network, and build it where that needs no module of the user's own."""
        if json.loads(row["facts"])["architecture"] is None:
            self.files(row)
        else:
            self.network(row)

    def check_same(self, network: GeneratedNetwork, row: "Row") -> None:
        """Refuse a network that is another than the row's.

        Raises:
            RegistryError: If it is.
        """
        if not same_network(network, self.files(row)):
            raise RegistryError(
                f"The id {row['network_id']!r} is another network's already, expected the same network or a new id. "
                "Choose another id, or remove what is there."
            )

    def _piece(self, row: "Row") -> bytes:
        piece = self._packs.read((row["pack"], row["first"], row["length"]))
        if piece is not None and hashlib.sha256(piece).hexdigest() == row["sha256"]:
            return piece
        key = (row["owner"], row["network_id"])
        now = self._rows.of([key])
        if key not in now:
            raise unknown(row["network_id"])
        if any(now[key][part] != row[part] for part in ("pack", "first")):
            return self._piece(now[key])  # removed and added again meanwhile
        found = "is not there" if piece is None else "has another sha256 than the registry says"
        raise ArtifactError(
            f"The network {row['network_id']!r} {found}, expected the same bytes: it was cut or changed after it was "
            "added. Remove it and add it again."
        )


def unknown(network_id: str) -> UnknownNetworkError:
    """A network that is not there for whoever asks."""
    return UnknownNetworkError(
        f"There is no network {network_id[:80]!r}, expected the id of one of yours. List them: netwright networks list"
    )
