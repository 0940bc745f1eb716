"""What to write of a child: concat, FiLM, biases, low rank, all; equal CPU-seconds for each.

    python benchmarks/emissions.py                  # about 60 CPU-minutes for three seeds

One child, one conditioner and one generator per family; only the emission differs. Each variant gets as
many steps as fit the same CPU-seconds (steps are timed beforehand, all variants in turn). On sine waves each has
the better of two learning rates on validation tasks, tried with a quarter of the steps on the first seed; on
descriptions and Omniglot all have the rate that was chosen for `full` in descriptions.py and omniglot.py. Scores of
every test task are kept in the folder of runs, so that a stopped run goes on, and all variants are
compared on the same tasks.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

import netwright as nw
from netwright.conditioners import Conditioner, Description
from netwright.evaluation.evaluate import fixed_batches
from netwright.evaluation.statistics import compare_scores
from netwright.process import keep_freed_memory
from netwright.rng import stream
from netwright.training.recipe import default_conditioner, seeded_weights
from netwright.training.step import training_step

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

TEST_TASKS, VALIDATION_TASKS = 600, 400
# The first bias (of a convolutional child: of its first norm) is what a concatenated embedding adds to.
VARIANTS = {
    "concat": [("linear1.bias", "full"), ("*", "shared")],
    "bias-only": [("*", nw.BiasOnly())],
    "film": [("*", nw.Film())],
    "low-rank-1": [("*", nw.LowRank(1))],
    "low-rank-4": [("*", nw.LowRank(4))],
    "low-rank-16": [("*", nw.LowRank(16))],
    "full": [],
}


@dataclass(frozen=True)
class Setting:
    """A family of tasks and what writes for it."""

    tasks: nw.tasks.TaskFamily
    child: nw.architectures.Architecture
    reader: Callable[[], Conditioner]
    generator: str
    metric: str
    unit: str
    higher_is_better: bool
    cpu_seconds: int
    tasks_per_step: int
    rates: tuple[float, ...]


def settings() -> dict[str, Setting]:
    """The three families."""
    sine = nw.tasks.Sine(shots=10, queries=50)
    omniglot = nw.tasks.Omniglot(ways=5, shots=1, queries=5, jitter=2, warps="fresh")
    words = nw.tasks.DigitRules(sources=("description",))
    return {
        "sine": Setting(
            sine, nw.architectures.mlp(inputs=1, hidden=(40, 40), outputs=1),
            lambda: default_conditioner(sine.shape), "dense", "mse", "mean squared error", False, 45, 64,
            (1e-3, 3e-3),
        ),
        "descriptions": Setting(
            words, nw.architectures.mlp(inputs=64, hidden=(32,), outputs=2), Description, "dense",
            "accuracy", "balanced accuracy", True, 60, 32, (1e-3,),
        ),
        "omniglot": Setting(
            omniglot, nw.architectures.conv(channels=8, depth=4, classes=5),
            lambda: default_conditioner(omniglot.shape), "layer-tokens", "accuracy", "accuracy", True, 45, 16,
            (3e-3,),
        ),
    }  # fmt: skip


def make(setting: Setting, variant: str, seed: int) -> nw.Hypernetwork:
    """An untrained hypernetwork of a variant."""
    rules = VARIANTS[variant]
    if variant == "concat" and "conv" in type(setting.child).__name__.lower():
        rules = [("norm1.bias", "full"), ("head.*", "full"), ("*", "shared")]
    with seeded_weights(seed):
        child = nw.Child(setting.child, emissions=rules)
        return nw.Hypernetwork(child, setting.reader(), setting.generator)


def steps_of(setting: Setting) -> dict[str, int]:
    """Steps of each variant that take the same CPU-seconds; timed in turn, medians."""
    made = {variant: make(setting, variant, 0) for variant in VARIANTS}
    optimisers = {v: torch.optim.AdamW(h.parameters(), lr=0.0, fused=True) for v, h in made.items()}
    objective = nw.objectives.OBJECTIVES[setting.tasks.shape.kind]()
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for i in range(30):
        for variant, hypernetwork in made.items():
            start = time.process_time()
            batch = setting.tasks.sample(stream(0, "timing", i), setting.tasks_per_step, "train")
            training_step(hypernetwork, objective, optimisers[variant], batch, clip=1.0)
            times[variant].append(time.process_time() - start)
    return {v: round(setting.cpu_seconds / median(times[v][5:]), -1) for v in VARIANTS}  # type: ignore[misc]


def train(
    setting: Setting, variant: str, seed: int, steps: int, rate: float
) -> tuple[nw.Hypernetwork, nw.training.TrainingResult]:
    """A trained hypernetwork, with its best weights on validation tasks."""
    hypernetwork = make(setting, variant, seed)
    result = nw.train(
        hypernetwork, setting.tasks, steps=steps, tasks=setting.tasks_per_step, learning_rate=rate,
        average=0.998, validate_every=max(1, steps // 5), validation_tasks=VALIDATION_TASKS, seed=seed,
        progress=False,
    )  # fmt: skip
    return hypernetwork, result


@torch.no_grad()
def scores_of(hypernetwork: nw.Hypernetwork, setting: Setting) -> list[float]:
    """The metric of each test task."""
    hypernetwork.eval()
    objective = nw.objectives.OBJECTIVES[setting.tasks.shape.kind]()
    found = []
    for batch in fixed_batches(setting.tasks, "test", TEST_TASKS, 0):
        params = hypernetwork(batch.condition)
        found += objective(hypernetwork.child, params, batch).metrics[setting.metric].tolist()
    return found


def plan_of(setting: Setting, name: str, runs: Path) -> dict[str, dict[str, float]]:
    """Steps and rate of each variant, decided once."""
    path = runs / f"{name}-plan.json"
    if path.exists():
        plan: dict[str, dict[str, float]] = json.loads(path.read_text())
        return plan
    plan = {}
    for variant, steps in steps_of(setting).items():
        best, tried = setting.rates[0], {}
        if len(setting.rates) > 1:
            quarter = max(1, int(steps) // 4)
            for rate in setting.rates:
                tried[rate] = train(setting, variant, 0, quarter, rate)[1].best_value or 0.0
            best = max(tried, key=lambda r: tried[r] if setting.higher_is_better else -tried[r])
        plan[variant] = {"steps": int(steps), "rate": best}
        print(f"{name} {variant}: {steps} steps, validation by rate {tried}", flush=True)
    path.write_text(json.dumps(plan))
    return plan


def run(setting: Setting, name: str, seeds: list[int], runs: Path) -> None:
    """Train and score what is not there yet."""
    plan = plan_of(setting, name, runs)
    for seed in seeds:
        for variant, choice in plan.items():
            path = runs / f"{name}-{variant}-seed{seed}.json"
            if path.exists():
                continue
            steps, rate = int(choice["steps"]), choice["rate"]
            hypernetwork, result = train(setting, variant, seed, steps, rate)
            record = {
                "scores": scores_of(hypernetwork, setting),
                "cpu_seconds": result.cpu_seconds,
                "written": hypernetwork.child.space.size,
                "steps": steps,
                "rate": rate,
            }
            path.write_text(json.dumps(record))
            mean = sum(record["scores"]) / TEST_TASKS  # type: ignore[arg-type]
            print(f"{name} {variant} seed {seed}: {mean:.4f} in {result.cpu_seconds:.0f} s", flush=True)  # fmt: skip


def rows_of(setting: Setting, name: str, seeds: list[int], runs: Path) -> Iterator[Row]:
    """A row per variant: the mean over seeds and tasks, and how it stands to `full`."""
    found = {
        variant: [json.loads((runs / f"{name}-{variant}-seed{s}.json").read_text()) for s in seeds]
        for variant in VARIANTS
    }
    scores = {v: np.array([r["scores"] for r in records]) for v, records in found.items()}
    compared = compare_scores(scores, reference="full", higher_is_better=setting.higher_is_better)
    for variant, records in found.items():
        row = compared[variant]
        each = ", ".join(f"{value:.4g}" for value in scores[variant].mean(axis=1))
        verdict = "" if row.difference is None else f"; minus full {row.difference}: {row.verdict}"
        note = (
            f"{records[0]['written']:,} numbers written per task; by seed {each}{verdict}; "
            f"{records[0]['steps']} steps, rate {records[0]['rate']:g}"
        )
        yield Row(
            f"emissions-{name}-{variant}", row.mean.value, row.mean.low, row.mean.high, setting.unit,
            setting.higher_is_better, TEST_TASKS, seeds, round(sum(r["cpu_seconds"] for r in records)),
            f"python benchmarks/emissions.py --seeds {' '.join(map(str, seeds))}", note,
        )  # fmt: skip


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--families", nargs="+", default=["sine", "descriptions", "omniglot"])
    parser.add_argument("--runs", type=Path, default=Path("runs/emissions"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    chosen = settings()
    for name in arguments.families:
        run(chosen[name], name, arguments.seeds, arguments.runs)
        write_rows("emissions", list(rows_of(chosen[name], name, arguments.seeds, arguments.runs)))


if __name__ == "__main__":
    main()
