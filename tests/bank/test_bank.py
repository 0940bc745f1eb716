"""A bank gives what each network alone would give, whatever is asked of it and by whom."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netwright.architectures import conv, mlp
from netwright.bank import NetworkBank
from netwright.child import Child
from netwright.emission import LowRank
from netwright.errors import ArtifactError, BankError, ParameterNameError, RunError, ShapeError

TOLERANCE = {"float32": 1e-5, "float16": 5e-3, "int8": 6e-2}


def make_mlp() -> Child:
    return Child(mlp(inputs=5, hidden=(7, 6), outputs=3))


class OwnCode(nn.Module):
    """Lookups reach linear layers through code of the module's own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(5, 6), nn.LayerNorm(6), nn.Linear(6, 2)

    def forward(self, x):
        return self.last(x[:, :1] + self.norm(self.first(x)).relu())


CHILDREN = {
    "mlp": (make_mlp, (5,)),
    "own-code": (lambda: Child(OwnCode()), (5,)),
    "conv": (lambda: Child(conv(channels=4, depth=2, outputs=3, image=(1, 8, 8))), (1, 8, 8)),
    "low-rank": (
        lambda: Child(mlp(inputs=5, hidden=(7,), outputs=3), emissions=[("*.weight", LowRank(2))]),
        (5,),
    ),
    "gru": (lambda: Child(LastState()), (4, 3)),
}


class LastState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.gru(x)[1][0])


def random_params(child: Child, count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {
        name: value + 0.3 * torch.randn(value.shape, generator=rng)
        for name, value in child.initial_params(count).items()
    }


def by_hand(child: Child, params, places: list[int], x: torch.Tensor) -> torch.Tensor:
    """Each row through a module of its own."""
    with torch.no_grad():
        rows = [
            child.materialise(params, place)(row[None])
            for place, row in zip(places, x, strict=True)
        ]
    return torch.cat(rows)


@pytest.mark.parametrize("at_rest", TOLERANCE)
@pytest.mark.parametrize("name", CHILDREN)
@given(picks=st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_rows_of_many_networks_equal_each_network_alone(name, at_rest, picks):
    make, shape = CHILDREN[name]
    torch.manual_seed(0)
    child = make()
    bank = NetworkBank(child, at_rest=at_rest)
    params = random_params(child, 7)
    bank.add([f"n{i}" for i in range(7)], params)
    x = torch.randn(len(picks), *shape)
    y = bank.run([f"n{i}" for i in picks], x)
    expected = by_hand(child, params, picks, x)
    scale = float(expected.abs().max())
    torch.testing.assert_close(y, expected, rtol=0, atol=TOLERANCE[at_rest] * max(scale, 1.0))


def test_many_rows_of_few_networks_are_gathered_and_few_of_many_looked_up(monkeypatch):
    child = make_mlp()
    bank = NetworkBank(child)
    bank.add(range(4), random_params(child, 4))
    taken = []
    for way in ("_run_lookups", "_run_gathered"):
        run = getattr(bank, way)
        monkeypatch.setattr(bank, way, lambda *a, run=run, way=way: taken.append(way) or run(*a))
    few, many = [0, 1, 2, 3, 0], [0, 1] * 40
    x = torch.randn(80, 5)
    y = bank.run(many, x)
    torch.testing.assert_close(bank.run(few, x[:5])[:2], y[:2])
    assert taken == ["_run_gathered", "_run_lookups"]


def test_what_was_put_in_comes_out_up_to_what_rest_loses():
    child = make_mlp()
    params = random_params(child, 3)
    for at_rest, bound in (("float32", 0), ("float16", 2**-11), ("int8", 0.5 / 127)):
        bank = NetworkBank(child, at_rest=at_rest)
        bank.add("abc", params)
        found = bank.params(["c", "a"])
        for name, value in params.items():
            largest = value.abs().amax(dim=1, keepdim=True)
            assert ((found[name] - value[[2, 0]]).abs() <= bound * 1.01 * largest[[2, 0]]).all(), (
                name
            )
        torch.testing.assert_close(
            bank.network("b").state_dict()["head.bias"], params["head.bias"][1]
        )
    assert NetworkBank(child, at_rest="int8").bytes_of_one < 0.6 * NetworkBank(child).bytes_of_one


def test_networks_come_go_and_change():
    child = make_mlp()
    bank = NetworkBank(child)
    params = random_params(child, 40)
    x = torch.randn(1, 5)
    assert bank.add(range(40), params) == []
    bank.remove([3, 7])
    assert (len(bank), 3 in bank, 4 in bank) == (38, False, True)
    bank.replace([5], {name: value[3:4] for name, value in params.items()})
    torch.testing.assert_close(bank.run([5], x), by_hand(child, params, [3], x))
    bank.add(["new"], {name: value[7:8] for name, value in params.items()})
    torch.testing.assert_close(bank.run(["new"], x), by_hand(child, params, [7], x))
    torch.testing.assert_close(bank.run([39], x), by_hand(child, params, [39], x))
    assert bank.ids[0] == 0
    assert bank.ids[-1] == "new"
    assert bank.nbytes == 39 * bank.bytes_of_one


def test_beyond_its_budget_the_least_recently_used_give_way():
    child = make_mlp()
    one = NetworkBank(child).bytes_of_one
    bank = NetworkBank(child, max_bytes=3 * one + 5)
    params = random_params(child, 6)
    row = lambda i: {name: value[i : i + 1] for name, value in params.items()}  # noqa: E731
    bank.add("abc", {name: value[:3] for name, value in params.items()})
    bank.run(["a", "c"], torch.randn(2, 5))
    assert bank.add(["d"], row(3)) == ["b"]
    bank.run(["a"], torch.randn(1, 5))
    assert bank.add(["e"], row(4)) == ["c"]
    assert set(bank.ids) == {"a", "d", "e"}
    assert bank.nbytes <= bank.max_bytes
    with pytest.raises(BankError, match=r"4 networks of .* to add, expected at most 3"):
        bank.add("wxyz", {name: value[:4] for name, value in params.items()})
    with pytest.raises(BankError, match="expected at least .* the size of one network"):
        NetworkBank(child, max_bytes=one - 1)


def test_wrong_ids_and_wrong_networks_change_nothing():
    child = make_mlp()
    bank = NetworkBank(child)
    params = random_params(child, 2)
    bank.add("ab", params)
    with pytest.raises(BankError, match="'x' is not in the bank of 2 networks"):
        bank.run(["a", "x"], torch.randn(2, 5))
    with pytest.raises(BankError, match="'x' is not in the bank"):
        bank.remove(["a", "x"])
    with pytest.raises(BankError, match="'a' is in the bank already, expected new ones"):
        bank.add("ca", params)
    with pytest.raises(BankError, match="'c' comes twice"):
        bank.add("cc", params)
    with pytest.raises(BankError, match="'z' is not in the bank"):
        bank.replace("az", params)
    with pytest.raises(ShapeError, match="3 ids and 2 networks"):
        bank.add("cde", params)
    other = Child(mlp(inputs=5, hidden=(8, 6), outputs=3))
    with pytest.raises(
        ShapeError, match=r"linear1.weight'\]` is \[2, 8, 5\], expected \[T=2, 7, 5\]"
    ):
        bank.add("cd", other.initial_params(2))
    with pytest.raises(ParameterNameError, match="lacks"):
        bank.add("cd", Child(nn.Linear(5, 3)).initial_params(2))
    with pytest.raises(ShapeError, match="for 1 ids, expected"):
        bank.run(["a"], torch.randn(2, 5))
    with pytest.raises(RunError, match="`at_rest` is 'float8'"):
        NetworkBank(child, at_rest="float8")
    assert bank.ids == ("a", "b")


def test_an_empty_batch_is_empty_and_an_empty_bank_says_so():
    child = make_mlp()
    bank = NetworkBank(child)
    with pytest.raises(BankError, match="The bank is empty"):
        bank.run([], torch.zeros(0, 5))
    bank.add("a", random_params(child, 1))
    assert bank.run([], torch.zeros(0, 5)).shape == (0, 3)


def test_half_precision_and_strided_weights_are_taken_as_they_are_meant():
    child = make_mlp()
    params = random_params(child, 4)
    strided = {name: value.repeat_interleave(2, 0)[::2] for name, value in params.items()}
    bank, x = NetworkBank(child), torch.randn(4, 5)
    bank.add(range(4), {name: value.double() for name, value in strided.items()})
    torch.testing.assert_close(bank.run(range(4), x), by_hand(child, params, [0, 1, 2, 3], x))
    half = NetworkBank(child)
    half.add(range(4), {name: value.half() for name, value in params.items()})
    torch.testing.assert_close(half.run(range(4), x), bank.run(range(4), x), rtol=0, atol=0.02)


def test_threads_that_change_a_bank_never_make_a_run_mix_networks_up():
    child = make_mlp()
    params = random_params(child, 20)
    x = torch.randn(1, 5).expand(20, 5)
    expected = by_hand(child, params, list(range(20)), x)
    bank = NetworkBank(child)
    bank.add(range(20), params)
    wrong, stop = [], threading.Event()

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            ids = rng.integers(0, 10, 8).tolist()  # those that always are there
            if not torch.allclose(bank.run(ids, x[:8]), expected[ids], atol=1e-5):
                wrong.append(ids)

    def change() -> None:
        for _ in range(60):
            bank.remove(range(10, 20))
            bank.add(range(10, 20), {name: value[10:] for name, value in params.items()})

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    writer = threading.Thread(target=change)
    for thread in [*readers, writer]:
        thread.start()
    writer.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("at_rest", TOLERANCE)
@pytest.mark.parametrize("name", ["mlp", "low-rank", "conv"])
def test_a_saved_bank_gives_the_same_answers(name, at_rest, tmp_path):
    make, shape = CHILDREN[name]
    child = make()
    bank = NetworkBank(child, at_rest=at_rest)
    bank.add([f"n{i}" for i in range(9)], random_params(child, 9))
    bank.save(tmp_path / "bank", shard_bytes=2 * bank.bytes_of_one)
    assert len(list((tmp_path / "bank").glob("*-networks.safetensors"))) == 5
    loaded = NetworkBank.load(tmp_path / "bank")
    ids, x = [f"n{i}" for i in (8, 0, 3, 3)], torch.randn(4, *shape)
    torch.testing.assert_close(loaded.run(ids, x), bank.run(ids, x), rtol=1e-5, atol=1e-6)
    assert loaded.ids == bank.ids
    assert loaded.at_rest == at_rest


def test_a_damaged_or_foreign_bank_is_refused(tmp_path):
    child = Child(OwnCode())
    bank = NetworkBank(child)
    bank.add("ab", random_params(child, 2))
    bank.save(tmp_path / "bank")
    with pytest.raises(ArtifactError, match="a module of your own, expected that module"):
        NetworkBank.load(tmp_path / "bank")
    with pytest.raises(ArtifactError, match="Pass the child that they were written for"):
        NetworkBank.load(tmp_path / "bank", child=make_mlp())
    x = torch.randn(2, 5)
    torch.testing.assert_close(
        NetworkBank.load(tmp_path / "bank", child=child).run("ab", x), bank.run("ab", x)
    )
    path = tmp_path / "bank/00000-networks.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="another sha256 than its manifest says"):
        NetworkBank.load(tmp_path / "bank", child=child)
    path.write_bytes(bytes(data[:-50]))
    with pytest.raises(ArtifactError, match="bytes, expected"):
        NetworkBank.load(tmp_path / "bank", child=child)
    with pytest.raises(ArtifactError, match="is not there, expected the folder of a bank"):
        NetworkBank.load(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="holds no bank of networks and no shards of one"):
        NetworkBank.load(tmp_path / "empty")
    bank.add([(1, 2)], random_params(child, 1))
    with pytest.raises(
        ArtifactError, match=r"id \(1, 2\) is tuple, expected text or a whole number"
    ):
        bank.save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("at_rest", ["float32", "float16", "int8"])
def test_a_compact_bank_has_room_for_what_is_there_and_says_the_same(at_rest):
    child = Child(mlp(inputs=3, hidden=(4,), outputs=2))
    bank = NetworkBank(child, at_rest=at_rest)
    params = {
        name: torch.randn(40, *value.shape[1:]) for name, value in child.initial_params().items()
    }
    bank.add(range(40), params)
    bank.remove(range(0, 40, 3))
    x, ids = torch.randn(26, 3), [i for i in range(40) if i % 3]
    before = bank.run(ids, x)
    assert bank.reserved_bytes > bank.nbytes
    bank.compact()
    assert bank.reserved_bytes == bank.nbytes
    assert torch.equal(bank.run(ids, x), before)
    bank.add([0], {name: value[:1] for name, value in params.items()})
    assert len(bank) == 27
    bank.remove(bank.ids)
    bank.compact()
    assert bank.reserved_bytes == 0
