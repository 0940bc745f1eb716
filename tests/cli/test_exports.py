"""`netwright export` and `netwright benchmark`, as a person types them."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from exported import FAMILIES, answers, built
from files import write_pictures

from netwright.architectures import MLP, Conv, RecurrentPolicy
from netwright.export import run_c, run_numpy, run_torch
from netwright.generated import GeneratedNetwork, Provenance


def saved(folder, architecture, labels=()):
    """A network in a folder, as `generate` leaves it."""
    network = GeneratedNetwork(
        built(architecture),
        provenance=Provenance("a", "b", "c"),
        input_shape=architecture.input_shape,
        architecture=architecture,
        labels=labels,
    )
    network.save(folder)
    return network


def test_a_network_is_written_in_every_format(run, tmp_path):
    network = saved(tmp_path / "net", FAMILIES["mlp"])
    x = torch.randn(3, 4)
    for name, open_file in (("net.py", run_numpy), ("net.pt2", run_torch)):
        code, out, err = run("export", "net", "--out", name)
        assert code == 0, err
        assert f"{network.size:,} parameters" in out
        found = open_file(tmp_path / name)(x.numpy())
        np.testing.assert_allclose(found, answers(network, x), atol=1e-5, rtol=1e-5)
    code, out, _ = run("export", "net", "--out", "net.onnx", "--format", "onnx-weights", "--json")
    report = json.loads(out)
    assert (code, report["format"], report["parameters"]) == (0, "onnx-weights", network.size)
    assert report["bytes"] == (tmp_path / "net.onnx").stat().st_size
    # A module of NumPy is two files.
    files = json.loads(run("export", "net", "--out", "net.py", "--json")[1])["files"]
    assert len(files) == 2
    assert all((tmp_path / each).is_file() for each in files)


def test_int8_says_what_it_costs_on_a_support_set_of_pictures(run, tmp_path):
    write_pictures(tmp_path / "photos", 3, 6, np.random.default_rng(0))
    labels = tuple(sorted(each.name for each in (tmp_path / "photos").iterdir()))
    network = saved(tmp_path / "net", Conv(channels=4, depth=2, classes=3), labels)
    arguments = ("export", "net", "--out", "net.onnx", "--format", "onnx-int8")
    code, out, err = run(*arguments, "--calibration", "photos")
    assert code == 0, err
    assert "accuracy on 18 rows: 0." in out
    cost = json.loads(run(*arguments, "--calibration", "photos", "--json")[1])["int8"]
    assert (cost["metric"], cost["rows"]) == ("accuracy", 18)
    code, _, err = run(*arguments)
    assert code == 1
    assert "needs rows to choose the ranges" in err
    # Accuracy on other classes would mean nothing.
    saved(tmp_path / "other", network.architecture, ("x", "y", "z"))
    code, _, err = run("export", "other", *arguments[2:], "--calibration", "photos")
    assert code == 1
    assert "expected those of the network, ['x', 'y', 'z']" in err


@pytest.mark.parametrize(
    ("y", "metric"),
    [(None, ""), (np.array([2, 0, 7, 2]), "accuracy"), (np.zeros((4, 3)), "rmse")],
)
def test_int8_takes_arrays_with_classes_with_values_or_with_neither(y, metric, run, tmp_path):
    network = saved(tmp_path / "net", MLP(4, (6,), classes=3), ("0", "2", "7"))
    x = torch.randn(4, 4)
    np.savez(tmp_path / "rows.npz", x=x.numpy(), **({} if y is None else {"y": y}))
    code, out, err = run("export", "net", "--out", "n.onnx", "--format", "onnx-int8", "--calibration", "rows.npz", "--json")  # fmt: skip
    assert code == 0, err
    cost = json.loads(out)["int8"]
    assert cost["metric"] == metric
    if metric == "accuracy":
        said = answers(network, x).argmax(axis=1)
        assert cost["before"] == (said == [1, 0, 2, 1]).mean()


def test_int8_of_classes_that_the_network_does_not_have_is_refused(run, tmp_path):
    saved(tmp_path / "net", MLP(4, (6,), classes=3), ("0", "2", "7"))
    np.savez(tmp_path / "rows.npz", x=np.zeros((2, 4)), y=np.array([0, 1]))
    code, _, err = run("export", "net", "--out", "n.onnx", "--format", "onnx-int8", "--calibration", "rows.npz")  # fmt: skip
    assert code == 1
    assert "has classes ['1'], expected those of the network, ['0', '2', '7']" in err


def test_a_policy_that_remembers_is_written_with_its_memory(run, tmp_path):
    saved(tmp_path / "net", RecurrentPolicy(3, hidden=4, outputs=2))
    code, _, err = run("export", "net", "--out", "net.onnx", "--input-shape", "1,7")
    assert code == 0, err
    (found,) = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(
        None, {"x": np.zeros((1, 1, 7), dtype=np.float32)}
    )
    assert found.shape == (1, 1, 6)
    code, _, err = run("export", "net", "--out", "net.onnx", "--input-shape", "1;7")
    assert code == 1
    assert "`--input-shape` is '1;7', expected such as 1,28,28" in err


def test_mistakes_are_one_line(run, tmp_path):
    saved(tmp_path / "net", FAMILIES["mlp"])
    for arguments, message in (
        (("net", "--out", "net.txt"), "ends in '.txt', expected one of .c"),
        (("net", "--out", "net.c", "--format", "onnx"), "expected .onnx for format onnx"),
        (("nowhere", "--out", "net.c"), "nowhere"),
    ):
        code, out, err = run("export", *arguments)
        assert (code, out) == (1, "")
        assert message in err
        assert err.count("\n") == 1


def test_the_benchmark_shows_all_formats_and_says_what_is_not_possible(run, tmp_path):
    saved(tmp_path / "net", FAMILIES["mlp"])
    code, out, err = run("benchmark", "net", "--rounds", 2)
    assert code == 0, err
    for name in ("torch ", "onnx ", "onnx-weights ", "torch-export ", "numpy "):
        assert name in out
    assert "onnx-int8: onnx-int8 needs rows" in out
    np.savez(tmp_path / "rows.npz", x=np.ones((2, 4)))
    code, out, err = run("benchmark", "net", "--rounds", 2, "--formats", "numpy,onnx-int8", "--calibration", "rows.npz", "--json")  # fmt: skip
    assert code == 0, err
    found = {each["format"]: each for each in json.loads(out)["formats"]}
    assert list(found) == ["torch", "numpy", "onnx-int8"]
    assert found["numpy"]["gap"] < 1e-5 < found["onnx-int8"]["gap"]
    code, _, err = run("benchmark", "net", "--formats", "rust")
    assert code == 1
    assert "Format 'rust' is not known" in err


def test_generate_writes_what_export_writes(run, tmp_path):
    from netwright.cli.generate import save_network

    network = saved(tmp_path / "net", FAMILIES["mlp"])
    size = save_network(network, tmp_path / "net.py")
    assert size == sum(each.stat().st_size for each in tmp_path.glob("net*.*"))
    x = torch.randn(2, 4)
    assert save_network(network, tmp_path / "net.c") == (tmp_path / "net.c").stat().st_size
    np.testing.assert_allclose(
        run_c(tmp_path / "net.c", (3,))(x.numpy()), answers(network, x), atol=1e-5, rtol=1e-5
    )
