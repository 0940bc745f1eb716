"""A residual network whose weights a static hypernetwork writes, against plain ones: Fashion-MNIST.

    python benchmarks/static.py --data-root DATA     # about ten CPU-minutes a seed
    python benchmarks/static.py --data-root DATA --choose-rates

Three networks with the same data, steps and schedule: `plain`, the residual network; `hyper`, the same
network with its 3x3 kernels written from embeddings, of a tenth of the learned numbers; `narrow`, a plain
one so much narrower that it has as many learned numbers as `hyper`. The rate of each is chosen by one short
training with 2,000 of the training pictures left out, never on the test set.
"""

import argparse
import gzip
import math
import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright import StaticHypernetwork
from netwright.process import keep_freed_memory

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

BATCH, EPOCHS, SHORT, LEFT_OUT = 64, 10, 2, 2_000
WIDTH, NARROW = 16, 5
CANDIDATES = (1e-3, 3e-3, 1e-2, 3e-2)
# The best of each; accuracies were, in this order of candidates:
# plain 80.1, 81.5, 80.3, 81.7; hyper 73.2, 78.2, 79.7, 79.3; narrow 74.6, 78.4, 78.3, 79.5.
RATES = {"plain": 3e-2, "hyper": 1e-2, "narrow": 3e-2}


class Block(nn.Module):
    """Two 3x3 convolutions beside a way past them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.past = (
            nn.Identity()
            if inputs == outputs and stride == 1
            else nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Half as high and wide where the stride is 2."""
        y = self.norm2(self.second(self.norm1(self.first(x)).relu()))
        return (y + self.past(x)).relu()


def residual(width: int) -> nn.Module:
    """Three stages of two blocks, of width, 2 width and 4 width, on 14 x 14, 7 x 7 and 4 x 4."""
    blocks: list[nn.Module] = []
    inputs = width
    for stage in range(3):
        outputs = width * 2**stage
        blocks += [Block(inputs, outputs, 1 if stage == 0 else 2), Block(outputs, outputs, 1)]
        inputs = outputs
    stem = nn.Sequential(nn.Conv2d(1, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
    return nn.Sequential(
        stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10)
    )


def is_wide_kernel(name: str, parameter: nn.Parameter) -> bool:
    """Whether a weight is a 3x3 kernel with at least a block of inputs: all but the stem's."""
    return parameter.shape[2:] == (3, 3) and parameter.shape[1] >= 16


def hyper() -> nn.Module:
    """The plain network with its kernels written."""
    return StaticHypernetwork(residual(WIDTH), select=is_wide_kernel, embedding=22, hidden=22)


KINDS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: residual(WIDTH),
    "hyper": hyper,
    "narrow": lambda: residual(NARROW),
}


def pictures(path: Path, name: str) -> tuple[Tensor, Tensor]:
    """Standardised pictures [N, 1, 28, 28] and classes [N]."""
    packed = gzip.decompress((path / f"{name}-images-idx3-ubyte.gz").read_bytes())
    count, height, width = struct.unpack(">3I", packed[4:16])
    x = torch.frombuffer(bytearray(packed[16:]), dtype=torch.uint8).view(count, 1, height, width)
    labels = gzip.decompress((path / f"{name}-labels-idx1-ubyte.gz").read_bytes())
    y = torch.frombuffer(bytearray(labels[8:]), dtype=torch.uint8).long()
    # Mean and spread of the training pictures.
    return (x.float() / 255 - 0.286) / 0.353, y


def moved(x: Tensor, rng: torch.Generator) -> Tensor:
    """Flipped at random, and shifted by up to two pixels, a batch as a whole."""
    down, right = torch.randint(-2, 3, (2,), generator=rng).tolist()
    flips = torch.rand(len(x), generator=rng) < 0.5
    x = torch.where(flips.view(-1, 1, 1, 1), x.flip(3), x)
    padded = F.pad(x, [2] * 4, value=float(x.min()))
    return padded[..., 2 + down : 30 + down, 2 + right : 30 + right]


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int, rate: float, seed: int) -> float:
    """Adam with a cosine schedule; CPU-seconds."""
    rng = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1)
    started, model = time.process_time(), model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(x), generator=rng)
        for rows in order.split(BATCH)[: len(x) // BATCH]:
            loss = F.cross_entropy(model(moved(x[rows], rng)), y[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{epochs}  loss {loss.item():.3f}", flush=True)
    return time.process_time() - started


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of right answers."""
    network = model.materialise() if isinstance(model, StaticHypernetwork) else model
    network.eval()
    return float(torch.cat([network(p).argmax(1) for p in x.split(500)]).eq(y).float().mean())


def choose_rates(root: Path) -> None:
    """Accuracy on left-out training pictures of each candidate, in a short training."""
    x, y = pictures(root / "fashion_mnist", "train15000")
    for kind, build in KINDS.items():
        for rate in CANDIDATES:
            torch.manual_seed(9)
            model = build()
            train(model, x[:-LEFT_OUT], y[:-LEFT_OUT], SHORT, rate, 9)
            print(f"{kind} {rate}: {accuracy(model, x[-LEFT_OUT:], y[-LEFT_OUT:]):.4f}", flush=True)


def row_of(kind: str, seed: int, root: Path) -> Row:
    """One kind with one seed."""
    x, y = pictures(root / "fashion_mnist", "train15000")
    test_x, test_y = pictures(root / "fashion_mnist", "t10k")
    torch.manual_seed(seed)
    model = KINDS[kind]()
    seconds = train(model, x, y, EPOCHS, RATES[kind], seed)
    right = accuracy(model, test_x, test_y)
    half = 1.96 * math.sqrt(right * (1 - right) / len(test_y))
    learned = sum(p.numel() for p in model.parameters())
    size = model.size if isinstance(model, StaticHypernetwork) else learned
    note = (
        f"{learned:,} learned numbers, {size:,} in the network; {EPOCHS} epochs of 15,000 pictures, rate "
        f"{RATES[kind]}; interval over test pictures"
    )
    return Row(
        f"static-{kind}-seed{seed}", 100 * right, 100 * (right - half), 100 * (right + half), "% accuracy",
        True, len(test_y), [seed], round(seconds),
        f"python benchmarks/static.py --data-root DATA --seeds {seed}", note,
    )  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=os.environ.get("NETWRIGHT_DATA"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--choose-rates", action="store_true")
    arguments = parser.parse_args()
    if arguments.data_root is None:
        parser.error("give --data-root or NETWRIGHT_DATA: the folder with fashion_mnist")
    torch.set_num_threads(1)
    keep_freed_memory()
    if arguments.choose_rates:
        choose_rates(arguments.data_root)
        return
    for seed in arguments.seeds:
        for kind in KINDS:
            write_rows("static", [row_of(kind, seed, arguments.data_root)])


if __name__ == "__main__":
    main()
