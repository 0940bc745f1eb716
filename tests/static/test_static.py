"""A module whose weights are written from learned embeddings: it stays the module that it was."""

import copy
import io
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from netwright import StaticHypernetwork
from netwright.errors import ParameterNameError, RunError, UnsupportedChildError
from netwright.static.blocks import BlockGenerator, Grid


class Tied(nn.Module):
    """Reads and writes with one table, which two paths lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(40, 16), nn.Linear(16, 40, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x):
        return self.head(self.table(x).mean(1))


class LastStep(nn.Module):
    """What a recurrent layer says at the end."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0][-1]


def pictures() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 40, 3, stride=2), nn.BatchNorm2d(40), nn.Dropout(0.3), nn.ReLU(),
        nn.Conv2d(40, 20, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 16),
    )  # fmt: skip


MODULES = {
    "pictures": (pictures, lambda: torch.rand(4, 3, 9, 9)),
    "lstm": (lambda: LastStep(nn.LSTM(20, 24, num_layers=2)), lambda: torch.randn(5, 3, 20)),
    "attention": (
        lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True),
        lambda: torch.randn(2, 5, 32),
    ),
    "tied": (Tied, lambda: torch.randint(0, 40, (3, 6))),
}


@pytest.fixture(params=MODULES)
def case(request):
    torch.manual_seed(0)
    build, draw = MODULES[request.param]
    module = build()
    return module, StaticHypernetwork(module, embedding=6, hidden=5), draw()


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_equal(a, b):
    assert list(a) == list(b)
    for name in a:
        torch.testing.assert_close(a[name], b[name], msg=name)


def test_it_computes_what_its_materialised_module_computes(case):
    _, static, x = case
    for train in (False, True):
        static.train(train)
        plain = static.materialise()
        torch.manual_seed(1)
        found = static(x)
        torch.manual_seed(1)
        torch.testing.assert_close(found, plain(x))
        # Statistics of the batch are taken up as in the module itself.
        assert_equal(dict(static.module.named_buffers()), dict(plain.named_buffers()))
    with torch.no_grad():
        torch.testing.assert_close(static.eval()(x), static.materialise()(x))


def test_gradients_are_those_of_the_weights_through_what_writes_them(case):
    _, static, x = case
    static.eval()
    plain = static.materialise()
    probe = torch.randn_like(plain(x))
    (plain(x) * probe).sum().backward()
    (static(x) * probe).sum().backward()
    weights = static.write()
    own = list(static.generator.parameters())
    of_weights = [plain.get_parameter(name).grad for name in weights]
    expected = torch.autograd.grad(list(weights.values()), own, grad_outputs=of_weights)
    for parameter, gradient in zip(own, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)
    for name, parameter in static.module.named_parameters():
        torch.testing.assert_close(parameter.grad, plain.get_parameter(name).grad)


def test_a_materialised_module_is_like_the_one_passed_in(case):
    module, static, x = case
    static(x).sum().backward()
    plain = static.materialise()
    assert type(plain) is type(module)
    assert list(plain.state_dict()) == list(module.state_dict())
    assert [n for n, _ in plain.named_parameters()] == [n for n, _ in module.named_parameters()]
    assert static.size == sum(p.numel() for p in plain.parameters())
    assert all(p.is_leaf and p.requires_grad and p.grad is None for p in plain.parameters())
    module.load_state_dict(plain.state_dict())
    torch.testing.assert_close(module.eval()(x), plain.eval()(x))
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(1)
    assert not torch.allclose(static.eval()(x), plain(x))


def test_the_module_that_is_passed_in_is_never_modified(case):
    module, static, x = case
    before = state_of(module)
    static.train()(x).sum().backward()
    assert_equal(module.state_dict(), before)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_written_weights_start_with_the_variance_of_those_they_replace():
    for seed in range(20):
        torch.manual_seed(seed)
        for name, (build, draw) in MODULES.items():
            module, x = build(), draw()
            static = StaticHypernetwork(module, embedding=16, hidden=16)
            for key, weight in static.write().items():
                ratio = float((weight.var() / module.get_parameter(key).var()).detach())
                assert 0.8 <= ratio <= 1.25, (name, key, ratio)
            spread = float((static.eval()(x).std() / module.eval()(x).std()).detach())
            assert 0.5 <= spread <= 2, (name, spread)


def test_a_block_is_written_by_the_equations_of_the_paper():
    torch.manual_seed(0)
    weights = {"a": torch.randn(7, 5, 3, 3), "b": torch.randn(4, 9), "c": torch.randn(3, 3, 3, 3)}
    generator = BlockGenerator(weights, embedding=6, hidden=2, block=4)
    for parameter in generator.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    written = generator()
    first = 0
    # Kernels of few numbers come first.
    for position, (name, kernel) in enumerate([("b", 1), ("a", 9), ("c", 9)]):
        outputs, inputs = weights[name].shape[:2]
        for row in range(0, outputs, 4):
            for column in range(0, inputs, 4):
                z = generator.embedding[first]
                first += 1
                for i in range(min(4, inputs - column)):
                    own = slice(2 * i, 2 * i + 2)
                    a = generator.read.weight[own] @ z + generator.read.bias[own]
                    out = generator.write[str(kernel)]
                    block = (out.weight @ a + out.bias).reshape(4, kernel)
                    found = written[name][row : row + 4, column + i].reshape(-1, kernel)
                    expected = block[: len(found)] * generator.scale[position]
                    torch.testing.assert_close(found, expected)
    assert first == len(generator.embedding)
    assert Grid((7, 5, 3, 3), 4).count == 4


def test_learned_numbers_are_counted_and_stay_few_in_files():
    module = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))
    static = StaticHypernetwork(module, embedding=8, hidden=8)
    # 16 x 16 blocks of an embedding each; two layers with biases; the bias and the head of the module.
    blocks, generator, rest = 256 * 8, 16 * 8 * 9 + 16 * 9, 256 + 514
    assert static.learned == blocks + generator + rest
    assert static.size == sum(p.numel() for p in module.parameters())
    assert sum(v.numel() for v in static.state_dict().values()) == static.learned + 1  # the scale
    other = StaticHypernetwork(module, embedding=8, hidden=8)
    file = io.BytesIO()
    torch.save(static.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    x = torch.randn(3, 256)
    torch.testing.assert_close(other(x), static(x))


def test_an_error_inside_leaves_everything_as_it_was(case):
    _, static, x = case
    static.eval()
    expected, before = static(x), state_of(static)

    def fail(*_):
        raise ZeroDivisionError

    handle = next(reversed(list(static.module.modules()))).register_forward_pre_hook(fail)
    wrong = x[..., :1] if x.is_floating_point() else x + 99
    for bad in (x, wrong):
        with pytest.raises((ZeroDivisionError, RuntimeError, IndexError, AssertionError)):
            static(bad)
        assert all(leaf not in vars(part) for part, leaf, _ in static._places)
    handle.remove()
    assert_equal(static.state_dict(), before)
    torch.testing.assert_close(static(x), expected)


def test_calls_in_several_threads_do_not_mix():
    torch.manual_seed(0)
    static = StaticHypernetwork(nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16)))
    inputs = [torch.randn(4, 16) for _ in range(4)]
    expected = [static(x).detach() for x in inputs]
    wrong = []

    def call(i: int) -> None:
        for _ in range(30):
            if not torch.allclose(static(inputs[i]), expected[i], atol=1e-6):
                wrong.append(i)
            static.materialise()

    threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_copies_and_another_type_work(case):
    _, static, x = case
    static.eval()
    expected = static(x)
    copied = copy.deepcopy(static)
    torch.testing.assert_close(copied(x), expected)
    with torch.no_grad():
        copied.generator.embedding.add_(1)
    assert not torch.allclose(copied(x), expected)
    torch.testing.assert_close(static(x), expected)
    double = static.double()(x.double() if x.is_floating_point() else x)
    torch.testing.assert_close(double.float(), expected, rtol=1e-4, atol=1e-5)


def test_what_is_written_is_of_the_type_of_the_module(case):
    module, _, x = case
    static = StaticHypernetwork(module.double())
    assert all(weight.dtype == torch.float64 for weight in static.write().values())
    y = static(x.double() if x.is_floating_point() else x)
    assert y.dtype == torch.float64


def test_activations_of_a_call_can_be_computed_again():
    torch.manual_seed(0)
    static = StaticHypernetwork(nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 16)))
    x = torch.randn(4, 16, requires_grad=True)
    static(x).square().sum().backward()
    expected = [p.grad.clone() for p in static.parameters()]
    static.zero_grad()
    checkpoint(static, x, use_reentrant=False).square().sum().backward()
    for parameter, gradient in zip(static.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_it_learns_with_any_loop():
    torch.manual_seed(0)
    static = StaticHypernetwork(
        nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16)), embedding=8, hidden=8
    )
    x, teacher = torch.randn(256, 16), torch.randn(16, 16) / 4
    optimiser = torch.optim.Adam(static.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        loss = F.mse_loss(static(x), (x @ teacher).relu())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_what_is_written_can_be_selected():
    module = pictures()
    assert set(StaticHypernetwork(module).write()) == {"3.weight", "7.weight", "10.weight"}
    assert set(StaticHypernetwork(module, block=8).write()) == {"3.weight", "7.weight", "10.weight"}
    assert set(StaticHypernetwork(module, select=nn.Linear).write()) == {"10.weight"}
    several = StaticHypernetwork(module, select=["0.weight", lambda name, p: p.dim() == 2])
    assert set(several.write()) == {"0.weight", "10.weight"}
    module[3].weight.requires_grad_(False)
    assert set(StaticHypernetwork(module).write()) == {"7.weight", "10.weight"}


def test_what_cannot_be_written_is_refused_with_a_way_out():
    module = pictures()
    with pytest.raises(RunError, match="hidden=0, block=16, expected at least 1"):
        StaticHypernetwork(module, hidden=0)
    with pytest.raises(
        ParameterNameError, match=r"of at least 64 outputs .* Pass a smaller `block`"
    ):
        StaticHypernetwork(module, block=64)
    with pytest.raises(
        ParameterNameError, match=r"`select` is empty, expected what of \['0.weight'"
    ):
        StaticHypernetwork(module, select=[])
    with pytest.raises(ParameterNameError, match=r"The rule 'body\.\*' selects no weight"):
        StaticHypernetwork(module, select="body.*")
    with pytest.raises(ParameterNameError, match=r"The rule '10.bias' selects no weight, expected"):
        StaticHypernetwork(module, select="10.bias")
    nn.init.zeros_(module[10].weight)
    with pytest.raises(UnsupportedChildError, match="'10.weight' starts as a constant"):
        StaticHypernetwork(module, select="10.weight")
    module[7].weight.requires_grad_(False)
    with pytest.raises(UnsupportedChildError, match="'7.weight' is not trained"):
        StaticHypernetwork(module, select="7.weight")
    module[3].double()
    with pytest.raises(UnsupportedChildError, match=r"float32.*float64.*expected one type"):
        StaticHypernetwork(module, select=["0.weight", "3.weight"])
    normed = nn.Sequential(parametrizations.weight_norm(nn.Linear(16, 16)))
    with pytest.raises(UnsupportedChildError, match="parametrised weights, expected plain ones"):
        StaticHypernetwork(normed)


def test_a_weight_that_code_keeps_in_a_list_of_its_own_is_refused():
    for keep in (lambda w: [w], lambda w: {"a": w}, lambda w: (1, w)):
        module = nn.Sequential(nn.Linear(16, 16))
        module.kept = keep(module[0].weight)
        with pytest.raises(
            UnsupportedChildError, match=r"keeps '0.weight' in `kept` too, expected"
        ):
            StaticHypernetwork(module)
