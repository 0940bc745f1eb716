"""HyperLSTM against LSTM of equally many parameters: characters of a public-domain text.

    python benchmarks/hyper_lstm.py --data-root DATA     # about five CPU-minutes a seed

Both get the same batches, steps, schedule and rate. The last tenth of the King James Bible is for testing;
nothing is chosen on it, and nothing is chosen at all: sizes and rate are those of this file.
"""

import argparse
import csv
import io
import lzma
import math
import os
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.dynamic import HyperLSTM
from netwright.process import keep_freed_memory

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

BATCH, LENGTH, RATE, CLIP = 32, 64, 3e-3, 1.0
# Widths at which both have about as many parameters; the rows say how many.
HYPER, PLAIN = {"hidden": 96, "hyper": 32, "embedding": 8}, 128
KINDS = ("lstm", "hyperlstm")


class Model(nn.Module):
    """Characters in, logits of the next character out."""

    def __init__(self, letters: int, kind: str) -> None:
        super().__init__()
        self.embed = nn.Embedding(letters, 32)
        is_hyper = kind == "hyperlstm"
        self.body = HyperLSTM(32, **HYPER) if is_hyper else nn.LSTM(32, PLAIN)
        self.head = nn.Linear(HYPER["hidden"] if is_hyper else PLAIN, letters)

    def forward(self, x: Tensor, state: object = None) -> tuple[Tensor, object]:
        """Logits [L, B, letters] for characters [L, B]."""
        y, state = self.body(self.embed(x), state)
        return self.head(y), state


def read(root: Path) -> tuple[Tensor, Tensor, int]:
    """Training and test text as numbers of characters, and how many characters there are."""
    packed = (root / "bible_en_styles/KJV.tsv.xz").read_bytes()
    rows = csv.reader(
        io.StringIO(lzma.decompress(packed).decode()), delimiter="\t", quoting=csv.QUOTE_NONE
    )
    text = "\n".join(row[-1] for row in rows)
    letters = sorted(set(text))
    number = {letter: i for i, letter in enumerate(letters)}
    numbers = torch.tensor([number[letter] for letter in text])
    cut = len(numbers) * 9 // 10
    return numbers[:cut], numbers[cut:], len(letters)


def train(model: Model, text: Tensor, steps: int, seed: int) -> float:
    """Random windows, each from a state of zeros; CPU-seconds."""
    rng = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    window = torch.arange(LENGTH + 1)[:, None]
    started = time.process_time()
    for step in range(steps):
        rows = text[torch.randint(0, len(text) - LENGTH - 1, (BATCH,), generator=rng) + window]
        logits, _ = model(rows[:-1])
        loss = F.cross_entropy(logits.flatten(0, 1), rows[1:].flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        schedule.step()
        if step % 200 == 0:
            print(f"step {step}/{steps}  {loss.item() / math.log(2):.3f} bits", flush=True)
    return time.process_time() - started


@torch.no_grad()
def bits(model: Model, text: Tensor) -> tuple[float, float]:
    """Bits per character, and half of a 95 % interval over 50 stretches of the text."""
    stretches = text[: len(text) // 50 * 50].view(50, -1).T
    state, losses = None, []
    for part in stretches.split(500):
        if len(part) > 1:
            logits, state = model(part[:-1], state)
            losses.append(
                F.cross_entropy(logits.permute(1, 2, 0), part[1:].T, reduction="none") / math.log(2)
            )
    each = torch.cat(losses, dim=1).mean(dim=1)
    return float(each.mean()), float(1.96 * each.std() / len(each) ** 0.5)


def rows_of(seed: int, steps: int, root: Path) -> list[Row]:
    """Both kinds with one seed."""
    text, test, letters = read(root)
    rows = []
    for kind in KINDS:
        torch.manual_seed(seed)
        model = Model(letters, kind)
        seconds = train(model, text, steps, seed)
        mean, half = bits(model, test)
        count = sum(p.numel() for p in model.parameters())
        note = f"{count:,} parameters; {steps} steps of {BATCH} x {LENGTH} characters, rate {RATE}"
        rows.append(
            Row(
                f"hyperlstm-{kind}-seed{seed}", mean, mean - half, mean + half, "bits per character", False,
                50, [seed], round(seconds), f"python benchmarks/hyper_lstm.py --data-root DATA --seeds {seed}",
                note,
            )
        )  # fmt: skip
    return rows


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=os.environ.get("NETWRIGHT_DATA"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=3_000)
    arguments = parser.parse_args()
    if arguments.data_root is None:
        parser.error("give --data-root or NETWRIGHT_DATA: the folder with bible_en_styles")
    torch.set_num_threads(1)
    keep_freed_memory()
    for seed in arguments.seeds:
        write_rows("hyper_lstm", rows_of(seed, arguments.steps, arguments.data_root))


if __name__ == "__main__":
    main()
