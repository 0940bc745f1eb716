"""A network per value of a column, on real tables: a user's ratings, a week of a transformer's load.

    python benchmarks/own_table.py --data-root DATA        # about three CPU-minutes

Tables are made from MovieLens (latest small) and ETTh1 as they lie in DATA. Rivals get the same rows:
the mean of the support; ridge on the support; gradient boosting over rows of all training tasks, and
the same with the support's mean residual added. Settings were chosen on validation tasks.
"""

import argparse
import csv
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

import netwright as nw
from netwright.evaluation.statistics import Estimate, mean_estimate
from netwright.process import keep_freed_memory
from netwright.rng import stream
from netwright.tasks import Split, TaskBatch
from netwright.training.recipe import default_conditioner, seeded_weights

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

TEST_TASKS = 1_000
STEPS = 3_000
Predicts = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Predictions [Q] for queries [Q, D], from a support [S, D] and its targets [S]."""


def write_movielens(root: Path, out: Path) -> dict[str, object]:
    """Ratings with the year and genres of the film; a task is a user."""
    with (root / "movielens_latest_small/movies.csv").open(newline="") as file:
        films = {row["movieId"]: row for row in csv.DictReader(file)}
    genres = sorted({g for film in films.values() for g in film["genres"].split("|")})
    with (
        (root / "movielens_latest_small/ratings.csv").open(newline="") as source,
        out.open("w", newline="") as target,
    ):
        writer = csv.writer(target)
        writer.writerow(["user", "rating", "year", *genres])
        for row in csv.DictReader(source):
            film = films[row["movieId"]]
            year = re.search(r"\((\d{4})\)\s*$", film["title"])
            own = set(film["genres"].split("|"))
            writer.writerow(
                [row["userId"], row["rating"], year[1] if year else "", *(int(g in own) for g in genres)]
            )  # fmt: skip
    return {
        "task": "user",
        "target": "rating",
        "kind": "regression",
        "shots": (10, 30),
        "queries": 20,
    }


def write_ett(root: Path, out: Path) -> dict[str, object]:
    """Hours with six loads and the oil temperature; a task is a week."""
    with (root / "ett/ETTh1.csv").open(newline="") as source, out.open("w", newline="") as target:
        reader = csv.DictReader(source)
        loads = [name for name in reader.fieldnames or [] if name not in ("date", "OT")]
        writer = csv.writer(target)
        writer.writerow(["week", "hour", *loads, "OT"])
        for row in reader:
            day, clock = row["date"].split()
            year, week, _ = np.datetime64(day).astype("O").isocalendar()
            values = [row[name] for name in loads]
            writer.writerow([f"{year}-{week:02d}", int(clock[:2]), *values, row["OT"]])
    return {"task": "week", "target": "OT", "kind": "regression", "shots": (10, 30), "queries": 40}


TABLES = {"movielens-users": write_movielens, "ett-weeks": write_ett}


def mean_of_support(x: np.ndarray, y: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The mean of the support, whatever is asked."""
    return np.full(len(queries), y.mean())


def ridge(alpha: float) -> Predicts:
    """A linear model of the support alone."""
    return lambda x, y, queries: Ridge(alpha=alpha).fit(x, y).predict(queries)


def pooled(tasks: nw.tasks.Table) -> HistGradientBoostingRegressor:
    """One model over rows of all training tasks."""
    batches = [tasks.sample(stream(0, "pooled", i), 100, "train").query for i in range(20)]
    x = torch.cat([batch.x[batch.mask] for batch in batches]).numpy()
    y = torch.cat([batch.y[batch.mask] for batch in batches])[:, 0].numpy()
    return HistGradientBoostingRegressor(random_state=0).fit(x, y)


def shifted(model: HistGradientBoostingRegressor, doubt: float) -> Predicts:
    """The pooled model and the support's mean residual, shrunk as `doubt` further residuals of 0 would."""

    def predict(x: np.ndarray, y: np.ndarray, queries: np.ndarray) -> np.ndarray:
        residual = (y - model.predict(x)).sum() / (len(y) + doubt)
        return np.asarray(model.predict(queries) + residual)

    return predict


def batches_of(tasks: nw.tasks.Table, split: Split, count: int) -> Iterator[TaskBatch]:
    """The same tasks for all."""
    for i in range(count // 20):
        yield tasks.sample(stream(0, "evaluate", split, i), 20, split)


def score(tasks: nw.tasks.Table, predict: Predicts, split: Split, count: int) -> Estimate:
    """Mean squared error per task, in units of the training targets' variance."""
    errors = []
    for batch in batches_of(tasks, split, count):
        support, query = batch.condition.examples, batch.query
        assert support is not None
        for t in range(batch.tasks):
            x, y = (
                support.x[t][support.mask[t]].numpy(),
                support.y[t][support.mask[t]][:, 0].numpy(),
            )
            asked, truth = (
                query.x[t][query.mask[t]].numpy(),
                query.y[t][query.mask[t]][:, 0].numpy(),
            )
            errors.append(float(np.mean((predict(x, y, asked) - truth) ** 2)))
    return mean_estimate(torch.tensor(errors))


def best(tasks: nw.tasks.Table, make: Callable[[float], Predicts], among: list[float]) -> float:
    """The setting with the least error on validation tasks."""
    found = {value: score(tasks, make(value), "validation", 200).value for value in among}
    return min(found, key=lambda value: found[value])


def rows_of(name: str, root: Path, seed: int, *, has_rivals: bool) -> list[Row]:
    """Train, evaluate, compare; rivals know no seed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.csv"
        options = TABLES[name](root, path)
        tasks = nw.tasks.Table(path, **options)  # type: ignore[arg-type]
    with seeded_weights(seed):
        # With so few tasks all that is learned in common should be: scales and shifts are written.
        architecture = nw.architectures.mlp(inputs=tasks.shape.x[0], hidden=(40, 40), outputs=1)
        child = nw.Child(architecture, emissions=[("*", nw.Film())])
        reader = default_conditioner(tasks.shape, size=32, channels=64)
        hypernetwork = nw.Hypernetwork(child, reader, "dense")
    result = nw.train(
        hypernetwork, tasks, steps=STEPS, tasks=32, learning_rate=1e-3, weight_decay=0.1, average=0.99,
        validate_every=100, validation_tasks=400, seed=seed,
    )  # fmt: skip
    found = nw.evaluate(hypernetwork, tasks, tasks=TEST_TASKS)
    command = f"python benchmarks/own_table.py --data-root DATA --seeds {seed}"

    def row(how: str, value: Estimate, cpu_seconds: float, note: str) -> Row:
        return Row(
            f"table-{name}-{how}", value.value, value.low, value.high,
            "squared error over the target's variance", False, TEST_TASKS, [seed], round(cpu_seconds),
            command, note,
        )  # fmt: skip

    counts = {split: len(tasks.members(split)) for split in ("train", "validation", "test")}
    note = (
        f"tasks {counts}; {found.parameters} parameters, written in {found.generate_ms:.1f} ms from 10 to "
        f"30 rows; shuffled condition {found.shuffled['mse'].value:.3f}; best validation at step "
        f"{result.best_step}"
    )
    rows = [row(f"generated-seed{seed}", found.metrics["mse"], result.cpu_seconds, note)]
    if not has_rivals:
        return rows
    model = pooled(tasks)
    alpha = best(tasks, ridge, [0.1, 1.0, 10.0, 100.0])
    doubt = best(tasks, lambda value: shifted(model, value), [0.0, 1.0, 3.0, 10.0])
    for how, predict, note in (
        ("mean", mean_of_support, "mean of the support"),
        ("ridge", ridge(alpha), f"ridge on the support, alpha {alpha:g}"),
        (
            "pooled",
            lambda x, y, queries: model.predict(queries),
            "gradient boosting over all tasks",
        ),
        (
            "pooled-shifted",
            shifted(model, doubt),
            f"the same, shifted by the support, doubt {doubt:g}",
        ),
    ):
        rows.append(row(how, score(tasks, predict, "test", TEST_TASKS), 0, note))
    return rows


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=os.environ.get("NETWRIGHT_DATA"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    if arguments.data_root is None:
        parser.error(
            "give --data-root or NETWRIGHT_DATA: the folder with movielens_latest_small and ett"
        )
    torch.set_num_threads(1)
    keep_freed_memory()
    for seed in arguments.seeds:
        for name in TABLES:
            has_rivals = seed == arguments.seeds[0]
            write_rows("own_table", rows_of(name, arguments.data_root, seed, has_rivals=has_rivals))


if __name__ == "__main__":
    main()
