"""Which architectures may be asked for: drawn, changed, crossed, split and counted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from math import prod
from typing import Any

import numpy as np

from netwright.architectures.base import Architecture
from netwright.architectures.catalogue import ARCHITECTURES, to_record
from netwright.architectures.choices import Choice, choice_of
from netwright.architectures.cost import Cost, Limits, Unit
from netwright.architectures.options import DEPTH, changed, crossed, drawn, grid, own
from netwright.errors import RunError
from netwright.splits import SPLITS, Split, split_of_record

_TRIES = 1000
_STEPS = 40  # of a walk from the smallest member, where draws at random are nearly all too large


@dataclass(frozen=True)
class SearchSpace:
    """Which architectures may be asked for.

    Options that have one value per layer (widths, kernels) are drawn layer by layer; how many layers, the
    choice `depth` says.

    Args:
        family: Name in `ARCHITECTURES`.
        fixed: Options that all members share, such as inputs=64 and outputs=10.
        choices: What each other option may be: a list of values, or `Uniform(low, high)`,
            `LogUniform(low, high)` or their records.

    Raises:
        RunError: If the family is unknown, or no member can be made of these options.

    >>> space = SearchSpace("mlp", {"inputs": 4, "outputs": 2}, {
    ...     "depth": {"uniform": [1, 2]}, "hidden": [8, 16], "activation": ["relu", "tanh"]})
    >>> space.size(), space.smallest().hidden
    (12, (8,))
    """

    family: str
    fixed: Mapping[str, Any]
    choices: Mapping[str, Choice]
    _common: Mapping[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.family not in ARCHITECTURES:
            raise RunError(
                f"Architecture {self.family!r} is not known, expected one of {list(ARCHITECTURES)}."
            )
        choices = {name: choice_of(choice) for name, choice in self.choices.items()}
        fixed = {n: tuple(v) if isinstance(v, list) else v for n, v in self.fixed.items()}
        object.__setattr__(self, "fixed", fixed)
        object.__setattr__(self, "choices", choices)
        self._check_names()
        # What no choice decides is the same in every member: any of them tells it.
        member = self._draw(np.random.default_rng(0), known=False)
        common = {name: v for name, v in vars(member).items() if name not in choices}
        object.__setattr__(self, "_common", common)
        self._draw(np.random.default_rng(0))

    def sample(
        self,
        rng: np.random.Generator,
        *,
        split: Split | None = None,
        most: Limits | Cost | None = None,
        is_even: bool = False,
    ) -> Architecture:
        """A member at random, a function of `rng` alone.

        Args:
            rng: Where chance comes from.
            split: Of which part of the space; by default of all.
            most: What it may cost at most.
            is_even: Whether all its layers are to be alike; where limits leave none such, they may differ.

        Raises:
            RunError: If no member is so small, or of that part.
        """
        if split is not None and split not in SPLITS:
            raise RunError(f"`split` is {split!r}, expected one of {list(SPLITS)}.")
        limits = most if isinstance(most, Limits) else Limits(**vars(most)) if most else Limits()

        def fits(architecture: Architecture) -> bool:
            return split is None or self.split_of(architecture) == split

        for _ in range(_TRIES):
            found = self._draw(rng, is_even=is_even)
            if limits.allow(found.cost) and fits(found):
                return found
        found = self._small_enough(limits)
        for step in range(_TRIES):
            if step >= _STEPS and fits(found):
                return found
            other = self.mutate(found, rng)
            if limits.allow(other.cost):
                found = other
        raise RunError(
            f"No {self.family} of the {split or 'whole'} part of the space was found in {2 * _TRIES:,} draws with "
            f"{limits}. Allow more choices, or a larger cost."
        )

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Another member, one random change away: a layer more or less, one width, one option.

        Raises:
            RunError: If it is no member, or the only one.
        """
        now = self._chosen(architecture)
        varied = [name for name, choice in self.choices.items() if len(choice) > 1]
        for _ in range(_TRIES if varied else 0):
            name = varied[int(rng.integers(len(varied)))]
            options = changed(now, name, self.choices, self._layered, rng)
            found = self._member(options, keep=name)
            if found is not None and found != architecture:
                return found
        raise RunError(
            f"The space of {self.family} has no member one change away from {architecture}. "
            "Allow more choices."
        )

    def cross(
        self, one: Architecture, other: Architecture, rng: np.random.Generator
    ) -> Architecture:
        """A member with each option, and each layer, from one of two members at random.

        Raises:
            RunError: If one of them is no member.
        """
        parents = [self._chosen(one), self._chosen(other)]
        for _ in range(_TRIES):
            options = crossed(parents, self._layered, rng)
            if (found := self._member(options)) is not None:
                return found
        # Where the two have little in common, one of them is their only crossing.
        return (one, other)[int(rng.integers(2))]

    def __contains__(self, architecture: object) -> bool:
        """Whether it may be asked for."""
        if type(architecture) is not ARCHITECTURES[self.family]:
            return False
        options = vars(architecture)
        if any(options[name] != value for name, value in self._common.items()):
            return False
        layers = self._layered
        if layers and len(options[layers[0]]) not in self.choices[DEPTH]:
            return False
        return all(
            all(value in choice for value in options[name])
            if name in layers
            else options[name] in choice
            for name, choice in own(self.choices, layers).items()
        )

    def split_of(self, architecture: Architecture) -> Split:
        """Of which part a member is; its record alone decides, so the parts share none."""
        return split_of_record(to_record(architecture))

    def size(self) -> int | None:
        """How many members there are; None where they could only be counted one by one."""
        free = {n: c for n, c in self.choices.items() if n not in self._layered}
        coupled = set(ARCHITECTURES[self.family].coupled) & self.choices.keys()
        if not self._layered:
            count = prod(map(len, free.values()))
            if not coupled:
                return count
            return sum(1 for _ in self._all(free)) if count <= 10 * _TRIES else None
        if any(any(self.choices[name].values) for name in coupled):
            return None
        per_layer = prod(len(self.choices[name]) for name in self._layered)
        depths: int = sum(per_layer**depth for depth in free.pop(DEPTH).values)
        return depths * prod(map(len, free.values()))

    def smallest(self, by: Unit = "bytes") -> Architecture:
        """The member of least cost.

        Cost grows with every number of every option, so that only the least and largest values are tried,
        the same in all layers.

        Args:
            by: What of its cost counts first.
        """
        units = sorted((unit.name for unit in fields(Cost)), key=lambda unit: unit != by)
        if units[0] != by:
            raise RunError(f"`by` is {by!r}, expected one of {units}.")
        coupled = ARCHITECTURES[self.family].coupled
        candidates = list(self._all(self.choices, extremes_only=True, whole=coupled))
        if not candidates:
            raise RunError(
                f"No small member of a space of {self.family} was found, expected one among the least values "
                f"of {list(coupled)}. Allow choices that go together."
            )
        return min(candidates, key=lambda found: [getattr(found.cost, unit) for unit in units])

    def record(self) -> dict[str, Any]:
        """JSON-able; `from_record` makes the space again."""
        fixed = {n: list(v) if isinstance(v, tuple) else v for n, v in self.fixed.items()}
        choices = {name: choice.record() for name, choice in self.choices.items()}
        return {"family": self.family, "fixed": fixed, "choices": choices}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "SearchSpace":
        """The inverse of `record`.

        Raises:
            RunError: If it is no record of a space.
        """
        if set(record) != {"family", "fixed", "choices"}:
            raise RunError(
                f"A space has {sorted(record)}, expected exactly `family`, `fixed` and `choices`."
            )
        return cls(record["family"], record["fixed"], record["choices"])

    @property
    def _layered(self) -> tuple[str, ...]:
        """Options that are chosen layer by layer."""
        per_layer = ARCHITECTURES[self.family].per_layer
        return per_layer if per_layer and per_layer[0] in self.choices else ()

    def _check_names(self) -> None:
        kind = ARCHITECTURES[self.family]
        known = {each.name for each in fields(kind)}
        if self._layered:
            known.add(DEPTH)
        both = self.fixed.keys() & self.choices.keys()
        if both or (unknown := (self.fixed.keys() | self.choices.keys()) - known):
            wrong = f"{sorted(both)} twice" if both else f"unknown {sorted(unknown)}"
            raise RunError(
                f"A space of {self.family} has {wrong}, expected each of {sorted(known)} at most once, "
                "in `fixed` or in `choices`."
            )
        layered = {*kind.per_layer, DEPTH} if kind.per_layer else set()
        if 0 < len(layered & self.choices.keys()) < len(layered):
            raise RunError(
                f"A space of {self.family} has choices of {sorted(layered & self.choices.keys())}, expected "
                f"all of {sorted(layered)}: they are drawn layer by layer. "
                "Give a list of one value for what does not vary."
            )

    def _draw(
        self, rng: np.random.Generator, *, known: bool = True, is_even: bool = False
    ) -> Architecture:
        for _ in range(_TRIES):
            options = drawn(self.choices, self._layered, rng, is_even=is_even)
            found = self._member(options, known=known)
            if found is not None:
                return found
        # Says what is wrong with one that stands for all.
        raise RunError(
            f"No member in {_TRIES:,} draws of a space of {self.family}: {self._make(options)} is none. "
            "Allow choices that go together."
        )

    def _make(self, options: Mapping[str, Any], *, keep: str | None = None) -> Architecture:
        kind = ARCHITECTURES[self.family]
        try:
            return kind(**kind.repaired({**self.fixed, **options}, keep=keep))
        except TypeError as error:
            raise RunError(f"A space of {self.family} cannot be made of this: {error}.") from None

    def _member(
        self, options: Mapping[str, Any], *, keep: str | None = None, known: bool = True
    ) -> Architecture | None:
        try:
            found = self._make(options, keep=keep)
        except RunError:
            return None
        return found if not known or found in self else None

    def _chosen(self, architecture: Architecture) -> dict[str, Any]:
        """The options of a member that are chosen."""
        if architecture not in self:
            raise RunError(
                f"{architecture} is no member of the space, expected one: {self.record()}."
            )
        options = vars(architecture)
        return {name: options[name] for name in own(self.choices, self._layered)}

    def _all(self, choices: Mapping[str, Choice], **how: Any) -> Iterator[Architecture]:
        """Members of the grid."""
        for options in grid(choices, self._layered, **how):
            if (found := self._member(options)) is not None:
                yield found

    def _small_enough(self, limits: Limits) -> Architecture:
        """A member within limits.

        Raises:
            RunError: If none was found.
        """
        asked = [unit.name for unit in fields(Limits) if getattr(limits, unit.name) is not None]
        smallest = [self.smallest(by=unit) for unit in asked or ["bytes"]]  # type: ignore[arg-type]
        for found in smallest:
            if limits.allow(found.cost):
                return found
        raise RunError(
            f"No {self.family} of the space has {limits}: the smallest has "
            f"{limits.excess(smallest[0].cost)}. Raise the limit, or allow smaller choices."
        )
