"""A task whose identity is unseen, from a few points: its embedding tuned, or all its weights.

python benchmarks/tune_embedding.py          # about 4 CPU-minutes a seed
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import netwright as nw
from netwright.evaluation import mean_estimate
from netwright.learners import FineTune, TuneEmbedding
from netwright.rng import stream
from netwright.tasks import Sine
from netwright.training import seeded_weights
from netwright.training.step import training_step

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

COMMAND = "python benchmarks/tune_embedding.py"
KNOWN, STEPS, TASKS, QUERIES = 1_000, 10_000, 64, 50
SHOTS = (2, 3, 5, 10)
RATES, AT = (0.003, 0.01, 0.03, 0.1), [0, 10, 25, 50, 100, 200]
TEST_TASKS, VALIDATION_TASKS = 500, 200


class KnownWaves:
    """Sine waves of the training cells of `Sine`, each with a number of its own."""

    def __init__(self, seed: int) -> None:
        rng = stream(seed, "known waves")
        cells = rng.choice(Sine().members("train"), KNOWN)
        box = np.array([[int(part) for part in cell.split("/")] for cell in cells])
        amplitude, phase = ((box + rng.random(box.shape)) / 64).T
        self.waves = torch.from_numpy(np.stack([0.1 + 4.9 * amplitude, np.pi * phase])).float()

    def sample(self, rng: np.random.Generator) -> nw.tasks.TaskBatch:
        """T known waves at fresh points."""
        chosen = torch.from_numpy(rng.integers(0, KNOWN, TASKS))
        x = torch.from_numpy(rng.uniform(-5, 5, (TASKS, QUERIES, 1))).float()
        amplitude, phase = self.waves[:, chosen, None, None]
        query = nw.ExampleSet.of(x, amplitude * (x - phase).sin())
        return nw.tasks.TaskBatch(nw.Condition(identity=chosen), query)


def trained(seed: int) -> nw.Hypernetwork:
    """A hypernetwork that knows a thousand waves by number."""
    waves, objective = KnownWaves(seed), nw.objectives.Regression()
    with seeded_weights(seed):
        child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(40, 40), outputs=1))
        hypernetwork = nw.Hypernetwork(child, nw.conditioners.Identity(KNOWN, size=32), "dense")
    optimiser = torch.optim.AdamW(hypernetwork.parameters(), 2e-3, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for step in range(STEPS):
        batch = waves.sample(stream(seed, "known", step))
        training_step(hypernetwork, objective, optimiser, batch, clip=1.0)
        schedule.step()
    return hypernetwork.eval()


def unseen(shots: int, tasks: int, split: nw.tasks.Split) -> nw.tasks.TaskBatch:
    """Waves of other cells, with examples and with a number that stands for none."""
    batch = Sine(shots=shots, queries=QUERIES).sample(stream(0, "unseen", shots), tasks, split)
    condition = nw.Condition(batch.condition.examples, identity=torch.full((tasks,), -1))
    return nw.tasks.TaskBatch(condition, batch.query)


def losses_of(
    learner: str,
    hypernetwork: nw.Hypernetwork,
    rate: float,
    at: list[int],
    batch: nw.tasks.TaskBatch,
) -> list[Tensor]:
    """Test losses [T] after each number of steps."""
    objective, child = nw.objectives.Regression(), hypernetwork.child
    if learner == "embedding":
        tuner = TuneEmbedding(hypernetwork, objective, steps=max(at), rate=rate)
        found = tuner.trajectory(batch.condition, at)
        with torch.no_grad():
            written = [hypernetwork.write_from(each, batch.condition) for each in found]
    else:
        with torch.no_grad():
            mean = hypernetwork(batch.condition.rows(slice(0, 1)))
        start = {name: value[0] for name, value in mean.items()}
        tuner = FineTune(child, start, objective, steps=max(at), rate=rate)
        written = tuner.trajectory(batch.condition, at)
    with torch.no_grad():
        return [objective(child, params, batch).loss for params in written]


def chosen(learner: str, hypernetwork: nw.Hypernetwork, shots: int) -> tuple[float, int]:
    """The rate and the number of steps that are best on validation tasks."""
    batch = unseen(shots, VALIDATION_TASKS, "validation")
    found = {
        (rate, steps): float(loss.mean())
        for rate in RATES
        for steps, loss in zip(AT, losses_of(learner, hypernetwork, rate, AT, batch), strict=True)
    }
    return min(found, key=lambda key: found[key])


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    losses: dict[tuple[int, str], list[Tensor]] = {}
    choices: dict[tuple[int, str], list[str]] = {}
    started = time.process_time()
    for seed in seeds:
        hypernetwork = trained(seed)
        for shots in SHOTS:
            test = unseen(shots, TEST_TASKS, "test")
            (mean,) = losses_of("embedding", hypernetwork, 0.1, [0], test)
            losses.setdefault((shots, "mean"), []).append(mean)
            for learner in ("embedding", "all"):
                rate, steps = chosen(learner, hypernetwork, shots)
                (loss,) = losses_of(learner, hypernetwork, rate, [steps], test)
                losses.setdefault((shots, learner), []).append(loss)
                choices.setdefault((shots, learner), []).append(f"{steps} at {rate:g}")
                print(seed, shots, learner, steps, rate, float(loss.mean()), flush=True)
    seconds = round((time.process_time() - started) / (3 * len(SHOTS)))
    names = {
        "mean": "the network of the mean embedding, no step",
        "embedding": "32 numbers of the embedding tuned",
        "all": "all 1,761 weights tuned, from the network of the mean embedding",
    }
    rows = []
    for (shots, learner), found in losses.items():
        estimate = mean_estimate(torch.stack(found).mean(dim=0))
        note = names[learner]
        if learner != "mean":
            against = torch.stack(losses[shots, "all"]) - torch.stack(losses[shots, "embedding"])
            gap = mean_estimate(against.mean(dim=0))
            note += f"; steps and rate by validation: {', '.join(choices[shots, learner])}"
            if learner == "embedding":
                note += f"; all weights lose by {gap.value:.3g} ({gap.low:.3g} to {gap.high:.3g})"
        rows.append(
            Row(f"tune-embedding-k{shots}-{learner}", estimate.value, estimate.low, estimate.high,
                "mean squared error", False, TEST_TASKS, seeds, seconds, COMMAND, note)
        )  # fmt: skip
    write_rows("tune_embedding", rows)


if __name__ == "__main__":
    main()
