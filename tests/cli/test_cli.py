"""The command line, as a person types it: what it does, and what it says of mistakes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from files import write_pictures, write_table
from safetensors.torch import load_file
from sklearn.datasets import load_digits

import netwright as nw
from netwright import cli
from netwright.cli.inputs import conditions_of
from netwright.cli.output import print_table

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Run folders, trained for a moment: pictures, a table, sine waves, descriptions."""
    root = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    write_pictures(root / "photos", 12, 6, rng)
    write_table(root / "sales.csv", rng)
    commands = {
        "photos": [root / "photos", "--ways", 2, "--queries", 3],
        "sales": [root / "sales.csv", "--task", "store", "--target", "units"],
        "sine": ["sine"],
        "rules": ["digit-rules"],
    }
    for name, arguments in commands.items():
        with pytest.MonkeyPatch.context() as patch:
            common = [
                "--steps",
                6,
                "--tasks",
                4,
                "--validate-every",
                3,
                "--quiet",
                "--folder",
                root / "runs" / name,
            ]
            patch.setattr(sys, "argv", ["netwright", "train", *map(str, [*arguments, *common])])
            with pytest.raises(SystemExit) as stopped:
                cli.main()
            assert not stopped.value.code
    return root


def test_help_comes_without_torch():
    code = "import sys; sys.argv = ['netwright', '--help']; import netwright.cli as c\ntry: c.main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules, 'torch'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in (
        "demo",
        "train",
        "evaluate",
        "compare",
        "ablate",
        "generate",
        "predict",
        "doctor",
    ):
        assert command in done.stdout


def test_version(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out == f"netwright {nw.__version__}\n"


def test_python_m_is_the_same_command():
    command = [sys.executable, "-m", "netwright", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"netwright {nw.__version__}\n"


def test_train_says_what_came_and_leaves_a_run(trained):
    folder = trained / "runs/photos"
    assert {"checkpoints", "log.jsonl", "curves.png"} <= {path.name for path in folder.iterdir()}


def test_train_names_its_folder_itself_and_speaks_json(run, tmp_path):
    code, out, _ = run("train", "sine", "--steps", 3, "--tasks", 2, "--quiet", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["folder"] == "runs/sine-1"
    assert report["step"] == 3
    assert (
        json.loads(run("train", "sine", "--steps", 3, "--tasks", 2, "--quiet", "--json")[1])[
            "folder"
        ]
        == "runs/sine-2"
    )


def test_evaluate_reports_intervals_and_the_shuffled_control(run, trained):
    code, out, _ = run("evaluate", trained / "runs/sine", "--tasks", 40)
    assert code == 0
    assert "shuffled conditions" in out
    assert re.search(r"mse\s+\d+\.\d+ ± \d+\.\d+\s+\d+\.\d+ ± \d+\.\d+", out)
    report = json.loads((trained / "runs/sine/evaluation-test.json").read_text())
    assert report["tasks"] == report["metrics"]["mse"]["n"] == 40
    assert (
        json.loads(run("evaluate", trained / "runs/sine", "--tasks", 40, "--json")[1])["metrics"]
        == report["metrics"]
    )


def test_evaluate_takes_the_last_weights_and_shifted_copies(run, trained):
    folder, found = trained / "runs/photos", {}
    for extra in ([], ["--weights", "last"], ["--shifts", 3]):
        code, out, err = run("evaluate", folder, "--tasks", 20, "--json", *extra)
        assert code == 0, err
        found[tuple(extra)] = json.loads(out)["calibration_error"]
    assert len(set(found.values())) >= 2
    assert found[()] != found["--shifts", 3]


def test_pictures_become_a_network_that_names_classes(run, trained, tmp_path):
    support = tmp_path / "letters"
    write_pictures(support, 3, 2, np.random.default_rng(1))
    code, out, _ = run(
        "generate", trained / "runs/photos", "--support", support, "--out", "net", "--json"
    )
    assert code == 0
    report = json.loads(out)
    assert report["labels"] == ["class0", "class1", "class2"]
    network = nw.load_network(tmp_path / "net")
    assert report["parameters"] == network.size
    code, out, _ = run("predict", "net", support)
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 6
    assert all(re.search(r"class\d/\d\.png\tclass\d  \d\.\d{3}$", line) for line in lines)


def test_many_tasks_become_shards_that_a_bank_reads(run, trained, tmp_path):
    lines = ["store,day,size,kind,units"]
    lines += [
        f"new{i},{i / 9:.2f},{1 + i % 7},{'ab'[i % 2]},{i}" for i in range(9) for _ in range(3)
    ]
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    command = ["generate", trained / "runs/sales", "--many", "new.csv", "--out", "bank"]
    for shard, words in (
        ("1/2", "written in"),
        ("2/2", "written in"),
        ("1/2", "there already, whole"),
    ):
        code, out, err = run(*command, "--shard", shard)
        assert code == 0, err
        assert words in out
    bank = nw.NetworkBank.load(tmp_path / "bank")
    assert bank.ids == tuple(f"new{i}" for i in range(9))
    (tmp_path / "one.csv").write_text("\n".join([lines[0], *lines[1:4]]) + "\n")
    assert run("generate", trained / "runs/sales", "--support", "one.csv", "--out", "net")[0] == 0
    x = torch.randn(1, *bank.child.architecture.input_shape)
    alone = nw.load_network(tmp_path / "net")(x)
    torch.testing.assert_close(bank.run(["new0"], x), alone, rtol=1e-4, atol=1e-5)


def test_many_conditions_as_arrays_keep_their_ids(run, trained, tmp_path):
    rng = np.random.default_rng(0)
    ids = np.array([2**40, 7, -1])
    np.savez(
        tmp_path / "many.npz", x=rng.normal(size=(3, 4, 1)), y=rng.normal(size=(3, 4)), ids=ids
    )
    command = ["generate", trained / "runs/sine", "--many", "many.npz", "--out", "bank", "--json"]
    code, out, _ = run(*command)
    assert code == 0
    assert json.loads(out)["networks"] == 3
    assert nw.NetworkBank.load(tmp_path / "bank").ids == (2**40, 7, -1)


def test_a_description_becomes_a_network_alone_or_beside_examples(run, trained, tmp_path):
    x, y = load_digits(return_X_y=True)
    np.savez(tmp_path / "five.npz", x=x[:5] / 16, y=(y[:5] > 2).astype(int))
    np.savez(tmp_path / "more.npz", x=x[5:9] / 16)
    command = ["generate", trained / "runs/rules", "--describe", "digits greater than two"]
    for extra, source in (
        ([], "written from a description"),
        (["--support", "five.npz"], "written from 5 examples and a description"),
    ):
        code, out, err = run(*command, *extra, "--out", "net")
        assert code == 0, err
        assert source in out
        code, out, err = run("predict", "net", "more.npz")
        assert code == 0, err
        assert {line.split()[-2] for line in out.splitlines()} <= {"yes", "no"}
        assert len(out.splitlines()) == 4
    texts = np.array(["digits less than 4", "digits that are even"])
    np.savez(tmp_path / "texts.npz", description=texts, ids=np.array(["few", "even"]))
    code, _, err = run("generate", trained / "runs/rules", "--many", "texts.npz", "--out", "bank")
    assert code == 0, err
    bank = nw.NetworkBank.load(tmp_path / "bank")
    assert bank.ids == ("few", "even")
    assert run(*command[:2], "--describe", texts[1], "--out", "one")[0] == 0
    row = torch.from_numpy(x[:1]).float() / 16
    alone = nw.load_network(tmp_path / "one")(row)
    torch.testing.assert_close(bank.run(["even"], row), alone, rtol=1e-4, atol=1e-5)


def test_a_table_becomes_a_network_that_answers_in_units(run, trained, tmp_path):
    (tmp_path / "new.csv").write_text("day,size,kind,units\n0.1,3,a,4.5\n0.2,6,b,7\n0.3,2,a,2\n")
    code, out, _ = run("generate", trained / "runs/sales", "--support", "new.csv", "--out", "net")
    assert code == 0
    assert "written from 3 examples" in out
    (tmp_path / "ask.csv").write_text("day,size,kind\n0.1,3,a\n")
    code, out, _ = run("predict", "net", "ask.csv", "--json")
    assert code == 0
    network = nw.load_network(tmp_path / "net")
    prepared = nw.tasks.TablePreparation.from_json(network.preparation)
    expected = (
        float(network(prepared.inputs(tmp_path / "ask.csv")).detach()) * prepared.std
        + prepared.mean
    )
    (row,) = json.loads(out)["predictions"]
    assert row["prediction"] == pytest.approx(expected, abs=1e-5)


def test_arrays_become_networks_in_every_format(run, trained, tmp_path):
    np.savez(tmp_path / "s.npz", x=np.random.rand(5, 1), y=np.random.rand(5))
    for out in ("net", "net.onnx", "net.safetensors"):
        code, text, err = run("generate", trained / "runs/sine", "--support", "s.npz", "--out", out)
        assert code == 0, err
        assert out in text
    network = nw.load_network(tmp_path / "net")
    weights = load_file(tmp_path / "net.safetensors")
    assert all(
        torch.equal(value, weights[name]) for name, value in network.network.state_dict().items()
    )
    x = np.random.rand(7, 1).astype(np.float32)
    (y,) = onnxruntime.InferenceSession("net.onnx").run(None, {"x": x})
    torch.testing.assert_close(torch.from_numpy(y), network(torch.from_numpy(x)).detach())
    np.savez(tmp_path / "q.npz", x=x)
    code, out, _ = run("predict", "net", "q.npz")
    assert code == 0
    assert len(out.splitlines()) == 7


def test_doctor_knows_this_machine(run):
    code, out, _ = run("doctor", "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["machine"]["netwright"] == nw.__version__
    assert facts["packages"]["torch"]


def prepared_mistakes(trained: Path, folder: Path) -> None:
    """Files that the mistakes below refer to."""
    rng = np.random.default_rng(0)
    (folder / "empty").mkdir()
    write_pictures(folder / "one", 1, 3, rng)
    write_pictures(folder / "few", 9, 2, rng)
    write_pictures(folder / "corrupt", 6, 2, rng)
    (folder / "corrupt/class1/0.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    np.savez(folder / "nan.npz", x=[[1.0], [np.nan]], y=[0.0, 1.0])
    np.savez(folder / "wide.npz", x=np.ones((2, 3)), y=[0.0, 1.0])
    np.savez(folder / "noy.npz", x=np.ones((2, 1)))
    np.savez(folder / "oneclass.npz", x=np.ones((2, 1, 28, 28)), y=[1, 1])
    (folder / "constant.csv").write_text(
        "task,x,y\n" + "".join(f"t{i % 4},{i},1\n" for i in range(12))
    )
    (folder / "rows.csv").write_text("task,x,y\n" + "".join(f"t{i},{i},{i}\n" for i in range(5)))
    shutil.copytree(trained / "runs/photos", folder / "flipped")
    weights = sorted((folder / "flipped/checkpoints").glob("*/hypernetwork.safetensors"))[-1]
    data = bytearray(weights.read_bytes())
    data[-9] ^= 8
    weights.write_bytes(bytes(data))
    shutil.copytree(trained / "runs/photos", folder / "truncated")
    for path in (folder / "truncated/checkpoints").glob("*/optimiser.safetensors"):
        path.write_bytes(path.read_bytes()[:1000])
    shutil.copytree(trained / "runs/photos", folder / "newer")
    for path in (folder / "newer/checkpoints").glob("*/manifest.json"):
        path.write_text(path.read_text().replace('"format": 1', '"format": 2'))


MISTAKES = [
    (["train"], 1, "Give either a task family"),
    (["train", "omnigolt"], 1, "'omnigolt' is no task family and no path that is there"),
    (["train", "empty"], 1, "empty holds no pictures in class folders"),
    (["train", "one"], 1, "one class only, 'class0'"),
    (["train", "few", "--ways", 2, "--shots", 5], 1, "expected at least 6: shots=5 and one query"),
    (["train", "corrupt", "--ways", 2], 1, "class1/0.png cannot be read as a picture"),
    (["train", "no.csv", "--task", "a", "--target", "b"], 1, "no.csv is not there"),
    (["train", "rows.csv", "--target", "y"], 1, "expected --task as well"),
    (["train", "rows.csv", "--task", "store", "--target", "y"], 1, "no column 'store'"),
    (["train", "rows.csv", "--task", "task", "--target", "y"], 1, "0 tasks with at least two rows"),
    (["train", "constant.csv", "--task", "task", "--target", "y"], 1, "'y' has one value only"),
    (["train", "sine", "--steps", 0], 1, "`steps` of the training settings"),
    (["train", "sine", "--average", 1], 1, "`average` of the training settings"),
    (
        ["train", "omniglot", "--warps", "often"],
        1,
        "`warps` is 'often', expected a number of times",
    ),
    (["train", "sine", "--ways", 5], 1, "Task family 'sine' has no option 'ways', expected some"),
    (["train", "images"], 1, "Task family 'images' needs the option 'root'"),
    (["train", "sine", "--hidden", "a,b"], 1, "`--hidden` is 'a,b'"),
    (["train", "sine", "--channels", 4], 1, "`channels` is 4 and the tasks have vectors"),
    (["train", "glyphs", "--hidden", "9"], 1, "`hidden` is (9,) and the tasks have pictures"),
    (["train", "sine", "--threads", 999], 1, "`--threads` is 999"),
    (["train", "sine", "--generator", "magic"], 1, "Generator 'magic' is not known"),
    (["train", "--resume", "empty"], 1, "empty holds no checkpoint"),
    (["train", "pendulum", "--objective", "discont=0.9"], 1, "Did you mean `discount`"),
    (
        ["train", "pendulum", "--objective", "spread"],
        1,
        "`--objective` names 'spread', expected one of",
    ),
    (
        ["train", "sine", "--objective", "discount=0.9"],
        1,
        "`--objective.discount` is no option of Regression",
    ),
    (["train", "--resume", "RUNS/sine", "--objective", "a=1"], 1, "is resumed, expected none"),
    (["train", "sine", "--steps", "many"], 2, "Invalid value"),
    (["trian"], 2, "No such command"),
    (["evaluate", "nowhere"], 1, "nowhere is not a folder, expected a run folder"),
    (["evaluate", "flipped"], 1, "another sha256 than its manifest says"),
    (["evaluate", "truncated"], 1, "has 1,000 bytes, expected"),
    (["evaluate", "newer"], 1, "written by a newer netwright. Upgrade"),
    (["evaluate", "RUNS/photos", "--split", "dev"], 1, "`--split` is 'dev'"),
    (["evaluate", "RUNS/photos", "--weights", "lst"], 1, "`weights` is 'lst', expected 'best'"),
    (["evaluate", "RUNS/photos", "--shifts", -1], 1, "cannot be shifted by -1 pixels, expected 0"),
    (["evaluate", "RUNS/sine", "--shifts", 1], 1, "Only pictures can be shifted"),
    (["evaluate", "RUNS/photos", "--tasks", 1], 1, "`--tasks` is 1"),
    (["generate", "RUNS/photos", "--support", "nowhere", "--out", "n"], 1, "nowhere is not there"),
    (["generate", "RUNS/sine", "--out", "n"], 1, "Give --support, --describe or --context"),
    (["generate", "RUNS/sine", "--describe", "a wave", "--out", "n"], 1, "does not read; it reads"),
    (["generate", "RUNS/rules", "--describe", " ", "--out", "n"], 1, "of task 0 is empty"),
    (["generate", "RUNS/rules", "--describe", "ж", "--out", "n"], 1, "no word that was seen"),
    (
        ["generate", "RUNS/rules", "--describe", "a " * 99, "--out", "n"],
        1,
        "has 99 words, expected at most 64",
    ),
    (
        ["generate", "RUNS/sine", "--many", "wide.npz", "--out", "n", "--shard", "0/2"],
        1,
        "`--shard` is '0/2', expected such as 3/16",
    ),
    (["generate", "RUNS/sine", "--many", "noy.npz", "--out", "n"], 1, "holds x and lacks y"),
    (
        ["generate", "RUNS/sine", "--many", "wide.npz", "--out", "n"],
        1,
        "expected [T, S, *] and [T, S]",
    ),
    (["generate", "RUNS/photos", "--support", "empty", "--out", "n"], 1, "holds no pictures"),
    (
        ["generate", "RUNS/photos", "--support", "one", "--out", "n"],
        1,
        "has 1 folders of pictures, expected at least 2",
    ),
    (
        ["generate", "RUNS/photos", "--support", "corrupt", "--out", "n"],
        1,
        "cannot be read as a picture",
    ),
    (["generate", "RUNS/photos", "--support", "oneclass.npz", "--out", "n"], 1, "one class only"),
    (["generate", "RUNS/sine", "--support", "nan.npz", "--out", "n"], 1, "has nan in x at [1, 0]"),
    (["generate", "RUNS/sine", "--support", "wide.npz", "--out", "n"], 1, "expected [T, S, D=1]"),
    (["generate", "RUNS/sine", "--support", "noy.npz", "--out", "n"], 1, "lacks ['y']"),
    (
        ["generate", "RUNS/sine", "--support", "one", "--out", "n"],
        1,
        "was not trained with pictures",
    ),
    (["generate", "RUNS/sine", "--support", "rows.csv", "--out", "n"], 1, "no table"),
    (["generate", "RUNS/sine", "--support", "nan.npz", "--out", "n.exe"], 1, ""),
    (["predict", "RUNS/photos", "one"], 1, "is a run folder, expected the folder of a network"),
    (["predict", "nowhere", "one"], 1, "nowhere is not there, expected the folder of a network"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    MISTAKES,
    ids=lambda v: " ".join(map(str, v)) if isinstance(v, list) else None,
)
def test_a_mistake_gets_one_line_and_leaves_nothing(run, trained, tmp_path, arguments, code, words):
    prepared_mistakes(trained, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    arguments = [str(a).replace("RUNS", str(trained / "runs")) for a in arguments]
    found, out, err = run(*arguments)
    assert found == code, err
    assert words in err
    assert "Traceback" not in err
    if code == 1:
        assert out == ""
        assert err.startswith("netwright: ")
        assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", "from netwright.cli import main; main()", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_in_a_checkpoint_that_can_be_resumed(tmp_path, number, code):
    process = start(tmp_path, "train", "sine", "--steps", "100000", "--tasks", "2", "--folder", "r")
    while process.poll() is None and not (tmp_path / "r/checkpoints").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err
    step = int(re.search(r"interrupted at step (\d+); resume with --resume r", err)[1])
    assert (tmp_path / f"r/checkpoints/step-{step:08d}/manifest.json").exists()


def test_the_demo_tells_its_story_and_leaves_its_files(run, tmp_path, monkeypatch):
    from netwright.cli import demo

    monkeypatch.setattr(demo, "TEST_TASKS", 20)
    monkeypatch.setattr(demo, "VALIDATION_TASKS", 10)
    monkeypatch.setattr(demo, "JOINT_STEPS", 10)
    monkeypatch.setattr(demo, "STEPS", [1, 3])
    code, out, _ = run("demo", "--steps", 12)
    assert code == 0
    for words in (
        "generated network",
        "trained from scratch",
        "joint, fine-tuned",
        "nearest neighbour",
        "Next:",
    ):
        assert words in out
    folder = tmp_path / "runs/demo-1"
    assert {"network", "network.onnx", "predictions.png", "curves.png", "demo.json"} <= {
        p.name for p in folder.iterdir()
    }
    report = json.loads((folder / "demo.json").read_text())
    assert len(report["rivals"]) == 5
    assert nw.load_network(folder / "network").size == 2029


def test_noise_of_many_networks_is_read_from_arrays(tmp_path):
    noise = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    np.savez(tmp_path / "many.npz", context=np.zeros((3, 1)), noise=noise)
    condition, _ = conditions_of(tmp_path / "many.npz", None, None)
    assert torch.equal(condition.noise, torch.from_numpy(noise))


def test_a_table_in_a_file_is_not_cut(capsys):
    print_table("wide", ["name", "value"], [["x" * 70, "y" * 70], ["a", "b"]])
    lines = capsys.readouterr().out.splitlines()
    assert sum("x" * 70 in line and "y" * 70 in line for line in lines) == 1
