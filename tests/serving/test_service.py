"""The service: what it keeps, remembers and does when the registry is away."""

import asyncio
import shutil
import time

import numpy as np
import pytest
import torch
from servers import COLUMNS, condition, make_service

from netwright.serving.conditions import asked_of
from netwright.serving.problems import RequestError
from netwright.serving.resident import Facts, PredictionJob

X = torch.randn(3, COLUMNS, generator=torch.Generator().manual_seed(0))


def soon() -> float:
    return time.monotonic() + 60


def asked(service, seed: int = 0):
    return asked_of(service.served["letters"], condition(seed), None, service.limits)


def played(folder, play, **limits):
    """Run a coroutine function of a service."""
    service = make_service(folder, "letters", **{"max_delay_s": 0.0, **limits})
    try:
        return asyncio.run(play(service))
    finally:
        service.close()


async def create(service, seed: int = 0, key: str = "", request: str = "r"):
    entry, _ = await service.create(asked(service, seed), "a", soon(), request, key)
    return entry


async def said(service, network_id: str):
    facts = await service.facts(("a", network_id), soon())
    return (await service.predict(facts, X, soon())).outputs


def test_a_key_that_comes_twice_at_once_writes_once(tmp_path):
    async def play(service):
        made = await asyncio.gather(*(create(service, key="k") for _ in range(5)))
        assert len({entry.network_id for entry in made}) == 1
        assert len(service.store.registry.list(owner="a")) == 1
        with pytest.raises(RequestError) as other:
            await create(service, key="k", request="another")
        assert other.value.status == 409

    played(tmp_path, play)


def test_networks_that_gave_way_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("netwright.serving.resident._LEAST", 1)
    monkeypatch.setattr("netwright.serving.service._NEW_BYTES", 1)

    async def play(service):
        ids = [(await create(service, seed)).network_id for seed in range(12)]
        first = [await said(service, network_id) for network_id in ids]
        assert len(service.resident) < 12
        again = [await said(service, network_id) for network_id in reversed(ids)]
        for one, other in zip(first, reversed(again), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        return service.store.loading.jobs

    assert played(tmp_path, play, bank_bytes=5 * 4 * 115) > 12


def test_a_network_that_gives_way_while_it_waits_is_read_again(tmp_path):
    async def play(service):
        network_id = (await create(service)).network_id
        before = await said(service, network_id)
        facts = await service.facts(("a", network_id), soon())
        service.resident.forget(("a", network_id))
        after = (await service.predict(facts, X, soon())).outputs
        torch.testing.assert_close(before, after)

    played(tmp_path, play)


def test_misses_are_read_together(tmp_path):
    async def write(service):
        return [(await create(service, seed)).network_id for seed in range(20)]

    ids = played(tmp_path, write)

    async def play(service):
        await asyncio.gather(*(said(service, network_id) for network_id in ids * 2))
        return service.store.loading.batches

    assert played(tmp_path, play) <= 4


def test_a_removed_network_does_not_come_back_by_what_is_under_way(tmp_path):
    async def play(service):
        network_id = (await create(service)).network_id
        key = ("a", network_id)
        facts, numbers = service._new[key]
        await service.remove(key)
        # A request that came before the removal puts it back into the bank.
        service.resident.predict([PredictionJob(facts, X, numbers)])
        assert service.resident.facts(key) is not None
        with pytest.raises(RequestError):
            await service.facts(key, soon())
        with pytest.raises(RequestError):
            await service.predict(facts, X, soon())
        assert service.resident.facts(key) is None

    played(tmp_path, play)


def test_a_key_may_be_used_again_when_its_network_is_removed(tmp_path):
    async def play(service):
        first = await create(service, 0, key="k", request="0")
        one = await said(service, first.network_id)
        await service.remove(("a", first.network_id))
        second = await create(service, 1, key="k", request="1")
        other = await said(service, second.network_id)
        assert first.network_id == second.network_id
        assert not np.allclose(one, other)
        truth = service.served["letters"].hypernetwork.generate(asked(service, 1).condition)
        torch.testing.assert_close(other, truth(X).detach(), atol=1e-5, rtol=1e-5)

    played(tmp_path, play)


def test_without_its_store_the_server_says_so_and_goes_on_with_what_it_has(tmp_path, monkeypatch):
    monkeypatch.setattr("netwright.serving.store._REST_S", 0.05)
    artifacts, away = tmp_path / "artifacts", tmp_path / "away"

    async def play(service):
        network_id = (await create(service)).network_id
        before = await said(service, network_id)
        assert await service.is_ready()
        shutil.move(artifacts, away)
        with pytest.raises(RequestError) as refused:
            await create(service, 1)
        assert refused.value.status == 503
        assert "Retry-After" in refused.value.headers
        assert not await service.is_ready()
        torch.testing.assert_close(await said(service, network_id), before)

        shutil.move(away, artifacts)
        await asyncio.sleep(0.06)
        await create(service, 1)
        service._ready_at = 0.0
        assert await service.is_ready()

    played(tmp_path, play)


def test_a_server_that_is_to_stop_is_not_ready(tmp_path):
    async def play(service):
        assert await service.is_ready()
        service.draining = True
        assert not await service.is_ready()

    played(tmp_path, play)


def test_a_damaged_network_is_told_from_one_that_is_not_there(tmp_path):
    async def write(service):
        return (await create(service)).network_id

    network_id = played(tmp_path, write)
    (pack,) = (tmp_path / "artifacts").glob("*.tar")
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)

    async def play(service):
        with pytest.raises(RequestError) as refused:
            await service.facts(("a", network_id), soon())
        assert (refused.value.status, refused.value.code) == (500, "damaged")
        with pytest.raises(RequestError) as missing:
            await service.facts(("a", "nothing"), soon())
        assert missing.value.status == 404

    played(tmp_path, play)


def test_what_waits_to_be_run_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("netwright.serving.service._NEW_BYTES", 3 * 4 * 115)

    async def play(service):
        for seed in range(8):
            await create(service, seed)
        return len(service._new), isinstance(next(iter(service._new.values()))[0], Facts)

    assert played(tmp_path, play) == (3, True)
