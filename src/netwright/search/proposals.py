"""Which architecture is tried next: at random, or from what was good so far."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from netwright.architectures import Architecture, Limits, SearchSpace
from netwright.errors import RunError
from netwright.rng import stream
from netwright.search.tried import Tried

# Draws after which a space is held to have no further member.
_DRAWS = 200

Allows = Callable[[Architecture], bool]


class Proposals(ABC):
    """Proposes members of a space that were not tried, within limits that are known before anything is built.

    What is proposed depends on the seed and on what was tried, in order, and on nothing else: a search that was
    cut is gone on with by asking again for what was tried.

    Args:
        space: Of what.
        limits: What a member may cost at most.
        seed: Decides all chance.
        allows: Says no to members that cannot be written, for reasons other than their cost.
    """

    def __init__(
        self, space: SearchSpace, limits: Limits, *, seed: int, allows: Allows = lambda _: True
    ) -> None:
        self.space, self.limits, self.seed, self.allows = space, limits, seed, allows

    @abstractmethod
    def propose(self, tried: Sequence[Tried]) -> Architecture | None:
        """The next one; None if no other was found.

        Args:
            tried: All so far, in order.
        """

    def fits(self, architecture: Architecture, tried: Sequence[Tried]) -> bool:
        """Whether it may be proposed."""
        return (
            self.limits.allow(architecture.cost)
            and all(architecture != other.architecture for other in tried)
            and self.allows(architecture)
        )

    def drawn(self, rng: np.random.Generator, tried: Sequence[Tried]) -> Architecture | None:
        """One at random; the first of all is the smallest, where every front begins."""
        if not tried and self.fits(smallest := self.space.smallest(), tried):
            return smallest
        for _ in range(_DRAWS):
            found = self.space.sample(rng, most=self.limits)
            if self.fits(found, tried):
                return found
        return None


class Random(Proposals):
    """Draws of the space."""

    def propose(self, tried: Sequence[Tried]) -> Architecture | None:
        """The next draw."""
        return self.drawn(stream(self.seed, "random", len(tried)), tried)


class Evolution(Proposals):
    """Regularised evolution: children of the best of a few of the last ones; the oldest of these die, however good.

    Args:
        population: How many are alive: the last so many.
        tournament: How many of these are drawn, of which the best becomes a parent.
        crossover: How often there is a second parent.

    References:
        Real et al., Regularized evolution for image classifier architecture search, arXiv:1802.01548.
    """

    def __init__(
        self,
        space: SearchSpace,
        limits: Limits,
        *,
        seed: int,
        allows: Allows = lambda _: True,
        population: int = 40,
        tournament: int = 10,
        crossover: float = 0.3,
    ) -> None:
        super().__init__(space, limits, seed=seed, allows=allows)
        self.population, self.tournament, self.crossover = population, tournament, crossover

    def propose(self, tried: Sequence[Tried]) -> Architecture | None:
        """At first draws, then children."""
        rng = stream(self.seed, "evolution", len(tried))
        alive = [each for each in tried if each.value is not None][-self.population :]
        if len(tried) >= self.population and alive:
            for _ in range(_DRAWS):
                child = self._child(alive, rng)
                if child is not None and self.fits(child, tried):
                    return child
        return self.drawn(rng, tried)

    def _child(self, alive: Sequence[Tried], rng: np.random.Generator) -> Architecture | None:
        parent = self._parent(alive, rng)
        if rng.random() < self.crossover:
            parent = self.space.cross(parent, self._parent(alive, rng), rng)
        try:
            return self.space.mutate(parent, rng)
        except RunError:
            # Nothing is one change away from it.
            return None

    def _parent(self, alive: Sequence[Tried], rng: np.random.Generator) -> Architecture:
        places = rng.integers(len(alive), size=self.tournament)
        best: Tried = max((alive[i] for i in places), key=lambda each: each.merit)
        return best.architecture


__all__ = ["Allows", "Evolution", "Proposals", "Random"]
