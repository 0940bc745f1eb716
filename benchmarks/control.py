"""Policies beyond the comparison: wider machines, probes, machines that change under way, throughput.

    netwright compare benchmarks/experiments/control-pendulum.yaml --folder runs/control-pendulum
    python benchmarks/control.py regions --compared runs/control-pendulum
    python benchmarks/control.py probe --compared runs/control-pendulum --folder runs/control-probe
    python benchmarks/control.py adaptive --compared runs/control-pendulum --folder runs/control-adaptive
    python benchmarks/control.py late --compared runs/control-pendulum
    python benchmarks/control.py swing-up --folder runs/control-swing-up
    python benchmarks/control.py grid --folder runs/control-grid
    python benchmarks/control.py throughput

Trainings go on where they were stopped; those that are done are not repeated.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import netwright as nw
from netwright.apps.control import Change, fly
from netwright.apps.control.flight import recovery
from netwright.environments import ENVIRONMENTS
from netwright.evaluation.evaluate import fixed_batches
from netwright.evaluation.statistics import interquartile_mean
from netwright.learners.catalogue import make_learner
from netwright.objectives import Imitation, PolicyGradient
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control
from netwright.training import Checkpoints, default_child, load_writer, make_hypernetwork
from netwright.writer import Writer

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

TASKS = 400
SETTINGS = {
    "tasks": 128, "learning_rate": 1e-3, "warm_up": 20, "weight_decay": 0.0, "average": 0.98,
    "validate_every": 240, "validation_tasks": 100, "checkpoint_every": 240, "progress": False,
}  # fmt: skip
COMMAND = "python benchmarks/control.py {}"
# Of acting, where policies are taught from a probe: 75 of them gave 97.4 %.
PROBE_ROUNDS = 120
# Before which step a machine that is held up changes, and after how many steps its new numbers are known.
_CHANGE, DELAYS = 60, (2, 4, 6, 8, 12)


def trained(
    folder: Path,
    family: Control,
    seed: int,
    steps: int,
    *,
    kind: str = "hypernetwork",
    objective: Mapping[str, Any] | None = None,
    hidden: tuple[int, ...] = (32, 32),
    **settings: Any,
) -> tuple[Writer, float]:
    """What writes policies, and CPU-seconds of its training; trained unless it is in the folder."""
    child = default_child(family.shape, hidden=hidden)
    if kind == "hypernetwork":
        writer: Writer = make_hypernetwork(family.shape, seed=seed, child=child)
    else:
        found = make_learner(kind, family, child=child, seed=seed).writer
        assert found is not None
        writer = found
    place = folder / f"{kind}-{seed}"
    result = nw.train(
        writer,
        family,
        folder=place,
        resume=place.exists() and bool(Checkpoints(place).steps()),
        objective=PolicyGradient(**(objective or {})),
        steps=steps,
        seed=seed,
        **{**SETTINGS, **settings},
    )
    return writer, result.cpu_seconds


def row(
    name: str, values: list[float], unit: str, command: str, note: str, *, cpu: float = 0.0
) -> Row:
    """Interquartile mean over seeds, with the smallest and the largest as its ends."""
    middle = (
        float(interquartile_mean(np.array([values]))[0])
        if len(values) > 3
        else float(np.mean(values))
    )
    each = ", ".join(f"{v:.4g}" for v in values)
    return Row(
        name, middle, min(values), max(values), unit, True, len(values),
        list(range(len(values))), cpu, COMMAND.format(command), f"{note}; seeds: {each}",
    )  # fmt: skip


def compared_runs(compared: Path) -> dict[str, dict[int, Writer]]:
    """Hypernetworks that write whole policies, and joint policies, of the comparison of pendulums, by seed."""
    runs: dict[str, dict[int, Writer]] = {"hypernetwork": {}, "joint": {}}
    for place in sorted((compared / "runs" / "pendulum").iterdir()):
        if not (place / "checkpoints").exists():
            continue
        writer, run = load_writer(place)
        # FiLM and concat are hypernetworks of which a part is shared.
        written_whole = run.hypernetwork.get("emissions") == {}
        kind = "joint" if run.hypernetwork.get("writer") == "start" else "hypernetwork"
        if written_whole:
            runs[kind][run.training.seed] = writer
    return runs


def regions(compared: Path) -> list[Row]:
    """Success and return of the hypernetworks and joint policies of a comparison on machines beyond the box."""
    runs = compared_runs(compared)
    seeds = sorted(set(runs["hypernetwork"]) & set(runs["joint"]))
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for region in ("box", "1.25x", "1.5x", "corners"):
        family = Control("pendulum", region=region)
        for kind, writers in runs.items():
            found.setdefault(region, {})[kind] = [
                {
                    n: e.value
                    for n, e in nw.evaluate(writers[s], family, tasks=TASKS).metrics.items()
                }
                for s in seeds
            ]
    rows = []
    gaps = {
        region: [
            own["return"] - joint["return"]
            for own, joint in zip(each["hypernetwork"], each["joint"], strict=True)
        ]
        for region, each in found.items()
    }
    for region, each in found.items():
        success = [own["success"] for own in each["hypernetwork"]]
        closed = [100 * a / b for a, b in zip(gaps[region], gaps["box"], strict=True)]
        mean = {k: np.mean([e["return"] for e in each[k]]) for k in each}
        note = f"{TASKS} machines x 4 episodes; mean return {mean['hypernetwork']:.0f}, joint {mean['joint']:.0f}"
        label = region.replace(".", "-")
        rows.append(row(f"pendulum-region-{label}-success", success, "share", "regions", note))
        rows.append(
            row(
                f"pendulum-region-{label}-gap", closed, "% of the gap in the box", "regions",
                "return of the hypernetwork above the joint policy's",
            )
        )  # fmt: skip
    return rows


def taught(
    folder: Path, compared: Path, seed: int, rounds: int, **objective: Any
) -> tuple[Writer, Control, float]:
    """A hypernetwork that reads probes, taught by the one of a seed that reads numbers."""
    family = Control("pendulum", sources=("examples",))
    teacher = compared_runs(compared)["hypernetwork"][seed]
    writer = make_hypernetwork(family.shape, seed=seed)
    place = folder / f"taught-{seed}"
    result = nw.train(
        writer,
        family,
        folder=place,
        resume=place.exists() and bool(Checkpoints(place).steps()),
        objective=Imitation(teacher, updates=24, parts=8, **objective),
        steps=24 * rounds,
        seed=seed,
        **{**SETTINGS, "learning_rate": 2e-3, "warm_up": 100},
    )
    return writer, family, result.cpu_seconds


def taught_once(folder: Path, compared: Path, seed: int) -> tuple[Writer, Control, float]:
    """The same for what is seen of late, on machines that other machines' policies act on as well."""
    return taught(folder, compared, seed, 120, own=0.5, misled=0.4)


def taught_changes(folder: Path, compared: Path, seed: int) -> tuple[Writer, Control, float]:
    """The same, which then learns from machines that change."""
    writer, family, spent = taught_once(folder, compared, seed)
    teacher = compared_runs(compared)["hypernetwork"][seed]
    place = folder / f"changing-{seed}"
    result = nw.train(
        writer,
        family,
        folder=place,
        resume=place.exists() and bool(Checkpoints(place).steps()),
        objective=Imitation(teacher, updates=24, parts=8, own=0.25, misled=0.1, led=0.15, changing=0.5),
        steps=24 * 30,
        seed=seed + 1_000,
        **{**SETTINGS, "learning_rate": 5e-4, "warm_up": 50},
    )  # fmt: skip
    return writer, family, spent + result.cpu_seconds


def probe(folder: Path, compared: Path, seeds: int) -> list[Row]:
    """Policies written from 32 steps under random actions."""
    values, cpu = [], 0.0
    for seed in range(seeds):
        writer, family, spent = taught(folder, compared, seed, PROBE_ROUNDS)
        cpu += spent
        found = nw.evaluate(writer, family, tasks=TASKS)
        values.append(found.metrics["success"].value)
        print(f"probe seed {seed}: {values[-1]:.4f}, shuffled {found.shuffled['success'].value:.3f}", flush=True)  # fmt: skip
    note = f"{TASKS} unseen machines x 4 episodes; taught in 3.1 M steps by the policies from numbers, which took 2.6 M"
    return [row("pendulum-probe-success", values, "share", "probe", note, cpu=cpu)]


def adaptive(folder: Path, compared: Path, seeds: int) -> list[Row]:
    """A pendulum that is held up and changes; its policy is rewritten from its numbers, or from what was seen of late."""
    rows = []
    numbers = Control("pendulum")
    for label in ("numbers", "of-late-once", "of-late"):
        shares: dict[str, list[float]] = {"payload": [], "reversed": []}
        stays: dict[str, list[float]] = {"payload": [], "reversed": []}
        cpu = 0.0
        for seed in range(seeds):
            if label == "numbers":
                writer, family = compared_runs(compared)["hypernetwork"][seed], numbers
            else:
                taughts = {"of-late": taught_changes, "of-late-once": taught_once}
                writer, family, spent = taughts[label](folder, compared, seed)
                cpu += spent
            for what, own in shares.items():
                own.append(_recovered(writer, family, what, rewrite_every=1))
                stays[what].append(_recovered(writer, family, what, rewrite_every=0))
            print(label, seed, {w: v[-1] for w, v in shares.items()}, flush=True)
        for what, own in shares.items():
            note = (
                f"share of {TASKS} machines that do the task again within 40 steps (2 s) of the change, and go on; never "
                f"rewritten: {np.mean(stays[what]):.3f}"
            )
            rows.append(row(f"pendulum-adaptive-{label}-{what}", own, "share", "adaptive", note, cpu=cpu))  # fmt: skip
    return rows


def late(compared: Path, seeds: int) -> list[Row]:
    """What could be won back by who knows everything about a reversed motor, so many steps after it was reversed."""
    numbers, rows = Control("pendulum"), []
    for delay in DELAYS:
        own = [
            _recovered(writer, numbers, "reversed", rewrite_every=_CHANGE + delay)
            for seed, writer in sorted(compared_runs(compared)["hypernetwork"].items())
            if seed < seeds
        ]
        note = (
            f"share of {TASKS} machines that do the task again within 40 steps of the change, their policy written from their true "
            f"numbers {delay} steps after it"
        )
        rows.append(row(f"pendulum-adaptive-known-after-{delay}", own, "share", "late", note))
        print(delay, own, flush=True)
    return rows


def _recovered(
    writer: Writer, family: Control, what: str, *, rewrite_every: int, split: Any = "test"
) -> float:
    rng = stream(0, "adaptive", what)
    before = family.machines(rng, TASKS, split)
    after = before.clone()
    if what == "payload":
        after[:, 0] = torch.from_numpy(rng.uniform(0.7, 1.4, TASKS).astype(np.float32))
    if what == "reversed":
        after[:, 2] = -after[:, 2]
    # Already up: what is asked is what happens when the machine changes.
    start = torch.from_numpy(rng.uniform(-0.05, 0.05, (TASKS, 1, 2)).astype(np.float32))
    # Numbers are known at once; what was seen of late says something once the machine moves.
    needed = "examples" in family.sources
    flights = fly(writer, family, before, start=start, change=Change(_CHANGE, after), rewrite_every=rewrite_every, steps=160, only_when_needed=needed)  # fmt: skip
    return float(np.mean([recovery(flight, _CHANGE, 40) is not None for flight in flights]))


def swing_up(folder: Path, seeds: int) -> list[Row]:
    """The cart-pole that swings its pole up takes longer to learn than the others."""
    family = Control("cart-pole-swing-up")
    rows = []
    for kind in ("hypernetwork", "joint"):
        values, cpu = [], 0.0
        for seed in range(seeds):
            writer, spent = trained(folder, family, seed, 7_200, kind=kind, objective={"discount": 0.99, "trace": 0.97, "spread": (0.7, 0.15)})  # fmt: skip
            cpu += spent
            values.append(nw.evaluate(writer, family, tasks=TASKS).metrics["success"].value)
            print(f"swing-up {kind} seed {seed}: {values[-1]:.4f}", flush=True)
        note = f"{TASKS} unseen machines x 4 episodes, 11.5 M steps in training"
        rows.append(row(f"cart-pole-swing-up-{kind}", values, "share", "swing-up", note, cpu=cpu))
    return rows


def grid(folder: Path, seeds: int) -> list[Row]:
    """Grid worlds whose rule is a sentence."""
    family = Control("grid-world", sources=("description",), training_episodes=8)
    shares, shuffled, chance, cpu = [], [], [], 0.0
    for seed in range(seeds):
        writer, spent = trained(
            folder, family, seed, 12_000, objective={"discount": 0.95}, hidden=(64, 64), learning_rate=2e-3,
        )  # fmt: skip
        cpu += spent
        found = nw.evaluate(writer, family, tasks=TASKS)
        best = _best_return(family)
        shares.append(100 * found.metrics["return"].value / best)
        shuffled.append(100 * found.shuffled["return"].value / best)
        chance.append(100 * _random_return(family) / best)
        print(f"grid seed {seed}: {shares[-1]:.1f} % of {best:.3f}, shuffled {shuffled[-1]:.1f}, keys at random {chance[-1]:.1f}", flush=True)  # fmt: skip
    note = f"% of the best return (search), {TASKS} unseen rules x 4 grids; sentences of other tasks {np.mean(shuffled):.1f}, keys at random {np.mean(chance):.1f}"
    return [row("grid-descriptions", shares, "% of the best return", "grid", note, cpu=cpu)]


def _best_return(family: Control) -> float:
    """Mean best return of the tasks that `evaluate` scores."""
    environment = family.environment
    found = [
        environment.best(state, batch.machine[t])  # type: ignore[attr-defined]
        for batch in fixed_batches(family, "test", TASKS, 0)
        for t in range(batch.tasks)
        for state in batch.query.x[t]
    ]
    return float(np.mean(found))


def _random_return(family: Control) -> float:
    generator = torch.Generator().manual_seed(0)
    found = [
        roll_out(lambda x: torch.randn(*x.shape[:2], 4, generator=generator), batch).rewards.sum(
            dim=2
        )  # type: ignore[arg-type]
        for batch in fixed_batches(family, "test", TASKS, 0)
    ]
    return float(torch.cat(found).mean())


def throughput(names: Sequence[str]) -> list[Row]:
    """Steps of environments per second and core, policies of their own included."""
    rows = []
    for name in names:
        family = Control(name, training_episodes=4)
        writer = make_hypernetwork(family.shape, seed=0)
        batch = family.sample(stream(0, "throughput"), 256, "train")
        with torch.no_grad():
            params = writer(batch.condition)
        rates = []
        for _ in range(5):
            started = time.process_time()
            roll_out(lambda x: writer.child(params, x), batch)  # noqa: B023
            rates.append(256 * 4 * family.environment.steps / (time.process_time() - started))
        rows.append(
            Row(
                f"env-steps-per-second-{name}", float(np.median(rates)), min(rates), max(rates), "steps/s",
                True, 5, [0], 0.0, COMMAND.format("throughput"),
                "256 machines x 4 episodes at once, each machine's own policy of 1,200 to 1,700 numbers included; one thread",
            )
        )  # fmt: skip
    return rows


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", choices=["regions", "probe", "adaptive", "late", "swing-up", "grid", "throughput"]
    )
    parser.add_argument("--compared", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--environments", nargs="*", help="of `throughput`; by default all")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "regions":
        rows = regions(args.compared)
    elif args.what == "late":
        rows = late(args.compared, args.seeds)
    elif args.what == "throughput":
        rows = throughput(args.environments or [*ENVIRONMENTS])
    else:
        taught_ones = {"probe": probe, "adaptive": adaptive}
        others = {"swing-up": swing_up, "grid": grid}
        if args.what in taught_ones:
            rows = taught_ones[args.what](args.folder, args.compared, args.seeds)
        else:
            rows = others[args.what](args.folder, args.seeds)
    write_rows("control", rows)


if __name__ == "__main__":
    main()
