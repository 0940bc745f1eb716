"""Tensors come back equal; bytes that are none are refused, and nothing is run."""

import json
import os
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.artifacts import tensors_from_bytes, tensors_to_bytes
from netwright.errors import ArtifactError

TENSORS = {"w": torch.arange(6.0).reshape(2, 3), "empty": torch.zeros(0, 2), "n": torch.tensor(3)}
WHOLE = tensors_to_bytes(TENSORS)


def test_tensors_of_any_layout_and_kind_come_back_equal():
    theta = torch.arange(8.0)
    tensors = {
        "strided": torch.arange(12.0).reshape(3, 4).t(), "half": torch.ones(2).half(),
        "bfloat": torch.ones(2).bfloat16(), "double": torch.tensor(0.1, dtype=torch.float64),
        "int": torch.tensor([1, 2]), "scalar": torch.tensor(3.0), "empty": torch.zeros(0, 2),
        "bool": torch.tensor([True]), "grad": torch.ones(1, requires_grad=True),
        "expanded": torch.ones(1).expand(3), "piece": theta[:4], "other piece": theta[4:],
    }  # fmt: skip
    back = tensors_from_bytes(tensors_to_bytes(tensors))
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[n], t) and back[n].dtype == t.dtype for n, t in tensors.items())


def test_what_was_read_can_be_changed():
    back = tensors_from_bytes(WHOLE)
    back["w"] += 1
    assert torch.equal(back["w"], TENSORS["w"] + 1)
    assert torch.equal(tensors_from_bytes(WHOLE)["w"], TENSORS["w"])


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, device="meta"),
        torch.eye(2).to_sparse(),
        torch.zeros(2, dtype=torch.complex128),
    ],
    ids=["without values", "sparse", "of a dtype that the format lacks"],
)
def test_tensors_without_plain_values_are_refused(tensor):
    with pytest.raises(
        ArtifactError, match=r"^The tensors \['w'\] cannot be saved \(.+\), expected dense"
    ):
        tensors_to_bytes({"w": tensor})


def test_a_tied_tensor_under_two_names_is_refused_in_one_line():
    with pytest.raises(ArtifactError, match=r"share memory.*give a tied one once\.$") as refusal:
        tensors_to_bytes({"a": TENSORS["w"], "b": TENSORS["w"]})
    assert "\n" not in str(refusal.value)


def test_every_truncation_is_refused():
    for length in range(len(WHOLE)):
        with pytest.raises(ArtifactError, match=r"^m is not a whole safetensors file"):
            tensors_from_bytes(WHOLE[:length], "m")


@given(st.lists(st.integers(0, 8 * len(WHOLE) - 1), min_size=1, max_size=4))
def test_damaged_bytes_are_tensors_or_refused_and_nothing_else(bits):
    damaged = bytearray(WHOLE)
    for bit in bits:
        damaged[bit // 8] ^= 1 << (bit % 8)
    try:
        found = tensors_from_bytes(bytes(damaged))
    except ArtifactError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most damage is refused, some only changes values
    else:
        assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())


@pytest.mark.parametrize(
    "said",
    [
        {"dtype": "F32", "shape": [0, 2**63]},
        {"dtype": "F32", "shape": [0, 2**40, 2**40]},
        {"dtype": "F4", "shape": [0]},
        {"dtype": "os.system", "shape": [0]},
    ],
)
def test_a_header_made_by_hand_is_refused(said):
    header = json.dumps({"w": {**said, "data_offsets": [0, 0]}}).encode()
    with pytest.raises(ArtifactError, match=r"^bad is not a whole safetensors file"):
        tensors_from_bytes(len(header).to_bytes(8, "little") + header, "bad")


@pytest.mark.parametrize("length", [101_000_000, 2**40, 2**64 - 1])
def test_a_header_that_claims_to_be_huge_is_refused_before_memory_is_touched(length):
    with pytest.raises(ArtifactError, match=r"header too large"):
        tensors_from_bytes(length.to_bytes(8, "little") + b"{}" * 50)


class Canary:
    def __reduce__(self):
        return (os.system, ("touch canary-was-touched",))


def test_a_pickle_in_disguise_is_refused_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Canary()}, "disguised")
    zipped = (tmp_path / "disguised").read_bytes()
    for data in (pickle.dumps(Canary()), b"\x80\x04" + b"\0" * 100, b"", b"\xff" * 64, zipped):
        with pytest.raises(ArtifactError, match=r"is not a whole safetensors file"):
            tensors_from_bytes(data)
    assert not (tmp_path / "canary-was-touched").exists()
    # The canary sings when a pickle is read: without that this test would prove nothing.
    pickle.loads(pickle.dumps(Canary()))
    assert (tmp_path / "canary-was-touched").exists()
