"""Bayesian linear regression: a posterior that is written, beside the one that is computed.

python benchmarks/bayes_linear.py          # about 3 CPU-minutes a seed, and 12 for the rivals of seed 0
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import netwright as nw
from netwright.conditions import Condition, ExampleSet
from netwright.generators import WeightDistribution
from netwright.objectives import GaussianLikelihood
from netwright.rng import stream
from netwright.tasks import TaskBatch, TaskFamily, TaskShape

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

INPUTS, NOISE, MOST = 2, 0.5, 30
TEST_TASKS, RESAMPLES = 1_000, 2_000
STEPS, RATE, CLIP, AVERAGE = 12_000, 2e-3, 10.0, 0.995


class BayesLinear(TaskFamily):
    """y = w . x + b + noise, with w, b and x standard normal, noise of standard deviation 0.5.

    A task has 1 to 30 examples, their number log-uniform, so that few are as common as many. Queries are the
    support itself: what the evidence lower bound asks for. Splits are told apart by their random streams;
    every task of a continuous prior is new.
    """

    def __init__(self) -> None:
        self.shape = TaskShape((INPUTS,), 1, "values")

    def sample(self, rng: np.random.Generator, tasks: int, split: str) -> TaskBatch:
        """Draw T regressions."""
        examples = self.draw(rng, tasks)[0]
        return TaskBatch(Condition(examples), examples)

    def draw(self, rng: np.random.Generator, tasks: int) -> tuple[ExampleSet, Tensor]:
        """T support sets, and the theta [T, D + 1] that they come from."""
        counts = np.minimum((MOST + 1) ** rng.random(tasks), MOST).astype(int)
        x = rng.standard_normal((tasks, MOST, INPUTS))
        theta = rng.standard_normal((tasks, INPUTS + 1))
        y = np.einsum("tnd,td->tn", x, theta[:, :-1]) + theta[:, -1:]
        y += NOISE * rng.standard_normal(y.shape)
        mask = np.arange(MOST) < counts[:, None]
        x, y = x * mask[..., None], (y * mask)[..., None]
        tensors = [torch.from_numpy(a.astype(np.float32)) for a in (x, y)]
        return ExampleSet(*tensors, torch.from_numpy(mask)), torch.from_numpy(theta).float()

    def members(self, split: str) -> tuple[str, ...]:
        """Tasks of a continuous prior have no names."""
        return (split,)

    def record(self) -> Mapping[str, Any]:
        """The options that build this family again."""
        return {}


def posterior(examples: ExampleSet) -> tuple[Tensor, Tensor]:
    """Mean [T, P] and covariance [T, P, P] of theta in closed form, in float64."""
    ones = torch.ones(*examples.mask.shape, 1)
    phi = (torch.cat([examples.x, ones], dim=2) * examples.mask.unsqueeze(2)).double()
    precision = torch.eye(INPUTS + 1) + phi.mT @ phi / NOISE**2
    covariance = torch.linalg.inv(precision)
    mean = covariance @ (phi.mT @ examples.y.double()) / NOISE**2
    return mean.squeeze(2), covariance


def make(seed: int, generator: str, conditioner: str, **options: object) -> nw.Hypernetwork:
    """Reads regressions and writes linear children."""
    child = nw.architectures.mlp(inputs=INPUTS, hidden=(), outputs=1)
    reader = nw.conditioners.Examples(
        (INPUTS,), outputs=1, size=64, channels=128, depth=0, counts=True
    )
    if generator == "gaussian":
        options = {"initial_std": 1.0, "prior_std": 1.0, "penalty": "path", **options}
    parts = [reader] if conditioner == "examples" else [reader, nw.conditioners.Noise(8, size=64)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nw.Hypernetwork(nw.Child(child), parts, generator, **options)


def train_variational(hypernetwork: nw.Hypernetwork, seed: int, steps: int) -> float:
    """Minimise E_q[-log p(D | theta)] + KL(q || prior); returns CPU-seconds."""
    return nw.train(
        hypernetwork, BayesLinear(), objective=GaussianLikelihood(NOISE), kl_weight=1.0, steps=steps,
        tasks=64, learning_rate=RATE, weight_decay=0.0, clip=CLIP, average=AVERAGE,
        validate_every=steps, seed=seed,
    ).cpu_seconds  # fmt: skip


def train_simulated(hypernetwork: nw.Hypernetwork, seed: int, steps: int) -> float:
    """Score what is written against the theta that each task was simulated with; returns CPU-seconds.

    Log density where there is one (arXiv:1605.06376), else the energy score of two samples, which is proper:
    |a - theta| + |b - theta| - |a - b|.
    """
    started = time.process_time()
    family, average = BayesLinear(), torch.optim.swa_utils.AveragedModel(
        hypernetwork, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE)
    )  # fmt: skip
    optimiser = torch.optim.AdamW(
        hypernetwork.parameters(), RATE, betas=(0.9, 0.99), weight_decay=0.0, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / 200) * (1 + np.cos(np.pi * step / steps)) / 2
    )
    torch.manual_seed(seed)
    hypernetwork.train()
    for step in range(steps):
        examples, theta = family.draw(stream(seed, "train", step), 64)
        condition = Condition(examples)
        if hypernetwork.conditioner.reads == ("examples",):
            loss = -hypernetwork.distribution(condition).log_prob(theta)
        else:
            twice = condition.rows(torch.arange(64).repeat(2))
            a, b = hypernetwork.child.space.flatten(hypernetwork(twice)).chunk(2)
            loss = (a - theta).norm(dim=1) + (b - theta).norm(dim=1) - (a - b).norm(dim=1)
        optimiser.zero_grad()
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(hypernetwork.parameters(), CLIP)
        optimiser.step()
        schedule.step()
        average.update_parameters(hypernetwork)
    hypernetwork.load_state_dict(average.module.state_dict())
    hypernetwork.eval()
    return time.process_time() - started


@torch.no_grad()
def written(hypernetwork: nw.Hypernetwork, examples: ExampleSet) -> tuple[Tensor, Tensor]:
    """Mean and covariance of what is written; of 500 samples where only samples are known."""
    condition = Condition(examples)
    if hypernetwork.conditioner.reads == ("examples",):
        q: WeightDistribution = hypernetwork.distribution(condition)
        return q.mean.double(), q.covariance().double()
    rng = torch.Generator().manual_seed(0)
    samples = []
    for _ in range(500):
        noise = nw.conditioners.Noise.draw(condition.tasks, 8, generator=rng)
        params = hypernetwork(Condition(examples, noise=noise))
        samples.append(hypernetwork.child.space.flatten(params).double())
    theta = torch.stack(samples, dim=1)
    centred = theta - theta.mean(dim=1, keepdim=True)
    return theta.mean(dim=1), centred.mT @ centred / (len(samples) - 1)


def rows_of(
    name: str, seed: int, steps: int, hypernetwork: nw.Hypernetwork, spent: float
) -> list[Row]:
    """Errors on test tasks, relative to the posterior in closed form."""
    examples, _ = BayesLinear().draw(stream(0, "test"), TEST_TASKS)
    found, expected = written(hypernetwork, examples), posterior(examples)
    counts = examples.mask.sum(dim=1)
    label = VARIANTS[name][3]
    rows = []
    for what, a, b in zip(("mean", "covariance"), found, expected, strict=True):
        wrong, size = ((t.flatten(1) ** 2).sum(dim=1).numpy() for t in (a - b, b))
        low, high = interval(wrong, size)
        each = np.sqrt(wrong / size)
        few, many = (100 * np.median(each[(counts <= 5).numpy() == side]) for side in (True, False))
        note = (
            f"{label}; root of summed squares of the error over those of the reference; median task with "
            f"1 to 5 examples {few:.1f} %, with more {many:.1f} %; {steps} steps of 64 tasks"
        )
        rows.append(
            Row(
                f"bayes-linear-{what}{'' if name == 'full' else '-' + name}-seed{seed}",
                100 * float(np.sqrt(wrong.sum() / size.sum())),
                low,
                high,
                "% of the reference",
                False,
                TEST_TASKS,
                [seed],
                round(spent),
                f"python benchmarks/bayes_linear.py --seeds {seed} --variants {name}",
                note,
            )
        )
    return rows


def interval(wrong: np.ndarray, size: np.ndarray) -> tuple[float, float]:
    """95 % of the ratio over resampled tasks."""
    chosen = stream(0, "bootstrap").integers(0, len(wrong), (RESAMPLES, len(wrong)))
    ratios = 100 * np.sqrt(wrong[chosen].sum(axis=1) / size[chosen].sum(axis=1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


# Generator, conditioner, training, and what the note says.
VARIANTS: dict[str, tuple[dict[str, Any], str, Any, str]] = {
    "full": (
        {"generator": "gaussian", "covariance": "full"}, "examples", train_variational,
        "Gaussian with a full covariance, evidence lower bound with the path penalty",
    ),
    "exact": (
        {"generator": "gaussian", "covariance": "full", "penalty": "exact"}, "examples", train_variational,
        "Gaussian with a full covariance, evidence lower bound with the exact divergence, whose gradient "
        "keeps the noise of its sample",
    ),
    "diagonal": (
        {"generator": "gaussian", "covariance": "diagonal"}, "examples", train_variational,
        "Gaussian with a diagonal covariance, evidence lower bound: it cannot be right where numbers are "
        "correlated, and this bound then makes it too narrow",
    ),
    "simulated": (
        {"generator": "gaussian", "covariance": "full"}, "examples", train_simulated,
        "Gaussian with a full covariance, log density of the simulated theta",
    ),
    "noise": (
        {"generator": "dense"}, "noise", train_simulated,
        "implicit, from 8 numbers of noise, energy score of the simulated theta; of 500 samples",
    ),
}  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.variants:
        options, conditioner, training, _ = VARIANTS[name]
        for seed in arguments.seeds if name == "full" else arguments.seeds[:1]:
            hypernetwork = make(seed, conditioner=conditioner, **options)
            spent = training(hypernetwork, seed, arguments.steps)
            write_rows("bayes_linear", rows_of(name, seed, arguments.steps, hypernetwork, spent))


if __name__ == "__main__":
    main()
