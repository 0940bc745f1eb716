"""Several networks from one condition: noise, or a distribution of weights, is drawn for each."""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netwright.conditioners import Examples, Noise
from netwright.conditions import Condition
from netwright.ensemble import Averages, GeneratedEnsemble, state_digest
from netwright.errors import ConditionError, RunError
from netwright.generated import weights_digest
from netwright.generators import StochasticGenerator

if TYPE_CHECKING:
    from netwright.hypernetwork import Hypernetwork


@torch.no_grad()
def draw_ensemble(
    hypernetwork: "Hypernetwork",
    condition: Condition,
    *,
    samples: int,
    rng: torch.Generator,
    averages: Averages | None,
    labels: tuple[str, ...],
) -> GeneratedEnsemble:
    """S networks of one task; see `Hypernetwork.generate_ensemble`."""
    if samples < 1:
        raise RunError(f"`samples` is {samples}, expected at least 1.")
    drawn_from = state_digest(rng)
    _check(hypernetwork, condition)
    alike = condition.rows(torch.zeros(samples, dtype=torch.long))
    was_training = hypernetwork.training
    try:
        hypernetwork.eval()
        written_by = weights_digest(hypernetwork)
        params = _draw(hypernetwork, _with_noise(hypernetwork, alike, samples, rng), rng)
    finally:
        hypernetwork.train(was_training)
    members = [
        hypernetwork.network_of(params, s, alike, written_by, labels, sample=f"{drawn_from}/{s}")
        for s in range(samples)
    ]
    averages = averages or ("probabilities" if _has_classes(hypernetwork) else "values")
    return GeneratedEnsemble(members, averages=averages).eval()


def check_single(condition: Condition) -> None:
    """Refuse a condition of several tasks.

    Raises:
        ConditionError: If it is.
    """
    if condition.tasks != 1:
        raise ConditionError(
            f"The condition is of {condition.tasks} tasks, expected one. "
            "Use `generate_many`, which writes a network per task."
        )


def _check(hypernetwork: "Hypernetwork", condition: Condition) -> None:
    """Refuse a condition that several networks cannot be drawn from."""
    is_stochastic = isinstance(hypernetwork.generator, StochasticGenerator)
    if _noise(hypernetwork) is None and not is_stochastic:
        raise RunError(
            "This hypernetwork writes one and the same network from a condition, expected one that writes "
            'a distribution. Use generator="gaussian", or the conditioner `Noise` beside others.'
        )
    if condition.noise is not None:
        raise ConditionError(
            "The condition has `noise`, which is drawn for each network. Leave it out, or use "
            "`generate_many` for noise of your own."
        )
    # What reads nothing but noise writes from no condition at all.
    if condition.present() or hypernetwork.conditioner.reads != ("noise",):
        condition.check()
        hypernetwork.conditioner.check(condition)
        check_single(condition)


def _noise(hypernetwork: "Hypernetwork") -> Noise | None:
    """What reads noise, if anything does."""
    return next((m for m in hypernetwork.conditioner.modules() if isinstance(m, Noise)), None)


def _with_noise(
    hypernetwork: "Hypernetwork", condition: Condition, tasks: int, rng: torch.Generator
) -> Condition:
    """The condition with noise of each of its tasks, if noise is read."""
    reader = _noise(hypernetwork)
    if reader is None:
        return condition
    noise = Noise.draw(tasks, reader.dimensions, generator=rng)
    return replace(condition, noise=noise.to(next(hypernetwork.parameters()).device))


def _draw(
    hypernetwork: "Hypernetwork", condition: Condition, rng: torch.Generator
) -> dict[str, Tensor]:
    """As a call, from samples of what the generator writes."""
    embedding, generator = hypernetwork.read(condition), hypernetwork.generator
    params: dict[str, Tensor] = (
        generator.sample(embedding, rng)
        if isinstance(generator, StochasticGenerator)
        else generator(embedding)
    )
    return hypernetwork.with_class_rows(params, embedding, condition)


def _has_classes(hypernetwork: "Hypernetwork") -> bool:
    """Whether outputs of the children are logits of classes, as far as the hypernetwork knows."""
    readers = [m for m in hypernetwork.conditioner.modules() if isinstance(m, Examples)]
    has_rows = hypernetwork.child.class_head is not None
    return has_rows or any(reader.labels != "values" for reader in readers)
