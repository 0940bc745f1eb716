"""Requests that wait together."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from netwright.serving.batching import Batcher
from netwright.serving.problems import RequestError

LATER = 60.0


def soon() -> float:
    return time.monotonic() + LATER


class Works:
    """Doubles numbers; notes the batches that it was given, and can be held back."""

    def __init__(self) -> None:
        self.batches: list[list] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def __call__(self, jobs):
        self.batches.append(list(jobs))
        assert self.may_go.wait(LATER)
        return [ValueError(job) if job == "bad" else 2 * job for job in jobs]


def batched(play, **options):
    """Run a coroutine function of a batcher and what it works with."""
    options = {"max_batch": 8, "max_delay_s": 0.0, "max_queue": 100, **options}

    async def run():
        works = Works()
        with ThreadPoolExecutor(1) as executor:
            try:
                return await play(Batcher(works, executor, **options), works)
            finally:
                works.may_go.set()

    return asyncio.run(run())


async def while_held(batcher, works):
    """Have it work on one job of nobody's, so that others gather."""
    works.may_go.clear()
    first = asyncio.create_task(batcher.submit(0, owner="nobody", deadline=soon()))
    while not works.batches:
        await asyncio.sleep(0)
    return first


def test_jobs_that_come_together_are_worked_on_together():
    async def play(batcher, works):
        jobs = [batcher.submit(i, owner="a", deadline=soon()) for i in range(5)]
        assert await asyncio.gather(*jobs) == [0, 2, 4, 6, 8]
        return works.batches

    assert batched(play, max_delay_s=0.05) == [[0, 1, 2, 3, 4]]


def test_a_full_batch_does_not_wait_for_others():
    async def play(batcher, works):
        jobs = [batcher.submit(i, owner="a", deadline=soon()) for i in range(3)]
        await asyncio.wait_for(asyncio.gather(*jobs), 20)
        return works.batches

    assert batched(play, max_batch=3, max_delay_s=1000) == [[0, 1, 2]]


def test_batches_are_no_heavier_than_allowed_but_for_a_job_alone():
    async def play(batcher, works):
        held = await while_held(batcher, works)
        jobs = [
            asyncio.create_task(batcher.submit(w, owner="a", deadline=soon())) for w in (3, 3, 9, 2)
        ]
        await asyncio.sleep(0)
        works.may_go.set()
        await asyncio.gather(held, *jobs)
        return works.batches[1:]

    assert batched(play, max_batch=6, weigh=lambda job: job) == [[3, 3], [9], [2]]


def test_owners_take_turns():
    async def play(batcher, works):
        held = await while_held(batcher, works)
        jobs = [("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 10), ("c", 20)]
        tasks = [asyncio.create_task(batcher.submit(j, owner=o, deadline=soon())) for o, j in jobs]
        await asyncio.sleep(0)
        works.may_go.set()
        await asyncio.gather(held, *tasks)
        return works.batches[1:]

    assert batched(play, max_batch=3) == [[1, 10, 20], [2, 3, 4]]


def test_a_full_queue_refuses_and_says_when_to_come_back():
    async def play(batcher, works):
        held = await while_held(batcher, works)
        tasks = [asyncio.create_task(batcher.submit(i, owner="a", deadline=soon())) for i in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as refused:
            await batcher.submit(3, owner="a", deadline=soon())
        works.may_go.set()
        assert await asyncio.gather(held, *tasks) == [0, 2, 4]
        return refused.value

    problem = batched(play, max_queue=2)
    assert problem.status == 429
    assert int(problem.headers["Retry-After"]) >= 1


def test_who_fills_the_queue_makes_room_for_others():
    async def play(batcher, works):
        held = await while_held(batcher, works)
        greedy = [
            asyncio.create_task(batcher.submit(i, owner="a", deadline=soon())) for i in (1, 2, 3)
        ]
        await asyncio.sleep(0)
        modest = asyncio.create_task(batcher.submit(10, owner="b", deadline=soon()))
        await asyncio.sleep(0)
        works.may_go.set()
        return await asyncio.gather(held, *greedy, modest, return_exceptions=True)

    *done, modest = batched(play, max_queue=3)
    assert modest == 20
    assert done[:3] == [0, 2, 4]
    assert isinstance(done[3], RequestError)
    assert done[3].status == 429


def test_what_is_late_is_not_begun():
    async def play(batcher, works):
        held = await while_held(batcher, works)
        late = asyncio.create_task(batcher.submit(1, owner="a", deadline=time.monotonic() - 1))
        on_time = asyncio.create_task(batcher.submit(2, owner="a", deadline=soon()))
        await asyncio.sleep(0)
        works.may_go.set()
        done = await asyncio.gather(held, late, on_time, return_exceptions=True)
        return done, works.batches

    done, batches = batched(play)
    assert done[1].status == 504
    assert done[2] == 4
    assert batches == [[0], [2]]


def test_what_nobody_waits_for_is_not_begun():
    async def play(batcher, works):
        held = await while_held(batcher, works)
        gone = asyncio.create_task(batcher.submit(1, owner="a", deadline=soon()))
        stays = asyncio.create_task(batcher.submit(2, owner="a", deadline=soon()))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        works.may_go.set()
        await asyncio.gather(held, stays)
        return works.batches, batcher.waiting

    assert batched(play) == ([[0], [2]], 0)


def test_a_job_that_fails_fails_alone():
    async def play(batcher, works):
        jobs = [batcher.submit(job, owner="a", deadline=soon()) for job in (1, "bad", 3)]
        return await asyncio.gather(*jobs, return_exceptions=True)

    one, bad, three = batched(play, max_delay_s=0.02)
    assert (one, three) == (2, 6)
    assert isinstance(bad, ValueError)


def test_work_that_breaks_is_told_to_all_and_the_next_goes_on():
    async def play(batcher, works):
        batcher._work = lambda jobs: 1 / 0
        with pytest.raises(ZeroDivisionError):
            await batcher.submit(1, owner="a", deadline=soon())
        batcher._work = works
        return await batcher.submit(2, owner="a", deadline=soon())

    assert batched(play) == 4
