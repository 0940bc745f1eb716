"""The running average of weights."""

import pytest
import torch
from torch import nn
from trainings import SETTINGS, Stops, make, rename_family, run, same, weights

import netwright as nw
from netwright.artifacts import tensors_from_bytes
from netwright.training.average import WeightAverage
from netwright.training.checkpoints import Checkpoints


def test_the_average_is_the_weighted_sum_of_all_weights_so_far():
    module = nn.Linear(1, 1, bias=False)
    values = [3.0, -1.0, 4.0, 1.5, -9.0, 2.6]
    module.weight.data.fill_(values[0])
    average = WeightAverage(module, 0.4)
    expected = values[0]
    for updates, value in enumerate(values[1:]):
        module.weight.data.fill_(value)
        average.update(updates)
        decay = min(0.4, (1 + updates) / (10 + updates))
        expected = decay * expected + (1 - decay) * value
    with average.applied():
        assert module.weight.item() == pytest.approx(expected)
    assert module.weight.item() == pytest.approx(values[-1])


def test_an_error_while_the_average_is_applied_gives_the_weights_back():
    module = nn.Linear(2, 1)
    average = WeightAverage(module, 0.9)
    before = module.weight.detach().clone()
    module.weight.data.add_(1)
    seen = []

    def fail() -> None:
        with average.applied():
            seen.append(module.weight.detach().clone())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.equal(seen[0], before)
    assert torch.equal(module.weight, before + 1)


def test_a_training_with_an_average_is_interrupted_and_resumed_to_the_same_bits(tmp_path):
    whole, expected = run(tmp_path / "whole", average=0.9)
    with pytest.raises(KeyboardInterrupt):
        nw.train(make(), Stops(13, 2), folder=tmp_path / "cut", **SETTINGS, average=0.9)
    rename_family(tmp_path / "cut")
    resumed, result = run(tmp_path / "cut", resume=True, average=0.9)
    assert same(weights(resumed), weights(whole))
    assert result.log == expected.log


def test_what_is_used_is_the_average_and_what_goes_on_training_is_not(tmp_path):
    averaged, _ = run(tmp_path / "a", average=0.9, validate_every=24)
    plain, _ = run(None, validate_every=24)
    assert not same(weights(averaged), weights(plain))
    files = Checkpoints(tmp_path / "a").newest().files
    # Averaging changes what is used, never how the training goes.
    assert same(tensors_from_bytes(files["training.safetensors"]), weights(plain))
    assert same(tensors_from_bytes(files["hypernetwork.safetensors"]), weights(averaged))
