"""Networks written by the batch: conditions that can be read together are padded to one batch."""

import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.child import Child
from netwright.conditions import Architectures, Condition, ExampleSet, Texts
from netwright.errors import NetwrightError
from netwright.generated import GeneratedNetwork, weights_digest
from netwright.hypernetwork import Hypernetwork
from netwright.serving.conditions import Asked
from netwright.serving.problems import RequestError, invalid
from netwright.shapes import describe_shape

# Of parameters that one forward pass writes.
_PASS_BYTES = 64_000_000
# Numbers of the children of other architectures that are kept for the next request.
_KEPT_NUMBERS = 20_000_000


@dataclass(frozen=True)
class GenerationJob:
    """One network to write.

    Args:
        asked: From what.
        x: Inputs [N, *] that it is to be run on at once; None if the network itself is wanted.
    """

    asked: Asked
    x: Tensor | None = None


@dataclass(frozen=True)
class Written:
    """What came of a job: a network, or, if it had inputs, their outputs [N, C]."""

    milliseconds: float
    network: GeneratedNetwork | None = None
    outputs: Tensor | None = None


class NetworkWriter:
    """Writes networks from the conditions of many requests; for one thread.

    What can be read together is read together: conditions of one hypernetwork with the same kinds, shapes, number of classes
    and architecture. Numbers of examples may differ, up to a power of two.
    """

    def __init__(self) -> None:
        self._others: OrderedDict[Hashable, tuple[Hypernetwork, str]] = OrderedDict()

    @torch.no_grad()
    def write(self, jobs: Sequence[GenerationJob]) -> list[Written | Exception]:
        """A network, or what is wrong with its condition, for each job."""
        groups: dict[Hashable, list[int]] = {}
        for place, job in enumerate(jobs):
            groups.setdefault(_group_of(job.asked), []).append(place)
        found: dict[int, Written | Exception] = {}
        for places in groups.values():
            size = 4 * jobs[places[0]].asked.cost.parameters
            each = max(1, _PASS_BYTES // size)
            for first in range(0, len(places), each):
                part = places[first : first + each]
                found.update(zip(part, self._write_each([jobs[p] for p in part]), strict=True))
        return [found[place] for place in range(len(jobs))]

    def _write_each(self, jobs: list[GenerationJob]) -> list[Written | Exception]:
        try:
            return self._write_together(jobs)
        except NetwrightError as error:
            if len(jobs) > 1:
                # One of them spoils the batch: each by itself, so that the others are served.
                return [result for job in jobs for result in self._write_each([job])]
            return [error if isinstance(error, RequestError) else _misfit(jobs[0].asked, error)]

    def _write_together(self, jobs: list[GenerationJob]) -> list[Written | Exception]:
        started = time.perf_counter()
        asked = [job.asked for job in jobs]
        hypernetwork, digest = self._writer_of(asked[0])
        condition = joined([one.condition for one in asked])
        condition.check()
        # Here and not where requests are read: looking at an architecture traces it, which no other thread may see.
        hypernetwork.conditioner.check(condition)
        hypernetwork.generator.check()
        params = hypernetwork(condition)
        milliseconds = 1000 * (time.perf_counter() - started)
        finite = torch.stack([v.isfinite().flatten(1).all(dim=1) for v in params.values()])
        is_finite = finite.all(dim=0).tolist()
        results: list[Written | Exception] = []
        for t, job in enumerate(jobs):
            own = {name: value[t : t + 1] for name, value in params.items()}
            if not is_finite[t]:
                results.append(
                    invalid("The network would not be finite: the condition is too extreme.")
                )
                continue
            if job.x is not None:
                outputs = hypernetwork.child(own, job.x[None])[0]
                results.append(Written(milliseconds, outputs=outputs))
                continue
            network = hypernetwork.network_of(own, 0, job.asked.condition, digest, job.asked.labels)
            results.append(Written(milliseconds, network=network))
        return results

    def _writer_of(self, asked: Asked) -> tuple[Hypernetwork, str]:
        """The hypernetwork for the architecture that was asked for, and its digest."""
        own = asked.served
        wanted = asked.condition.architecture
        if wanted is None or wanted.values[0] == own.architecture:
            return own.hypernetwork, own.digest
        key = (own.name, wanted.values[0])
        found = self._others.pop(key, None)
        if found is None:
            # Not `for_architecture`, which keeps thousands of children, however large.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # As there: what is never used is the same in every digest.
                child = Child(wanted.values[0], precision=own.hypernetwork.child.precision).eval()
            other = own.hypernetwork.for_child(child).eval()
            found = (other, weights_digest(other))
        self._others[key] = found
        while len(self._others) > 1 and self._kept() > _KEPT_NUMBERS:
            self._others.popitem(last=False)
        return found

    def _kept(self) -> int:
        return sum(other.child.space.size for other, _ in self._others.values())


def joined(conditions: Sequence[Condition]) -> Condition:
    """The conditions of T tasks, each with T = 1, as one; examples are padded to a common number."""
    if len(conditions) == 1:
        return conditions[0]
    parts: dict[str, Any] = {}
    for name, value in conditions[0].present().items():
        values: list[Any] = [getattr(condition, name) for condition in conditions]
        if isinstance(value, ExampleSet):
            parts[name] = _joined_examples(values)
        elif isinstance(value, Texts):
            parts[name] = Texts([text for texts in values for text in texts.values])
        elif isinstance(value, Architectures):
            parts[name] = Architectures([one for each in values for one in each.values])
        else:
            parts[name] = torch.cat(values)
    return Condition(**parts)


def _joined_examples(sets: Sequence[ExampleSet]) -> ExampleSet:
    most = max(one.x.shape[1] for one in sets)

    def padded(value: Tensor) -> Tensor:
        return F.pad(value, [0, 0] * (value.dim() - 2) + [0, most - value.shape[1]])

    x, y, mask = (
        torch.cat([padded(getattr(one, name)) for one in sets]) for name in ("x", "y", "mask")
    )
    return ExampleSet(x, y, mask, sets[0].classes)


def _group_of(asked: Asked) -> Hashable:
    """Equal for conditions that can be read in one batch."""
    parts: list[Hashable] = [asked.served.name, asked.architecture]
    for name, value in sorted(asked.condition.present().items()):
        if isinstance(value, ExampleSet):
            bucket = (value.x.shape[1] - 1).bit_length()
            # Statistics of a batch would count what is padding.
            if asked.served.hypernetwork.child.batch_norm == "batch":
                bucket = value.x.shape[1]
            parts += [name, bucket, value.classes, tuple(value.x.shape[2:])]
        elif isinstance(value, Tensor):
            parts += [name, describe_shape(value)]
        else:
            parts.append(name)
    return tuple(parts)


def _misfit(asked: Asked, error: NetwrightError) -> RequestError:
    # Messages of the library quote texts and options; of numbers they tell places and shapes.
    quotes = {"description", "architecture"} & asked.condition.present().keys()
    told = "" if quotes else f" {error}"
    return invalid(f"The condition does not fit what this hypernetwork was trained with.{told}")
