"""Machines to be controlled: a task is a machine, and a network that is written for it is its policy."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from netwright.conditions import Condition, ExampleSet, Texts
from netwright.environments import ENVIRONMENTS, Environment, masked, outside
from netwright.errors import DataError
from netwright.tasks.base import (
    Source,
    Split,
    TaskBatch,
    TaskFamily,
    TaskShape,
    check_sources,
    check_split,
)

Region = Literal["box", "1.25x", "1.5x", "corners"]
SOURCES: tuple[Source, ...] = ("context", "examples", "description")
# Cells that the box of machines is cut into, per quantity: each belongs to one split.
_CELLS = 4
# So many machines are looked up rather than computed.
_FEW = 20_000
# A corner is where both of the first two quantities are in so large a part of an end of their range.
_CORNER = 0.15


@dataclass(frozen=True)
class EpisodeBatch(TaskBatch):
    """T machines, each with N states that episodes begin in: x of the queries, [T, N, S].

    Args:
        machine: Their quantities, [T, P].
        environment: What moves them.
        trial_steps: Steps that were acted on each to find out, at most.
    """

    machine: Tensor
    environment: Environment
    trial_steps: int = 0

    @property
    def inputs(self) -> Tensor:
        """What policies see at first, [T, N, O]."""
        return self.environment.observe(self.query.x, self.machine)

    def to(self, device: torch.device | str) -> "EpisodeBatch":
        """The same machines on another device."""
        return replace(
            self,
            condition=self.condition.to(device),
            query=self.query.to(device),
            machine=self.machine.to(device),
        )

    def rows(self, index: Tensor | slice) -> "EpisodeBatch":
        """The machines that `index` selects; the task axis stays."""
        return replace(
            self,
            condition=self.condition.rows(index),
            query=self.query.rows(index),
            machine=self.machine[index],
        )


class Control(TaskFamily):
    """Machines of one kind that differ in masses, lengths, friction, gains, wiring, goals.

    A network is written from the machine's numbers, from a probe of it (what it did in a few dozen steps under
    random actions), or from a sentence about it, and is then its controller. The box of machines is cut into
    cells, of which 8 of 10 are for training, the others for validation and testing: no machine that is tested is of a cell that was trained on. Corners
    of the first two quantities are left out of all of them, to be tested by themselves.

    Args:
        environment: Name in `ENVIRONMENTS`.
        sources: What networks are written from: `context`, `examples` (the probe), `description`, or several.
        probe: Steps of a probe.
        varied: Whether probes in training are of any length from a quarter of that, and of any strength: for policies that are
            rewritten under way, from what was seen of late.
        episodes: Episodes per machine, where it is tested.
        training_episodes: The same in training; by default as many as suit the environment.
        region: Which machines `validation` and `test` are of: `box`; `1.25x` and `1.5x`, with at least one quantity beyond the
            box, in one so much wider; `corners`.

    Raises:
        DataError: If a name is unknown or a number out of range.
    """

    def __init__(
        self,
        environment: str = "pendulum",
        *,
        sources: Sequence[Source] = ("context",),
        probe: int = 32,
        episodes: int = 4,
        training_episodes: int | None = None,
        region: Region = "box",
        varied: bool = False,
    ) -> None:
        if environment not in ENVIRONMENTS:
            raise DataError(
                f"Environment {environment!r} is not known, expected one of {sorted(ENVIRONMENTS)}."
            )
        if region not in get_args(Region):
            raise DataError(f"`region` is {region!r}, expected one of {list(get_args(Region))}.")
        if training_episodes is None:
            training_episodes = ENVIRONMENTS[environment].training_episodes
        for name, value in (
            ("probe", probe),
            ("episodes", episodes),
            ("training_episodes", training_episodes),
        ):
            if not isinstance(value, int) or value < 1:
                raise DataError(f"`{name}` is {value!r}, expected a whole number of at least 1.")
        self.name, self.sources = environment, check_sources(sources, SOURCES)
        self.probe, self.episodes, self.training_episodes = probe, episodes, training_episodes
        self.region: Region = region
        self.varied = varied
        self.environment = ENVIRONMENTS[environment]()
        quantities = self.environment.quantities
        deciding = quantities[:2] if region == "corners" else quantities
        if region != "box" and all(q.is_discrete for q in deciding):
            raise DataError(
                f"`region` is {region!r} and the quantities {[q.name for q in deciding]} have a few values only, expected `box`: "
                "nothing lies beyond these."
            )
        # Where machines are few, which of them are of a split is found out once.
        self._counts = tuple(q.count for q in quantities if q.is_discrete)
        self._few = len(self._counts) == len(quantities) and prod(self._counts) <= _FEW
        self._kept: dict[Split, np.ndarray] = {}
        low, high = self.environment.ranges
        seen, acts = self.environment.observations, self.environment.actions
        self.shape = TaskShape(
            (seen,),
            acts,
            "actions",
            context=(tuple(low), tuple(high)),
            sources=self.sources,
            examples=(seen + acts, seen + 1 + (seen + acts) * seen),
        )

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> EpisodeBatch:
        """Draw T machines, what is known of them, and states to begin in."""
        check_split(split)
        machine = self.machines(rng, tasks, split)
        episodes = self.training_episodes if split == "train" else self.episodes
        start = self.environment.start(rng, tasks, episodes)
        query = ExampleSet.of(start, start.new_zeros(tasks, episodes, 1))
        condition = self.condition(machine, rng)
        if self.varied and split == "train" and condition.examples is not None:
            condition = replace(condition, examples=self._varied(machine, rng))
        return EpisodeBatch(condition, query, machine, self.environment)

    def machines(self, rng: np.random.Generator, tasks: int, split: Split) -> Tensor:
        """T machines of a split, [T, P]."""
        found: list[np.ndarray] = []
        while sum(map(len, found)) < tasks:
            shares = rng.random((2 * tasks + 16, len(self.environment.quantities)))
            region = "box" if split == "train" else self.region
            if region in ("1.25x", "1.5x"):
                # Shares of the box are 0 to 1; a wider one is around the same middle.
                values = self._values(0.5 + float(region[:-1]) * (shares - 0.5), rng)
                beyond = outside(self.environment, torch.from_numpy(values)).numpy()
                found.append(self._allowed(values[beyond > 0]))
                continue
            if region == "corners":
                ends = rng.random((len(shares), 2)) < 0.5
                shares[:, :2] = np.where(ends, shares[:, :2] * _CORNER, 1 - shares[:, :2] * _CORNER)
            elif self._few:
                # The same machines as below, looked up.
                place = self._places(shares)
                own = self._of_split(split)[np.ravel_multi_index(place.T, self._counts)]
                found.append(self._values((place[own] + 0.5) / self._counts, rng))
                continue
            else:
                has_corners = not any(q.is_discrete for q in self.environment.quantities[:2])
                cornered = _in_corner(shares) & has_corners
                shares = shares[~cornered & (_split_of(shares, self.environment) == split)]
            found.append(self._allowed(self._values(shares, rng)))
        return torch.from_numpy(np.concatenate(found)[:tasks].astype(np.float32))

    def condition(
        self, machine: Tensor, rng: np.random.Generator, start: Tensor | None = None
    ) -> Condition:
        """What is known of machines [T, P].

        Args:
            machine: The machines.
            rng: Source of a probe's actions.
            start: States that probes begin in, [T, 1, S]; by default drawn.
        """
        has = set(self.sources)
        return Condition(
            examples=self.probed(machine, rng, start) if "examples" in has else None,
            context=machine if "context" in has else None,
            description=Texts([self.environment.describe(m, rng) for m in machine])
            if "description" in has
            else None,
        )

    def _varied(self, machine: Tensor, rng: np.random.Generator) -> ExampleSet:
        """Probes of any strength, of which the last steps are there, a quarter at the least."""
        strength = torch.from_numpy(rng.uniform(0.05, 1, (len(machine), 1, 1)).astype(np.float32))
        found = self.probed(machine, rng, strength=strength)
        least = max(1, self.probe // 4)
        counts = torch.from_numpy(rng.integers(least, self.probe + 1, (len(machine), 1)))
        return replace(found, mask=torch.arange(self.probe) >= self.probe - counts)

    def probed(
        self,
        machine: Tensor,
        rng: np.random.Generator,
        start: Tensor | None = None,
        *,
        strength: Tensor | float = 1.0,
    ) -> ExampleSet:
        """What machines [T, P] do under random actions, as `transition` tells it. Actions are held for a
        few steps, so that they show; a machine that fails, or is done for good, begins again.

        Args:
            machine: The machines.
            rng: Source of actions and of states to begin in.
            start: States to begin in, [T, 1, S].
            strength: Largest action, a number or [T, 1, 1].
        """
        tasks, acts = len(machine), self.environment.actions
        held = 4
        if self.environment.discrete:
            held = 1
        drawn = rng.uniform(-1, 1, (tasks, -(-self.probe // held), acts)).astype(np.float32)
        actions = torch.from_numpy(drawn).repeat_interleave(held, dim=1)[:, : self.probe] * strength
        fresh = self.environment.start(rng, tasks, 1)
        state = fresh if start is None else start
        x, y = [], []
        for t in range(self.probe):
            action = actions[:, t : t + 1].to(machine.device)
            if self.environment.discrete:
                action = self.environment.decide(
                    masked(action, self.environment.legal(state, machine))
                )
            moved = self.environment.step(state, action, machine)
            seen, said = transition(self.environment, machine, state, action, moved)
            x.append(seen)
            y.append(said)
            state = moved
            over = self.environment.finished(state, machine).unsqueeze(-1)
            state = torch.where(over, fresh, state)
        return ExampleSet.of(torch.cat(x, dim=1), torch.cat(y, dim=1))

    def members(self, split: Split) -> tuple[str, ...]:
        """Names of the cells that machines of a split are of."""
        check_split(split)
        counts = _cell_counts(self.environment)
        axes = np.meshgrid(*map(np.arange, counts), indexing="ij")
        cells = np.stack(axes, axis=-1).reshape(-1, len(counts))
        own = cells[_split_of((cells + 0.5) / counts, self.environment) == split]
        return tuple(sorted(f"{self.name}:{'-'.join(map(str, cell))}" for cell in own))

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        return {
            "environment": self.name,
            "sources": list(self.sources),
            "probe": self.probe,
            "episodes": self.episodes,
            "training_episodes": self.training_episodes,
            "region": self.region,
            "varied": self.varied,
        }

    def preparation(self) -> Mapping[str, Any]:
        """Which environment a written network controls."""
        return {"kind": "control", **self.record()}

    def _places(self, shares: np.ndarray) -> np.ndarray:
        """Which values machines have, counted from 0, from shares [R, P] of the ranges."""
        counts = np.array(self._counts)
        return np.asarray(np.clip((shares * counts).astype(int), 0, counts - 1))

    def _of_split(self, split: Split) -> np.ndarray:
        """Which combinations of values are machines of a split, bool, in order."""
        if split not in self._kept:
            axes = np.meshgrid(*map(np.arange, self._counts), indexing="ij")
            cells = (np.stack(axes, axis=-1).reshape(-1, len(axes)) + 0.5) / self._counts
            values = torch.from_numpy(self._values(cells, np.random.default_rng(0)))
            own = _split_of(cells, self.environment) == split
            self._kept[split] = own & self.environment.allows(values).numpy()
        return self._kept[split]

    def _allowed(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(values[self.environment.allows(torch.from_numpy(values)).numpy()])

    def _values(self, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Machines [R, P] from shares of the ranges."""
        columns = []
        for i, q in enumerate(self.environment.quantities):
            if q.is_discrete:
                place = np.clip((shares[:, i] * q.count).astype(int), 0, q.count - 1)
                columns.append(q.low + place)
                continue
            value = q.low + shares[:, i] * (q.high - q.low)
            # No mass, length or friction below nothing.
            value = np.maximum(value, 0.2 * q.low)
            sign = np.where(rng.random(len(shares)) < 0.5, -1.0, 1.0) if q.kind == "signed" else 1.0
            columns.append(sign * value)
        return np.stack(columns, axis=1)


def transition(
    environment: Environment, machine: Tensor, state: Tensor, action: Tensor, moved: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of machines [T, P] as an example: x [T, N, O + A] and y [T, N, O + 1 + (O + A) O].

    x is what is seen and the action. y is the change of what is seen, enlarged, the reward, and the products of change and
    x: their means over a probe are what identifies a linear system, and say at once which way an action pushes.

    Args:
        environment: What moved them.
        machine: The machines.
        state: Before the step, [T, N, S].
        action: What was done, [T, N, A].
        moved: After the step, [T, N, S].
    """
    seen, after = environment.observe(state, machine), environment.observe(moved, machine)
    return told_of(seen, action, after, environment.reward(state, action, machine))


def told_of(seen: Tensor, action: Tensor, after: Tensor, reward: Tensor) -> tuple[Tensor, Tensor]:
    """As `transition`, from what was seen before and after, [*, O], and the reward [*]."""
    change = (after - seen) * _ENLARGED
    x = torch.cat([seen, action], dim=-1)
    products = (x.unsqueeze(-1) * change.unsqueeze(-2)).flatten(-2)
    return x, torch.cat([change, reward.unsqueeze(-1), products], dim=-1)


# By how much changes of what is seen are multiplied in a probe: they are small.
_ENLARGED = 10.0


def _cell_counts(environment: Environment) -> list[int]:
    """Into how many cells the range of each quantity is cut that decides on the split."""
    deciding = environment.quantities[: environment.hashed]
    return [q.count if q.is_discrete else _CELLS for q in deciding]


def _split_of(shares: np.ndarray, environment: Environment) -> np.ndarray:
    """Which split machines are of, by the cells that shares [R, P] of their ranges are in."""
    counts = _cell_counts(environment)
    place = np.zeros(len(shares), dtype=int)
    for column, count in zip(shares.T, counts, strict=False):
        place = place * count + np.clip((column * count).astype(int), 0, count - 1)
    names = np.array(["train"] * 8 + ["validation", "test"])
    return np.asarray(names[_dealt(int(np.prod(counts)))[place]])


@cache
def _dealt(cells: int) -> np.ndarray:
    """A digit for each cell, that has nothing to do with its place."""
    digests = (hashlib.sha256(f"cell {i}".encode()).digest() for i in range(cells))
    return np.array([digest[0] % 10 for digest in digests])


def _in_corner(shares: np.ndarray) -> np.ndarray:
    """Where both of the first two quantities are near an end of their ranges."""
    near = (shares[:, :2] < _CORNER) | (shares[:, :2] > 1 - _CORNER)
    return np.asarray(near.all(axis=1))


__all__ = ["Control", "EpisodeBatch", "Region", "told_of", "transition"]
