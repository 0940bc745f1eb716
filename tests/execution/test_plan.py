"""How children are run is decided as promised, and can be read."""

import pytest
import torch
from children import assert_equals_a_loop_over_modules, random_params
from modules import OwnCode, Recurrent, Residual
from torch import nn
from torch.nn import functional as F

from netwright.architectures import conv, mlp
from netwright.child import Child
from netwright.errors import ShapeError
from netwright.execution import plan


def plan_of(module: nn.Module, *shape: int, tasks: int = 3, **options):
    child = Child(module, **options)
    return child.plan(torch.randn(tasks, 4, *shape))


def test_sequentials_are_chains_and_own_code_is_a_composite():
    assert plan_of(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), 3).how == "chain"
    found = plan_of(OwnCode(3, 4, 2, [nn.Linear(4, 4), nn.Tanh()]), 3)
    assert found.how == "composite"
    assert [(line.path, line.how) for line in found.lines] == [
        ("first", "kernel"), ("last", "kernel"), ("parts.0", "kernel"),
    ]  # fmt: skip


def test_what_has_no_kernel_falls_back_alone():
    found = plan_of(OwnCode(3, 4, 2, [Residual(4), nn.LayerNorm(4)]), 3)
    assert found.how == "composite"
    by_path = {line.path: line.how for line in found.lines}
    assert by_path == {"first": "kernel", "last": "kernel", "parts.0": "vmap", "parts.1": "kernel"}


class MixesRows(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return self.inner(x - x.mean(0))


class Decides(MixesRows):
    def forward(self, x):
        return self.inner(x) if x.sum() > 0 else self.inner(-x)


class ReadsAWeight(MixesRows):
    def forward(self, x):
        return F.linear(self.inner(x), self.inner.weight)


class DependsOnRowCount(MixesRows):
    def forward(self, x):
        return self.inner(x) / x.shape[0]


class SwapsAxes(MixesRows):
    def forward(self, x):
        return self.inner(x.transpose(0, 1)).transpose(0, 1)


class CallsByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Residual(3)

    def forward(self, x):
        return self.inner(x=x)


@pytest.mark.parametrize(
    ("module", "shape", "how", "why"),
    [
        (MixesRows(), (3,), "vmap", "it mixes rows"),
        (Decides(), (3,), "vmap", "it decides by values"),
        (ReadsAWeight(), (3,), "vmap", "it reads a weight in passing"),
        (DependsOnRowCount(), (3,), "vmap", "it mixes rows"),
        (SwapsAxes(), (5, 3), "vmap", ""),
        (CallsByName(), (3,), "vmap", "with arguments by name"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else None,
)
def test_code_that_is_not_the_same_for_all_rows_is_found_out_and_still_right(
    module, shape, how, why
):
    child = Child(module)
    x = torch.randn(3, 4, *shape)
    found = child.plan(x)
    assert found.how == how
    assert why in found.why
    assert_equals_a_loop_over_modules(child, random_params(child, 3), x, "auto", 1e-5)


class HasPositions(nn.Module):
    """One row of positions for all rows."""

    def __init__(self):
        super().__init__()
        self.positions, self.inner = nn.Embedding(5, 3), nn.Linear(3, 2)

    def forward(self, x):
        places = torch.arange(x.shape[1], device=x.device).unsqueeze(0)
        return self.inner(x + self.positions(places)).sum(1)


@pytest.mark.parametrize(("tasks", "n"), [(1, 1), (1, 4), (5, 1), (3, 2)])
def test_one_row_for_all_rows_differs_between_tasks(tasks, n):
    child = Child(HasPositions())
    x = torch.randn(tasks, n, 5, 3)
    assert child.plan(x).how == "composite"
    assert_equals_a_loop_over_modules(child, random_params(child, tasks), x, "auto", 1e-5)


def test_parts_that_tasks_share_are_not_touched():
    child = Child(OwnCode(3, 4, 2, [nn.Linear(4, 4)]), emissions=[("first.*", "frozen")])
    found = child.plan(torch.randn(3, 4, 3))
    assert [line.path for line in found.lines] == ["last", "parts.0"]


def test_convolutions_run_in_chunks_on_a_cpu_and_all_else_at_once():
    chain = Child(conv(channels=8, outputs=3))
    x = torch.randn(40, 25, 1, 28, 28)
    rows = 25 * 14 * 14 * 8 * 4
    assert chain.plan(x).chunk == plan.CHUNK_BYTES // rows < 40
    many_rows = torch.zeros(1, 1, 1, 28, 28).expand(40, 5000, 1, 28, 28)
    assert chain.plan(many_rows[:, :2]).chunk == 40
    assert chain.tasks_at_once(many_rows) == plan.LEAST_TOGETHER
    assert Child(conv(channels=32, outputs=3)).tasks_at_once(x) == 1
    assert Child(mlp(inputs=3, outputs=2)).plan(torch.randn(40, 5, 3)).chunk == 40


def test_large_activations_are_differentiated_in_stages():
    child = Child(conv(channels=8, outputs=3))
    assert child.tasks_per_stage(torch.empty(4, 25, 1, 28, 28, device="meta").to("meta")) == 4
    x = torch.zeros(1, 1, 1, 28, 28).expand(400, 200, 1, 28, 28)
    per_task = plan._KEPT * 200 * 14 * 14 * 8 * 4
    assert child.tasks_per_stage(x) == plan.STAGE_BYTES // per_task
    assert child.tasks_per_stage(x[:2]) == 2


def test_a_plan_is_a_table_that_a_person_can_read():
    text = str(plan_of(OwnCode(3, 4, 2, [Residual(4)]), 3))
    lines = text.splitlines()
    assert lines[0] == "3 tasks, 3 at once, as a composite"
    assert lines[1].split() == ["part", "layer", "how", "written", "per", "task"]
    assert lines[2].split() == ["first", "Linear", "kernel", "weight,", "bias"]
    assert lines[4].split()[:3] == ["parts.0", "Residual", "vmap"]
    text = str(plan_of(MixesRows(), 3))
    assert text.splitlines()[1].endswith("why")
    assert text.startswith("3 tasks, 3 at once, as a vmap (it mixes rows)")


def test_recurrent_parts_are_planned_as_kernels_and_not_as_loops():
    found = plan_of(Recurrent(nn.GRU(3, 4, batch_first=True), 4), 5, 3)
    assert [(line.layer, line.how) for line in found.lines] == [
        ("GRU", "kernel"), ("Linear", "kernel"),
    ]  # fmt: skip


def test_a_plan_needs_something_to_plan_for():
    child = Child(nn.Linear(3, 2))
    with pytest.raises(ShapeError, match="expected at least one row per task"):
        child.plan(torch.randn(2, 0, 3))
    with pytest.raises(ShapeError, match=r"There are no tasks \(\[T=0\]\)"):
        child.plan(torch.randn(0, 2, 3))


def test_no_rows_give_no_rows_and_no_tasks_are_refused():
    child = Child(OwnCode(3, 4, 2, []))
    assert child(child.initial_params(5), torch.randn(5, 0, 3)).shape == (5, 0, 2)
    none = {name: value[:0] for name, value in child.initial_params(1).items()}
    with pytest.raises(ShapeError, match="expected at least one"):
        child(none, torch.randn(0, 2, 3))
