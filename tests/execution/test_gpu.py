"""On a GPU as on a CPU."""

import pytest
import torch
from children import random_params
from modules import Attends, OwnCode, Recurrent
from torch import nn

import netwright as nw
from netwright.architectures import conv, mlp
from netwright.child import Child
from netwright.emission import LowRank
from netwright.tasks import Sine

CHILDREN = {
    "mlp": (lambda: mlp(inputs=5, hidden=(8,), outputs=3), (5,), ()),
    "conv": (lambda: conv(channels=4, depth=2, outputs=3, image=(1, 8, 8)), (1, 8, 8), ()),
    "own-code": (lambda: OwnCode(5, 8, 3, [nn.LayerNorm(8)]), (5,), ()),
    "low-rank": (lambda: mlp(inputs=5, hidden=(8,), outputs=3), (5,), [("*", LowRank(2))]),
    "gru": (lambda: Recurrent(nn.GRU(3, 4, batch_first=True), 4), (6, 3), ()),
    "attention": (
        lambda: Attends(nn.MultiheadAttention(4, 2, batch_first=True), 4, "masked"), (6, 4), (),
    ),
}  # fmt: skip


@pytest.mark.gpu
@pytest.mark.parametrize("name", CHILDREN)
def test_children_give_the_same_answers_on_a_gpu(name):
    torch.manual_seed(0)
    make, shape, rules = CHILDREN[name]
    child = Child(make(), emissions=rules)
    params, x = random_params(child, 3), torch.randn(3, 4, *shape)
    expected = child(params, x)
    on_gpu = child.cuda()({n: v.cuda() for n, v in params.items()}, x.cuda())
    torch.testing.assert_close(on_gpu.cpu(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
def test_training_learns_on_a_gpu(tmp_path):
    tasks = Sine(shots=5, queries=8)
    hypernetwork = nw.make_hypernetwork(tasks.shape, seed=0)
    result = nw.train(
        hypernetwork, tasks, folder=tmp_path / "run", device="cuda", steps=60, tasks=16,
        validate_every=20, validation_tasks=20, progress=False,
    )  # fmt: skip
    assert result.step == 60
    assert nw.evaluate(hypernetwork, tasks, tasks=20).metrics["mse"].value < 50
