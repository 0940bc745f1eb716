"""`netwright train --sizes` and `netwright design`, as a person types them."""

import json
import re

import numpy as np
import pytest
from designs import rows
from files import write_pictures
from PIL import Image

import netwright as nw
from netwright.runs import Run
from netwright.tasks.sized import Sized
from netwright.training import Checkpoints, build_family

QUICK = ("--candidates", 12, "--quiet")


@pytest.fixture
def searched(run, digits_run):
    code, out, err = run("design", digits_run, "--max-bytes", 5000, *QUICK)
    assert code == 0, err
    return out


def test_a_search_leaves_a_network_a_picture_and_all_candidates(searched, tmp_path):
    folder = tmp_path / "runs/design-1"
    assert "12 candidates, at most 5,000 bytes, scored on 359 rows (95 % intervals)" in searched
    front = re.findall(r"(0\.\d+) \[.*?\]\s+([\d,]+)\s+([\d,]+)", searched)
    assert front
    assert all(int(size.replace(",", "")) <= 5000 for _, size, _ in front)
    assert re.search(
        r"the chosen one on 359 test rows, which had no part in it: 0\.\d+ \[", searched
    )
    with Image.open(folder / "front.png") as picture:
        assert picture.size[0] >= 800
    network = nw.load_network(folder / "network")
    assert network.labels == tuple("0123456789")
    report = json.loads((folder / "front.json").read_text())
    assert network.size == report["chosen"]["cost"]["parameters"] <= 1250
    right = network(rows("test").x[0]).argmax(dim=-1) == rows("test").y[0]
    assert report["test"]["value"] == pytest.approx(right.double().mean().item())
    assert len((folder / "tried.jsonl").read_text().splitlines()) == 12


def test_it_goes_on_where_it_was_stopped(run, digits_run, tmp_path):
    limits = ("--max-bytes", 5000)
    whole = json.loads(run("design", digits_run, *limits, *QUICK, "--json", "--folder", "a")[1])
    run("design", digits_run, *limits, "--candidates", 5, "--quiet", "--folder", "b")
    code, out, err = run("design", digits_run, *limits, *QUICK, "--json", "--resume", "b")
    assert code == 0, err
    resumed = json.loads(out)
    assert [e["architecture"] for e in resumed["front"]] == [
        e["architecture"] for e in whole["front"]
    ]
    assert resumed["chosen"]["value"] == whole["chosen"]["value"]
    assert resumed["test"] == whole["test"]
    a, b = ((tmp_path / f / "network/model.safetensors").read_bytes() for f in "ab")
    assert a == b


def test_networks_come_as_the_file_that_is_asked_for(run, digits_run, tmp_path):
    for name in ("net.c", "net.safetensors", "net.onnx"):
        code, _, err = run(
            "design", digits_run, "--candidates", 2, "--out", name, "--picture", "p.svg", "--quiet"
        )
        assert code == 0, err
        assert (tmp_path / name).stat().st_size > 1000
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")


def test_rows_to_choose_by_may_be_given(run, digits_run, tmp_path):
    own = rows("test", 40)
    x, y = own.x[0].numpy(), own.y[0].numpy()
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    head = ",".join([*(f"pixel{i}" for i in range(64)), "digit"])
    table = np.column_stack([x, y])
    np.savetxt(tmp_path / "rows.csv", table, delimiter=",", header=head, comments="", fmt="%.6g")
    found = {}
    for name in ("rows.npz", "rows.csv"):
        code, out, err = run("design", digits_run, "--held-out", name, *QUICK, "--json")
        assert code == 0, err
        found[name] = json.loads(out)
        assert found[name]["held_out_rows"] == 40
        assert found[name]["test"] is None
    assert found["rows.npz"]["chosen"]["value"] == found["rows.csv"]["chosen"]["value"]


def test_support_sets_are_held_out_in_turn(run, pictures_run, tmp_path):
    write_pictures(tmp_path / "letters", 3, 4, np.random.default_rng(1))
    code, out, err = run(
        "design", pictures_run, "--support", "letters", "--max-parameters", 300, "--candidates", 4,
        "--polish", 2, "--by", "bytes,latency_ms",
    )  # fmt: skip
    assert code == 0, err
    assert "scored on 12 rows of the support set, held out in 4 parts" in out
    assert out.startswith("candidate 1: accuracy ")
    network = nw.load_network(tmp_path / "runs/design-1/network")
    assert network.labels == ("class0", "class1", "class2")
    assert network.size <= 300
    assert run("predict", "runs/design-1/network", "letters")[0] == 0


def test_training_with_sizes_records_the_space(run, tmp_path):
    quick = ("--steps", 8, "--tasks", 4, "--quiet")
    code, _, err = run("train", "digits", "--sizes", "residual", *quick, "--json")
    assert code == 0, err
    record = json.loads(Checkpoints(tmp_path / "runs/digits-residual-1").newest().files["run.json"])
    assert record["family"]["family"] == {"name": "data-set", "data": "digits"}
    assert record["family"]["space"]["family"] == "residual"
    assert record["training"]["learning_rate"] == 3e-3
    family = build_family(Run.model_validate(record).family)
    assert isinstance(family, Sized)
    assert family.space.smallest().width == 4


def test_classes_of_their_own_get_rows_that_fit_any_width(run, tmp_path, pictures_run):
    record = Checkpoints(pictures_run).newest().files["run.json"]
    assert json.loads(record)["hypernetwork"]["head"] == "anchor-only"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-bytes", 500], "No mlp of the space has at most 500 bytes: the smallest has 1,240"),
        (["--method", "guess"], "Method 'guess' is not known, expected one of"),
        (
            ["--support", "x.npz"],
            "written from their architecture alone, expected neither --support",
        ),
        (["--held-out", "none.npz"], "none.npz cannot be read as .npz"),
        (["--held-out", "none.csv"], "none.csv cannot be read"),
        (["--held-out", "small.npz"], r"has x \[3, 8\] and y \[3\], expected rows of \[64\]"),
        (
            ["--held-out", "classes.npz"],
            "has classes from 0 to 11, expected whole numbers from 0 to 9",
        ),
        (["--out", "net.txt"], "`--out` is net.txt, expected a folder"),
        (["--picture", "front.pdf"], "`--picture` is front.pdf, expected a .png or an .svg"),
        (["--by", "weight"], "`by` is 'weight', expected some of"),
        (["--folder", "a", "--resume", "b"], "Give --folder for a new search or --resume"),
        (["--resume", "nowhere"], "nowhere holds no search"),
    ],
)
def test_mistakes_are_one_line(run, digits_run, tmp_path, arguments, message):
    np.savez(tmp_path / "small.npz", x=np.zeros((3, 8)), y=np.zeros(3))
    np.savez(tmp_path / "classes.npz", x=np.zeros((3, 64)), y=np.array([0, 11, 2]))
    code, out, err = run("design", digits_run, "--candidates", 2, *arguments)
    assert code == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert re.search(message, err)


def test_runs_that_cannot_be_searched_say_which_can(run, pictures_run, tmp_path):
    quick = ("--steps", 1, "--tasks", 1, "--quiet")
    run("train", "sine", *quick)
    code, _, err = run("design", "runs/sine-1")
    assert code == 1
    assert "writes networks of one architecture" in err
    assert "netwright train sine --sizes mlp" in err
    code, _, err = run("design", pictures_run)
    assert code == 1
    assert "are written from examples, expected --support" in err
    write_pictures(tmp_path / "one", 2, 1, np.random.default_rng(0))
    code, _, err = run("design", pictures_run, "--support", "one")
    assert code == 1
    assert "a class has 1 labelled example, expected at least 2" in err
    write_pictures(tmp_path / "three", 3, 2, np.random.default_rng(0))
    code, _, err = run("design", pictures_run, "--support", "one", "--held-out", "three")
    assert code == 1
    assert "three has classes ['class0', 'class1', 'class2'] and one has" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits"], "digits is one data set.*netwright train digits --sizes mlp"),
        (["digits", "--sizes", "conv"], r"no ready space 'conv' for inputs of shape \(64,\)"),
        (["digits", "--sizes", "mlp", "--hidden", "4"], "expected one of the two"),
        (["sine", "--sizes", "mlp", "--head", "nothing"], "`head` is 'nothing'"),
    ],
)
def test_mistakes_of_training_are_one_line(run, arguments, message):
    code, _, err = run("train", *arguments)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert re.search(message, err)


def test_values_are_scored_by_their_error(run, tmp_path):
    quick = ("--steps", 12, "--tasks", 4, "--quiet")
    assert run("train", "sine", "--sizes", "mlp", *quick)[0] == 0
    x = np.linspace(-3, 3, 12)[:, None]
    np.savez(tmp_path / "wave.npz", x=x, y=np.sin(x))
    code, out, err = run(
        "design", "runs/sine-mlp-1", "--support", "wave.npz", "--max-bytes", 600, *QUICK, "--json"
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["chosen"]["metric"] == "mse"
    assert found["folds"] == 5
    # From the fewest bytes on, ever smaller errors.
    errors = [each["value"] for each in found["front"]]
    assert min(errors) == found["chosen"]["value"]
    assert all(each["cost"]["bytes"] <= 600 for each in found["front"])
