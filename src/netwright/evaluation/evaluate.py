"""How good generated networks are on tasks that the hypernetwork has never seen."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.conditions import Condition
from netwright.evaluation.statistics import Estimate, calibration_error, mean_estimate
from netwright.objectives import OBJECTIVES, Objective, Predict
from netwright.objectives.memory import answering
from netwright.rng import derive_seed, stream
from netwright.tasks.base import Split, TaskBatch, TaskFamily
from netwright.tasks.sizes import by_architecture
from netwright.writer import Writer

TASKS_AT_ONCE = 20
TASKS_AT_ONCE_FOR_TIMING = 64


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Args:
        split: Which tasks.
        tasks: How many.
        fingerprint: Of the split's tasks: equal fingerprints, comparable numbers.
        metrics: By name, with 95 % intervals over tasks.
        shuffled: The same when each network is written from another task's condition; what is left
            of a metric does not come from the condition.
        calibration_error: Of class probabilities; None for values.
        parameters: Numbers per generated network.
        generate_ms: CPU-milliseconds to write one network alone.
        generate_ms_of_64: CPU-milliseconds per network when 64 are written at once.
        trial_steps: Steps that were acted in each task to find out, at most, before it was scored.
    """

    split: Split
    tasks: int
    fingerprint: str
    metrics: dict[str, Estimate]
    shuffled: dict[str, Estimate]
    calibration_error: float | None
    parameters: int
    generate_ms: float
    generate_ms_of_64: float
    trial_steps: int = 0

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def evaluate(
    hypernetwork: Writer,
    family: TaskFamily,
    *,
    split: Split = "test",
    tasks: int = 600,
    seed: int = 0,
    objective: Objective | None = None,
) -> Evaluation:
    """Write networks for fixed unseen tasks and score them.

    Args:
        hypernetwork: What is evaluated; left as it was.
        family: Where tasks come from.
        split: `test` for reports, `validation` for choices.
        tasks: How many; the same ones for the same seed, whatever the hypernetwork.
        seed: Which tasks.
        objective: What scores; by default what suits the family's labels.

    Raises:
        DataError: If the split cannot serve a task.
        ConditionError: If the hypernetwork reads what the family does not have.
    """
    objective = objective or OBJECTIVES[family.shape.kind]()
    has_classes = family.shape.kind.endswith("classes")
    device = next(hypernetwork.parameters()).device
    was_training = hypernetwork.training
    hypernetwork.eval()
    own: dict[str, list[Tensor]] = {}
    shuffled: dict[str, list[Tensor]] = {}
    outputs: list[tuple[Tensor, Tensor, Tensor]] = []
    parameters = 0
    try:
        with torch.no_grad():
            for i, drawn in enumerate(fixed_batches(family, split, tasks, seed)):
                batch = hypernetwork.tries(drawn.to(device), seed=derive_seed(seed, "try", i))
                for writer, part, _ in by_architecture(hypernetwork, batch):
                    params = writer(part.condition)
                    said: list[Tensor] = []
                    child = answering(writer.child, params)
                    if has_classes:
                        child = noting(child, said)
                    _collect(own, objective.judge(child, part).metrics)
                    if has_classes:
                        outputs.append((said[-1], part.query.y, part.query.has_label))
                    parameters = sum(value[0].numel() for value in params.values())
                    if part.tasks > 1:
                        # Rolled by one: no network meets the queries of its own task.
                        rolled = {name: value.roll(1, dims=0) for name, value in params.items()}
                        _collect(shuffled, objective(writer.child, rolled, part).metrics)
        timing = family.sample(stream(seed, "timing"), TASKS_AT_ONCE_FOR_TIMING, split).to(device)
        timing = hypernetwork.tries(timing)
        alone = generation_ms(hypernetwork, timing.condition.rows(slice(0, 1)))
        together = generation_ms(hypernetwork, timing.condition) / TASKS_AT_ONCE_FOR_TIMING
    finally:
        hypernetwork.train(was_training)
    return Evaluation(
        split=split,
        tasks=tasks,
        fingerprint=family.fingerprint(split),
        metrics={name: mean_estimate(torch.cat(values)) for name, values in own.items()},
        shuffled={name: mean_estimate(torch.cat(values)) for name, values in shuffled.items()},
        calibration_error=_calibration(outputs) if has_classes else None,
        parameters=parameters + _common_parameters(hypernetwork),
        generate_ms=alone,
        generate_ms_of_64=together,
        trial_steps=timing.trial_steps,
    )


def noting(predict: Predict, said: list[Tensor]) -> Predict:
    """The same predictor; what it says is kept as well."""

    def noted(x: Tensor) -> Tensor:
        said.append(predict(x))
        return said[-1]

    return noted


def fixed_batches(family: TaskFamily, split: Split, tasks: int, seed: int) -> Iterator[TaskBatch]:
    """The same tasks for the same arguments, in batches."""
    sizes = [min(TASKS_AT_ONCE, tasks - first) for first in range(0, tasks, TASKS_AT_ONCE)]
    for i, size in enumerate(sizes):
        yield family.sample(stream(seed, "evaluate", split, i), size, split)


@torch.no_grad()
def generation_ms(hypernetwork: Writer, condition: Condition, rounds: int = 9) -> float:
    """CPU-milliseconds of one forward pass that writes all tasks' parameters; median of rounds."""
    return median_ms(lambda: hypernetwork(condition), rounds)


def median_ms(work: Callable[[], object], rounds: int = 9) -> float:
    """CPU-milliseconds of `work`, after a warm-up; median of rounds."""
    work()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1000 * median(times)


def _collect(into: dict[str, list[Tensor]], metrics: dict[str, Tensor]) -> None:
    for name, value in metrics.items():
        into.setdefault(name, []).append(value.cpu())


def _calibration(outputs: list[tuple[Tensor, Tensor, Tensor]]) -> float:
    most = max(logits.shape[-1] for logits, _, _ in outputs)
    # Tasks of fewer classes: the probability of those that they lack is 0.
    wide = [
        F.pad(logits, (0, most - logits.shape[-1]), value=-torch.inf) for logits, _, _ in outputs
    ]
    flat = torch.cat([logits.flatten(0, 1) for logits in wide])
    y, mask = (torch.cat([part[i].flatten() for part in outputs]) for i in (1, 2))
    return calibration_error(flat[None], y[None], mask[None])


def _common_parameters(hypernetwork: Writer) -> int:
    own = set(hypernetwork.child.space.names)
    named = hypernetwork.child.template.named_parameters()
    return sum(parameter.numel() for name, parameter in named if name not in own)
