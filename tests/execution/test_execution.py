"""Laws 1 to 4: however children are run, the answer is that of a loop over materialised modules."""

import copy
import threading

import pytest
import torch
from children import assert_equals_a_loop_over_modules, random_params
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import Recurrent
from strategies import any_children, size
from torch import nn

from netwright.architectures import conv, mlp
from netwright.child import Child
from netwright.errors import (
    NetwrightError,
    ParameterNameError,
    ShapeError,
    UnsupportedChildError,
)


# Random children can be ill-conditioned (a norm over one number): float64 tells a wrong formula from
# rounding. Float32 is tested below, on children as people build them.
def check_any_child(module_shape_rules, tasks: int, n: int, chunk: int, seed: int) -> None:
    """Every strategy, chunked and whole, against a loop over materialised modules, in float64."""
    module, shape, rules = module_shape_rules
    torch.manual_seed(seed)
    child = Child(module.double(), batch_norm="batch", emissions=rules)
    params = random_params(child, tasks, torch.float64)
    x = torch.randn(tasks, n, *shape, dtype=torch.float64)
    for strategy in ("kernels", "vmap", "loop"):
        if strategy == "vmap" and any(isinstance(m, nn.RNNBase) for m in module.modules()):
            continue  # vmap has no rule for these
        assert_equals_a_loop_over_modules(child, params, x, strategy, 1e-7)
    torch.testing.assert_close(child(params, x, tasks_at_once=chunk), child(params, x))


@given(
    module_shape_rules=any_children(),
    tasks=size,
    n=st.integers(2, 4),
    chunk=size,
    seed=st.integers(0, 99),
)
def test_children_equal_a_loop_over_modules(module_shape_rules, tasks, n, chunk, seed):
    check_any_child(module_shape_rules, tasks, n, chunk, seed)


@pytest.mark.slow
@settings(max_examples=500)
@given(
    module_shape_rules=any_children(),
    tasks=size,
    n=st.integers(2, 4),
    chunk=size,
    seed=st.integers(0, 99),
)
def test_five_hundred_children_equal_a_loop_over_modules(module_shape_rules, tasks, n, chunk, seed):
    check_any_child(module_shape_rules, tasks, n, chunk, seed)


@pytest.mark.parametrize("strategy", ["kernels", "vmap", "loop"])
@pytest.mark.parametrize(
    "architecture",
    [conv(classes=5), mlp(inputs=7, hidden=(16, 16), outputs=3)],
    ids=["conv", "mlp"],
)
def test_float32_children_equal_a_loop_over_modules(strategy, architecture):
    torch.manual_seed(0)
    child = Child(architecture)
    x = torch.rand(3, 6, *architecture.input_shape)
    assert_equals_a_loop_over_modules(child, random_params(child, 3), x, strategy, 1e-5)


class DataDependent(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, x):
        return self.inner(x) if x.sum() > 0 else self.inner(-x)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (Recurrent(nn.GRU(3, 4, batch_first=True), 4), (5, 3)),
        (DataDependent(), (3,)),
        (nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2)), None),
        (nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(9, 2)), (2, 5)),
        (nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=-1)), (3,)),
        (nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), (5, 4)),
        (
            nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.Flatten(), nn.Linear(36, 2)),
            (2, 3, 3),
        ),
        (
            nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), nn.Flatten()),
            (2, 4, 4),
        ),
    ],
    ids=[
        "gru",
        "control-flow",
        "embedding",
        "conv1d",
        "softmax",
        "transformer",
        "grouped",
        "circular",
    ],
)
def test_children_of_other_kinds_equal_a_loop_over_modules(module, shape):
    child = Child(module)
    params = random_params(child, 3)
    x = torch.randint(0, 7, (3, 4, 2)) if shape is None else torch.randn(3, 4, *shape)
    y = child(params, x)
    for t in range(3):
        torch.testing.assert_close(y[t], child.materialise(params, t)(x[t]), rtol=1e-5, atol=1e-5)


def test_tied_tensors_are_one_and_modules_reachable_by_two_paths_stay_whole():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.again = self.first
            self.last = nn.Linear(3, 3, bias=False)
            self.last.weight = self.first.weight

        def forward(self, x):
            return self.last(self.again(self.first(x).tanh()))

    child = Child(Tied())
    assert child.space.names == ("first.weight", "first.bias")
    assert set(child.space.tensors[0].aliases) == {"again.weight", "last.weight"}
    params, x = random_params(child, 3), torch.randn(3, 2, 3)
    before = copy.deepcopy(child.template.state_dict())
    y = child(params, x)
    w, b = params["first.weight"], params["first.bias"]
    for t in range(3):
        step = lambda h, t=t: h @ w[t].T + b[t]  # noqa: E731
        expected = step(step(x[t]).tanh()) @ w[t].T
        torch.testing.assert_close(y[t], expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(child.materialise(params, t)(x[t]), expected)
    assert all(torch.equal(before[name], v) for name, v in child.template.state_dict().items())


class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.calls = 0

    def forward(self, x):
        y = self.inner(x)
        if x.shape[0] == 3:
            raise ValueError("midway")
        return y


def test_an_exception_midway_leaves_the_template_and_the_next_call_whole():
    module = Fails()
    child = Child(module)
    params, x = random_params(child, 2), torch.randn(2, 4, 2)
    expected = child(params, x, strategy="loop")
    with pytest.raises(ValueError, match="midway"):
        child(params, torch.randn(2, 3, 2), strategy="loop")
    torch.testing.assert_close(child(params, x, strategy="loop"), expected)
    assert all(
        torch.equal(a, b)
        for a, b in zip(module.parameters(), child.template.parameters(), strict=True)
    )


def test_threads_do_not_see_each_others_parameters():
    child = Child(Recurrent(nn.GRU(3, 4, batch_first=True), 4))
    jobs = [(random_params(child, 2), torch.randn(2, 3, 4, 3)) for _ in range(8)]
    expected = [child(params, x).detach() for params, x in jobs]
    wrong = []

    def work(i):
        for _ in range(10):
            if not torch.allclose(child(*jobs[i]).detach(), expected[i], atol=1e-6):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_users_module_is_not_touched():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = copy.deepcopy(module.state_dict())
    child = Child(module, batch_norm="group")
    child(random_params(child, 2), torch.randn(2, 5, 2))
    assert isinstance(module[1], nn.BatchNorm1d)
    assert all(p.requires_grad for p in module.parameters())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_dropout_draws_per_task_and_not_at_all_in_evaluation():
    child = Child(nn.Sequential(nn.Linear(50, 50), nn.Dropout(0.5), nn.Linear(50, 50)))
    params = child.initial_params(2)
    x = torch.randn(1, 1, 50).expand(2, 1, 50)
    for strategy in ("kernels", "vmap", "loop"):
        a, b = child.train()(params, x, strategy=strategy)
        assert not torch.allclose(a, b), strategy
        a, b = child.eval()(params, x, strategy=strategy)
        torch.testing.assert_close(a, b)


def test_batch_norm_takes_statistics_of_each_tasks_own_rows():
    child = Child(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), batch_norm="batch")
    params, x = child.initial_params(2), torch.randn(2, 6, 2)
    alone = child({name: v[:1] for name, v in params.items()}, x[:1])
    x[1] *= 100
    torch.testing.assert_close(child(params, x)[:1], alone)


def test_shared_and_frozen_tensors_serve_all_tasks_and_only_shared_ones_learn():
    module = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 4), nn.Linear(4, 1))
    child = Child(
        module, emissions=[("0.*", "shared"), (lambda n, p: n.startswith("2."), "frozen")]
    )
    assert child.space.names == ("3.weight", "3.bias")
    params, x = random_params(child, 3), torch.randn(3, 5, 2)
    y = child(params, x)
    for t in range(3):
        torch.testing.assert_close(y[t], child.materialise(params, t)(x[t]), rtol=1e-5, atol=1e-5)
    y.sum().backward()
    gradients = {name: p.grad is not None for name, p in child.template.named_parameters()}
    assert gradients["0.weight"]
    assert not gradients["2.weight"]


def test_chunks_of_tasks_give_the_same_answer():
    child = Child(
        nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.GroupNorm(1, 4), nn.Flatten(), nn.Linear(64, 3))
    )
    params, x = random_params(child, 5), torch.randn(5, 6, 1, 8, 8)
    whole = child(params, x)
    for tasks in (1, 2, 5, 9):
        torch.testing.assert_close(child(params, x, tasks_at_once=tasks), whole)


@pytest.mark.parametrize("strategy", ["kernels", "vmap", "loop"])
def test_unknown_and_missing_names_are_refused(strategy):
    child = Child(nn.Linear(2, 3))
    params = child.initial_params(2)
    params["wieght"] = params.pop("weight")
    with pytest.raises(
        ParameterNameError, match=r"lacks \['weight'\] and has unknown \['wieght'\]"
    ):
        child(params, torch.randn(2, 4, 2), strategy=strategy)


@pytest.mark.parametrize("strategy", ["kernels", "vmap", "loop"])
def test_shapes_that_would_broadcast_are_refused(strategy):
    child = Child(nn.Linear(2, 3))
    params = child.initial_params(2)
    params["bias"] = params["bias"][:, :1]
    with pytest.raises(ShapeError, match=r"`params\['bias'\]` is \[2, 1\], expected \[T=2, 3\]"):
        child(params, torch.randn(2, 4, 2), strategy=strategy)


def test_dtypes_task_counts_and_unknown_strategies_are_refused():
    child = Child(nn.Linear(2, 3))
    params, x = child.initial_params(2), torch.randn(2, 4, 2)
    with pytest.raises(ShapeError, match="is torch.float32 and `x` is torch.float64"):
        child(params, x.double())
    with pytest.raises(ShapeError, match=r"`x` is \[3, 4, 2\], expected \[T=2, N, \*\]"):
        child(params, torch.randn(3, 4, 2))
    with pytest.raises(ShapeError, match="is torch.int64, expected a floating type"):
        child({**params, "bias": params["bias"].long()}, x)
    with pytest.raises(UnsupportedChildError, match="Strategy 'magic' is not known"):
        child(params, x, strategy="magic")


def test_a_child_that_mixes_rows_or_returns_no_tensor_is_refused():
    class Pools(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def forward(self, x):
            return self.inner(x).mean(dim=0, keepdim=True)

    class Pair(Pools):
        def forward(self, x):
            return self.inner(x), x

    x = torch.randn(2, 4, 2)
    child = Child(Pools())
    with pytest.raises(ShapeError, match=r"returned \[2, 1, 2\].*expected \[T, N, C\]"):
        child(child.initial_params(2), x)
    child = Child(Pair())
    with pytest.raises(UnsupportedChildError, match="Pair returns tuple, expected one tensor"):
        child(child.initial_params(2), x)


def test_every_error_is_a_netwright_error():
    assert issubclass(ShapeError, NetwrightError)
    assert issubclass(ShapeError, ValueError)
    assert issubclass(UnsupportedChildError, TypeError)
