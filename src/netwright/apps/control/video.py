"""Pictures in a row as an .mp4, by ffmpeg."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from netwright.artifacts import write_file
from netwright.errors import ArtifactError, MissingExtraError


def find_ffmpeg() -> str:
    """Where ffmpeg is: on the path, or the one that the package imageio-ffmpeg brings.

    Raises:
        MissingExtraError: If there is neither.
    """
    if own := shutil.which("ffmpeg"):
        return own
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    # It raises RuntimeError where it was installed without the program.
    except (ImportError, RuntimeError):
        raise MissingExtraError(
            "imageio-ffmpeg", "video", "Writing an .mp4 without ffmpeg on the path"
        ) from None


def write_video(frames: Sequence[Any], seconds: float, path: str | Path) -> Path:
    """Write frames as H.264 in an .mp4 that browsers and players read; a side of odd length gets a white line.

    Args:
        frames: Pictures of Pillow, RGB, all of one size.
        seconds: For which each is shown.
        path: The file.

    Raises:
        MissingExtraError: If there is no ffmpeg.
        ArtifactError: If it fails, or the file cannot be written.
    """
    ffmpeg = find_ffmpeg()
    width, height = frames[0].size
    with TemporaryDirectory() as folder:
        made = Path(folder) / "video.mp4"
        done = subprocess.run(
            [
                ffmpeg, "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}",
                "-r", f"{1 / seconds:.6f}", "-i", "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white",
                "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(made),
            ],
            input=b"".join(frame.tobytes() for frame in frames),
            capture_output=True,
            check=False,
        )  # fmt: skip
        if done.returncode or not made.exists():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise ArtifactError(
                f"{ffmpeg} could not make {path} ({said[-1] if said else 'it said nothing'}), expected one that writes .mp4. "
                "Give --out a .gif, or install another ffmpeg."
            )
        write_file(Path(path), made.read_bytes())
    return Path(path)


__all__ = ["find_ffmpeg", "write_video"]
