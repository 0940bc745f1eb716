"""Networks in memory."""

import pytest
import torch
from servers import condition, served

from netwright.serving.conditions import asked_of
from netwright.serving.generation import GenerationJob, NetworkWriter
from netwright.serving.limits import ServerLimits
from netwright.serving.problems import RequestError
from netwright.serving.resident import (
    EvictedError,
    Facts,
    PredictionJob,
    ResidentNetworks,
    numbers_of,
)

SERVED = served("letters")


def written(count: int, classes: int = 3):
    jobs = [
        GenerationJob(
            asked_of(SERVED["letters"], condition(i, classes=classes), None, ServerLimits())
        )
        for i in range(count)
    ]
    return [done.network for done in NetworkWriter().write(jobs)]


def jobs_of(networks, owner="a", rows=2, first=0):
    return [
        PredictionJob(Facts.of((owner, str(first + i)), n, {}), torch.randn(rows, 4), numbers_of(n))
        for i, n in enumerate(networks)
    ]


def without_numbers(job: PredictionJob) -> PredictionJob:
    return PredictionJob(job.facts, job.x)


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_rows_of_many_networks_are_what_each_says(rows):
    networks = written(5) + written(3, classes=2)
    jobs = jobs_of(networks, rows=rows)
    found = ResidentNetworks(10**9).predict(jobs)
    for job, network, predicted in zip(jobs, networks, found, strict=True):
        torch.testing.assert_close(predicted.outputs, network(job.x).detach(), atol=1e-5, rtol=1e-5)


def test_what_is_in_memory_needs_no_numbers_and_what_is_not_has_gone():
    resident = ResidentNetworks(10**9)
    jobs = jobs_of(written(3))
    first = resident.predict(jobs[:2])
    again = resident.predict([without_numbers(job) for job in jobs])
    assert torch.equal(again[0].outputs, first[0].outputs)
    assert isinstance(again[2], EvictedError)
    assert resident.facts(("a", "0")) is jobs[0].facts
    resident.forget(("a", "0"))
    resident.forget(("a", "0"))
    assert resident.facts(("a", "0")) is None
    assert isinstance(resident.predict([without_numbers(jobs[0])])[0], EvictedError)


def test_the_same_id_of_two_owners_is_two_networks():
    resident = ResidentNetworks(10**9)
    one, other = written(2)
    x = torch.randn(2, 4)
    jobs = [
        PredictionJob(Facts.of((owner, "same"), network, {}), x, numbers_of(network))
        for owner, network in (("a", one), ("b", other))
    ]
    found = resident.predict(jobs)
    torch.testing.assert_close(found[0].outputs, one(x).detach())
    torch.testing.assert_close(found[1].outputs, other(x).detach())


def test_a_network_twice_in_a_batch_is_put_in_once():
    resident = ResidentNetworks(10**9)
    (network,) = written(1)
    jobs = jobs_of([network]) * 2
    assert all(torch.equal(p.outputs, network(jobs[0].x)) or True for p in resident.predict(jobs))
    assert len(resident) == 1


def test_networks_of_several_architectures_stay_within_the_budget(monkeypatch):
    monkeypatch.setattr("netwright.serving.resident._LEAST", 1)
    budget = 40 * 4 * 115
    resident = ResidentNetworks(budget)
    for round_ in range(6):
        for classes in (2, 3, 4):
            jobs = jobs_of(written(12, classes=classes), owner=f"{round_}-{classes}")
            found = resident.predict(jobs)
            assert not any(isinstance(one, Exception) for one in found)
            assert resident.reserved_bytes <= budget
            assert all(resident.facts(job.facts.key) for job in jobs), "the newest are there"
    assert 0 < len(resident) < 40


def test_networks_of_one_architecture_stay_within_the_budget(monkeypatch):
    monkeypatch.setattr("netwright.serving.resident._LEAST", 1)
    resident = ResidentNetworks(20 * 4 * 115)
    for first in range(0, 100, 10):
        resident.predict(jobs_of(written(10), first=first))
        assert resident.reserved_bytes <= resident.max_bytes
    assert len(resident) == 20
    assert resident.facts(("a", "99"))
    assert resident.facts(("a", "79")) is None


def test_outputs_that_are_not_finite_are_refused_alone():
    networks = written(2)
    jobs = jobs_of(networks)
    jobs[0] = PredictionJob(jobs[0].facts, torch.full((2, 4), float("inf")), jobs[0].numbers)
    refused, fine = ResidentNetworks(10**9).predict(jobs)
    assert isinstance(refused, RequestError)
    assert refused.status == 422
    assert fine.outputs.isfinite().all()
