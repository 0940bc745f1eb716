"""Pictures from strangers: their size is known before they are decoded."""

import io
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from netwright.errors import MissingExtraError
from netwright.serving.limits import ServerLimits
from netwright.serving.problems import invalid, malformed, too_large
from netwright.tasks.images import picture_array

# What is read by code that has seen much; other formats are read by code that has seen less.
_FORMATS = ("PNG", "JPEG")


def support_of_pictures(
    classes: Mapping[str, Sequence[bytes]], shape: tuple[int | None, ...], limits: ServerLimits
) -> tuple[np.ndarray, list[str]]:
    """Examples x [S, C, H, W] in [0, 1], and the class of each.

    Args:
        classes: Files of pictures by class.
        shape: Of one example.
        limits: Of pixels.

    Raises:
        RequestError: If the hypernetwork reads no pictures, or a file is none, or too large.
    """
    if len(shape) != 3 or None in shape:
        raise invalid("This hypernetwork reads no pictures, expected its examples as JSON.")
    channels, size, _ = (int(n or 0) for n in shape)
    x, y = [], []
    for name, files in classes.items():
        for data in files:
            x.append(_decoded(data, size, channels, limits.pixels))
            y.append(name)
    if not x:
        raise invalid(
            "There is no picture, expected files in fields that are named after their classes."
        )
    return (np.stack(x) / np.float32(255)).astype(np.float32), y


def _decoded(data: bytes, size: int, channels: int, most: int) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "vision", "Reading pictures") from None
    problem = malformed("A file is no picture, expected whole PNG or JPEG files.")
    huge = too_large(f"A picture has too many pixels, expected at most {most:,}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            width, height = image.size
    except Image.DecompressionBombError:
        raise huge from None
    # Whatever a decoder makes of bytes that were made to break it.
    except Exception:
        raise problem from None
    if width * height > most:
        raise huge
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return picture_array(image, size, channels)
    except Exception:
        raise problem from None
