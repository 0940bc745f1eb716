"""Networks from rules in words: unseen rules about digits, on unseen pictures.

    python benchmarks/descriptions.py            # about 20 CPU-minutes a seed

Variants of what is written, with equal steps: all weights (`full`), scales and shifts of a learned
network (`film`), and the first layer's bias only (`concat`: the same as the embedding beside the
input). Then one hypernetwork that reads descriptions, examples or both.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import netwright as nw
from netwright.conditioners import Description
from netwright.evaluation.statistics import Estimate, mean_estimate
from netwright.process import keep_freed_memory
from netwright.rng import stream
from netwright.training.recipe import default_conditioner, seeded_weights

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

TEST_TASKS = 600
HIDDEN = (32,)
WORDS, EXAMPLES = ("description",), ("examples",)
VARIANTS = {
    "full": [],
    "film": [("*", nw.Film())],
    "concat": [("linear1.bias", "full"), ("*", "shared")],
}
LABELS = 200


def train(
    sources: tuple[str, ...], variant: str, seed: int, steps: int
) -> tuple[nw.Hypernetwork, float]:
    """A hypernetwork of one variant, and the CPU-seconds that it took."""
    tasks = nw.tasks.DigitRules(sources=sources)
    with seeded_weights(seed):
        child = nw.Child(
            nw.architectures.mlp(inputs=64, hidden=HIDDEN, outputs=2), emissions=VARIANTS[variant]
        )
        reader = Description() if sources == WORDS else default_conditioner(tasks.shape)
        hypernetwork = nw.Hypernetwork(child, reader, "dense")
    result = nw.train(
        hypernetwork, tasks, steps=steps, tasks=32, learning_rate=1e-3, average=0.998,
        validate_every=max(1, steps // 10), validation_tasks=400, seed=seed,
    )  # fmt: skip
    return hypernetwork, result.cpu_seconds


def row(
    name: str, found: Estimate, seed: int, cpu_seconds: float, note: str, tasks: int = TEST_TASKS
) -> Row:
    """A row of balanced accuracy."""
    return Row(
        f"descriptions-{name}-seed{seed}", found.value, found.low, found.high, "balanced accuracy", True,
        tasks, [seed], round(cpu_seconds), f"python benchmarks/descriptions.py --seeds {seed}", note,
    )  # fmt: skip


def rows_of(seed: int, steps: int) -> Iterator[Row]:
    """All rows of one seed."""
    for variant in VARIANTS:
        hypernetwork, seconds = train(WORDS, variant, seed, steps)
        found = nw.evaluate(hypernetwork, nw.tasks.DigitRules(sources=WORDS), tasks=TEST_TASKS)
        note = (
            f"{hypernetwork.child.space.size} numbers written per task in {found.generate_ms:.1f} ms; "
            f"shuffled descriptions {found.shuffled['accuracy'].value:.3f}; {steps} steps of 32 tasks"
        )
        yield row(f"digits-{variant}", found.metrics["accuracy"], seed, seconds, note)
    hypernetwork, seconds = train((*WORDS, *EXAMPLES), "full", seed, 2 * steps)
    for name, sources in (
        ("both", (*WORDS, *EXAMPLES)),
        ("both-description-only", WORDS),
        ("both-examples-only", EXAMPLES),
    ):
        found = nw.evaluate(hypernetwork, nw.tasks.DigitRules(sources=sources), tasks=TEST_TASKS)
        note = (
            f"one hypernetwork, written from {' and '.join(sources)} (5 examples); shuffled conditions "
            f"{found.shuffled['accuracy'].value:.3f}; {2 * steps} steps of 32 tasks"
        )
        yield row(name, found.metrics["accuracy"], seed, seconds, note)
    for labels in (5, LABELS):
        note = (
            "scikit-learn's LogisticRegression, trained on so many labelled pictures of each rule"
        )
        yield row(f"logistic-{labels}", logistic(labels, seed), seed, 0, note, 150)


def logistic(labels: int, seed: int) -> Estimate:
    """Logistic regression on labelled pictures of each of 150 unseen rules, tested on others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score

    tasks = nw.tasks.DigitRules(sources=EXAMPLES, queries=800)
    batch = tasks.sample(stream(seed, "logistic"), 150, "test")
    support = batch.condition.examples
    assert support is not None
    scores = []
    for t in range(batch.tasks):
        x, first = np.unique(batch.query.x[t].numpy(), axis=0, return_index=True)
        order = np.random.default_rng(t).permutation(len(x))
        x, y = x[order], batch.query.y[t].numpy()[first[order]]
        few = labels <= support.x.shape[1]
        known = (support.x[t].numpy(), support.y[t].numpy()) if few else (x[:labels], y[:labels])
        rest = slice(0 if few else labels, None)
        fitted = LogisticRegression(max_iter=1_000).fit(*known)
        scores.append(balanced_accuracy_score(y[rest], fitted.predict(x[rest])))
    return mean_estimate(torch.tensor(scores))


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=12_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for seed in arguments.seeds:
        for found in rows_of(seed, arguments.steps):
            write_rows("descriptions", [found])


if __name__ == "__main__":
    main()
