"""`netwright train pendulum`, then `netwright play`."""

import json

import pytest


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


def test_a_page_is_written(run, folder, tmp_path):
    code, out, _ = run("play", folder, "--out", tmp_path / "page.html")
    assert code == 0
    assert "open it in a browser" in out
    assert "hypernetwork" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--context", "weight=1"), "The machine has no 'weight'"),
        (("--context", "mass"), "is no setting of a machine"),
        (("--context", "mass=90"), "half ranges outside"),
        (("--out", "flight.mp4"), "expected .gif"),
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
