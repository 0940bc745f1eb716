"""The registry, used by the batch from threads of its own, and its errors as answers."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from netwright.errors import (
    ArtifactError,
    NetwrightError,
    RegistryError,
    RegistryUnavailableError,
    UnknownNetworkError,
)
from netwright.generated import GeneratedNetwork
from netwright.registry import Entry, Registry
from netwright.serving.batching import Batcher
from netwright.serving.limits import ServerLimits
from netwright.serving.problems import RequestError, not_found, unavailable
from netwright.serving.resident import Key

R = TypeVar("R")
T = TypeVar("T")
_log = logging.getLogger("netwright.serving")
# After a failure that is not a request's fault, for so long none is tried: each would wait for the same timeout.
_REST_S = 0.5
# After a network could not be kept, for so long the server says that it is not ready: reading alone may still work.
_DOUBTED_S = 5.0


@dataclass(frozen=True)
class KeepJob:
    """A network to keep."""

    network: GeneratedNetwork
    key: Key
    about: Mapping[str, Any]


class Store:
    """What keeps networks: one thread writes, another reads.

    Args:
        registry: Where they are kept.
        limits: Of batches and queues.
    """

    def __init__(self, registry: Registry, limits: ServerLimits) -> None:
        self.registry = registry
        self._write = ThreadPoolExecutor(1, "netwright-keep")
        self._read = ThreadPoolExecutor(1, "netwright-load")
        # No delay: what a batch of writing made comes together anyway.
        self.keeping: Batcher[KeepJob, Entry] = Batcher(
            self._keep, self._write, max_batch=limits.max_batch, max_delay_s=0,
            max_queue=limits.max_queue,
        )  # fmt: skip
        self.loading: Batcher[Key, GeneratedNetwork] = Batcher(
            self._load, self._read, max_batch=limits.max_batch, max_delay_s=0,
            max_queue=limits.max_queue,
        )  # fmt: skip
        self._rests_until = 0.0
        self._refused_at = -_DOUBTED_S

    async def ask(self, question: Callable[[Registry], R], *, changes: bool = False) -> R:
        """The answer of the registry to one question.

        Raises:
            RequestError: 404 or 503.
        """
        executor = self._write if changes else self._read
        return await asyncio.get_running_loop().run_in_executor(
            executor, lambda: self._tried(lambda: question(self.registry))
        )

    @property
    def is_doubted(self) -> bool:
        """Whether networks could not be kept a moment ago, and none has been since."""
        return time.monotonic() - self._refused_at < _DOUBTED_S

    def close(self) -> None:
        """Finish what is under way."""
        self._write.shutdown()
        self._read.shutdown()
        self.registry.close()

    def _keep(self, jobs: list[KeepJob]) -> Sequence[Entry | Exception]:
        def keep(some: list[KeepJob]) -> list[Entry]:
            return self.registry.add_many(
                [job.network for job in some],
                owner=[job.key[0] for job in some],
                network_ids=[job.key[1] for job in some],
                about=[job.about for job in some],
            )

        kept = self._each(jobs, keep)
        if any(isinstance(one, RequestError) and one.status == 503 for one in kept):
            self._refused_at = time.monotonic()
        else:
            self._refused_at = -_DOUBTED_S
        return kept

    def _load(self, keys: list[Key]) -> Sequence[GeneratedNetwork | Exception]:
        # Several requests may wait for one network.
        different = list(dict.fromkeys(keys))

        def load(some: list[Key]) -> list[GeneratedNetwork]:
            owners, ids = [owner for owner, _ in some], [each for _, each in some]
            return self.registry.get_many(ids, owner=owners)

        loaded = self._each(different, load)
        found = dict(zip(different, loaded, strict=True))
        return [found[key] for key in keys]

    def _each(self, items: list[T], work: Callable[[list[T]], list[R]]) -> list[R | Exception]:
        """The work on all items at once, or, if one of them spoils it, on each."""
        try:
            done: Sequence[R] = self._tried(lambda: work(items))
            return [*done]
        except RequestError as problem:
            if problem.status == 503 or len(items) == 1:
                return [problem] * len(items)
        results: list[R | Exception] = []
        for item in items:
            try:
                results += self._tried(lambda item=item: work([item]))  # type: ignore[misc]
            except RequestError as problem:
                results.append(problem)
        return results

    def _tried(self, work: Callable[[], R]) -> R:
        if time.monotonic() < self._rests_until:
            raise unavailable()
        try:
            return work()
        except RegistryUnavailableError as error:
            self._rests_until = time.monotonic() + _REST_S
            _log.warning("%s", error)
            raise unavailable() from None
        except UnknownNetworkError:
            raise not_found("network") from None
        except ArtifactError as error:
            _log.error("%s", error)
            raise RequestError(500, "damaged", "The network is damaged where it is kept.") from None
        except RegistryError as error:
            _log.warning("%s", error)
            raise RequestError(409, "conflict", "The id is another network's.") from None
        except NetwrightError as error:
            _log.error("%s", error)
            raise RequestError(500, "internal", "The server failed.") from None
