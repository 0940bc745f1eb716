"""The hypernetwork for drawings that comes with the package, as a server serves it."""

from netwright.estimators.pretrained import DRAWINGS, pretrained_drawings, shipped_folder
from netwright.serving.served import Served

DRAWINGS_FOLDER = shipped_folder(DRAWINGS)


def drawings_served() -> Served:
    """It, by the name `drawings`.

    Raises:
        ArtifactError: If its files are damaged or missing.
    """
    hypernetwork = pretrained_drawings()
    return Served(DRAWINGS, hypernetwork, hypernetwork.run)


__all__ = ["DRAWINGS_FOLDER", "drawings_served"]
