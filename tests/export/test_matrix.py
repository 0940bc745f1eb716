"""Every family in every format says what the network says."""

import numpy as np
import onnxruntime
import pytest
import torch
from exported import FAMILIES, answers, built, compiled

from netwright.architectures import ARCHITECTURES, RecurrentPolicy
from netwright.export import FORMATS, export_network, run_numpy, run_onnx_weights, run_torch

ENDINGS = {name: each.endings[0] for name, each in FORMATS.items()}


def run_as(name, path, network, x):
    """Answers of an exported file, by what its readers use."""
    if name == "numpy":
        return run_numpy(path)(x.numpy())
    if name == "c":
        return compiled(path, x, network(x).shape[1:])
    if name == "torch-export":
        return run_torch(path)(x.numpy())
    if name == "onnx-weights":
        return run_onnx_weights(str(path), network.state_dict())(x.numpy())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x.numpy()})[0]


def test_every_family_is_here():
    assert set(FAMILIES) == set(ARCHITECTURES)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "onnx-int8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_the_same_within_tolerance(family, name, tmp_path):
    architecture = FAMILIES[family]
    network, path = built(architecture), tmp_path / f"net{ENDINGS[name]}"
    export_network(network, architecture.input_shape, path, format=name)
    for rows in (1, 5):
        # Of both signs, and other ones than those that an export is checked with.
        x = torch.randn(rows, *architecture.input_shape)
        expected = answers(network, x)
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(run_as(name, path, network, x), expected, atol=1e-5 * scale)


@pytest.mark.parametrize("family", FAMILIES)
def test_int8_is_near(family, tmp_path):
    architecture = FAMILIES[family]
    network, path = built(architecture), tmp_path / "net.onnx"
    x = torch.randn(40, *architecture.input_shape)
    export_network(network, architecture.input_shape, path, format="onnx-int8", calibration=x)
    expected, found = answers(network, x), run_as("onnx-int8", path, network, x)
    gap = np.abs(found - expected).max() / np.abs(expected).max()
    # Not the same, or nothing was quantised; 1/127 per product, several in a row.
    assert 1e-4 < gap < 0.1


@pytest.mark.parametrize("name", ["c", "numpy", "onnx"])
def test_a_policy_that_remembers_goes_on_where_it_was(name, tmp_path):
    policy = RecurrentPolicy(3, hidden=4, outputs=2)
    network, path = built(policy), tmp_path / f"net{ENDINGS[name]}"
    # One step with what was remembered behind the inputs.
    export_network(network, (1, 3 + 4), path, format=name)
    sequence = torch.randn(1, 6, 3)
    expected, memory = answers(network, sequence), torch.zeros(1, 1, 4)
    for step in range(6):
        x = torch.cat([sequence[:, step : step + 1], memory], dim=-1)
        out = run_as(name, path, network, x)
        np.testing.assert_allclose(out[..., :2], expected[:, step : step + 1], atol=1e-5)
        memory = torch.from_numpy(np.array(out[..., 2:]))
