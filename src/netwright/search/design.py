"""The best network under a budget: architectures proposed, each written in one pass, ranked on rows held out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from netwright.architectures import Architecture, Limits, SearchSpace
from netwright.conditions import Architectures, Condition, ExampleSet
from netwright.errors import NetwrightError, RunError
from netwright.generated import GeneratedNetwork, condition_digest, weights_digest
from netwright.hypernetwork import Hypernetwork
from netwright.search.checks import check_condition, check_limits, check_options, space_for
from netwright.search.held_out import Folds, given_rows, support_in_turn
from netwright.search.latency import latency_ms as measured
from netwright.search.optuna_proposals import Nsga2, Tpe
from netwright.search.pareto import front_of
from netwright.search.polish import RATE, objective_of, polish_best, polished
from netwright.search.proposals import Evolution, Proposals, Random
from netwright.search.record import SearchRecord
from netwright.search.scores import score
from netwright.search.tried import LATENCY, Tried

METHODS: dict[str, type[Proposals]] = {
    "evolution": Evolution,
    "nsga2": Nsga2,
    "random": Random,
    "tpe": Tpe,
}


@dataclass(frozen=True)
class Design:
    """What a search has found.

    Args:
        front: What nothing else is both better and cheaper than, by bytes, the fewest first.
        chosen: The best of all, which is one of these.
        network: That one, written from the whole condition.
        tried: All candidates in order, as they were before any was polished.
        by: The costs that the front is about.
        limits: What networks might cost at most.
        rows: How many rows were held out.
        folds: In how many parts.
    """

    front: tuple[Tried, ...]
    chosen: Tried
    network: GeneratedNetwork
    tried: tuple[Tried, ...]
    by: tuple[str, ...]
    limits: Limits
    rows: int
    folds: int

    def to_json(self) -> dict[str, Any]:
        """As plain values, without the network."""
        return {
            "front": [each.to_json() for each in self.front],
            "chosen": self.chosen.to_json(),
            "tried": len(self.tried),
            "by": list(self.by),
            "limits": asdict(self.limits),
            "held_out_rows": self.rows,
            "folds": self.folds,
        }


def design(
    hypernetwork: Hypernetwork,
    space: SearchSpace,
    condition: Condition | ExampleSet | None = None,
    limits: Limits | None = None,
    *,
    held_out: ExampleSet | None = None,
    rows: ExampleSet | None = None,
    candidates: int = 200,
    method: str = "evolution",
    seed: int = 0,
    by: Sequence[str] = ("bytes", "flops"),
    latency_ms: float | None = None,
    polish: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    labels: Sequence[str] = (),
    say: Callable[[Tried], None] = lambda _: None,
) -> Design:
    """Search a space for the best network of one task, within limits.

    Nothing is trained: the hypernetwork writes each candidate in one pass. A network whose support set is held out
    in turn is scored as it is when written from the rest; the chosen one is written from all of it. The value of the
    best of many candidates is too good by chance: score the network that you take on rows that had no part in it.

    Args:
        hypernetwork: Trained on a `Sized` family of the space.
        space: Which architectures may be proposed.
        condition: Of one task, or its support set; None where the architecture is all that networks are written from.
        limits: What a network may cost at most.
        held_out: Rows of the task to score on, T = 1; by default the support set, held out in turn.
        rows: What polishing learns from, T = 1; by default the support set.
        candidates: How many architectures are tried at most, those in the folder counted in.
        method: Name in `METHODS`.
        seed: Decides what is proposed, which rows are held out together, and which polishing draws.
        by: Costs that the front is about, beside the score: of `COSTS`.
        latency_ms: Most milliseconds of one input, measured on this machine.
        polish: Steps of Adam from the written weights, of the best five; kept where it helps on the rows held out.
        folder: Where candidates are kept as they are tried.
        resume: Whether to go on with the search in the folder: one that was cut ends in the same result.
        labels: Names of the outputs.
        say: Told of each candidate, those in the folder too.

    Raises:
        RunError: If an option is out of range, nothing is within the limits, or the folder is of another search.
        ConditionError: If the condition lacks what is read, or nothing can be held out.
        ShapeError: If it is of another shape than in training.
        MissingExtraError: If the method is Optuna's and Optuna is not installed.
    """
    check_options(method, METHODS, candidates, polish, by, latency_ms)
    if isinstance(condition, ExampleSet):
        condition = Condition(examples=condition)
    condition = condition or Condition()
    limits = limits or Limits()
    space = space_for(space, condition)
    check_limits(space, limits)
    was_training = hypernetwork.training
    try:
        hypernetwork.eval()
        check_condition(hypernetwork, space, condition, {"held_out": held_out, "rows": rows})
        if polish and rows is None and condition.examples is None:
            raise RunError(
                "There is nothing to polish on: the task has no support set, expected `rows` to learn from, or "
                "`polish` (--polish) left out."
            )
        folds = (
            given_rows(condition, held_out)
            if held_out is not None
            else support_in_turn(condition, seed=seed)
        )
        writable = _Writable(hypernetwork)
        proposals = METHODS[method](space, limits, seed=seed, allows=writable)
        what = {
            "hypernetwork": weights_digest(hypernetwork),
            "space": space.record(),
            "condition": condition_digest(condition),
            "held_out": condition_digest(Condition(examples=folds.held_out)),
            "limits": asdict(limits),
            "latency_ms": latency_ms,
            "by": sorted(by),
            "method": method,
            "seed": seed,
        }
        record = None if folder is None else SearchRecord(folder, what, resume=resume)

        def judge(number: int, architecture: Architecture) -> Tried:
            one = Tried(number, architecture)
            return _try(hypernetwork, one, folds, latency_ms, measures=LATENCY in by)

        tried = _search(proposals, judge, candidates, record, say)
        if not tried:
            raise writable.reason or RunError(f"No {space.family} of the space was found.")
        usable = _usable(tried)
        learns = rows if rows is not None else condition.examples
        if polish:
            usable = polish_best(hypernetwork, usable, folds, rows, polish, seed)
        front = _front(usable, by)
        chosen = max(front, key=lambda each: each.merit)
        network = _network(hypernetwork, chosen, condition, learns, seed, tuple(labels))
    finally:
        hypernetwork.train(was_training)
    return Design(
        front=front,
        chosen=chosen,
        network=network,
        tried=tuple(tried),
        by=tuple(by),
        limits=limits,
        rows=int(folds.held_out.has_label.sum()),
        folds=folds.folds,
    )


class _Writable:
    """Whether a hypernetwork can write an architecture, and why the last one could not be."""

    def __init__(self, hypernetwork: Hypernetwork) -> None:
        self.hypernetwork = hypernetwork
        self.reason: NetwrightError | None = None

    def __call__(self, architecture: Architecture) -> bool:
        try:
            self.hypernetwork.conditioner.check(
                Condition(architecture=Architectures([architecture]))
            )
            # Either of the two may be what reads graphs.
            self.hypernetwork.for_architecture(architecture).generator.check()
        except NetwrightError as error:
            self.reason = error
            return False
        return True


def _search(
    proposals: Proposals,
    judge: Callable[[int, Architecture], Tried],
    candidates: int,
    record: SearchRecord | None,
    say: Callable[[Tried], None],
) -> list[Tried]:
    """Propose, and judge what the record does not hold, until there are so many or no others."""
    tried: list[Tried] = []
    for number in range(candidates):
        architecture = proposals.propose(tried)
        if architecture is None:
            break
        if record is None:
            found = judge(number, architecture)
        elif number < len(record.there):
            found = record.there[number]
            if found.architecture != architecture:
                raise RunError(
                    f"{record.folder} was searched by another version: candidate {number} is proposed otherwise now. "
                    "Start in a new folder."
                )
        else:
            found = judge(number, architecture)
            record.add(found)
        tried.append(found)
        say(found)
    return tried


def _try(
    hypernetwork: Hypernetwork,
    tried: Tried,
    folds: Folds,
    most_ms: float | None,
    *,
    measures: bool,
) -> Tried:
    if measures or most_ms is not None:
        took = measured(tried.architecture)
        tried = replace(tried, latency_ms=took)
        if most_ms is not None and took > most_ms:
            return replace(tried, why=f"it takes {took:g} ms")
    return score(hypernetwork, tried, folds)


def _usable(tried: Sequence[Tried]) -> list[Tried]:
    found = [each for each in tried if each.value is not None]
    if not found:
        fastest = min(
            (each.latency_ms for each in tried if each.latency_ms is not None), default=None
        )
        told = "" if fastest is None else f" The fastest takes {fastest:g} ms: allow at least that."
        raise RunError(
            f"None of {len(tried)} candidates can be used, expected one: {tried[0].why}, the first of them.{told}"
        )
    return found


def _front(usable: Sequence[Tried], by: Sequence[str]) -> tuple[Tried, ...]:
    order = sorted(usable, key=lambda each: each.merit, reverse=True)
    # One axis for metric and loss: the place in the order of merit.
    places = {merit: i for i, merit in enumerate(dict.fromkeys(each.merit for each in order))}
    points = [(places[each.merit], *(each.cost_by(unit) for unit in by)) for each in order]
    found = [order[i] for i in front_of(points)]
    found = [
        each
        if each.latency_ms is not None
        else replace(each, latency_ms=measured(each.architecture))
        for each in found
    ]
    return tuple(sorted(found, key=lambda each: (each.cost.bytes, each.cost.flops, each.number)))


@torch.no_grad()
def _network(
    hypernetwork: Hypernetwork,
    chosen: Tried,
    condition: Condition,
    learns: ExampleSet | None,
    seed: int,
    labels: tuple[str, ...],
) -> GeneratedNetwork:
    """The chosen network, from the whole condition."""
    wanted = replace(condition, architecture=Architectures([chosen.architecture]))
    if not chosen.polished:
        return hypernetwork.generate(wanted, labels=labels)
    assert learns is not None
    writer = hypernetwork.for_architecture(chosen.architecture)
    params = polished(
        writer.child, writer(wanted), learns, steps=chosen.polished, objective=objective_of(learns), seed=seed
    )  # fmt: skip
    by = f"{weights_digest(hypernetwork)}, then {chosen.polished} steps of Adam at {RATE:g}, seed {seed}"
    return writer.network_of(params, 0, wanted, by, labels)


__all__ = ["METHODS", "Design", "design"]
