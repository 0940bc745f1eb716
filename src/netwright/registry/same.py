"""When two networks are one: what wrote them decides, and not the last bits."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from netwright.artifacts import check_files, tensors_from_bytes
from netwright.errors import NetwrightError
from netwright.generated import KIND, GeneratedNetwork

# How many were written at once changes the last bits of weights.
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5


def same_network(network: GeneratedNetwork, files: Mapping[str, bytes]) -> bool:
    """Whether files, manifest among them, hold this network.

    Provenance, outputs' names, preparation and architecture are equal, versions aside, and numbers up to rounding.

    Args:
        network: One of them.
        files: The other, whole.
    """
    mine = network.files()
    try:
        theirs = check_files(files, KIND, "the network")
    except NetwrightError:
        return False
    if _described(mine) != _described(theirs):
        return False
    a, b = (tensors_from_bytes(f["model.safetensors"], str(Path(KIND))) for f in (mine, theirs))
    return a.keys() == b.keys() and all(
        a[n].shape == b[n].shape
        and a[n].dtype == b[n].dtype
        and torch.allclose(a[n], b[n], rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True)
        for n in a
    )


def _described(files: Mapping[str, bytes]) -> object:
    config = json.loads(files["config.json"])
    config["provenance"].pop("versions")
    return config
