"""A control without hypernetwork: one set of convolutional weights for all architectures, cut to the size of each.

    python benchmarks/architectures_shared.py --folder runs/arch-conv

Every block has one kernel of 32 x 32 x 5 x 5 by its place, of which a network takes the first channels and the middle positions; one bias and scale; the
head is by depth. Networks of Fashion-MNIST are those of `architectures_pictures.py conv`, as many of them are met in as many steps, with the same soft
labels, and what a block hands on begins as there.

Cai et al., Once-for-all, arXiv:1908.09791; Guo et al., Single path one-shot NAS, arXiv:1904.00420.
"""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from netwright.architectures import ConvNet
from netwright.process import keep_freed_memory, keep_kernels
from netwright.rng import stream

sys.path.insert(0, str(Path(__file__).parent))
from architectures_pictures import CONV_STEPS, REFERENCES, conv_family
from measured_architectures import interval, row, score, tau_interval, trained_scores, unseen
from records import Row, write_rows
from teacher import soft_labels

STEPS, NETWORKS, RATE, KEPT = CONV_STEPS, 4, 8e-3, 0.05
WIDEST, SIDE, DEEPEST = 32, 5, 6
COMMAND = "python benchmarks/architectures_shared.py --folder runs/arch-conv"


class Shared(nn.Module):
    """Weights of every network of the space, as cuts of common ones."""

    def __init__(self) -> None:
        super().__init__()
        parts: dict[str, Tensor] = {}
        for place in range(1, DEEPEST + 1):
            inputs = WIDEST if place > 1 else 1
            parts[f"kernel{place}"] = KEPT * torch.randn(WIDEST, inputs, SIDE, SIDE)
            parts[f"bias{place}"], parts[f"scale{place}"] = torch.zeros(WIDEST), torch.ones(WIDEST)
            parts[f"passed{place}"] = torch.ones(())
            parts[f"head{place}"] = KEPT * torch.randn(10, WIDEST)
            parts[f"head-bias{place}"] = torch.zeros(10)
        self.parts = nn.ParameterDict(parts)

    def forward(self, wanted: ConvNet) -> dict[str, Tensor]:
        """Parameters of a network by name."""
        params, inputs, own = {}, 1, self.parts
        for place, (channels, side) in enumerate(
            zip(wanted.channels, wanted.kernels, strict=True), 1
        ):
            start = (SIDE - side) // 2
            cut = own[f"kernel{place}"][:channels, :inputs]
            cut = cut[..., start : start + side, start : start + side]
            kernel = cut / KEPT * (3 * inputs * side**2) ** -0.5
            if place > 1:
                same = torch.zeros(channels, inputs, side, side)
                same[..., side // 2, side // 2] = torch.eye(channels, inputs)
                kernel = kernel + own[f"passed{place}"] * same
            block = f"block{place}"
            params[f"{block}.conv.weight"] = kernel
            bias = own[f"bias{place}"][:channels]
            if wanted.norm == "group":
                params[f"{block}.norm.weight"] = own[f"scale{place}"][:channels]
                params[f"{block}.norm.bias"] = bias
            else:
                params[f"{block}.conv.bias"] = bias
            inputs = channels
        depth = len(wanted.channels)
        params["head.weight"] = own[f"head{depth}"][:, :inputs] / KEPT * (3 * inputs) ** -0.5
        params["head.bias"] = own[f"head-bias{depth}"]
        return params


def learn(seed: int, own: Any) -> tuple[Shared, float]:
    """Train on as many networks and pictures as the hypernetwork has; CPU-seconds of it."""
    torch.manual_seed(seed)
    rng = stream(seed, "shared")
    shared = Shared()
    average = {name: value.detach().clone() for name, value in shared.named_parameters()}
    optimiser = torch.optim.AdamW(shared.parameters(), lr=RATE, fused=True)
    modules: dict[ConvNet, nn.Module] = {}
    started = time.process_time()
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = (
                RATE * min(1, (step + 1) / 100) * (1 + math.cos(math.pi * step / STEPS)) / 2
            )
        optimiser.zero_grad()
        for _ in range(NETWORKS):
            drawn = own.sample(rng, 1, "train")
            wanted = drawn.condition.architecture.values[0]
            if wanted not in modules:
                modules[wanted] = wanted.build()
            out = functional_call(modules[wanted], shared(wanted), (drawn.query.x[0],))
            (F.cross_entropy(out, drawn.query.y[0]) / NETWORKS).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(shared.parameters(), 1.0)
        optimiser.step()
        for name, value in shared.named_parameters():
            average[name].lerp_(value.detach(), 1 - min(0.998, (step + 1) / (step + 10)))
        if step % 1_000 == 999:
            print(step + 1, f"{time.process_time() - started:.0f} CPU-s", flush=True)
    shared.load_state_dict(average)
    return shared.eval(), time.process_time() - started


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    keep_kernels()
    args.folder.mkdir(parents=True, exist_ok=True)
    plain: Any = conv_family().family
    own = conv_family(soft_labels(args.folder, plain))
    wanted: Any = unseen(own, 40)
    reference = trained_scores(REFERENCES, wanted, plain, 4_500, 2, 3e-3).mean(axis=1)
    means, taus, every, cpu = [], [], [], 0.0
    for seed in range(args.seeds):
        shared, spent = learn(seed, own)
        cpu += spent
        with torch.no_grad():
            found = np.array(
                [score(lambda x: functional_call(a.build(), shared(a), (x,)), own.family, "test") for a in wanted]  # type: ignore[arg-type]  # noqa: B023
            )  # fmt: skip
        every.append(found)
        means.append(float(found.mean()))
        taus.append(float(kendalltau(found, reference)[0]))
        print(f"seed {seed}: {means[-1]:.4f}, tau {taus[-1]:.3f}, {spent:.0f} CPU-s", flush=True)
    mean = np.mean(every, axis=0)
    note = f"no hypernetwork: one kernel for each place, cut to size; {STEPS:,} steps of {NETWORKS} networks, 40 unseen architectures, trained from scratch {reference.mean():.4f}"
    rows: list[Row] = [
        row("arch-conv-shared-accuracy", means, interval(mean), "share", COMMAND, note, n=40, cpu=cpu),
        row("arch-conv-shared-tau", taus, tau_interval(mean, reference), "Kendall's tau", COMMAND, "with accuracy after training", n=40, cpu=cpu),
    ]  # fmt: skip
    write_rows("architectures", rows)


if __name__ == "__main__":
    main()
