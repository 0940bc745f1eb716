"""Law 9 and 10: what decides a run, what interrupts it, and what it survives."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import trainings
from trainings import SETTINGS, Stops, make, rename_family, run, same, weights

import netwright as nw
from netwright.errors import ArtifactError, RunError, TrainingError
from netwright.objectives import Regression
from netwright.rng import stream
from netwright.tasks import Sine, TaskBatch
from netwright.training import Checkpoints, load_hypernetwork


def test_the_same_record_gives_the_same_bits_with_files_and_without(tmp_path):
    torch.manual_seed(1)
    a, first = run(tmp_path / "a")
    torch.manual_seed(2)
    b, second = run(None)
    assert same(weights(a), weights(b))
    assert first.log == second.log
    assert first.run.digest == second.run.digest == a.run_digest


def test_another_seed_gives_another_run():
    a, first = run(None)
    b, second = run(None, seed=1)
    assert not same(weights(a), weights(b))
    assert first.run.digest != second.run.digest


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    run(None, steps=2)
    assert torch.equal(before, torch.random.get_rng_state())


def test_training_learns():
    changes = {"steps": 400, "tasks": 32, "validate_every": 50, "learning_rate": 1e-2}
    _, result = run(None, validation_tasks=50, **changes)
    values = [line["validation_mse"] for line in result.log if "validation_mse" in line]
    assert result.best_value < 0.5 * values[0]


def test_the_condition_matters_once_trained():
    hypernetwork, _ = run(None, steps=400, tasks=32, validate_every=200, learning_rate=1e-2)
    found = nw.evaluate(hypernetwork, Sine(shots=5, queries=8), tasks=200)
    assert found.shuffled["mse"].low > found.metrics["mse"].high


@pytest.mark.parametrize("after", [1, 3, 8, 13, 22])
@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_interrupted_and_resumed_it_ends_in_the_same_bits(tmp_path, after, number, raised):
    whole, expected = run(tmp_path / "whole")
    family = Stops(after, number)
    record = dict(SETTINGS)
    with pytest.raises(raised) as stopped:
        # The class is another one, so its name in the record must be that of the family it stands for.
        nw.train(make(), family, folder=tmp_path / "cut", **record)
    if raised is SystemExit:
        assert stopped.value.code == 143
    rename_family(tmp_path / "cut")
    resumed, result = run(tmp_path / "cut", resume=True)
    assert same(weights(resumed), weights(whole))
    assert result.log == expected.log
    assert (tmp_path / "cut/log.jsonl").read_bytes() == (tmp_path / "whole/log.jsonl").read_bytes()


KILLED = """
import sys, torch, netwright as nw
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[2])
import trainings
trainings.run(sys.argv[1], resume=sys.argv[3] == "resume", steps=400)
"""


def test_killed_and_resumed_it_ends_in_the_same_bits(tmp_path):
    whole, _ = run(tmp_path / "whole", steps=400)
    rng, folder = np.random.default_rng(0), tmp_path / "cut"
    for _attempt in range(3):
        mode = "resume" if Checkpoints(folder).steps() else "afresh"
        arguments = [
            sys.executable,
            "-c",
            KILLED,
            str(folder),
            str(Path(trainings.__file__).parent),
            mode,
        ]
        trainer = subprocess.Popen(arguments)
        while not Checkpoints(folder).steps() and trainer.poll() is None:
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0, 0.5)))
        trainer.kill()
        trainer.wait()
    resumed, result = run(folder, resume=True, steps=400)
    assert result.step == 400
    assert same(weights(resumed), weights(whole))
    assert (folder / "log.jsonl").read_bytes() == (tmp_path / "whole/log.jsonl").read_bytes()


def test_a_finished_run_resumes_to_itself(tmp_path):
    a, first = run(tmp_path / "a")
    b, second = run(tmp_path / "a", resume=True)
    assert same(weights(a), weights(b))
    assert first.log == second.log


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    run(tmp_path / "a", steps=2)
    with pytest.raises(RunError, match=r"holds a run already \(step 2\).*--resume"):
        run(tmp_path / "a", steps=2)


def test_resuming_with_other_settings_is_refused_naming_the_first_difference(tmp_path):
    run(tmp_path / "a", steps=2)
    with pytest.raises(RunError, match=r"its training.learning_rate is 0.001, here it is 0.5"):
        run(tmp_path / "a", steps=2, resume=True, learning_rate=0.5)


def test_resuming_nothing_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="holds no checkpoint, expected a run folder"):
        run(tmp_path / "nothing", resume=True)


def test_only_the_newest_and_the_best_checkpoints_are_kept(tmp_path):
    _, result = run(tmp_path / "a")
    steps = Checkpoints(tmp_path / "a").steps()
    assert 24 in steps
    assert result.best_step in steps
    assert len(steps) <= 3


def test_the_trained_hypernetwork_loads_from_its_folder_alone(tmp_path):
    trained, result = run(tmp_path / "a")
    loaded, record = load_hypernetwork(tmp_path / "a")
    assert record == result.run
    assert same(weights(loaded), weights(trained))
    condition = Sine(shots=5).sample(stream(0, "x"), 1, "test").condition
    torch.testing.assert_close(
        loaded.generate(condition)(torch.ones(1, 1)), trained.generate(condition)(torch.ones(1, 1))
    )
    assert loaded.generate(condition).provenance.run == result.run.digest


def test_a_damaged_newest_checkpoint_is_refused_and_the_one_before_is_named(tmp_path):
    run(tmp_path / "a")
    newest = max((tmp_path / "a/checkpoints").iterdir())
    path = newest / "hypernetwork.safetensors"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match=r"another sha256.*Remove .*step-00000024 to go on"):
        load_hypernetwork(tmp_path / "a")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "`steps` of the training settings: input should be greater than 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` of the training settings"),
        ({"learnign_rate": 1}, "`learnign_rate`.*Known options: steps, tasks, learning_rate"),
        ({"device": "tpu"}, "Device 'tpu' is not known"),
    ],
)
def test_impossible_settings_are_refused_before_anything_runs(tmp_path, settings, message):
    with pytest.raises(RunError, match=message):
        run(tmp_path / "a", **settings)
    assert not (tmp_path / "a").exists()


class Poisoned(Sine):
    """Some tasks have a query that no float can hold the square of."""

    def __init__(self, bad: slice) -> None:
        super().__init__(shots=5, queries=8)
        self.bad = bad

    def sample(self, rng, tasks, split) -> TaskBatch:
        batch = super().sample(rng, tasks, split)
        if split == "train":
            batch.query.y[self.bad] = 1e30
        return batch


def test_a_task_whose_loss_is_not_finite_is_left_out_counted_and_the_rest_learns():
    hypernetwork = make()
    before = weights(hypernetwork)
    result = nw.train(
        hypernetwork, Poisoned(slice(0, 1)), objective=Regression(), **{**SETTINGS, "steps": 8}
    )
    assert [line["tasks_left_out"] for line in result.log if "loss" in line] == [4, 4]
    assert all(np.isfinite(line["loss"]) for line in result.log if "loss" in line)
    assert not same(before, weights(hypernetwork))


def test_leaving_out_a_task_is_the_same_as_never_having_had_it():
    from netwright.training.step import training_step

    outcomes = []
    for family, tasks in (
        (Poisoned(slice(3, 4)), slice(0, 4)),
        (Sine(shots=5, queries=8), slice(0, 3)),
    ):
        hypernetwork = make()
        optimiser = torch.optim.SGD(hypernetwork.parameters(), 0.1)
        batch = family.sample(stream(0, "x"), 4, "train").rows(tasks)
        training_step(hypernetwork, Regression(), optimiser, batch, clip=1.0)
        outcomes.append(weights(hypernetwork))
    for name in outcomes[0]:
        torch.testing.assert_close(outcomes[0][name], outcomes[1][name], rtol=1e-5, atol=1e-6)


def test_after_ten_such_steps_in_a_row_it_stops_with_the_last_good_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match=r"not finite in 10 steps in a row, up to step 10"):
        nw.train(make(), Poisoned(slice(None)), folder=tmp_path / "a", **{**SETTINGS, "steps": 50})
    assert Checkpoints(tmp_path / "a").newest().step == 6


def test_early_stopping_ends_the_run_and_says_so(tmp_path, capsys):
    _, result = run(
        tmp_path / "a", steps=400, learning_rate=1e-12, patience=2, validate_every=2, progress=True
    )
    assert result.step < 400
    assert "no gain in 2 validations, stopping early" in capsys.readouterr().err


def test_the_log_is_json_with_one_line_per_event(tmp_path):
    run(tmp_path / "a")
    lines = [json.loads(line) for line in (tmp_path / "a/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [4, 8, 12, 16, 20, 24]
    assert [line["step"] for line in lines if "validation_loss" in line] == [6, 12, 18, 24]
