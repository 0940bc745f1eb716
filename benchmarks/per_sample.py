"""Weights per sample against a plain network of as many numbers: turning vectors by angles that are inputs.

    python benchmarks/per_sample.py     # about a CPU-minute a seed

A sample is a vector of eight numbers and four angles; each angle turns two of the numbers. `linear-per-sample`
writes a linear layer from the whole sample, `linear-from-angles` from the angles alone (it is told what
decides), `plain` is an MLP of as many numbers over the whole sample. All get the same samples, steps and rate;
nothing is chosen. The figure is the mean squared error over the variance of what is to be predicted, on fresh
samples; `long` are vectors three times as long as in training. It is a task that suits weights per sample: what
is to be computed is a product of the inputs.
"""

import argparse
import math
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import netwright as nw
from netwright.conditioners import Input
from netwright.process import keep_freed_memory

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

PLANES, BATCH, STEPS, RATE, TESTED = 4, 128, 4_000, 2e-3, 10_000
SIZES, PLAIN = {"size": 32, "channels": 64}, 90


class PerSample(nn.Module):
    """A linear layer over the vector, written from the whole sample or from its angles."""

    def __init__(self, *, reads_vector: bool) -> None:
        super().__init__()
        self.reads_vector = reads_vector
        width = 3 * PLANES if reads_vector else PLANES
        child = nw.Child(nn.Linear(2 * PLANES, 2 * PLANES))
        conditioner = Input((width,), **SIZES)
        self.layer = nw.dynamic.PerSample(nw.Hypernetwork(child, conditioner, "dense", hidden=64))

    def forward(self, x: Tensor) -> Tensor:
        """Turned vectors [B, 8] of samples [B, 12]."""
        y: Tensor = self.layer(x[:, : 2 * PLANES], x if self.reads_vector else x[:, 2 * PLANES :])
        return y


class Plain(nn.Module):
    """An MLP of three hidden layers."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(3 * PLANES, PLAIN), nn.GELU(), nn.Linear(PLAIN, PLAIN), nn.GELU(),
            nn.Linear(PLAIN, PLAIN), nn.GELU(), nn.Linear(PLAIN, 2 * PLANES),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Turned vectors [B, 8] of samples [B, 12]."""
        y: Tensor = self.trunk(x)
        return y


KINDS = {
    "linear-per-sample": lambda: PerSample(reads_vector=True),
    "linear-from-angles": lambda: PerSample(reads_vector=False),
    "plain": Plain,
}


def draw(count: int, length: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Samples [B, 12] and turned vectors [B, 8]; the entries of vectors have spread `length`."""
    pairs = length * torch.randn(count, PLANES, 2, generator=rng)
    angle = (2 * torch.rand(count, PLANES, generator=rng) - 1) * math.pi
    cos, sin = angle.cos(), angle.sin()
    a, b = pairs.unbind(-1)
    turned = torch.stack([cos * a - sin * b, sin * a + cos * b], dim=-1)
    return torch.cat([pairs.flatten(1), angle], dim=1), turned.flatten(1)


def train(model: nn.Module, seed: int) -> float:
    """CPU-seconds."""
    rng = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    started = time.process_time()
    for _ in range(STEPS):
        x, y = draw(BATCH, 1.0, rng)
        loss = F.mse_loss(model(x), y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return time.process_time() - started


@torch.no_grad()
def error(model: nn.Module, length: float) -> tuple[float, float]:
    """Squared error over variance, and half of a 95 % interval over fresh samples."""
    x, y = draw(TESTED, length, torch.Generator().manual_seed(10_000))
    each = (model.eval()(x) - y).square().mean(dim=1) / length**2
    return float(each.mean()), float(1.96 * each.std() / TESTED**0.5)


def rows_of(kind: str, seed: int) -> list[Row]:
    """One kind with one seed, on vectors as in training and on longer ones."""
    torch.manual_seed(seed)
    model = KINDS[kind]()
    seconds = train(model, seed)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    note = f"{count:,} parameters; {STEPS} steps of {BATCH} samples, rate {RATE}"
    rows = []
    for name, length in (("same", 1.0), ("long", 3.0)):
        mean, half = error(model, length)
        rows.append(
            Row(
                f"per-sample-{kind}-{name}-seed{seed}", mean, mean - half, mean + half,
                "of the variance", False, TESTED, [seed], round(seconds),
                f"python benchmarks/per_sample.py --seeds {seed}", note,
            )
        )  # fmt: skip
    return rows


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for seed in arguments.seeds:
        for kind in KINDS:
            write_rows("per_sample", rows_of(kind, seed))


if __name__ == "__main__":
    main()
