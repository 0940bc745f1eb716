"""Other ways than proximal policy optimisation to train what writes policies: success for environment steps and CPU-seconds.

    python benchmarks/control_objectives.py analytic --folder runs/objectives
    python benchmarks/control_objectives.py evolution --folder runs/objectives
    python benchmarks/control_objectives.py sentence --folder runs/objectives --compared runs/control-pendulum

Trainings go on where they were stopped; those that are done are not repeated.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import netwright as nw
from netwright.evaluation.evaluate import fixed_batches
from netwright.objectives import (
    AnalyticGradient,
    EvolutionStrategies,
    Imitation,
    Objective,
    PolicyGradient,
)
from netwright.rng import stream
from netwright.tasks import Control, TaskBatch
from netwright.training import Checkpoints, load_writer, make_hypernetwork
from netwright.writer import Writer

sys.path.insert(0, str(Path(__file__).parent))
from control import SETTINGS as CONTROL_SETTINGS
from control import TASKS, compared_runs
from records import Row, write_rows

# As many steps in environments as the policies of `control-pendulum.yaml` took, as far as updates are whole.
BUDGET = 2_560_000
SETTINGS: dict[str, Any] = {**CONTROL_SETTINGS, "learning_rate": 2e-3}
GOAL = 0.95
COMMAND = "python benchmarks/control_objectives.py {}"


def steps_in_environments(objective: Objective, family: Control, tasks: int) -> float:
    """Per step of training, on average."""
    episode = tasks * family.training_episodes * family.environment.steps
    if isinstance(objective, EvolutionStrategies):
        return 2 * objective.pairs * episode
    if isinstance(objective, AnalyticGradient):
        return episode / objective.updates + tasks * objective.starts * objective.window
    assert isinstance(objective, PolicyGradient | Imitation)
    return episode / objective.updates


def trained(
    folder: Path, family: Control, objective: Objective, seed: int, **settings: Any
) -> tuple[Writer, dict[str, float]]:
    """What writes policies after `BUDGET` steps; CPU-seconds, and after how many steps validation first reached the goal."""
    own = {**SETTINGS, **settings}
    each = steps_in_environments(objective, family, own["tasks"])
    steps = int(own.pop("budget", BUDGET) / each)
    writer = make_hypernetwork(family.shape, seed=seed)
    result = nw.train(
        writer,
        family,
        folder=folder,
        resume=folder.exists() and bool(Checkpoints(folder).steps()),
        objective=objective,
        steps=steps,
        seed=seed,
        **{**own, "validate_every": max(1, steps // 16)},
    )
    reached = [
        line["step"] * each
        for line in result.log
        if "validation_success" in line and line["validation_success"] >= GOAL
    ]
    return writer, {
        "cpu": result.cpu_seconds,
        "reached": reached[0] if reached else float("inf"),
        "steps": steps * each,
    }


def rows_of(
    name: str, folder: Path, family: Control, objectives: list[Objective], command: str, **settings: Any
) -> list[Row]:  # fmt: skip
    """Success on unseen machines, one seed per objective."""
    found, spent = [], []
    for seed, objective in enumerate(objectives):
        writer, costs = trained(folder / f"{name}-{seed}", family, objective, seed, **settings)
        measured = nw.evaluate(writer, family, tasks=TASKS)
        found.append(
            {
                **costs,
                "success": measured.metrics["success"].value,
                "return": measured.metrics["return"].value,
                "shuffled": measured.shuffled["success"].value,
            }
        )
        spent.append(costs["cpu"])
        print(name, seed, {n: round(v, 4) for n, v in found[-1].items()}, flush=True)
    values = [each["success"] for each in found]
    reached = ", ".join(
        f"{each['reached'] / 1e6:.2f} M" if np.isfinite(each["reached"]) else "never"
        for each in found
    )
    note = (
        f"{TASKS} unseen machines x 4 episodes after {found[0]['steps'] / 1e6:.2f} M steps in all and {np.mean(spent):.0f} CPU-s each; return "
        f"{np.mean([e['return'] for e in found]):.1f}; conditions of other machines {np.mean([e['shuffled'] for e in found]):.3f}; "
        f"validation first at {GOAL:.0%} after {reached}; seeds: {', '.join(f'{v:.4g}' for v in values)}"
    )
    return [
        Row(
            name, float(np.mean(values)), min(values), max(values), "share", True, len(values),
            list(range(len(values))), sum(spent), COMMAND.format(command), note,
        )
    ]  # fmt: skip


def analytic(folder: Path, seeds: int) -> list[Row]:
    """Pendulums and quadrotors, by gradients through their physics; without a critic beside, and by proximal policy optimisation at the same hour."""
    command = f"analytic --folder FOLDER --seeds {seeds}"
    pendulum, quadrotor = Control("pendulum"), Control("quadrotor")
    plain = {"learning_rate": 1e-3}
    return [
        *rows_of("control-analytic-pendulum", folder, pendulum, [AnalyticGradient() for _ in range(seeds)], command),
        *rows_of("control-analytic-quadrotor", folder, quadrotor, [AnalyticGradient() for _ in range(seeds)], command),
        *rows_of("control-analytic-pendulum-no-critic", folder, pendulum, [AnalyticGradient(critic=0)], command),
        *rows_of("control-analytic-pendulum-ppo", folder, pendulum, [PolicyGradient()], command, **plain),
    ]  # fmt: skip


def evolution(folder: Path) -> list[Row]:
    """Pendulums, by evolution strategies: thirty-two times the steps in environments, and no gradient of policies."""
    return rows_of(
        "control-evolution-pendulum", folder, Control("pendulum"), [EvolutionStrategies()],
        "evolution --folder FOLDER", budget=32 * BUDGET, learning_rate=1e-2,
    )  # fmt: skip


def sentence(folder: Path, compared: Path) -> list[Row]:
    """Pendulums that a sentence tells of, such as "a machine with high mass and gain reversed", taught by policies from numbers."""
    family = Control("pendulum", sources=("description",))
    objective = Imitation(compared_runs(compared)["hypernetwork"][0], updates=24, parts=8)
    command = "sentence --folder FOLDER --compared runs/control-pendulum"
    (row,) = rows_of(
        "pendulum-sentence", folder, family, [objective], command, budget=1_920_000, warm_up=100
    )
    writer, run = load_writer(folder / "pendulum-sentence-0")
    known = {
        text
        for step in range(0, run.training.steps, objective.updates)
        for text in sentences(family.sample(stream(0, "train", step), run.training.tasks, "train"))
    }
    new, success = [], []
    for batch in fixed_batches(family, "test", TASKS, 0):
        with torch.no_grad():
            params = writer(batch.condition)
        success += objective(writer.child, params, batch).metrics["success"].tolist()
        new += [text not in known for text in sentences(batch)]
    note = f"{row.note}; {sum(new)} of the {TASKS} sentences were none of training, with these {np.array(success)[new].mean():.4f}"
    return [replace(row, note=note)]


def sentences(batch: TaskBatch) -> tuple[str, ...]:
    """What is said of machines."""
    assert batch.condition.description is not None
    return batch.condition.description.values


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["analytic", "evolution", "sentence"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--compared", type=Path, help="of `sentence`")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "sentence":
        rows = sentence(args.folder, args.compared)
    else:
        rows = evolution(args.folder) if args.what == "evolution" else analytic(args.folder, args.seeds)  # fmt: skip
    write_rows("control", rows)


if __name__ == "__main__":
    main()
