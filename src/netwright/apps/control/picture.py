"""A flight as a moving picture."""

import io
from pathlib import Path
from typing import Any

from netwright.apps.control.flight import Flight
from netwright.apps.control.sketch import ACCENT, SKETCHES, Disc
from netwright.apps.control.video import find_ffmpeg, write_video
from netwright.artifacts import write_file
from netwright.environments import Environment
from netwright.errors import ArtifactError, MissingExtraError

_WIDTH = 360
# Drawn so much larger, and made smaller: edges become smooth.
_FINE = 3
_FOOT = 34
_MOST_FRAMES_PER_SECOND = 25
# Of actions; more have no room below the picture.
_MOST_BARS = 8


def animate(flight: Flight, name: str, environment: Environment, path: str | Path) -> Path:
    """Draw a flight as a GIF or a video: the machine, a bar for each action, and when the policy was rewritten.

    Args:
        flight: The episode.
        name: Of the environment.
        environment: The environment itself.
        path: The file, ending in .gif or .mp4.

    Raises:
        MissingExtraError: If Pillow is not installed, or, for an .mp4, there is no ffmpeg.
        ArtifactError: If the ending is another, or the file cannot be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (".gif", ".mp4"):
        raise ArtifactError(f"{path} ends in {path.suffix!r}, expected .gif or .mp4.")
    if ending == ".mp4":
        # Before anything is drawn.
        find_ffmpeg()
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise MissingExtraError("Pillow", "vision", "Drawing a flight") from None
    draw_machine, (left, right, bottom, top) = SKETCHES[name]
    scale = _FINE * _WIDTH / (right - left)
    size = _FINE * _WIDTH, round((top - bottom) * scale) + _FINE * _FOOT
    every = max(1, round(1 / (environment.seconds * _MOST_FRAMES_PER_SECOND)))
    names = [q.name for q in environment.quantities]
    frames = []
    for step in sorted({*range(0, len(flight.actions), every), len(flight.actions)}):
        image = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(image)
        # After the last step it is still the machine of that step.
        last = min(step, len(flight.actions) - 1)
        machine = dict(zip(names, flight.machines[last].tolist(), strict=True))
        for shape in draw_machine(flight.states[step].tolist(), machine):
            _draw(draw, shape, left, top, scale)
        _draw_actions(draw, flight, last, size)
        frames.append(image.resize((size[0] // _FINE, size[1] // _FINE), Image.Resampling.LANCZOS))
    if ending == ".mp4":
        return write_video(frames, environment.seconds * every, path)
    frames = [frame.convert("P", palette=Image.Palette.ADAPTIVE, colors=32) for frame in frames]
    file = io.BytesIO()
    frames[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=max(20, round(1000 * environment.seconds * every)),
        loop=0,
    )
    write_file(path, file.getvalue())
    return path


def _draw(draw: Any, shape: Any, left: float, top: float, scale: float) -> None:
    def at(x: float, y: float) -> tuple[float, float]:
        return (x - left) * scale, (top - y) * scale

    if isinstance(shape, Disc):
        x, y = at(shape.x, shape.y)
        r = shape.radius * scale
        draw.ellipse((x - r, y - r, x + r, y + r), fill=shape.colour)
        return
    width = max(1, round(shape.width * scale))
    ends = [at(shape.x, shape.y), at(shape.u, shape.v)]
    draw.line(ends, fill=shape.colour, width=width)
    for x, y in ends:
        r = width / 2
        draw.ellipse((x - r, y - r, x + r, y + r), fill=shape.colour)


def _draw_actions(draw: Any, flight: Flight, step: int, size: tuple[int, int]) -> None:
    """A bar from the middle for each action, the share of time that is over, and a mark at each rewrite."""
    middle, foot = size[0] / 2, size[1] - _FINE * _FOOT
    actions = flight.actions[step].tolist()
    # All of them above the line of time.
    apart = min(10.0, (_FOOT - 8) / len(actions))
    for i, action in enumerate(actions if len(actions) <= _MOST_BARS else ()):
        y = foot + _FINE * (4 + apart * i)
        ends = sorted((middle, middle + action * 0.45 * size[0]))
        draw.rectangle((ends[0], y, ends[1] + 1, y + _FINE * 0.6 * apart), fill=ACCENT)
    total = len(flight.actions)
    y = size[1] - _FINE * 4
    draw.rectangle((0, y, size[0] * step / total, size[1]), fill="#8a8f98")
    for rewritten in flight.rewrites if len(flight.rewrites) < 30 else ():
        x = size[0] * rewritten / total
        draw.rectangle((x, y - _FINE * 3, x + _FINE, size[1]), fill=ACCENT)


__all__ = ["animate"]
