"""Networks that are written together are those that would be written alone."""

import pytest
import torch
from servers import condition, served

from netwright.graph import OPERATIONS
from netwright.serving.conditions import asked_of
from netwright.serving.generation import GenerationJob, NetworkWriter
from netwright.serving.limits import ServerLimits
from netwright.serving.problems import RequestError

LIMITS = ServerLimits()
SERVED = served()


def asked(name: str, condition: dict):
    return asked_of(SERVED[name], condition, None, LIMITS)


def of_pictures(seed: int, shots: int) -> dict:
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand(2 * shots, 1, 8, 8, generator=rng)
    return {"examples": {"x": x.tolist(), "y": [i % 2 for i in range(2 * shots)]}}


MIXED = [
    *[asked("letters", condition(i, shots=shots)) for i, shots in enumerate((3, 4, 5, 6, 7, 8, 17))],
    *[asked("letters", condition(i, shots=12, classes=c)) for i, c in enumerate((2, 3, 4, 5))],
    *[asked("pictures", of_pictures(i, shots)) for i, shots in enumerate((1, 2, 3))],
    *[asked("machines", {"context": [0.1 * i, 0.5, 0.2]}) for i in range(3)],
    *[asked("sizes", {**condition(i), "architecture": {"hidden": h}}) for i, h in enumerate(([4], [9], [4], [5, 3]))],
    *[asked("sizes", condition(i)) for i in range(2)],
    *[asked("texts", {"description": text}) for text in ("more than two", "less")],
]  # fmt: skip


def test_networks_of_a_mixed_batch_are_those_written_alone():
    together = NetworkWriter().write([GenerationJob(one) for one in MIXED])
    for one, written in zip(MIXED, together, strict=True):
        alone = one.served.hypernetwork
        truth = alone.generate(one.condition, labels=one.labels)
        assert written.network.labels == truth.labels
        assert written.network.architecture == truth.architecture == one.architecture
        assert vars(written.network.provenance) == vars(truth.provenance)
        torch.testing.assert_close(
            dict(written.network.network.named_parameters()),
            dict(truth.network.named_parameters()),
            atol=1e-5, rtol=1e-5,
        )  # fmt: skip


def test_rows_may_be_run_at_once():
    jobs = [GenerationJob(one, torch.randn(3, *one.architecture.input_shape)) for one in MIXED]
    for job, written in zip(jobs, NetworkWriter().write(jobs), strict=True):
        truth = job.asked.served.hypernetwork.generate(job.asked.condition)
        assert written.network is None
        torch.testing.assert_close(written.outputs, truth(job.x).detach(), atol=1e-5, rtol=1e-5)


def test_a_condition_that_spoils_a_batch_fails_alone():
    good = MIXED[:3]
    bad = asked(
        "letters", {"examples": {"x": [[3e38] * 4, [-3e38] * 4, [1e38] * 4], "y": [0, 1, 2]}}
    )
    *first, refused, last = NetworkWriter().write(
        [GenerationJob(one) for one in (*good[:2], bad, good[2])]
    )
    assert isinstance(refused, RequestError)
    assert refused.status == 422
    assert all(written.network is not None for written in (*first, last))


def test_children_of_other_architectures_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("netwright.serving.generation._KEPT_NUMBERS", 200)
    writer = NetworkWriter()
    for width in range(2, 30):
        one = asked("sizes", {**condition(), "architecture": {"hidden": [width]}})
        assert writer.write([GenerationJob(one)])[0].network.size == one.cost.parameters
    assert len(writer._others) <= 3


@pytest.mark.parametrize("bytes_", [1, 4 * 115 * 2])
def test_a_pass_writes_no_more_than_it_may(monkeypatch, bytes_):
    passes = []
    monkeypatch.setattr("netwright.serving.generation._PASS_BYTES", bytes_)
    writer = NetworkWriter()
    monkeypatch.setattr(
        writer, "_write_together", lambda jobs: passes.append(len(jobs)) or [None] * len(jobs)
    )
    writer.write([GenerationJob(asked("letters", condition(i))) for i in range(5)])
    assert max(passes) == max(1, bytes_ // (4 * 115))


def test_operations_that_training_never_had_are_refused_where_the_generator_alone_reads_them():
    own = served()["sizes"]
    generator = own.hypernetwork.generator
    generator.encoder.seen |= (generator.graph.features[:, : len(OPERATIONS)] > 0).any(dim=0)
    bodies = [{**condition(), "architecture": {"hidden": [4], **more}} for more in ({}, {"activation": "gelu"})]  # fmt: skip
    jobs = [GenerationJob(asked_of(own, body, None, LIMITS)) for body in bodies]
    served_, refused = NetworkWriter().write(jobs)
    assert served_.network is not None
    assert isinstance(refused, RequestError)
    assert "does not fit what this hypernetwork was trained with" in str(refused)
