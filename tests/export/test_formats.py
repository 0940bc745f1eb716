"""The way in: which format is meant, what it takes, and what stands in its files."""

import io
import json
import pickle
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from exported import FAMILIES, answers, built
from making import make_condition, make_vector_hypernetwork
from torch import nn

import netwright as nw
from netwright.conditions import ExampleSet
from netwright.errors import ArtifactError, ExportError
from netwright.export import (
    FORMATS,
    compare_formats,
    export_network,
    export_onnx_int8,
    export_torch,
    format_of,
    native,
    read_int8_cost,
    run_torch,
)


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.onnx", "onnx"), ("a.pt2", "torch-export"), ("a.py", "numpy"), ("a.c", "c"), ("A.H", "c")],
)
def test_the_ending_says_the_format(name, format, tmp_path):
    assert format_of(tmp_path / name) == format


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("net.exe", {}, r"ends in '.exe', expected one of .c, .h, .onnx, .pt2, .py"),
        ("net", {}, r"ends in '', expected one of"),
        ("net.c", {"format": "onnx"}, r"ends in '.c', expected .onnx for format onnx"),
        ("net.c", {"format": "rust"}, "Format 'rust' is not known, expected one of onnx, onnx-weights"),
        ("net.c", {"opset": 18}, "Format c takes no `opset`, expected one of onnx, onnx-weights, onnx-int8"),
        ("net.py", {"calibration": torch.zeros(1, 3)}, "takes no `calibration`, expected one of onnx-int8"),
        ("net.onnx", {"format": "onnx-int8"}, "onnx-int8 needs rows to choose the ranges"),
        ("net.onnx", {"format": "onnx-int8", "calibration": torch.zeros(2, 4)}, r"2 rows of \[4\], expected at least one of \[3\]"),
        ("net.onnx", {"format": "onnx-int8", "calibration": torch.zeros(0, 3)}, "0 rows of"),
        ("net.onnx", {"opset": 3}, "`opset` is 3, expected 18 to 23"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_in_one_line(name, options, message, tmp_path):
    with pytest.raises(ExportError, match=message) as refused:
        export_network(nn.Linear(3, 2), (3,), tmp_path / name, **options)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_module_of_the_users_own_needs_the_shape_of_its_inputs(tmp_path):
    rng = torch.Generator().manual_seed(0)
    child = nw.Child(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
    hypernetwork = nw.Hypernetwork(child, nw.conditioners.Examples((3,), outputs=2), "dense")
    network = hypernetwork.generate(make_condition(1, rng, "examples"))
    with pytest.raises(ExportError, match="shape of one input .* is not known.*`input_shape=`"):
        network.export(tmp_path / "net.c")
    path = network.export(tmp_path / "net.pt2", input_shape=(3,))
    x = torch.randn(1, 3)
    np.testing.assert_allclose(run_torch(path)(x.numpy()), answers(network, x), atol=1e-6)


def test_the_network_is_left_as_it_was(tmp_path):
    network = nn.Sequential(nn.Linear(3, 2), nn.Dropout()).double().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for name, each in FORMATS.items():
        rows = torch.zeros(2, 3) if name == "onnx-int8" else None
        path = tmp_path / f"net{each.endings[0]}"
        export_network(network, (3,), path, format=name, calibration=rows)
    assert network.training
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float64
        assert value.requires_grad == before[name].requires_grad
        assert torch.equal(value, before[name])
    assert all(each.requires_grad for each in network.parameters())


@pytest.mark.parametrize("name", FORMATS)
def test_files_do_not_say_where_they_were_written(name, tmp_path):
    network = built(FAMILIES["residual"])
    path = tmp_path / f"net{FORMATS[name].endings[0]}"
    rows = torch.zeros(2, 6) if name == "onnx-int8" else None
    export_network(network, (6,), path, format=name, calibration=rows)
    for file in tmp_path.iterdir():
        held = file.read_bytes()
        assert str(tmp_path).encode() not in held
        assert nw.__file__.rpartition("/")[0].encode() not in held


def test_labels_stand_in_the_metadata(tmp_path):
    labels = ("a", 'b"\n', "ç")
    for name in ("onnx", "onnx-weights"):
        path = export_network(
            nn.Linear(3, 3), (3,), tmp_path / "net.onnx", format=name, labels=labels
        )
        told = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
        assert json.loads(told["labels"]) == list(labels)
    path = export_torch(nn.Linear(3, 3), (3,), tmp_path / "net.pt2", labels=labels)
    extra = {"labels.json": ""}
    torch.export.load(path, extra_files=extra)
    assert json.loads(extra["labels.json"]) == list(labels)


def test_a_pt2_file_holds_no_pickle_and_torch_reads_none(tmp_path, monkeypatch):
    network = built(FAMILIES["transformer"])
    path = export_torch(network, (5, 3), tmp_path / "net.pt2")
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            data = archive.read(entry)
            # Pickles of torch begin as a zip or with protocol 2 or higher.
            assert not data.startswith(
                (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
            ), entry

    def refuse(*args, **kwargs):
        raise AssertionError("a pickle is read")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    module = torch.export.load(path).module()
    for rows in (1, 7):
        x = torch.randn(rows, 5, 3)
        torch.testing.assert_close(module(x), network(x))


def test_a_pt2_file_with_a_pickle_is_refused(tmp_path):
    program = torch.export.export(nn.Linear(3, 2), (torch.zeros(2, 3),))
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(ArtifactError, match="sample_inputs/model.pt .* is a pickle, which could"):
        run_torch(tmp_path / "net.pt2")
    path = export_torch(nn.Linear(3, 2), (3,), tmp_path / "own.pt2")
    data = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(data, "w") as changed:
        for entry in archive.namelist():
            held = archive.read(entry)
            if entry.endswith("weights_config.json"):
                held = held.replace(b'"use_pickle": false', b'"use_pickle": true')
            changed.writestr(entry, held)
    with pytest.raises(ArtifactError, match="weights_config.json .* is a pickle"):
        run_torch(data.getvalue())
    with pytest.raises(ArtifactError, match="cannot be read .*, expected an archive"):
        run_torch(b"no zip")


def test_int8_tells_what_it_costs_on_the_support_set(tmp_path):
    torch.manual_seed(0)
    network, x = built(FAMILIES["conv"]), torch.randn(60, 2, 9, 7)
    said = torch.from_numpy(answers(network, x)).argmax(dim=1)
    # A fifth of the labels is wrong: what int8 costs is what is lost of four fifths.
    y = torch.where(torch.arange(60) % 5 == 0, (said + 1) % 3, said)
    path = tmp_path / "net.onnx"
    cost = export_onnx_int8(
        network, (2, 9, 7), path, calibration=ExampleSet.of(x[None], y[None], classes=3)
    )
    assert cost == read_int8_cost(path)
    assert (cost.metric, cost.rows, cost.before) == ("accuracy", 60, 0.8)
    (after,) = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})
    assert cost.after == pytest.approx((after.argmax(axis=1) == y.numpy()).mean())
    assert cost.agreement == pytest.approx((after.argmax(axis=1) == said.numpy()).mean())
    kinds = {each.data_type for each in onnx.load(path).graph.initializer if len(each.dims) == 4}
    assert kinds == {onnx.TensorProto.INT8}


def test_int8_of_values_tells_errors_and_padding_is_left_out(tmp_path):
    network, x = built(FAMILIES["residual"]), torch.randn(1, 20, 6)
    y = network(x[0]).detach()[None] + 1
    x[0, 15:] = 1e9  # padding, which would make every range useless
    mask = torch.arange(20)[None] < 15
    cost = export_onnx_int8(
        network, (6,), tmp_path / "net.onnx", calibration=ExampleSet(x, y, mask)
    )
    assert (cost.metric, cost.rows) == ("rmse", 15)
    assert cost.before == pytest.approx(1.0, abs=1e-5)
    assert cost.gap < 0.1


def test_int8_of_several_tasks_or_of_nothing_is_refused(tmp_path):
    sets = ExampleSet.of(torch.zeros(2, 3, 3), torch.zeros(2, 3, dtype=torch.long))
    with pytest.raises(ExportError, match="`calibration` is of 2 tasks, expected one"):
        export_onnx_int8(nn.Linear(3, 2), (3,), tmp_path / "a.onnx", calibration=sets)
    with pytest.raises(ExportError, match="Nothing in the network can be quantised"):
        export_onnx_int8(nn.Tanh(), (3,), tmp_path / "a.onnx", calibration=torch.zeros(2, 3))
    path = export_network(nn.Linear(3, 2), (3,), tmp_path / "b.onnx")
    with pytest.raises(ExportError, match="does not tell what int8 costs"):
        read_int8_cost(path)


def test_ensembles_export_in_every_format(tmp_path):
    rng = torch.Generator().manual_seed(0)
    hypernetwork = make_vector_hypernetwork("dense")
    members = [hypernetwork.generate(make_condition(1, rng, "examples")) for _ in range(2)]
    for averages in ("values", "probabilities"):
        ensemble = nw.GeneratedEnsemble(members, averages=averages)
        x = torch.randn(4, *ensemble.input_shape)
        path = ensemble.export(tmp_path / "net.py")
        np.testing.assert_allclose(
            native.run_numpy(path)(x.numpy()), answers(ensemble, x), atol=1e-5
        )


def test_formats_stand_beside_each_other(tmp_path):
    network = FAMILIES["table-net"]
    found = compare_formats(
        built(network), (4,), formats=("onnx", "onnx-int8", "numpy", "torch-export"), rounds=2
    )
    assert [each.format for each in found] == [
        "torch",
        "onnx",
        "onnx-int8",
        "numpy",
        "torch-export",
    ]
    assert "needs rows to choose" in found[2].reason
    assert found[2].bytes is None
    for each in (*found[:2], *found[3:]):
        assert each.gap < 1e-5
        assert each.single_us > 0
        assert each.bytes >= 4 * network.parameters
    with pytest.raises(ExportError, match="Format 'rust' is not known"):
        compare_formats(built(network), (4,), formats=("rust",))


def test_a_format_without_its_tools_is_listed_with_the_reason(monkeypatch):
    monkeypatch.setattr(native.shutil, "which", lambda name: None)
    found = compare_formats(nn.Linear(3, 2), (3,), formats=("c",), rounds=1)
    assert "no C compiler here" in found[1].reason


def test_threads_export_at_once_and_stdout_is_what_it_was(tmp_path):
    before = sys.stdout
    networks = [nn.Linear(3, size) for size in range(1, 5)]
    with ThreadPoolExecutor(4) as pool:
        paths = list(
            pool.map(
                lambda each: export_network(each, (3,), tmp_path / f"{each.out_features}.py"),
                networks,
            )
        )
    assert sys.stdout is before
    x = torch.randn(2, 3)
    for network, path in zip(networks, paths, strict=True):
        np.testing.assert_allclose(
            native.run_numpy(path)(x.numpy()), answers(network, x), atol=1e-6
        )
