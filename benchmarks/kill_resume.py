"""Kill -9 a training at twenty random moments, resume it each time, and compare it with one left alone.

python benchmarks/kill_resume.py   # about three minutes
"""

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from netwright.training import Checkpoints

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

KILLS = 20
STEPS = 1_500
TRAIN = [sys.executable, "-c", "from netwright.cli import main; main()", "train"]
OPTIONS = [
    "--ways",
    "3",
    "--tasks",
    "2",
    "--steps",
    str(STEPS),
    "--validate-every",
    "100",
    "--quiet",
]


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Train afresh, or go on where the folder stands."""
    resume = bool(Checkpoints(folder).steps())
    arguments = (
        ["--resume", str(folder)] if resume else ["glyphs", *OPTIONS, "--folder", str(folder)]
    )
    return subprocess.Popen([*TRAIN, *arguments, *(["--quiet"] if resume else [])])


def digests(folder: Path) -> tuple[str, str]:
    """Of the final weights with the optimiser's state, and of the log."""
    last = Checkpoints(folder).newest()
    state = last.files["hypernetwork.safetensors"] + last.files["optimiser.safetensors"]
    log = (folder / "log.jsonl").read_bytes()
    return hashlib.sha256(state).hexdigest(), hashlib.sha256(log).hexdigest()


def main() -> None:
    """Run and write."""
    rng = random.Random(0)
    kills, resumed_at = 0, []
    with tempfile.TemporaryDirectory() as temporary:
        whole, cut = Path(temporary, "whole"), Path(temporary, "cut")
        assert start(whole).wait() == 0
        while kills < KILLS:
            process = start(cut)
            # From before the first checkpoint of this attempt to some way beyond it.
            time.sleep(rng.uniform(0.5, 5.5))
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            kills += 1
            resumed_at.append(max(Checkpoints(cut).steps(), default=0))
        assert start(cut).wait() == 0
        same = digests(whole) == digests(cut)
    note = f"{kills} kills, resumed at steps {resumed_at}; weights, optimiser and log compared by sha256"
    write_rows(
        "kill_resume",
        [Row("kill-resume", float(same), None, None, "1 = the same bits", True, kills, [0], 0,
             "python benchmarks/kill_resume.py", note)],
    )  # fmt: skip
    if not same:
        raise SystemExit("the resumed run ended in other bits")


if __name__ == "__main__":
    main()
