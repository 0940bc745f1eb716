"""HyperLSTM and HyperGRU against LSTM and GRU of equally many parameters: characters of a public-domain text.

    python benchmarks/hyper_lstm.py --data-root DATA     # about twelve CPU-minutes a seed

All get the same batches, steps, schedule and rate. HyperLSTM and HyperGRU hold layer normalisation, which by
itself may explain a difference: `lstm-layer-norm` is an LSTM with the same normalisation, and no
hypernetwork. The last tenth of the King James Bible is for testing; nothing is chosen on it, and nothing is
chosen at all: rate and sizes are those of this file, widths such that all have as many parameters.
"""

import argparse
import csv
import io
import lzma
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.dynamic import HyperGRU, HyperLSTM
from netwright.process import keep_freed_memory

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

BATCH, LENGTH, RATE, CLIP = 32, 64, 3e-3, 1.0
# Bodies of such widths that all have about as many parameters; the rows say how many.
WIDTHS = {"lstm": 128, "lstm-layer-norm": 127, "hyperlstm": 96, "gru": 148, "hypergru": 118}
SMALL = {"hyper": 32, "embedding": 8}
BODIES: dict[str, Callable[[int], nn.Module]] = {
    "lstm": lambda width: nn.LSTM(32, width),
    "lstm-layer-norm": lambda width: LayerNormLSTM(32, width),
    "hyperlstm": lambda width: HyperLSTM(32, width, **SMALL),
    "gru": lambda width: nn.GRU(32, width),
    "hypergru": lambda width: HyperGRU(32, width, **SMALL),
}


class LayerNormLSTM(nn.Module):
    """An LSTM with the normalisation and the start of `HyperLSTM`, whose weights stay as they are.

    gate = norm(W_h @ h + W_x @ x + b), and the cell is normalised on its way out.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_h = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.weight_x = nn.Parameter(torch.empty(4 * hidden, inputs))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        self.norm_gates = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(4))
        self.norm_cell = nn.LayerNorm(hidden)
        for weight in (self.weight_h, self.weight_x):
            for gate in weight.data.chunk(4):
                nn.init.orthogonal_(gate)

    def forward(self, x: Tensor, state: object = None) -> tuple[Tensor, object]:
        """Outputs [L, B, H] for x [L, B, D]."""
        zeros = x.new_zeros(x.shape[1], self.hidden)
        h, c = state or (zeros, zeros)
        read = x @ self.weight_x.T + self.bias
        outputs = []
        for row in read.unbind(0):
            gates = (row + h @ self.weight_h.T).chunk(4, dim=1)
            i, g, f, o = (norm(gate) for norm, gate in zip(self.norm_gates, gates, strict=True))
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * self.norm_cell(c).tanh()
            outputs.append(h)
        return torch.stack(outputs), (h, c)


class Model(nn.Module):
    """Characters in, logits of the next character out."""

    def __init__(self, letters: int, kind: str) -> None:
        super().__init__()
        self.embed = nn.Embedding(letters, 32)
        self.body = BODIES[kind](WIDTHS[kind])
        self.head = nn.Linear(WIDTHS[kind], letters)

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


def row_of(kind: str, seed: int, steps: int, root: Path) -> Row:
    """One kind with one seed."""
    text, test, letters = read(root)
    torch.manual_seed(seed)
    model = Model(letters, kind)
    seconds = train(model, text, steps, seed)
    mean, half = bits(model, test)
    count = sum(p.numel() for p in model.parameters())
    command = f"python benchmarks/hyper_lstm.py --data-root DATA --seeds {seed}"
    note = f"{count:,} parameters; {steps} steps of {BATCH} x {LENGTH} characters, rate {RATE}"
    return Row(
        f"hyperlstm-{kind}-seed{seed}", mean, mean - half, mean + half, "bits per character", False,
        50, [seed], round(seconds), command, note,
    )  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=os.environ.get("NETWRIGHT_DATA"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", choices=BODIES, default=list(BODIES))
    parser.add_argument("--steps", type=int, default=3_000)
    arguments = parser.parse_args()
    if arguments.data_root is None:
        parser.error("give --data-root or NETWRIGHT_DATA: the folder with bible_en_styles")
    torch.set_num_threads(1)
    keep_freed_memory()
    for seed in arguments.seeds:
        for kind in arguments.kinds:
            write_rows("hyper_lstm", [row_of(kind, seed, arguments.steps, arguments.data_root)])


if __name__ == "__main__":
    main()
