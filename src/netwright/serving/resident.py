"""Networks kept in memory, and rows of many requests through many networks at once.

The memory is a cache: the registry has every network that was acknowledged, and what gave way is read again.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from netwright.architectures import Architecture, Cost
from netwright.bank import NetworkBank
from netwright.child import Child
from netwright.generated import GeneratedNetwork
from netwright.serving.problems import invalid

Key = tuple[str, str]
"""Owner and id: an id belongs to its owner."""
Numbers = Mapping[str, Tensor]
# A bank has room for the networks of one batch, whatever the budget says.
_LEAST = 64


@dataclass(frozen=True)
class Facts:
    """All of a network but its numbers.

    Args:
        key: Owner and id.
        architecture: What it is.
        input_shape: Of one input.
        labels: Names of the outputs.
        preparation: How raw inputs become rows, where there is a record of it.
        about: What was noted when it was written.
    """

    key: Key
    architecture: Architecture
    input_shape: tuple[int, ...]
    labels: tuple[str, ...]
    preparation: Mapping[str, Any] | None
    about: Mapping[str, Any]

    @cached_property
    def cost(self) -> Cost:
        """Of the network."""
        return self.architecture.cost

    @classmethod
    def of(cls, key: Key, network: GeneratedNetwork, about: Mapping[str, Any]) -> "Facts":
        """Of a network of netwright's own architectures."""
        assert network.architecture is not None
        return cls(
            key, network.architecture, network.input_shape, network.labels, network.preparation, about
        )  # fmt: skip


def numbers_of(network: GeneratedNetwork) -> dict[str, Tensor]:
    """A network's numbers as a bank takes them, each [1, *shape]."""
    return {name: p.detach()[None] for name, p in network.network.named_parameters()}


@dataclass(frozen=True)
class PredictionJob:
    """Rows [N, *] for one network; its numbers come along where it may not be in memory yet."""

    facts: Facts
    x: Tensor
    numbers: Numbers | None = None


@dataclass(frozen=True)
class Predicted:
    """Outputs [N, C]."""

    outputs: Tensor
    milliseconds: float


class EvictedError(Exception):
    """A network gave way between a request's coming and its turn: it is to be read again."""


class ResidentNetworks:
    """Banks of networks, one per architecture, within a budget of bytes.

    `predict` and `forget` are for one thread; `facts` may be called from any other. Networks that were least
    recently run give way.

    Args:
        max_bytes: Of all networks together, room that banks keep for more of them included.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._banks: dict[Architecture, NetworkBank] = {}
        self._there: OrderedDict[Key, Facts] = OrderedDict()

    def __len__(self) -> int:
        return len(self._there)

    @property
    def reserved_bytes(self) -> int:
        """Bytes that banks have taken."""
        return sum(bank.reserved_bytes for bank in list(self._banks.values()))

    def facts(self, key: Key) -> Facts | None:
        """Of a network that is in memory."""
        return self._there.get(key)

    @torch.no_grad()
    def predict(self, jobs: Sequence[PredictionJob]) -> list[Predicted | Exception]:
        """Outputs for each job, those of one architecture in one call; `EvictedError` for networks that are not there."""
        groups: dict[Architecture, list[int]] = {}
        for place, job in enumerate(jobs):
            groups.setdefault(job.facts.architecture, []).append(place)
        found: dict[int, Predicted | Exception] = {}
        for architecture, places in groups.items():
            started = time.perf_counter()
            bank = self._put([jobs[place] for place in places], architecture)
            there = [place for place in places if jobs[place].facts.key in bank]
            found.update((place, EvictedError()) for place in places)
            if not there:
                continue
            outputs = self._run(bank, [jobs[place] for place in there])
            milliseconds = 1000 * (time.perf_counter() - started)
            for place, y, ok in zip(there, *outputs, strict=True):
                found[place] = (
                    Predicted(y, milliseconds)
                    if ok
                    else invalid("The outputs would not be finite: the inputs are too extreme.")
                )
        self._shrink()
        return [found[place] for place in range(len(jobs))]

    def forget(self, key: Key) -> None:
        """Take a network out, if it is here."""
        facts = self._there.pop(key, None)
        if facts is not None:
            self._banks[facts.architecture].remove([key])

    def _put(self, jobs: list[PredictionJob], architecture: Architecture) -> NetworkBank:
        """The bank of an architecture, with what these jobs have brought along."""
        bank = self._banks.get(architecture)
        if bank is None:
            with torch.random.fork_rng(devices=[]):
                child = Child(architecture)
            least = _LEAST * 4 * child.space.size
            bank = NetworkBank(child, max_bytes=max(self.max_bytes, least))
            self._banks[architecture] = bank
        new: dict[Key, Numbers] = {}
        for job in jobs:
            key = job.facts.key
            if key in bank:
                self._there.move_to_end(key)
            elif job.numbers is not None:
                new[key] = job.numbers
                self._there[key] = job.facts
        if new:
            names = bank.child.space.names
            gone = bank.add(new, {n: torch.cat([v[n] for v in new.values()]) for n in names})
            for old in gone:
                self._there.pop(old, None)  # type: ignore[call-overload]
        return bank

    def _run(
        self, bank: NetworkBank, jobs: list[PredictionJob]
    ) -> tuple[Sequence[Tensor], Sequence[bool]]:
        """Outputs of each job, and whether they are finite."""
        counts = [job.x.shape[0] for job in jobs]
        ids = [job.facts.key for job, count in zip(jobs, counts, strict=True) for _ in range(count)]
        outputs = bank.run(ids, torch.cat([job.x for job in jobs]))
        each = outputs.split(counts)
        if bool(outputs.isfinite().all()):
            return each, [True] * len(jobs)
        return each, [bool(y.isfinite().all()) for y in each]

    def _shrink(self) -> None:
        """If banks of several architectures have grown beyond the budget, let the older half of it go at once."""
        if self.reserved_bytes <= self.max_bytes or len(self._banks) < 2:
            return
        left = sum(bank.nbytes for bank in self._banks.values())
        while left > self.max_bytes / 2 and len(self._there) > 1:
            key, facts = self._there.popitem(last=False)
            bank = self._banks[facts.architecture]
            bank.remove([key])
            left -= bank.bytes_of_one
        self._banks = {
            architecture: bank for architecture, bank in self._banks.items() if len(bank)
        }
        for bank in self._banks.values():
            bank.compact()
