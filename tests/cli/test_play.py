"""`netwright train pendulum`, then `netwright play`."""

import ctypes
import json
import re
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

import netwright as nw
from netwright.apps.control import animate, fly
from netwright.apps.control.maps import return_map
from netwright.apps.control.video import find_ffmpeg
from netwright.errors import ArtifactError, MissingExtraError
from netwright.generated import load_network
from netwright.objectives import Imitation
from netwright.rng import stream
from netwright.tasks import Control, Sine
from netwright.training import load_hypernetwork, make_hypernetwork


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import netwright as nw
    from netwright.cli import main  # noqa: F401
    from netwright.tasks import Control
    from netwright.training import make_hypernetwork

    folder = tmp_path_factory.mktemp("runs") / "pendulum"
    family = Control("pendulum")
    nw.train(
        make_hypernetwork(family.shape, seed=0, size=16), family, folder=folder, steps=2, tasks=2,
        validation_tasks=2, progress=False,
    )  # fmt: skip
    return folder


def test_machines_are_trained_by_their_name(run, tmp_path):
    code, out, _ = run(
        "train", "cart-pole", "--steps", "2", "--tasks", "2", "--sources", "context,examples",
        "--folder", tmp_path / "run", "--quiet", "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["step"] == 2
    record = json.loads(next((tmp_path / "run").rglob("run.json")).read_text())
    assert record["family"]["environment"] == "cart-pole"
    assert record["family"]["sources"] == ["context", "examples"]


def test_options_of_the_objective_are_recorded_and_gone_on_with(run, tmp_path):
    folder = tmp_path / "run"
    code, _, err = run(
        "train", "pendulum", "--steps", "2", "--tasks", "2", "--objective", "discount=0.9,spread=0.7:0.3",
        "--folder", folder, "--quiet",
    )  # fmt: skip
    assert code == 0, err
    records = [json.loads(path.read_text()) for path in folder.rglob("run.json")]
    assert {record["objective"]["discount"] for record in records} == {0.9}
    assert records[0]["objective"]["spread"] == [0.7, 0.3]
    code, out, _ = run("train", "--resume", folder, "--quiet", "--json")
    assert code == 0
    assert json.loads(out)["step"] == 2


def test_another_objective_is_asked_for_by_its_name(run, tmp_path):
    folder = tmp_path / "run"
    asked = ("train", "pendulum", "--steps", "2", "--tasks", "2", "--quiet", "--folder", folder, "--objective")  # fmt: skip
    code, _, err = run(*asked, "analytic-gradient,window=4,updates=2")
    assert code == 0, err
    record = json.loads(next(folder.rglob("run.json")).read_text())
    assert record["objective"]["name"] == "analytic-gradient"
    assert record["objective"]["window"] == 4
    code, out, _ = run("train", "--resume", folder, "--quiet", "--json")
    assert (code, json.loads(out)["step"]) == (0, 2)
    for objective, message in (
        ("analytic", "names 'analytic', expected one of"),
        ("window=3,analytic-gradient", "or a name before them"),
    ):
        code, _, err = run(*asked[:-2], tmp_path / "none", "--objective", objective)
        assert (code, err.count("\n")) == (1, 1)
        assert message in err
    code, _, err = run("train", "grid-world", "--objective", "analytic-gradient", "--folder", tmp_path / "none")  # fmt: skip
    assert (code, err.count("\n")) == (1, 1)
    assert "GridWorld: its actions are keys" in err
    assert not (tmp_path / "none").exists()


def test_a_run_with_a_teacher_cannot_go_on_from_the_command_line(run, folder, tmp_path):
    family = Control("pendulum")
    teacher, _ = load_hypernetwork(folder)
    nw.train(
        make_hypernetwork(family.shape, seed=0, size=8), family, folder=tmp_path / "taught", steps=1,
        objective=Imitation(teacher), tasks=2, validation_tasks=2, progress=False,
    )  # fmt: skip
    code, _, err = run("train", "--resume", tmp_path / "taught")
    assert code == 1
    assert (
        "has a teacher, which no record can hold, expected that teacher. Go on from Python" in err
    )
    assert len(err.strip().splitlines()) == 1


def test_a_machine_is_flown_and_drawn(run, folder, tmp_path):
    picture = tmp_path / "flight.gif"
    code, out, _ = run(
        "play", folder, "--context", "gain=-1,mass=1.2", "--change", "gain=1", "--rewrite-every",
        "10", "--out", picture, "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(out)
    assert found["machine"]["gain"] == -1
    assert found["machine"]["mass"] == pytest.approx(1.2)
    assert found["rewrites"][:2] == [10, 20]
    assert found["return"] < 0
    assert picture.read_bytes().startswith(b"GIF89a")


def short_flight(folder):
    """20 steps of a pendulum, and how to draw them."""
    hypernetwork, _ = load_hypernetwork(folder)
    family = Control("pendulum")
    flight = fly(hypernetwork, family, family.environment.machine(gain=-1.0), steps=20)[0]
    return partial(animate, flight, "pendulum", family.environment)


def test_a_flight_is_a_video_of_as_many_pictures_as_it_has_steps(folder, tmp_path):
    try:
        ffmpeg = find_ffmpeg()
    except MissingExtraError as missing:
        pytest.skip(str(missing))
    path = short_flight(folder)(tmp_path / "flight.mp4")
    # Decoded again: steps of 0.05 s, and where the last one led.
    raw = [ffmpeg, "-loglevel", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run(raw, capture_output=True, check=True).stdout
    said = subprocess.run([ffmpeg, "-i", path], capture_output=True, check=False).stderr.decode()
    found = re.search(r", (\d+)x(\d+)[ ,].*, (\d+) fps", said)
    width, height, rate = (int(number) for number in found.groups())
    assert (width, rate) == (360, 20)
    assert len(pixels) == 21 * width * height * 3
    frames = np.frombuffer(pixels, dtype=np.uint8).reshape(21, height, width, 3).astype(int)
    # White, with a rod that moves.
    assert (frames[0, 2, 2] > 250).all()
    assert np.abs(frames[0] - frames[20]).max() > 100


def test_without_ffmpeg_it_is_said_what_to_install(run, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    code, _, err = run("play", folder, "--out", tmp_path / "flight.mp4")
    assert code == 1
    assert "pip install 'netwright[video]'" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "flight.mp4").exists()


def test_an_ffmpeg_that_fails_is_named_in_one_line(folder, tmp_path, monkeypatch):
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\ncat > /dev/null\necho no encoder >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ArtifactError, match=r"\(no encoder\), expected one that writes .mp4"):
        short_flight(folder)(tmp_path / "flight.mp4")


def test_what_a_machine_needs_is_named_in_one_line(run, monkeypatch):
    from netwright.environments import mujoco

    monkeypatch.setattr(mujoco, "find_spec", lambda name: None)
    code, _, err = run("train", "half-cheetah")
    assert code != 0
    assert "pip install 'netwright[rl]'" in err
    assert len(err.strip().splitlines()) == 1


def test_a_map_of_returns_is_drawn(run, folder, tmp_path):
    code, _, _ = run("play", folder, "--map", "gain,mass", "--out", tmp_path / "map.png")
    assert code == 0
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    family = Control("pendulum")
    hypernetwork, _ = load_hypernetwork(folder)
    machine = family.environment.machine()
    gains, masses, earned = return_map(hypernetwork, family, machine, ("gain", "mass"))
    assert earned.shape == (25, 25)
    # Each point is the mean return of that machine from the same states.
    at = family.environment.machine(gain=float(gains[3]), mass=float(masses[20]))
    starts = family.environment.start(stream(0, "map"), 1, 4)
    flights = [fly(hypernetwork, family, at, start=starts[:, n : n + 1])[0] for n in range(4)]
    assert earned[20, 3] == pytest.approx(np.mean([f.rewards.sum() for f in flights]), rel=1e-3)


def test_a_page_is_written(run, folder, tmp_path):
    code, out, _ = run("play", folder, "--context", "mass=1.23", "--out", tmp_path / "page.html")
    assert code == 0
    assert '"start": 1.23' in (tmp_path / "page.html").read_text()
    assert "open it in a browser" in out
    assert "hypernetwork" in (tmp_path / "page.html").read_text()


def test_a_policy_is_written_as_c_and_flies_the_same_machine(run, folder, tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "policy.c", tmp_path / "policy.so"
    code, out, _ = run("generate", folder, "--context", "mass=1.2,gain=-1", "--out", source)
    assert code == 0
    assert "written from 5 numbers" in out
    options = ["-std=c99", "-Wall", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, source, "-o", library, "-lm"], check=True)
    function = ctypes.CDLL(str(library)).netwright_outputs
    hypernetwork, _ = load_hypernetwork(folder)
    family = Control("pendulum")
    environment, machine = family.environment, family.environment.machine(mass=1.2, gain=-1.0)
    state = torch.tensor([[[3.0, 0.1]]])
    flight = fly(hypernetwork, family, machine, start=state)[0]
    pointer = ctypes.POINTER(ctypes.c_float)
    for step in range(environment.steps):
        np.testing.assert_allclose(state[0, 0], flight.states[step], atol=2e-3)
        seen = np.ascontiguousarray(environment.observe(state, machine)[0, 0].numpy())
        action = np.zeros(1, dtype=np.float32)
        function(seen.ctypes.data_as(pointer), action.ctypes.data_as(pointer))
        state = environment.step(state, torch.from_numpy(action).view(1, 1, 1), machine)


def test_a_policy_is_written_from_what_was_logged_of_a_machine(run, tmp_path):
    family = Control("pendulum", sources=("examples",), probe=8)
    writer = make_hypernetwork(family.shape, seed=0, size=16)
    nw.train(writer, family, folder=tmp_path / "run", steps=2, tasks=2, validation_tasks=2, progress=False)  # fmt: skip
    machine, start = family.environment.machine(), torch.tensor([[[2.0, 0.3]]])
    probe = family.probed(machine, stream(0, "p"), start)
    seen = torch.cat([probe.x[0, :, :3], probe.x[0, -1:, :3] + probe.y[0, -1:, :3] / 10])
    logged = {"seen": seen.numpy(), "action": probe.x[0, :, 3:].numpy(), "reward": probe.y[0, :, 3].numpy()}  # fmt: skip
    np.savez(tmp_path / "probe.npz", **logged)
    out = tmp_path / "policy"
    code, said, err = run("generate", tmp_path / "run", "--support", tmp_path / "probe.npz", "--out", out)  # fmt: skip
    assert code == 0, err
    assert "written from 8 examples" in said
    hypernetwork, _ = load_hypernetwork(tmp_path / "run")
    expected = hypernetwork.generate(nw.Condition(examples=probe))
    x = torch.randn(5, 3)
    torch.testing.assert_close(load_network(out)(x), expected(x), atol=1e-4, rtol=1e-4)
    for fault, message in (
        ({"action": logged["action"][:5]}, "has seen [9, 3], expected [6, 3]: a probe is"),
        ({"reward": np.full(8, np.nan)}, "nan in reward at [0], expected finite numbers"),
    ):
        np.savez(tmp_path / "bad.npz", **{**logged, **fault})
        code, _, err = run("generate", tmp_path / "run", "--support", tmp_path / "bad.npz", "--out", tmp_path / "n")  # fmt: skip
        assert code == 1
        assert message in err


def test_contexts_of_other_tasks_are_refused(run, tmp_path):
    nw.train(
        make_hypernetwork(Sine().shape, seed=0, size=16), Sine(), folder=tmp_path / "sine", steps=1,
        tasks=2, validation_tasks=2, progress=False,
    )  # fmt: skip
    code, _, err = run(
        "generate", tmp_path / "sine", "--context", "mass=1", "--out", tmp_path / "n"
    )
    assert code == 1
    assert "this run is of other tasks" in err
    code, _, err = run("play", tmp_path / "sine")
    assert code == 1
    assert "is of the tasks 'sine', expected machines" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--context", "weight=1"), "The machine has no 'weight'"),
        (("--context", "mass"), "is no setting of a machine"),
        (("--context", "mass=90"), "half ranges outside"),
        (("--out", "flight.avi"), "expected .gif or .mp4"),
        (("--map", "gain"), "expected two quantities"),
        (("--map", "gain,mass", "--out", "map.xyz"), "expected .png"),
        (("--out", "/proc/nowhere/flight.gif"), "could not be written"),
        (("--out", "/proc/nowhere/page.html"), "could not be written"),
        (("--map", "gain,mass", "--out", "/proc/nowhere/map.png"), "could not be written"),
        (("--map", "gain,weight"), "The machine has no 'weight'"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(
    run, folder, tmp_path, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("play", folder, *options)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
