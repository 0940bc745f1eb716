"""What a new task costs: a network written in one pass, five steps of MAML, training from scratch to the same accuracy.

    python benchmarks/cost_per_task.py --run runs/compare-omniglot-1/runs/20w1s-8ch/DIGEST

The run is that of a hypernetwork on 20-way 1-shot Omniglot with a child of 8 channels. Times are CPU-milliseconds on one
thread, medians of alternating rounds. From scratch, one example per class is not enough for that accuracy at any number of
steps; so it is also given ten per class.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import netwright as nw
from netwright.learners.catalogue import make_learner
from netwright.learners.generate import Generate
from netwright.rng import stream
from netwright.training import load_writer

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

ROUNDS, TASKS = 15, 20
STEPS = (10, 20, 40, 80, 160, 320, 640)
RATES = (0.003, 0.01, 0.03)


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU-milliseconds of one call."""
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started)


def by_size() -> list[Row]:
    """Five steps of MAML over one pass, by size of the task and of the child; weights do not matter for time."""
    rows = []
    for ways, shots in ((20, 1), (20, 5)):
        tasks = nw.tasks.Omniglot(ways=ways, shots=shots, queries=5)
        task = tasks.sample(stream(0, "cost"), 1, "test").condition
        for channels in (8, 32, 64):
            child = nw.architectures.conv(channels=channels, classes=ways)
            own = make_learner("hypernetwork", tasks, child=child)
            maml = make_learner("maml", tasks, child=child, steps=5)
            times = [
                (cpu_ms(lambda: own.adapt(task)), cpu_ms(lambda: maml.adapt(task)))  # noqa: B023
                for _ in range(ROUNDS)
            ]
            ratios = [b / a for a, b in times]
            middle = np.median(times, axis=0)
            rows.append(
                Row(
                    f"cost-per-task-maml-5-ratio-{ways}w{shots}s-{channels}ch", float(np.median(ratios)),
                    float(np.quantile(ratios, 0.25)), float(np.quantile(ratios, 0.75)), "times", True,
                    ROUNDS, [0], 0.0, "python benchmarks/cost_per_task.py --run RUN",
                    f"one task alone, {middle[0]:.1f} and {middle[1]:.1f} CPU-ms; median and quartiles",
                )
            )  # fmt: skip
    return rows


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    one_shot = nw.tasks.Omniglot(ways=20, shots=1, queries=5)
    ten_shots = nw.tasks.Omniglot(ways=20, shots=10, queries=5)
    writer, _ = load_writer(args.run, weights="last")
    hypernetwork = Generate(writer)
    maml = make_learner("maml", one_shot, steps=5, rate=0.1)
    scratch = make_learner("scratch", one_shot, steps=20, rate=0.01)
    task = one_shot.sample(stream(0, "cost"), 1, "test").condition
    batch = one_shot.sample(stream(0, "cost"), 64, "test").condition
    more = ten_shots.sample(stream(0, "cost"), 1, "test").condition
    work = {
        "hypernetwork": lambda: hypernetwork.adapt(task),
        "hypernetwork-of-64": lambda: hypernetwork.adapt(batch),
        "maml-5": lambda: maml.adapt(task),
        "maml-5-of-64": lambda: maml.adapt(batch),
        "scratch-20-steps": lambda: scratch.adapt(task),
        "scratch-10-shots-20-steps": lambda: scratch.adapt(more),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, run in work.items():
            times[name].append(cpu_ms(run) / (64 if name.endswith("of-64") else 1))
    ms = {name: float(np.median(values)) for name, values in times.items()}
    accuracy = {"hypernetwork": _accuracy(one_shot, lambda b: hypernetwork.adapt(b.condition))}
    choices = [{"steps": s, "rate": r} for r in RATES for s in STEPS]
    for name, family in (("one-shot", one_shot), ("ten-shots", ten_shots)):
        reached = np.zeros(len(choices))
        for t in range(TASKS // 5):
            part = family.sample(stream(0, "cost-accuracy", t), 5, "test")
            for i, predict in enumerate(scratch.adapt_each(part.condition, choices)):
                hits = predict(part.query.x).argmax(dim=2) == part.query.y
                reached[i] += float(hits.float().mean()) / (TASKS // 5)
        accuracy[name] = dict(zip([(c["steps"], c["rate"]) for c in choices], reached, strict=True))
    goal = accuracy["hypernetwork"]
    best_one = max(accuracy["one-shot"].items(), key=lambda item: item[1])
    enough = [key for key, value in accuracy["ten-shots"].items() if value >= goal]
    best_ten = max(accuracy["ten-shots"].items(), key=lambda item: item[1])
    steps = min(enough)[0] if enough else best_ten[0][0]
    each = ms["scratch-10-shots-20-steps"] / 20
    command = "python benchmarks/cost_per_task.py --run RUN"

    def row(name: str, value: float, unit: str, note: str, *, higher: bool = False) -> Row:
        return Row(
            f"cost-per-task-{name}",
            value,
            None,
            None,
            unit,
            higher,
            ROUNDS,
            [0],
            0.0,
            command,
            note,
        )

    own = ms["hypernetwork"]
    write_rows(
        "cost_per_task",
        [
            *(row(f"ms-{name}", value, "CPU-ms", "to adapt to one task") for name, value in ms.items()),
            row("maml-5-ratio", ms["maml-5"] / own, "times", "five steps of MAML, one task alone", higher=True),
            row(
                "maml-5-of-64-ratio", ms["maml-5-of-64"] / ms["hypernetwork-of-64"], "times",
                "the same among 64 tasks", higher=True,
            ),
            row(
                "scratch-ratio", each * steps / own, "times",
                f"from scratch to the accuracy of the hypernetwork, {goal:.3f} at one example per class: with one "
                f"example at best {best_one[1]:.3f} (steps, rate {best_one[0]}); with ten "
                + (f"it takes {steps} steps" if enough else f"at best {best_ten[1]:.3f}, after {steps} steps"),
                higher=True,
            ),
            *by_size(),
        ],
    )  # fmt: skip


@torch.no_grad()
def _accuracy(
    family: nw.tasks.Omniglot, adapt: Callable[..., Callable[..., torch.Tensor]]
) -> float:
    batches = [family.sample(stream(0, "cost-accuracy", t), 5, "test") for t in range(60)]
    hits = [(adapt(b)(b.query.x).argmax(dim=2) == b.query.y).float().mean() for b in batches]
    return float(torch.stack(hits).mean())


if __name__ == "__main__":
    main()
