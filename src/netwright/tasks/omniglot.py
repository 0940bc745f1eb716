"""Omniglot: handwritten characters of fifty alphabets, twenty drawers each."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from netwright.errors import DataError, MissingExtraError
from netwright.rng import stream
from netwright.tasks.base import Split, TaskBatch, TaskFamily, TaskShape, check_split
from netwright.tasks.data import cache_folder, cached_arrays, download, find_folder
from netwright.tasks.episodes import ClassPool, EpisodeSize, check_pool, sample_episodes
from netwright.tasks.warps import freshly_warped, warped_pool

PARTS = ("background", "evaluation")
_URL = "https://github.com/brendenlake/omniglot/raw/master/python/images_{part}.zip"
# Of every picture's bytes in the order of names: the same for any packing of the same pictures.
_CONTENT_SHA256 = {
    "background": "214b35230c65b7ff3db2b965e5f7b599a7c5938f67fb5375e03d76d29ad83101",
    "evaluation": "6caf005c7d87aa00720ec0de9c54a249bcc5739b3425698886f5379436766699",
}
_CHARACTERS = {"background": 964, "evaluation": 659}
DRAWERS = 20


class Omniglot(TaskFamily):
    """N-way K-shot tasks from handwritten characters; test alphabets are never seen in training.

    The standard protocol: background alphabets for training, a few of them kept for validation,
    evaluation alphabets for testing; rotations by 90 degrees count as further classes; classes of
    a task come from all alphabets of its split.

    Args:
        ways: Classes per task.
        shots: Support pictures per class.
        queries: Query pictures per class.
        rotations: Whether turned characters are further classes.
        image_size: Height and width in pixels.
        jitter: Largest random shift of a training picture, in pixels.
        warps: How many times over training classes come again, each under an affine map of its own;
            or `fresh`: under another one in every task, so that no class comes twice.
        validation_alphabets: How many background alphabets are kept for validation.
        within_alphabet: Whether all classes of a task come from one alphabet.
        data_root: Folder that holds `omniglot/`, else $NETWRIGHT_DATA, else ../shared/data, else
            the cache, else it is downloaded.
        download: Whether it may be downloaded.

    Raises:
        DataError: If the data cannot be found, or is not Omniglot, or sizes do not fit.
        MissingExtraError: If Pillow is not installed.

    References:
        Lake et al., Human-level concept learning, Science 350 (2015).
        Vinyals et al., Matching Networks (the protocol), arXiv:1606.04080.
    """

    def __init__(
        self,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        *,
        rotations: bool = True,
        image_size: int = 28,
        jitter: int = 0,
        warps: int | Literal["fresh"] = 0,
        validation_alphabets: int = 5,
        within_alphabet: bool = False,
        data_root: str | Path | None = None,
        download: bool = True,
    ) -> None:
        self.size = EpisodeSize(ways, shots, queries)
        self.size.check()
        if warps != "fresh" and (not isinstance(warps, int) or warps < 0):
            raise DataError(f"`warps` is {warps!r}, expected a number of times, or 'fresh'.")
        if shots + queries > DRAWERS:
            raise DataError(
                f"shots={shots} and queries={queries} make {shots + queries} pictures per class, "
                f"expected at most {DRAWERS}: Omniglot has {DRAWERS} drawers."
            )
        self.jitter, self.within_alphabet = jitter, within_alphabet
        self.shape = TaskShape((1, image_size, image_size), ways, "exchangeable-classes")
        self._options = {
            "rotations": rotations,
            "image_size": image_size,
            "warps": warps,
            "validation_alphabets": validation_alphabets,
        }
        arrays = _read(image_size, data_root, download)
        self.pools = _split(arrays, validation_alphabets, rotations)
        if warps and warps != "fresh":
            self.pools["train"] = warped_pool(self.pools["train"], warps)
        for split, pool in self.pools.items():
            check_pool(pool, self.size, f"The {split} split of Omniglot")

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tasks of a split; only training pictures are shifted."""
        check_split(split)
        batch = sample_episodes(
            self.pools[split],
            rng,
            tasks,
            self.size,
            within_groups=self.within_alphabet,
            jitter=self.jitter if split == "train" else 0,
        )
        is_warped = split == "train" and self._options["warps"] == "fresh"
        return freshly_warped(batch, rng) if is_warped else batch

    def members(self, split: Split) -> tuple[str, ...]:
        """Names of the alphabets of a split."""
        check_split(split)
        return tuple(sorted({name.partition("/")[0] for name in self.pools[split].names}))

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        return {
            "ways": self.size.ways,
            "shots": self.size.shots,
            "queries": self.size.queries,
            "jitter": self.jitter,
            "within_alphabet": self.within_alphabet,
            **self._options,
        }


def _split(
    arrays: Mapping[str, np.ndarray], validation_alphabets: int, rotations: bool
) -> dict[Split, ClassPool]:
    alphabets = np.array([name.partition("/")[0] for name in arrays["background_names"]])
    distinct = np.unique(alphabets)
    if not 1 <= validation_alphabets < len(distinct):
        raise DataError(
            f"`validation_alphabets` is {validation_alphabets}, expected 1 to {len(distinct) - 1}."
        )
    # A fixed seed of its own: validation alphabets must not change with the seed of a training.
    kept = stream(0, "omniglot", "validation").permutation(distinct)[:validation_alphabets]
    is_kept = np.isin(alphabets, kept)
    background, names = arrays["background"], arrays["background_names"]
    pools: dict[Split, ClassPool] = {
        "train": _pool(background[~is_kept], names[~is_kept]),
        "validation": _pool(background[is_kept], names[is_kept]),
        "test": _pool(arrays["evaluation"], arrays["evaluation_names"]),
    }
    return {s: pool.with_rotations() for s, pool in pools.items()} if rotations else pools


def _pool(images: np.ndarray, names: np.ndarray) -> ClassPool:
    alphabets = [name.partition("/")[0] for name in names]
    groups = np.unique(alphabets, return_inverse=True)[1]
    return ClassPool.of(list(images[:, :, None]), list(groups), list(names))


@cache
def _read_parts(folder: str, image_size: int) -> dict[str, np.ndarray]:
    def make() -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {}
        for part in PARTS:
            arrays[part], arrays[f"{part}_names"] = _decode(Path(folder), part, image_size)
        return arrays

    content = "-".join(digest[:8] for digest in _CONTENT_SHA256.values())
    return cached_arrays(f"omniglot-{image_size}-{content}", make)


def _read(
    image_size: int, data_root: str | Path | None, may_download: bool
) -> dict[str, np.ndarray]:
    files = [f"images_{part}.zip" for part in PARTS]
    folder = find_folder("omniglot", files, data_root)
    if folder is None and may_download and data_root is None:
        folder = cache_folder() / "omniglot"
        for part, file in zip(PARTS, files, strict=True):
            try:
                download(_URL.format(part=part), folder / file)
            except DataError as error:
                raise DataError(f"{error} {_WAYS_OUT}") from None
    if folder is None:
        where = f"in {data_root}" if data_root is not None else "on this machine"
        raise DataError(
            f"Omniglot was not found {where}, expected {files[0]} and {files[1]}. {_WAYS_OUT}"
        )
    return _read_parts(str(folder.resolve()), image_size)


_WAYS_OUT = (
    "Put images_background.zip and images_evaluation.zip (github.com/brendenlake/omniglot) into a "
    "folder omniglot/ and name its parent with --data-root or NETWRIGHT_DATA; or use `glyphs`, which "
    "needs no data."
)


def _decode(folder: Path, part: str, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [characters, drawers, size, size], ink 255 and paper 0, and names."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("pillow", "vision", "Reading Omniglot") from None
    path = folder / f"images_{part}.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(
                name for name in archive.namelist()
                if name.startswith(f"images_{part}/") and name.endswith(".png")
            )  # fmt: skip
            contents = [archive.read(name) for name in members]
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise DataError(f"{path} cannot be read: {error}. Copy or download it again.") from None
    digest = hashlib.sha256()
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    if digest.hexdigest() != _CONTENT_SHA256[part]:
        raise DataError(
            f"{path} holds {len(members)} pictures that are not Omniglot's {part} set, expected "
            f"{_CHARACTERS[part] * DRAWERS} with content sha256 {_CONTENT_SHA256[part][:16]}... "
            "Copy or download it again."
        )
    pictures = np.empty((len(contents), image_size, image_size), np.uint8)
    for i, content in enumerate(contents):
        with Image.open(io.BytesIO(content)) as image:
            resized = image.convert("L").resize((image_size, image_size), Image.Resampling.BOX)
        pictures[i] = 255 - np.asarray(resized)
    names = ["/".join(name.split("/")[1:3]) for name in members[::DRAWERS]]
    return pictures.reshape(-1, DRAWERS, image_size, image_size), np.array(names)
