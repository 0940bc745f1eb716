"""Evaluation: right numbers, honest controls."""

import numpy as np
import pytest
import torch

import netwright as nw
from netwright.conditions import Condition, ExampleSet
from netwright.evaluation import calibration_error, mean_estimate
from netwright.tasks import TaskBatch, TaskFamily, TaskShape


def test_a_mean_has_the_textbook_interval():
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    found = mean_estimate(values)
    half = 1.959964 * values.numpy().std(ddof=1) / 2
    assert found.value == 2.5
    assert found.n == 4
    assert (found.low, found.high) == pytest.approx((2.5 - half, 2.5 + half), abs=1e-5)
    assert str(found) == f"2.5000 ± {half:.4f}"


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = torch.Generator().manual_seed(0)
    draws = [mean_estimate(torch.randn(100, generator=rng)) for _ in range(500)]
    covered = np.mean([found.low <= 0 <= found.high for found in draws])
    assert 0.92 <= covered <= 0.98


def test_calibration_error_by_hand():
    # Four predictions with confidence 0.8, of which three are right; two at 0.6, none right.
    confident, unsure = torch.tensor([0.8, 0.2]).log(), torch.tensor([0.6, 0.4]).log()
    logits = torch.stack([confident] * 4 + [unsure] * 2)[None]
    y = torch.tensor([[0, 0, 0, 1, 1, 1]])
    mask = torch.ones(1, 6, dtype=torch.bool)
    expected = (abs(3 - 4 * 0.8) + abs(0 - 2 * 0.6)) / 6
    assert calibration_error(logits, y, mask) == pytest.approx(expected, abs=1e-6)
    padded = torch.cat([mask[:, :4], torch.zeros(1, 2, dtype=torch.bool)], dim=1)
    assert calibration_error(logits, y, padded) == pytest.approx(abs(3 - 4 * 0.8) / 4, abs=1e-6)


class Offsets(TaskFamily):
    """y is a constant per task, and the support set shows it."""

    shape = TaskShape((1,), 1, "values")

    def sample(self, rng, tasks, split):
        offset = torch.from_numpy(rng.normal(size=(tasks, 1, 1))).float()
        x = torch.from_numpy(rng.normal(size=(tasks, 4, 1))).float()
        y = offset.expand(tasks, 4, 1)
        return TaskBatch(Condition(ExampleSet.of(x, y)), ExampleSet.of(x, y))

    def members(self, split):
        return (split,)

    def record(self):
        return {}


def perfect() -> nw.Hypernetwork:
    """Writes a bias equal to the mean of y: knows everything that the condition says."""

    class ReadsMean(nw.conditioners.Context):
        def forward(self, condition):
            y = condition.examples.y.mean(dim=1)
            return super().forward(Condition(context=y))

    child = nw.Child(torch.nn.Linear(1, 1))
    hypernetwork = nw.Hypernetwork(child, ReadsMean([-1.0], [1.0], size=4), "dense")

    def write(condition):
        mean = condition.examples.y.mean(dim=1)
        return {"weight": torch.zeros(len(mean), 1, 1), "bias": mean}

    hypernetwork.forward = write
    return hypernetwork


def test_shuffling_conditions_costs_what_the_condition_is_worth():
    found = nw.evaluate(perfect(), Offsets(), tasks=400)
    assert found.metrics["mse"].value == 0
    # Two independent standard normal offsets differ by a variance of 2.
    assert found.shuffled["mse"].value == pytest.approx(2, abs=0.4)
    assert found.parameters == 2
    assert found.calibration_error is None


def test_the_same_seed_means_the_same_tasks_whatever_the_hypernetwork():
    from netwright.evaluation.evaluate import fixed_batches

    def ys(tasks):
        return torch.cat([b.query.y for b in fixed_batches(Offsets(), "test", tasks, 3)])

    assert torch.equal(ys(50), ys(50))
    assert torch.equal(ys(50)[:40], ys(40))
    assert len(ys(33)) == 33


def test_evaluating_leaves_the_mode_alone():
    hypernetwork = perfect().train()
    nw.evaluate(hypernetwork, Offsets(), tasks=20)
    assert hypernetwork.training


class Corners(nw.tasks.TaskFamily):
    """Two classes of points; every third query has no label, or is no query."""

    shape = nw.tasks.TaskShape((2,), 2, "exchangeable-classes")

    def __init__(self, unlabelled: bool) -> None:
        self.unlabelled = unlabelled

    def sample(self, rng, tasks, split):
        y = torch.arange(9).expand(tasks, -1) % 2
        x = y.unsqueeze(-1) + 0.5 * torch.from_numpy(rng.standard_normal((tasks, 9, 2))).float()
        known = torch.arange(9).expand(tasks, -1) % 3 > 0
        everything = torch.ones_like(known)
        query = (
            nw.ExampleSet(x, y.masked_fill(~known, 99), everything, 2, known)
            if self.unlabelled
            else nw.ExampleSet(x, y, known, 2)
        )
        return nw.tasks.TaskBatch(nw.Condition(nw.ExampleSet.of(x[:, :4], y[:, :4])), query)

    def members(self, split):
        return (split,)

    def record(self):
        return {}


def test_queries_without_label_are_not_evaluated():
    hypernetwork = nw.make_hypernetwork(Corners.shape, seed=0)
    found, expected = (
        nw.evaluate(hypernetwork, Corners(unlabelled), tasks=20) for unlabelled in (True, False)
    )
    assert found.metrics == expected.metrics
    assert found.calibration_error == expected.calibration_error
