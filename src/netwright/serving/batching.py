"""Requests that wait together, and are worked on together.

A `Batcher` takes jobs one by one on the event loop and gives them to a function by the batch, in a thread. While
one batch is worked on, the next gathers; where there is nothing to do, the first job waits `max_delay_s` for others.
Owners take turns, one job each, so that one of them cannot keep the others waiting; when the queue is full, the
youngest job of the owner who has most of them gives way.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from netwright.serving.problems import busy, late

J = TypeVar("J")
R = TypeVar("R")


@dataclass
class _Waiting(Generic[J, R]):
    job: J
    owner: str
    weight: int
    deadline: float
    future: "asyncio.Future[R]" = field(repr=False)
    came: float = field(default_factory=time.monotonic)


class Batcher(Generic[J, R]):
    """Turns a function of many jobs into a coroutine of one.

    Args:
        work: From jobs to a result, or an exception, for each; called in a thread of `executor`, one call at a time.
        executor: Of threads.
        max_batch: Most weight of one call; a job heavier than that goes alone.
        max_delay_s: How long the first of a batch waits for others, where nothing is being worked on.
        max_queue: Most jobs that wait.
        weigh: The weight of a job; by default 1.
    """

    def __init__(
        self,
        work: Callable[[list[J]], Sequence[R | Exception]],
        executor: Executor,
        *,
        max_batch: int,
        max_delay_s: float,
        max_queue: int,
        weigh: Callable[[J], int] | None = None,
    ) -> None:
        self._work, self._executor = work, executor
        self.max_batch, self.max_delay_s, self.max_queue = max_batch, max_delay_s, max_queue
        self._weigh = weigh or (lambda job: 1)
        self._queues: OrderedDict[str, deque[_Waiting[J, R]]] = OrderedDict()
        self._weight = 0
        self.waiting = 0
        self.batches = self.jobs = 0
        self.seconds = 0.0
        self._runner: asyncio.Task[None] | None = None
        self._full = asyncio.Event()

    async def submit(self, job: J, *, owner: str, deadline: float) -> R:
        """The result of one job.

        Args:
            job: What is to be done.
            owner: Whose turn it takes.
            deadline: By `time.monotonic`; a job that has not been begun by then is left out.

        Raises:
            RequestError: 429 if too many jobs wait, 504 if the deadline passed.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(job, owner, self._weigh(job), deadline, future)
        if self.waiting >= self.max_queue and not self._make_room(owner):
            raise busy(self.expected_wait_s())
        self._queues.setdefault(owner, deque()).append(waiting)
        self.waiting += 1
        self._weight += waiting.weight
        if self._weight >= self.max_batch:
            self._full.set()
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    def expected_wait_s(self) -> float:
        """Seconds until a job that came now would be done, by what the last ones took."""
        each = self.seconds / self.jobs if self.jobs else 0.01
        return each * (self.waiting + 1)

    def _make_room(self, owner: str) -> bool:
        """Let the youngest job of the owner who waits most give way, unless that is this one."""
        greedy = max(self._queues, key=lambda name: len(self._queues[name]))
        if greedy == owner or len(self._queues[greedy]) <= len(self._queues.get(owner, ())) + 1:
            return False
        gone = self._queues[greedy].pop()
        self.waiting -= 1
        self._weight -= gone.weight
        if not gone.future.done():
            gone.future.set_exception(busy(self.expected_wait_s()))
        return True

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self.waiting:
            # What came while the last batch was worked on has waited already.
            oldest = min(queue[0].came for queue in self._queues.values())
            left = oldest + self.max_delay_s - time.monotonic()
            if self._weight < self.max_batch and left > 0:
                self._full.clear()
                # Not `wait_for`: a timer and an event are all there is to it.
                timer = loop.call_later(left, self._full.set)
                await self._full.wait()
                timer.cancel()
            batch = self._take()
            if not batch:
                continue
            started = time.perf_counter()
            try:
                results = await loop.run_in_executor(
                    self._executor, self._work, [waiting.job for waiting in batch]
                )
            except Exception as error:
                # Of a bug of ours: each request is told, and the next batch goes on.
                results = [error] * len(batch)
            self.seconds += time.perf_counter() - started
            self.batches += 1
            self.jobs += len(batch)
            for waiting, result in zip(batch, results, strict=True):
                if waiting.future.done():
                    continue
                if isinstance(result, Exception):
                    waiting.future.set_exception(result)
                else:
                    waiting.future.set_result(result)

    def _take(self) -> list[_Waiting[J, R]]:
        """The next batch: a job of each owner in turn, without those that nobody waits for any more."""
        batch: list[_Waiting[J, R]] = []
        weight = 0
        now = time.monotonic()
        while self._queues:
            owner, queue = next(iter(self._queues.items()))
            first = queue[0]
            dropped = first.future.done() or first.deadline <= now
            if not dropped and batch and weight + first.weight > self.max_batch:
                break
            queue.popleft()
            self.waiting -= 1
            self._weight -= first.weight
            if not queue:
                del self._queues[owner]
            if dropped:
                if not first.future.done():
                    first.future.set_exception(late())
                continue
            if queue:
                self._queues.move_to_end(owner)
            batch.append(first)
            weight += first.weight
            if len(batch) >= self.max_batch:
                break
        return batch
