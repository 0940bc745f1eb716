"""Runs over HTTP: what the folders say, and nothing of other folders."""

import json
from pathlib import Path

import pytest
from servers import make_service
from starlette.testclient import TestClient

import netwright as nw
from netwright.serving.app import build_app
from netwright.serving.run_folders import MOST_POINTS, detail_of, named
from netwright.serving.runs_routes import runs_router

REPORTS = Path(__file__).parents[2] / "benchmarks" / "reports"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "waves"
    family = nw.tasks.Sine()
    hypernetwork = nw.make_hypernetwork(family.shape, seed=0)
    nw.train(
        hypernetwork, family, folder=folder, steps=6, validate_every=3, validation_tasks=4,
        log_every=1, progress=False,
    )  # fmt: skip
    found = nw.evaluate(hypernetwork, family, tasks=4)
    (folder / "evaluation-test.json").write_text(json.dumps(found.to_json()))
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory, run_folder):
    folders = named([run_folder, REPORTS / "sine-referee"])
    service = make_service(tmp_path_factory.mktemp("served"), "letters")
    app = build_app(service, routers=[runs_router(folders)])
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def test_a_run_says_how_it_learned_and_what_it_is_worth(client):
    lines = {line["name"]: line for line in client.get("/v1/runs").json()}
    assert (lines["waves"]["kind"], lines["waves"]["title"]) == ("run", "sine")
    assert (lines["waves"]["steps"], lines["waves"]["planned_steps"]) == (6, 6)
    found = client.get("/v1/runs/waves").json()
    losses = [point["loss"] for point in found["curves"] if point["loss"] is not None]
    validations = [point for point in found["curves"] if point["validation"] is not None]
    assert len(losses) == 6
    assert [point["step"] for point in validations] == [3, 6]
    assert found["best"] == min(point["validation"] for point in validations)
    value, low, high = found["evaluations"][0]["metrics"][found["metric"]]
    assert low < value < high
    assert found["record"]["training"]["steps"] == 6


def test_a_comparison_says_who_beat_whom(client):
    found = client.get("/v1/runs/sine-referee").json()
    assert found["kind"] == "comparison"
    assert found["question"].endswith("?")
    setting = found["settings"][0]
    rows = {row["learner"]: row for row in setting["rows"]}
    assert rows["maml-1"]["verdict"] == "hypernetwork beats maml-1."
    assert rows["hypernetwork"]["verdict"] == ""
    assert not setting["higher_is_better"]
    report = client.get("/v1/runs/sine-referee/report")
    assert report.headers["content-disposition"].startswith("attachment")
    assert report.content == (REPORTS / "sine-referee" / "report.html").read_bytes()


@pytest.mark.parametrize(
    "name", ["nothing", "..", "%2e%2e", "..%2f..%2fetc", "waves/../../x", "waves%2flog.jsonl", "waves%00"]
)  # fmt: skip
def test_no_other_folder_can_be_asked_for(client, name):
    answer = client.get(f"/v1/runs/{name}")
    assert answer.status_code == 404
    assert client.get("/v1/runs/waves/report").status_code == 404


def test_links_that_lead_out_of_a_folder_are_not_followed(tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"question": "secret", "settings": []}))
    folder = tmp_path / "comparison"
    folder.mkdir()
    (folder / "experiment.yaml").touch()
    (folder / "summary.json").symlink_to(secret)
    (folder / "report.html").symlink_to(secret)
    found = detail_of("comparison", folder)
    assert (found["question"], found["report"]) == ("", False)


def test_a_run_that_is_damaged_or_under_way_still_shows_what_there_is(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    steps = 5 * MOST_POINTS
    lines = [json.dumps({"step": i, "loss": float(i)}) for i in range(steps)]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, "not json", '{"step": 9']))
    found = detail_of("run", tmp_path)
    assert found["record"] is None
    assert found["steps"] == steps - 1
    assert len(found["curves"]) == MOST_POINTS
    assert found["curves"][0]["loss"] == 2.0


def test_folders_of_one_name_get_names_of_their_own(tmp_path):
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "c" / "run"]
    assert list(named(folders)) == ["run", "run-2", "run-3"]
