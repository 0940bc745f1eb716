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
TRAIN = """
import sys, torch, netwright as nw
torch.set_num_threads(1)
tasks = nw.tasks.Glyphs(ways=3, shots=1, queries=5)
nw.train(
    nw.make_hypernetwork(tasks.shape, seed=0), tasks, folder=sys.argv[1], resume=sys.argv[2] == "resume",
    steps=2_000, tasks=2, checkpoint_every=10, validate_every=100, validation_tasks=20, progress=False,
)
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Train afresh, or go on where the folder stands."""
    mode = "resume" if Checkpoints(folder).steps() else "afresh"
    return subprocess.Popen([sys.executable, "-c", TRAIN, str(folder), mode])


def newest(folder: Path) -> int:
    """Step of the newest checkpoint, -1 if there is none."""
    return max(Checkpoints(folder).steps(), default=-1)


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
            before, process = newest(cut), start(cut)
            while newest(cut) <= before and process.poll() is None:
                time.sleep(0.01)
            # Any moment of the steps that follow, the writing of checkpoints included.
            time.sleep(rng.uniform(0, 0.6))
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            kills += 1
            resumed_at.append(newest(cut))
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
