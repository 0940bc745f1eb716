"""Networks of any architecture from one hypernetwork: how good they are, and how well they rank.

    python benchmarks/architectures.py digits --folder runs/arch-digits
    python benchmarks/architectures.py pareto --folder runs/arch-digits
    python benchmarks/architectures.py ranking --folder runs/arch-digits
    python benchmarks/architectures.py start --folder runs/arch-digits
    python benchmarks/architectures.py written --folder runs/arch-digits
    python benchmarks/architectures.py widths --folder runs/arch-widths

`digits` trains the hypernetworks that the others use. What is there already, trained networks as well, is not
made again.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from netwright.architectures import (
    Limits,
    SearchSpace,
    mlp_space,
)
from netwright.conditions import Architectures, Condition
from netwright.rng import stream
from netwright.tasks import Sized

sys.path.insert(0, str(Path(__file__).parent))
from measured_architectures import (
    UNSEEN,
    family,
    interval,
    quality,
    row,
    score,
    scores_of,
    trained,
    trained_scores,
    unseen,
    written,
)
from records import Row, write_rows

# Chosen on validation rows and architectures: without noise, 1,079 training rows are learned by heart (0.935 against 0.963).
NOISE, STEPS, SETTINGS = 0.3, 2_500, {"weight_decay": 0.03}
BUDGETS = (2, 4, 8, 16, 32)
COMMAND = "python benchmarks/architectures.py {} --folder runs/arch-digits"
SPACE = mlp_space(64, outputs=10, depth=(1, 4), width=(4, 64), activations=("relu", "tanh", "gelu"))


def of_digits(space: SearchSpace = SPACE) -> Sized:
    """Scikit-learn's digits, and networks of the space for them."""
    return family("digits", space, noise=NOISE)


def digits(folder: Path, seeds: int) -> list[Row]:
    """MLPs of unseen depth, width and activation for scikit-learn's digits."""
    own = of_digits()
    rows, _ = quality(
        "arch-digits", folder, own, seeds, STEPS, 600, UNSEEN, COMMAND.format("digits"), **SETTINGS
    )
    return rows


def pareto(folder: Path, seeds: int) -> list[Row]:
    """The best of 200 written networks under each budget by validation rows, and the same one trained."""
    own = of_digits()
    data: Any = own.family
    rows = []
    for budget in BUDGETS:
        most = Limits(bytes=1024 * budget)
        wanted = unseen(own, most=most)
        found, scratch = [], []
        for seed in range(seeds):
            hypernetwork, _ = written(folder, seed, own, STEPS, **SETTINGS)
            best = wanted[int(scores_of(hypernetwork, wanted, data, "validation").argmax())]
            found.append(float(scores_of(hypernetwork, [best], data, "test")[0]))
            scratch.append(float(trained_scores(folder, [best], data, 600, 3).mean()))
            print(
                f"{budget} kB seed {seed}: {found[-1]:.4f}, trained {scratch[-1]:.4f} {best}",
                flush=True,
            )
        note = f"at most {budget} kB, best of {UNSEEN} by validation rows; the same networks trained from scratch {np.mean(scratch):.4f}"
        rows.append(
            row(
                f"arch-pareto-{budget}kb",
                found,
                (min(found), max(found)),
                "share",
                COMMAND.format("pareto"),
                note,
                n=359,
            )
        )
    return rows


def ranking(folder: Path, seeds: int) -> list[Row]:
    """Points of accuracy that are lost by choosing among 50 architectures under a budget of 8 kB."""
    own = of_digits()
    data: Any = own.family
    wanted = unseen(own, most=Limits(bytes=8 * 1024))
    reference = trained_scores(folder, wanted, data, 600, 3).mean(axis=1)
    size = np.array([architecture.parameters for architecture in wanted], float)
    rules: dict[str, list[np.ndarray]] = {
        "written": [],
        "30-steps": [],
        "equal-cost": [],
        "parameters": [size] * seeds,
    }
    seconds = {"written": 0.0, "30-steps": 0.0}
    for seed in range(seeds):
        hypernetwork, _ = written(folder, seed, own, STEPS, **SETTINGS)
        scores_of(hypernetwork, wanted, data, "validation")  # graphs are made once
        started = time.process_time()
        rules["written"].append(scores_of(hypernetwork, wanted, data, "validation"))
        seconds["written"] += time.process_time() - started
        for name, steps in (("30-steps", 30), ("equal-cost", 3)):
            torch.manual_seed(100 + seed)
            started = time.process_time()
            rules[name].append(np.array([score(trained(a.build(), data, steps, 100 + seed), data, "validation") for a in wanted]))  # fmt: skip
            if name in seconds:
                seconds[name] += time.process_time() - started
    cost = {name: 1000 * spent / seeds / len(wanted) for name, spent in seconds.items()}
    rng = np.random.default_rng(0)
    draws = [rng.choice(len(wanted), 50, replace=False) for _ in range(2_000)]
    rows = []
    for name, ranks in {**rules, "random": [rng.random(len(wanted)) for _ in range(seeds)]}.items():
        each = [
            np.array([100 * (reference[i].max() - reference[i][r[i].argmax()]) for i in draws])
            for r in ranks
        ]
        means = [float(e.mean()) for e in each]
        note = f"50 of {len(wanted)} unseen architectures of at most 8 kB, chosen by {name} on validation rows; CPU-ms per architecture: {', '.join(f'{n} {c:.1f}' for n, c in cost.items())}"
        rows.append(
            row(
                f"arch-ranking-{name}",
                means,
                (min(means), max(means)),
                "points of regret",
                COMMAND.format("ranking"),
                note,
                n=2_000,
                higher=False,
            )
        )
        print(name, means, flush=True)
    return rows


def start(folder: Path, seeds: int) -> list[Row]:
    """Steps of training to 95 % of the final accuracy, from written weights and from random ones; and what is lost in diversity."""
    own = of_digits()
    data: Any = own.family
    wanted = unseen(own)[:40]
    final = trained_scores(folder, wanted, data, 600, 3).mean(axis=1)
    steps: dict[str, list[float]] = {"written": [], "random": []}
    ends: dict[str, list[float]] = {"written": [], "random": []}
    ensembles: dict[str, list[float]] = {"written": [], "random": []}
    made: dict[str, dict[int, list[Tensor]]] = {"written": {}, "random": {}}
    test = data.x[data.rows["test"]]
    for seed in range(seeds):
        hypernetwork, _ = written(folder, seed, own, STEPS, **SETTINGS)
        taken: dict[str, list[int]] = {"written": [], "random": []}
        for i, architecture in enumerate(wanted):
            for kind in taken:
                torch.manual_seed(seed)
                network: nn.Module = architecture.build()
                if kind == "written":
                    condition = Condition(architecture=Architectures([architecture]))
                    network = hypernetwork.generate(condition).network
                reached: list[int] = []

                def watch(step: int) -> None:
                    if not reached and score(network, data, "test") >= 0.95 * final[i]:  # noqa: B023
                        reached.append(step)  # noqa: B023

                trained(network, data, 300, seed, 2e-3, watch)
                taken[kind].append(reached[0] if reached else 300)
                with torch.no_grad():
                    made[kind].setdefault(i, []).append(network(test).softmax(dim=-1))
        for kind, own_steps in taken.items():
            steps[kind].append(float(np.mean(own_steps)))
        print(seed, {k: v[-1] for k, v in steps.items()}, flush=True)
    y = data.y[data.rows["test"]]
    for kind, each in made.items():
        ends[kind] = [
            float(np.mean([(p.argmax(-1) == y).float().mean() for p in ps])) for ps in each.values()
        ]
        ensembles[kind] = [
            float((torch.stack(ps).mean(0).argmax(-1) == y).float().mean()) for ps in each.values()
        ]
    rows = []
    for kind, values in steps.items():
        gain = 100 * (np.mean(ensembles[kind]) - np.mean(ends[kind]))
        note = f"steps of Adam until 95 % of the accuracy after full training, 40 unseen architectures; after 300 steps {np.mean(ends[kind]):.4f}, an ensemble of {seeds} of them {np.mean(ensembles[kind]):.4f} (+{gain:.2f} points)"
        rows.append(
            row(
                f"arch-init-steps-{kind}",
                values,
                (min(values), max(values)),
                "steps",
                COMMAND.format("start"),
                note,
                n=40,
                higher=False,
            )
        )
    return rows


def widths(folder: Path, seeds: int) -> list[Row]:
    """Two layers of unseen widths: `slots`, a token for each unit, beside `graph`, a token for each operation."""
    space = mlp_space(64, outputs=10, depth=(2, 2), width=(4, 64), activations=("relu",))
    own = of_digits(space)
    wanted = unseen(own)
    narrow = np.array([min(architecture.hidden) < 8 for architecture in wanted])
    generators: dict[str, dict[str, Any]] = {"slots": {"generator": "slots", "start": "written"}, "graph": {}}  # fmt: skip
    rows = []
    for name, options in generators.items():
        scores, cpu = [], 0.0
        for seed in range(seeds):
            hypernetwork, spent = written(folder / name, seed, own, 500, generator=options, **SETTINGS)  # fmt: skip
            cpu += spent
            scores.append(scores_of(hypernetwork, wanted, own.family, "test"))  # type: ignore[arg-type]
            print(f"{name} seed {seed}: {scores[-1].mean():.4f}, {spent:.0f} CPU-s", flush=True)
        mean = np.mean(scores, axis=0)
        note = (
            f"{UNSEEN} unseen networks of two layers, 4 to 64 wide, 500 steps; a layer narrower than 8 {mean[narrow].mean():.4f}, "
            f"none {mean[~narrow].mean():.4f}"
        )
        rows.append(
            row(f"arch-widths-{name}", [float(s.mean()) for s in scores], interval(mean), "share", "python benchmarks/architectures.py widths --folder runs/arch-widths", note, cpu=cpu)
        )  # fmt: skip
    return rows


def written_thousand(folder: Path) -> list[Row]:
    """CPU-seconds to write and rank a thousand architectures that were never seen."""
    own = of_digits()
    data: Any = own.family
    hypernetwork, _ = written(folder, 0, own, STEPS, **SETTINGS)
    rng = stream(0, "thousand")
    wanted = [own.space.sample(rng) for _ in range(1_000)]
    started = time.process_time()
    scores_of(hypernetwork, wanted, data, "validation")
    spent = time.process_time() - started
    note = "1,000 MLPs for digits, from their descriptions: modules, graphs, weights, accuracy on 359 validation rows; one thread"
    return [
        row(
            "arch-cost-written",
            [spent],
            (spent, spent),
            "CPU-s",
            COMMAND.format("written"),
            note,
            n=1_000,
            cpu=spent,
            higher=False,
        )
    ]


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", choices=["digits", "pareto", "ranking", "start", "written", "widths"]
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.what == "written":
        rows = written_thousand(args.folder)
    else:
        every = {
            "digits": digits,
            "pareto": pareto,
            "ranking": ranking,
            "start": start,
            "widths": widths,
        }
        rows = every[args.what](args.folder, args.seeds)
    write_rows("architectures", rows)


if __name__ == "__main__":
    main()
