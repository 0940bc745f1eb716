"""`netwright compare` and `netwright ablate`, as a person types them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from netwright.cli.compare import parse_budget, variants
from netwright.errors import RunError
from netwright.referee import compare as compare_experiment
from netwright.referee import experiment_in

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TINY = ["--seeds", 1, "--test-episodes", 4, "--validation-episodes", 4, "--shots", 5]


def test_compare_says_a_line_for_each_and_how_all_stand(run):
    learners = "nearest-neighbours,sklearn:Ridge"
    code, out, err = run("compare", "sine", "--learners", learners, *TINY)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("sine nearest-neighbours seed 0: mse ")
    assert lines[1].startswith("sine sklearn-Ridge seed 0: mse ")
    assert "sine: 4 test tasks, 1 seed, 95 % intervals; differences to nearest-neighbours" in out
    assert "no claim" in out
    assert "One seed: nothing can be claimed of others." in out
    assert lines[-1] == "saved: runs/compare-sine-1"
    code, out, err = run("compare", "--resume", "runs/compare-sine-1", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert [row["learner"] for row in report["settings"]["sine"]] == ["nearest-neighbours", "sklearn-Ridge"]  # fmt: skip
    assert report["failed"] == []
    code, out, err = run("compare", "runs/compare-sine-1/experiment.yaml", "--check")
    assert (code, report["experiment"] in out) == (0, True)


def test_mistakes_are_one_line(run, tmp_path):
    for arguments, message in {
        ("compare",): "Give either a task family or an experiment",
        ("compare", "sine", "--learners", "mamll"): "`learners.mamll.kind` is 'mamll'.*",
        ("compare", "sine", "--budget", "5"): "`--budget` is '5', expected steps=5000",
        ("compare", "sine", "--seeds", 0): "`--seeds` is 0, expected at least 1",
        ("compare", "sine", "--channels", 3): "`channels` is 3 and the tasks have vectors",
        ("compare", "--resume", "nowhere"): "nowhere holds no comparison",
        ("compare", "nowhere.yaml"): "nowhere.yaml cannot be read",
        ("ablate",): "Give either a task family (`netwright ablate",
        ("ablate", "sine"): "Nothing varies, expected `--vary`",
        (
            "ablate",
            "sine",
            "--vary",
            "width",
        ): "`--vary` is 'width', expected a choice and its values",
        ("ablate", "sine", "--vary", "widht=3"): "Did you mean `width`?",
    }.items():
        code, out, err = run(*arguments)
        assert (code, out) == (1, ""), arguments
        assert err.startswith("netwright: ")
        assert message.removesuffix(".*") in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("steps=5000", {"steps": 5000}),
        ("cpu=30m", {"cpu_minutes": 30.0}),
        ("cpu=90s", {"cpu_minutes": 1.5}),
        ("cpu=0.5h", {"cpu_minutes": 30.0}),
        ("patience=5", {"patience": 5, "most_steps": 50_000}),
        ("patience=5,most_steps=70", {"patience": 5, "most_steps": 70}),
    ],
)
def test_budgets_are_read(text, budget):
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "steps", "steps=x", "cpu=30", "cpu=m", "patience=5,steps=3", "steps=3,cpu=3m"])  # fmt: skip
def test_budgets_that_are_none_are_refused(text):
    with pytest.raises(RunError, match="`--budget` is"):
        parse_budget(text)


def test_an_ablation_varies_one_choice_at_a_time():
    found = variants(["generator=dense,slots", "width=16", "learns_base=false"])
    assert found == {
        "hypernetwork": {"kind": "hypernetwork"},
        "generator=dense": {"kind": "hypernetwork", "generator": "dense"},
        "generator=slots": {"kind": "hypernetwork", "generator": "slots"},
        "width=16": {"kind": "hypernetwork", "width": 16},
        "learns_base=false": {"kind": "hypernetwork", "learns_base": False},
    }


def test_ablate_runs_through_the_machinery_of_compare(run):
    code, out, err = run("ablate", "sine", "--vary", "emission=film", *TINY, "--budget", "steps=2")
    assert code == 0, err
    assert "emission=film" in out
    experiment = experiment_in("runs/ablate-sine-1")
    assert experiment.learners["emission=film"].options == {"emission": "film"}
    assert experiment.reference == "hypernetwork"


def test_tune_says_what_was_best_and_leaves_a_learner_for_an_experiment(run, tmp_path):
    search = ["--search", "size=8,16", "--steps", 2, "--shots", 5, "--validation-episodes", 4]
    code, out, err = run("tune", "sine", "--trials", 2, *search)
    assert code == 0, err
    assert out.startswith("trial 1: size ")
    found = yaml.safe_load((tmp_path / "runs/tune-sine-1/best.yaml").read_text())
    assert found["learners"]["hypernetwork"]["size"] in (8, 16)
    code, out, err = run("tune", "--resume", "runs/tune-sine-1", "--trials", 3, "--json")
    assert code == 0, err
    assert len(json.loads(out)["trials"]) == 3
    assert err.startswith("trial 3: ")
    assert "Give either a task family (`netwright tune" in run("tune")[2]
    assert "`--trials` is 0, expected at least 1" in run("tune", "sine", "--trials", 0)[2]


EXPERIMENT = """
name: cut
settings: {k5: {family: {name: sine, shots: 5, queries: 8}, child: {name: mlp, hidden: [8]}}}
metric: mse
reference: joint
learners:
  joint: {kind: joint}
seeds: [0]
budget: {steps: 1500}
training: {tasks: 4, validate_every: 100, checkpoint_every: 100}
test_episodes: 10
validation_episodes: 4
"""


def test_stopped_by_ctrl_c_and_resumed_it_ends_in_the_same_scores(tmp_path):
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    command = [sys.executable, "-c", "from netwright.cli import main; main()", "compare"]
    arguments = ["experiment.yaml", "--folder", "cut"]
    process = subprocess.Popen(
        [*command, *arguments], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    # A training under way has a checkpoint.
    while (
        not list(tmp_path.glob("cut/runs/k5/*/checkpoints/step-*[1-9]*")) and process.poll() is None
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert said == "stopped; go on with: netwright compare --resume cut\n"
    assert not list(tmp_path.glob("cut/results/**/*.json"))
    (log,) = tmp_path.glob("cut/runs/k5/*/log.jsonl")
    there = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert there[-1] < 1500
    done = subprocess.run(
        [*command, "--resume", "cut"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (cut,) = tmp_path.glob("cut/results/k5/joint/*.json")
    result = json.loads(cut.read_text())
    experiment = experiment_in(tmp_path / "cut")
    (whole,) = compare_experiment(experiment, tmp_path / "whole", isolated=False)
    assert result["scores"] == whole["scores"]
    assert result["run"] == whole["run"]
    assert 50 < result["cost"]["peak_memory_mb"] < 2000
