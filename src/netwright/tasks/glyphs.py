"""Characters of many scripts, rendered from the fonts that matplotlib ships: nothing to download."""

import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.errors import MissingExtraError
from netwright.rng import stream
from netwright.tasks.base import Split, TaskBatch, TaskFamily, TaskShape, check_split
from netwright.tasks.data import cached_arrays
from netwright.tasks.episodes import ClassPool, EpisodeSize, check_pool, sample_episodes
from netwright.tasks.warps import affine_maps

# Change with anything that changes a picture: it names the cache.
VERSION = 2
PICTURES_PER_CLASS = 20
IMAGE_SIZE = 28
_CANVAS = 64
_INK_BOX = 38
# Two characters that correlate more than this look the same; the second one is left out.
_LOOKALIKE = 0.93
_SCRIPTS: dict[Split, tuple[str, ...]] = {
    "test": ("ARMENIAN", "GEORGIAN", "HEBREW", "TIFINAGH"),
    "validation": ("LAO", "NKO", "OGHAM"),
    "train": ("LATIN", "GREEK", "CYRILLIC", "ARABIC", "CANADIAN", "COPTIC", "LISU", "OLD"),
}
_FACES = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSansMono", "STIXGeneral",
)  # fmt: skip


class Glyphs(TaskFamily):
    """N-way K-shot tasks from printed characters; test scripts are never seen in training.

    Each character has 20 pictures: several faces (regular, bold, oblique, serif, mono, where they
    have it) under random rotation, shear, scale, shift, elastic wobble and stroke width. Characters
    that look like one of another script are left out, so that splits share no shape.

    Train: Latin, Greek, Cyrillic, Arabic, Canadian syllabics, Coptic, Lisu, Old Italic.
    Validation: Lao, N'Ko, Ogham. Test: Armenian, Georgian, Hebrew, Tifinagh.

    Args:
        ways: Classes per task.
        shots: Support pictures per class.
        queries: Query pictures per class.
        jitter: Largest random shift of a training picture, in pixels.
        rotations: Whether turned training characters are further classes.

    Raises:
        DataError: If sizes do not fit.
        MissingExtraError: If matplotlib or Pillow is not installed.
    """

    def __init__(
        self,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        *,
        jitter: int = 0,
        rotations: bool = False,
    ) -> None:
        self.size = EpisodeSize(ways, shots, queries)
        self.size.check()
        self.jitter, self.rotations = jitter, rotations
        self.shape = TaskShape((1, IMAGE_SIZE, IMAGE_SIZE), ways, "exchangeable-classes")
        self.pools = dict(_pools())
        if rotations:
            self.pools["train"] = self.pools["train"].with_rotations()
        for split, pool in self.pools.items():
            check_pool(pool, self.size, f"The {split} split of glyphs")

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T tasks of a split; only training pictures are shifted."""
        check_split(split)
        jitter = self.jitter if split == "train" else 0
        return sample_episodes(self.pools[split], rng, tasks, self.size, jitter=jitter)

    def members(self, split: Split) -> tuple[str, ...]:
        """Names of the scripts of a split."""
        check_split(split)
        return tuple(sorted(_SCRIPTS[split]))

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        return {
            "ways": self.size.ways,
            "shots": self.size.shots,
            "queries": self.size.queries,
            "jitter": self.jitter,
            "rotations": self.rotations,
        }


@cache
def _pools() -> dict[Split, ClassPool]:
    font_folder = _font_folder()
    arrays = cached_arrays(
        f"glyphs-{VERSION}-{_matplotlib_version()}", lambda: _render(font_folder)
    )
    pools: dict[Split, ClassPool] = {}
    for split, scripts in _SCRIPTS.items():
        names = arrays["names"]
        belongs = np.isin([name.partition("/")[0] for name in names], scripts)
        groups = np.unique([n.partition("/")[0] for n in names[belongs]], return_inverse=True)[1]
        pictures = arrays["pictures"][belongs][:, :, None]
        pools[split] = ClassPool.of(list(pictures), list(groups), list(names[belongs]))
    return pools


def _font_folder() -> Path:
    try:
        import matplotlib
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "Rendering glyphs") from None
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def _matplotlib_version() -> str:
    import matplotlib

    return str(matplotlib.__version__)


def _render(font_folder: Path) -> dict[str, np.ndarray]:
    """Pictures uint8 [classes, 20, 28, 28], ink 255, and names `SCRIPT/U+XXXX name`."""
    try:
        from PIL import ImageFont
    except ImportError:
        raise MissingExtraError("pillow", "vision", "Rendering glyphs") from None
    from matplotlib.ft2font import FT2Font

    paths = [font_folder / f"{face}.ttf" for face in _FACES]
    charmaps = [set(FT2Font(str(path)).get_charmap()) for path in paths]
    fonts = [ImageFont.truetype(str(path), _CANVAS) for path in paths]
    names: list[str] = []
    looks: list[np.ndarray] = []
    pictures: list[np.ndarray] = []
    # Test scripts first: of two lookalikes the one in training is left out.
    for scripts in _SCRIPTS.values():
        for code, name in _characters(charmaps[0], scripts):
            faces = [f for f, c in zip(fonts, charmaps, strict=True) if code in c]
            drawn = [_draw(face, chr(code)) for face in faces]
            masters = np.stack([picture for picture in drawn if picture is not None] or [_EMPTY])
            look = _look(masters[0])
            if not masters[0].any() or any(float(look @ other) > _LOOKALIKE for other in looks):
                continue
            looks.append(look)
            names.append(name)
            pictures.append(_distort(masters, code))
    return {"pictures": np.stack(pictures), "names": np.array(names)}


_EMPTY = np.zeros((_CANVAS, _CANVAS), np.uint8)


def _characters(charmap: set[int], scripts: tuple[str, ...]) -> list[tuple[int, str]]:
    """Letters of scripts with their names; letters made of others (accents, forms) are left out."""
    found = []
    for code in sorted(charmap):
        letter = chr(code)
        name = unicodedata.name(letter, "")
        script = name.partition(" ")[0]
        is_letter = unicodedata.category(letter) in ("Lu", "Ll", "Lo")
        is_marked = " WITH " in name or bool(unicodedata.decomposition(letter))
        if script in scripts and is_letter and not is_marked:
            found.append((code, f"{script}/U+{code:04X} {name}"))
    return sorted(found, key=lambda pair: (scripts.index(pair[1].partition("/")[0]), pair[0]))


def _draw(font: Any, letter: str) -> np.ndarray | None:
    """The letter in the middle of a canvas, its longer side of one length; None if it has no ink."""
    from PIL import Image, ImageDraw

    large = Image.new("L", (4 * _CANVAS, 3 * _CANVAS))
    ImageDraw.Draw(large).text((_CANVAS, _CANVAS // 2), letter, fill=255, font=font)
    box = large.getbbox()
    if box is None:
        return None
    ink = large.crop(box)
    scale = _INK_BOX / max(ink.size)
    width, height = (max(1, round(side * scale)) for side in ink.size)
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    small = ink.resize((width, height), Image.Resampling.BICUBIC)
    canvas.paste(small, ((_CANVAS - width) // 2, (_CANVAS - height) // 2))
    return np.asarray(canvas)


def _look(master: np.ndarray) -> np.ndarray:
    """A blurred picture as a vector of length 1 around 0, for comparing characters."""
    blurred = F.avg_pool2d(torch.from_numpy(master)[None, None].float(), 5, 2, 2).flatten().numpy()
    centred = np.asarray(blurred - blurred.mean())
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-6))


def _distort(masters: np.ndarray, code: int) -> np.ndarray:
    """Pictures uint8 [20, 28, 28] from drawings of several faces [faces, 64, 64]."""
    count = PICTURES_PER_CLASS
    rng = stream(0, "glyphs", code)
    face = np.arange(count) % len(masters)
    x = torch.from_numpy(masters[rng.permutation(face)])[:, None].float() / 255
    x = F.grid_sample(x, _grids(rng, count), align_corners=False)
    x = _with_stroke_noise(x, rng)
    x = F.interpolate(x, (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", antialias=True)
    return (x[:, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _grids(rng: np.random.Generator, count: int) -> Tensor:
    """Where each pixel of a distorted picture looks: affine maps and a smooth wobble, [n, H, W, 2]."""
    angle = rng.normal(0, 0.14, count)
    shear = rng.normal(0, 0.14, count)
    scale = np.exp(rng.normal(0, 0.1, (2, count)))
    shift = rng.normal(0, 0.07, (2, count))
    affine = torch.from_numpy(affine_maps(angle, shear, scale, shift)).float()
    grid = F.affine_grid(affine, [count, 1, _CANVAS, _CANVAS], align_corners=False)
    coarse = torch.from_numpy(rng.normal(0, 0.05, (count, 2, 5, 5))).float()
    wobble = F.interpolate(coarse, (_CANVAS, _CANVAS), mode="bicubic", align_corners=True)
    return grid + wobble.permute(0, 2, 3, 1)


def _with_stroke_noise(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Strokes a little thinner or thicker, with soft edges."""
    blurred = F.avg_pool2d(x, 5, 1, 2)
    # Relative to the darkest point: the thin strokes of a light face must not vanish.
    threshold = torch.from_numpy(rng.uniform(0.3, 0.65, (len(x), 1, 1, 1))).float()
    threshold = threshold * blurred.amax(dim=(1, 2, 3), keepdim=True)
    return ((blurred - threshold) * 6 + 0.5).clamp(0, 1)
