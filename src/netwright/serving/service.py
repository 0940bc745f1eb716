"""What the server does, without HTTP: networks written, kept and run, by the batch."""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from netwright.registry import Entry, Registry
from netwright.serving.batching import Batcher
from netwright.serving.conditions import Asked
from netwright.serving.generation import GenerationJob, NetworkWriter, Written
from netwright.serving.limits import ServerLimits
from netwright.serving.metrics import Metrics
from netwright.serving.problems import RequestError, not_found, unavailable
from netwright.serving.resident import (
    EvictedError,
    Facts,
    Key,
    Numbers,
    Predicted,
    PredictionJob,
    ResidentNetworks,
    numbers_of,
)
from netwright.serving.served import Served
from netwright.serving.store import KeepJob, Store

# Rows that weigh as much as one request.
_ROWS = 64
_TRIES = 5
# Networks that were removed last, so that none comes back by a request that was under way.
_REMEMBERED = 10_000
# Of networks that were written or read and have not been run yet.
_NEW_BYTES = 64_000_000


@dataclass(frozen=True)
class Outputs:
    """What came of rows: outputs [N, C], and of which network."""

    facts: Facts
    outputs: Tensor
    milliseconds: float


class Service:
    """Hypernetworks, a registry, and the threads that work for requests.

    All of torch runs in one thread, which takes turns between writing and running; the registry has two of its own. The
    event loop does nothing that takes long.

    Args:
        served: Hypernetworks by name.
        registry: Where networks are kept.
        limits: What is too much.
    """

    def __init__(
        self, served: dict[str, Served], registry: Registry, limits: ServerLimits | None = None
    ) -> None:
        self.served, self.limits = served, limits or ServerLimits()
        self.store = Store(registry, self.limits)
        self.metrics = Metrics()
        self.resident = ResidentNetworks(self.limits.bank_bytes)
        self.draining = False
        self._torch = ThreadPoolExecutor(1, "netwright-torch")
        self._writer = NetworkWriter()
        batch, delay, queue = (
            self.limits.max_batch,
            self.limits.max_delay_s,
            self.limits.max_queue,
        )
        self.writing: Batcher[GenerationJob, Written] = Batcher(
            self._writer.write, self._torch, max_batch=batch, max_delay_s=delay, max_queue=queue
        )
        self.running: Batcher[PredictionJob, Predicted] = Batcher(
            self.resident.predict, self._torch, max_batch=batch, max_delay_s=delay, max_queue=queue,
            weigh=lambda job: 1 + len(job.x) // _ROWS,
        )  # fmt: skip
        self._new: OrderedDict[Key, tuple[Facts, Numbers]] = OrderedDict()
        self._new_bytes = 0
        self._removed: OrderedDict[Key, None] = OrderedDict()
        self._under_way: dict[Key, asyncio.Future[None]] = {}
        self._ready_at, self._is_ready = 0.0, False
        self._watch()

    def hypernetwork(self, name: Any) -> Served:
        """By name.

        Raises:
            RequestError: 404 if there is none.
        """
        found = self.served.get(name) if isinstance(name, str) else None
        if found is None:
            raise not_found("hypernetwork")
        return found

    async def create(
        self, asked: Asked, owner: str, deadline: float, request: str, idempotency_key: str = ""
    ) -> tuple[Entry, bool]:
        """Write a network and keep it; when this returns it survives whatever happens to the server.

        Args:
            asked: From what.
            owner: Whose it will be.
            deadline: By `time.monotonic`.
            request: Digest of what was asked.
            idempotency_key: Of requests that are sent again: the second gets what the first made.

        Returns:
            What is known of it, and whether it was there already.

        Raises:
            RequestError: If it cannot be written or kept.
        """
        if not idempotency_key:
            key = (owner, secrets.token_hex(12))
            return await self._create(asked, key, deadline, {}), False
        digest = hashlib.sha256(f"{owner}\n{idempotency_key}".encode()).hexdigest()
        key = (owner, f"i{digest[:31]}")
        while (other := self._under_way.get(key)) is not None:
            await asyncio.shield(other)
        future = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            entry = await self._entry_or_none(key)
            if entry is not None:
                if entry.about.get("request") != request:
                    raise RequestError(
                        409, "idempotency", "The idempotency key was used for another request."
                    )
                return entry, True
            return await self._create(asked, key, deadline, {"request": request}), False
        finally:
            del self._under_way[key]
            future.set_result(None)

    async def predict_once(self, asked: Asked, x: Tensor, owner: str, deadline: float) -> Written:
        """Write a network, run it on x, and keep nothing.

        Raises:
            RequestError: If it cannot be written or run.
        """
        written = await self.writing.submit(GenerationJob(asked, x), owner=owner, deadline=deadline)
        self._count(asked.cost.parameters, len(x))
        return written

    async def facts(self, key: Key, deadline: float) -> Facts:
        """All of a network but its numbers; read from the registry if it is not in memory.

        Raises:
            RequestError: 404 if the owner has none such, 503 if the registry cannot be reached.
        """
        if key in self._removed:
            raise not_found("network")
        new = self._new.get(key)
        found = self.resident.facts(key) or (new[0] if new else None)
        if found is not None:
            return found
        network = await self.store.loading.submit(key, owner=key[0], deadline=deadline)
        facts = Facts.of(key, network, {})
        self._remember(facts, numbers_of(network))
        return facts

    async def predict(self, facts: Facts, x: Tensor, deadline: float) -> Predicted:
        """Outputs of a network.

        Raises:
            RequestError: If there are none, or not in time.
        """
        key = facts.key
        for _ in range(_TRIES):
            new = self._new.get(key)
            job = PredictionJob(facts, x, new[1] if new else None)
            try:
                predicted = await self.running.submit(job, owner=key[0], deadline=deadline)
            except EvictedError:
                await self.facts(key, deadline)
                continue
            if new is not None:
                self._let_go(key)
            if key in self._removed:
                # Removed while it was run, which may have put it back.
                await self._forget(key)
                raise not_found("network")
            self.metrics.rows.inc(len(x))
            return predicted
        raise unavailable()

    async def remove(self, key: Key) -> None:
        """Forget a network, here and in the registry.

        Raises:
            RequestError: 404 if the owner has none such, 503 if the registry cannot be reached.
        """
        await self.store.ask(lambda r: r.remove(key[1], owner=key[0]), changes=True)
        self._removed[key] = None
        while len(self._removed) > _REMEMBERED:
            self._removed.popitem(last=False)
        self._let_go(key)
        await self._forget(key)

    async def is_ready(self) -> bool:
        """Whether networks can be written and kept now; looked up at most once a second."""
        if self.draining or self.store.is_doubted:
            return False
        if time.monotonic() - self._ready_at > 1:
            try:
                await self.store.ask(lambda registry: registry.check())
                self._is_ready = True
            except RequestError:
                self._is_ready = False
            self._ready_at = time.monotonic()
        return self._is_ready

    def close(self) -> None:
        """Finish what is under way, and let the registry go."""
        self._torch.shutdown()
        self.store.close()

    async def _forget(self, key: Key) -> None:
        await asyncio.get_running_loop().run_in_executor(self._torch, self.resident.forget, key)

    async def _create(
        self, asked: Asked, key: Key, deadline: float, about: dict[str, Any]
    ) -> Entry:
        job = GenerationJob(asked)
        written = await self.writing.submit(job, owner=key[0], deadline=deadline)
        network = written.network
        assert network is not None
        noted = {
            "hypernetwork": asked.served.name,
            "kind": asked.served.kind,
            "milliseconds": round(written.milliseconds, 3),
            **about,
        }
        keep = KeepJob(network, key, noted)
        entry = await self.store.keeping.submit(keep, owner=key[0], deadline=deadline)
        if key in self._removed:
            del self._removed[key]
            # An idempotency key that made another network before.
            await self._forget(key)
        self._remember(Facts.of(key, network, noted), numbers_of(network))
        self._count(entry.parameters, 0)
        return entry

    async def _entry_or_none(self, key: Key) -> Entry | None:
        try:
            return await self.store.ask(lambda r: r.entry(key[1], owner=key[0]))
        except RequestError as problem:
            if problem.status == 404:
                return None
            raise

    def _remember(self, facts: Facts, numbers: Numbers) -> None:
        self._let_go(facts.key)
        self._new[facts.key] = (facts, numbers)
        self._new_bytes += _bytes_of(numbers)
        while self._new_bytes > _NEW_BYTES and len(self._new) > 1:
            self._let_go(next(iter(self._new)))

    def _let_go(self, key: Key) -> None:
        gone = self._new.pop(key, None)
        if gone is not None:
            self._new_bytes -= _bytes_of(gone[1])

    def _count(self, parameters: int, rows: int) -> None:
        self.metrics.networks.inc()
        self.metrics.parameters.inc(parameters)
        self.metrics.rows.inc(rows)

    def _watch(self) -> None:
        watch = self.metrics.watch
        for name, batcher in (
            ("write", self.writing), ("predict", self.running),
            ("keep", self.store.keeping), ("load", self.store.loading),
        ):  # fmt: skip
            watch(f"queue_{name}", f"Requests that wait to {name}.", lambda b=batcher: b.waiting)  # type: ignore[misc]
            watch(f"batches_{name}", f"Batches of {name} so far.", lambda b=batcher: b.batches)  # type: ignore[misc]
            watch(f"jobs_{name}", f"Requests in these batches of {name}.", lambda b=batcher: b.jobs)  # type: ignore[misc]
        watch("bank_networks", "Networks in memory.", lambda: len(self.resident))
        watch("bank_bytes", "Bytes taken for them.", lambda: self.resident.reserved_bytes)


def _bytes_of(numbers: Numbers) -> int:
    return sum(4 * value.numel() for value in numbers.values())
