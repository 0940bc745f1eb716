"""A comparison is fair, is what it says, and survives whatever happens to it."""

import json

import pytest
import torch
from referee.comparing import FAMILY, SMALL, experiment

import netwright as nw
from netwright.errors import DataError, RunError
from netwright.objectives import Regression
from netwright.referee import compare, experiment_in
from netwright.referee.choices import best_of
from netwright.referee.compare import _run, line_of, read_result
from netwright.referee.contest import Contestant
from netwright.referee.episodes import by_support, episodes, fingerprint, score
from netwright.referee.plan import plan_setting, read_plan
from netwright.referee.standings import standings
from netwright.tasks import FAMILIES, Glyphs, Sine
from netwright.training import load_writer


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A folder with a finished comparison, in which one learner cannot but fail."""
    folder = tmp_path_factory.mktemp("compared") / "small"
    broken = {"kind": "joint", "training": {"learning_rate": 1e30, "warm_up": 0}}
    asked = experiment()
    asked = experiment(learners={**asked.model_dump()["learners"], "broken": broken})
    lines = []
    results = compare(asked, folder, isolated=False, say=lines.append)
    return asked, folder, results, lines


def test_results_are_of_the_form_that_reports_are_made_from(compared):
    asked, folder, results, _ = compared
    assert len(results) == 12
    keys = {
        "format", "setting", "learner", "kind", "seed", "status", "error", "metric", "higher_is_better",
        "unit", "fingerprint", "scores", "shuffled", "calibration", "curve", "by_support", "choice", "tried",
        "cost", "run", "versions", "machine",
    }  # fmt: skip
    costs = {
        "train_steps", "train_tasks", "train_cpu_seconds", "peak_memory_mb", "adapt_ms", "adapt_ms_of_64",
        "predict_ms", "trial_steps", "trained_parameters", "deployed_parameters", "deployed_bytes",
    }  # fmt: skip
    for result in results:
        path = folder / "results/k5" / result["learner"] / f"seed{result['seed']}.json"
        assert json.loads(path.read_text()) == result
        assert result.keys() == keys
        if result["status"] == "done":
            assert result["cost"].keys() == costs
            assert len(result["scores"]["mse"]) == len(result["shuffled"]["mae"]) == 30
    assert experiment_in(folder) == asked


def test_all_are_scored_on_the_same_episodes_whatever_the_seed(compared):
    _, _, results, _ = compared
    assert len({result["fingerprint"] for result in results}) == 1
    # What has no randomness scores the same with every seed.
    ridges = [r["scores"]["mse"] for r in results if r["learner"] == "ridge"]
    assert ridges[0] == ridges[1]


def test_a_fingerprint_is_of_the_numbers_of_the_episodes():
    family = Sine(shots=5, queries=8)
    assert fingerprint(family, "test", 30) == fingerprint(Sine(shots=5, queries=8), "test", 30)
    others = [
        fingerprint(Sine(shots=5, queries=9), "test", 30),
        fingerprint(Sine(shots=5, queries=8, noise=0.1), "test", 30),
        fingerprint(Sine(shots=5, queries=8, sources=("examples", "description")), "test", 30),
        fingerprint(family, "validation", 30),
        fingerprint(family, "test", 31),
    ]
    assert len({*others, fingerprint(family, "test", 30)}) == 6


def test_scores_are_those_of_an_evaluation_of_the_run_that_was_saved(compared):
    _, folder, results, _ = compared
    result = next(r for r in results if r["learner"] == "hypernetwork" and r["seed"] == 1)
    run = folder / "runs/k5" / result["run"]
    writer, record = load_writer(run)
    assert record.training.seed == 1
    found = nw.evaluate(writer, Sine(**{k: v for k, v in FAMILY.items() if k != "name"}), tasks=30)
    for metric in ("mse", "mae"):
        own, away = result["scores"][metric], result["shuffled"][metric]
        assert sum(own) / 30 == pytest.approx(found.metrics[metric].value, rel=1e-5)
        assert sum(away) / 30 == pytest.approx(found.shuffled[metric].value, rel=1e-5)


def test_a_shuffled_score_stands_where_the_queries_stand_it_was_made_on():
    """A predictor that says the mean of its support: on other queries its error can be computed by hand."""

    from netwright.learners.base import Cost, Learner

    class SaysItsMean(Learner):
        def adapt(self, condition):
            mean = condition.examples.y.mean(dim=1, keepdim=True)
            return lambda x: mean.expand(-1, x.shape[1], -1)

        def cost(self, condition):
            return Cost(0, 1, 4)

    family = Sine(shots=3, queries=4)
    found = score(SaysItsMean(), family, 30)
    expected = []
    for batch in episodes(family, "test", 30):
        means = batch.condition.examples.y.mean(dim=(1, 2))
        for t in range(batch.tasks):
            other = means[t - 1]
            expected.append(float((batch.query.y[t] - other).square().mean()))
    torch.testing.assert_close(torch.tensor(found.shuffled["mse"]).float(), torch.tensor(expected))


def test_a_learner_that_fails_is_recorded_and_the_rest_goes_on(compared):
    asked, _, results, lines = compared
    failed = [r for r in results if r["status"] == "failed"]
    assert [(r["learner"], r["seed"]) for r in failed] == [("broken", 0), ("broken", 1)]
    assert all("TrainingError" in r["error"] and "not finite" in r["error"] for r in failed)
    assert all(r["cost"] == {} and r["scores"] == {} for r in failed)
    assert sum("failed" in line for line in lines) == 2
    row = next(s for s in standings(asked, results, "k5") if s.learner == "broken")
    assert (row.mean, row.verdict, row.seeds) == (None, "no claim: 2 of 2 seeds missing", 0)


def test_choices_are_the_best_of_what_was_tried_on_validation_tasks(compared):
    _, folder, results, _ = compared
    tuned = next(r for r in results if r["learner"] == "joint-tuned")
    assert len(tuned["tried"]) == 4
    best = min(tuned["tried"], key=lambda line: line["validation"])
    assert tuned["choice"] == {k: v for k, v in best.items() if k != "validation"}
    # Computed anew from the run that was saved, by plain fine-tuning.
    from netwright.learners import FineTune

    writer, _ = load_writer(folder / "runs/k5" / tuned["run"])
    initial = dict(zip(writer.child.space.names, writer.values, strict=True))
    for line in tuned["tried"]:
        tuner = FineTune(
            writer.child, initial, Regression(), steps=line["steps"], rate=line["rate"]
        )
        values = []
        for batch in episodes(Sine(shots=5, queries=8), "validation", 20):
            outputs = tuner.adapt(batch.condition)(batch.query.x)
            values.append(Regression().score(outputs, batch.query).metrics["mse"])
        assert line["validation"] == pytest.approx(float(torch.cat(values).mean()), rel=1e-4)
    maml = [r for r in results if r["learner"] == "maml"]
    assert {r["choice"]["rate"] for r in maml} <= {0.01, 0.1}
    assert len({r["choice"]["rate"] for r in maml}) == 1
    assert sum("rate" in line for line in maml[0]["tried"]) == 2
    assert sum("steps_at_use" in line for line in maml[0]["tried"]) == 2


def test_the_first_of_equal_choices_is_taken_and_what_is_not_finite_never():
    tried = [
        {"rate": 1, "validation": 2.0},
        {"rate": 2, "validation": 2.0},
        {"rate": 3, "validation": None, "error": "x"},
    ]
    assert best_of(tried, higher_is_better=False) == {"rate": 1}
    assert best_of(tried[2:], higher_is_better=True) is None


class Watched(Sine):
    """Counts what is asked of each split."""

    asked: list[str]

    def sample(self, rng, tasks, split):
        type(self).asked.append(split)
        return super().sample(rng, tasks, split)


def test_nothing_is_decided_on_test_tasks(monkeypatch, tmp_path):
    monkeypatch.setitem(FAMILIES, "watched", Watched)
    Watched.asked = []
    asked = experiment(settings={"k5": {"family": {**FAMILY, "name": "watched"}}})
    family = Watched(shots=5, queries=8)
    fingerprint(family, "test", asked.test_episodes)
    once = Watched.asked.count("test")
    Watched.asked = []
    plan_setting(asked, "k5", family, tmp_path, lambda line: None)
    assert Watched.asked.count("test") == once
    assert {"train", "validation"} <= set(Watched.asked)


def test_learners_that_train_the_same_share_the_training(compared):
    _, _, results, _ = compared
    runs = {(r["learner"], r["seed"]): r["run"] for r in results}
    assert runs["joint", 0] == runs["joint-tuned", 0] != runs["joint", 1]
    assert runs["ridge", 0] == ""


def test_costs_are_counted(compared):
    _, folder, results, _ = compared
    for result in results:
        cost = result["cost"]
        if result["learner"] == "ridge":
            assert (cost["train_steps"], cost["trained_parameters"]) == (0, 0)
            assert result["curve"] == []
        elif cost:
            assert (cost["train_steps"], cost["train_tasks"]) == (20, 80)
            assert cost["deployed_parameters"] == 8 * 2 + 8 + 1
            log = (folder / "runs/k5" / result["run"] / "log.jsonl").read_text().splitlines()
            lines = [json.loads(line) for line in log if "validation_mse" in line]
            assert [p["validation"] for p in result["curve"]] == [
                x["validation_mse"] for x in lines
            ]
            assert result["curve"][-1]["step"] == 20
            assert result["curve"][-1]["cpu_seconds"] == pytest.approx(cost["train_cpu_seconds"], abs=0.01)  # fmt: skip
            assert cost["adapt_ms_of_64"] < cost["adapt_ms"] * 2


def test_support_sizes_pass_through_what_the_test_found(compared):
    _, _, results, _ = compared
    for result in results:
        if result["status"] == "done":
            points = {line["shots"]: line["value"] for line in result["by_support"]}
            assert list(points) == [1, 2, 5, 10, 20]
            own = result["scores"]["mse"]
            assert points[5] == pytest.approx(sum(own) / len(own))
    ridge = next(r for r in results if r["learner"] == "ridge")["by_support"]
    assert ridge[-1]["value"] < ridge[0]["value"]


def test_support_sizes_that_the_data_cannot_serve_are_left_out():
    from netwright.learners import NearestNeighbour

    family = {"name": "glyphs", "ways": 3, "shots": 1, "queries": 5}
    points = by_support(NearestNeighbour(), family, 4, "accuracy")
    assert [point["shots"] for point in points] == [1, 2, 5, 10]


def test_a_finished_comparison_stays_as_it_is_and_what_is_missing_is_made_again(compared):
    asked, folder, results, _ = compared
    gone = Contestant("k5", "joint-tuned", 1).path(folder)
    before = read_result(gone)
    gone.unlink()
    others = {p: p.stat().st_mtime_ns for p in (folder / "results").rglob("*.json") if "broken" not in str(p)}  # fmt: skip
    lines = []
    again = compare(asked, folder, resume=True, isolated=False, say=lines.append)
    # What has failed is tried again, too.
    assert len(lines) == 3
    assert read_result(gone)["scores"] == before["scores"]
    assert read_result(gone)["choice"] == before["choice"]
    assert {p: p.stat().st_mtime_ns for p in others} == others
    assert [r["learner"] for r in again] == [r["learner"] for r in results]


def test_the_table_says_what_the_statistics_say(compared):
    asked, _, results, _ = compared
    rows = {row.learner: row for row in standings(asked, results, "k5")}
    for name in ("hypernetwork", "ridge"):
        values = [v for r in results if r["learner"] == name for v in r["scores"]["mse"]]
        assert rows[name].mean == pytest.approx(sum(values) / len(values))
    gap = rows["ridge"]
    assert gap.difference == pytest.approx(gap.mean - rows["hypernetwork"].mean)
    assert rows["hypernetwork"].verdict == "reference"
    assert gap.verdict in ("win", "loss", "tie")
    assert (gap.verdict == "loss") == (gap.difference_low > 0)
    assert json.loads(json.dumps(gap.to_json()))["deployed_bytes"] > 0


def test_with_one_seed_nothing_is_claimed(tmp_path):
    learners = {
        "hypernetwork": {"kind": "hypernetwork", **SMALL},
        "ridge": {"kind": "sklearn:Ridge"},
    }
    asked = experiment(seeds=[3], learners=learners, budget={"steps": 2})
    results = compare(asked, tmp_path / "one", isolated=False)
    assert [row.verdict for row in standings(asked, results, "k5")] == ["reference", "no claim: one seed"]  # fmt: skip
    alone = experiment(seeds=[3], learners={"hypernetwork": learners["hypernetwork"]})
    (row,) = standings(alone, results, "k5")
    assert row.verdict == "no claim: nothing to compare with"
    other = experiment(seeds=[3], learners=learners, reference="ridge")
    few = [r for r in results if r["learner"] != "ridge"]
    assert standings(other, few, "k5")[0].verdict == "no claim: the reference is not complete"


def test_equal_cpu_time_means_steps_in_inverse_proportion_to_what_one_takes(tmp_path):
    learners = {k: {"kind": k, "grid": {}} for k in ("hypernetwork", "joint", "joint+tune")}
    asked = experiment(learners={**learners, "r": {"kind": "sklearn:Ridge"}}, budget={"cpu_minutes": 0.01})  # fmt: skip
    plan = plan_setting(asked, "k5", Sine(shots=5, queries=8), tmp_path, lambda line: None)
    for name in learners:
        assert plan.steps[name] == round(0.6 / plan.seconds_per_step[name])
    assert plan.steps["r"] == 0
    assert plan.steps["joint"] > plan.steps["hypernetwork"]
    # One training serves both.
    assert plan.steps["joint"] == plan.steps["joint+tune"]
    # Decided once: another timing would come out otherwise.
    again = plan_setting(asked, "k5", Sine(shots=5, queries=8), tmp_path, lambda line: None)
    assert again == plan == read_plan(tmp_path, asked)["k5"]


def test_training_to_convergence_stops_when_nothing_is_gained(tmp_path):
    learners = {
        "hypernetwork": {"kind": "hypernetwork", **SMALL, "training": {"learning_rate": 1e-9}}
    }
    asked = experiment(learners=learners, seeds=[0], budget={"patience": 2, "most_steps": 500})
    (result,) = compare(asked, tmp_path / "patient", isolated=False)
    run = next((tmp_path / "patient/runs/k5").iterdir())
    assert load_writer(run)[1].training.patience == 2
    assert result["cost"]["train_steps"] < 500


def test_classes_come_with_calibration(tmp_path):
    family = {"name": "glyphs", "ways": 3, "shots": 1, "queries": 4}
    learners = {"neighbours": {"kind": "nearest-neighbours", "neighbours": 1}}
    asked = experiment(
        settings={"glyphs": {"family": family}}, metric="accuracy", reference="neighbours", learners=learners, seeds=[0],
        test_episodes=21,
    )  # fmt: skip
    (result,) = compare(asked, tmp_path / "glyphs", isolated=False)
    found = result["calibration"]
    counts = sum(line["count"] for line in found["bins"])
    assert counts == sum(int(b.query.mask.sum()) for b in episodes(Glyphs(3, 1, 4), "test", 21))
    # All confidence is 1: what is missing is what is wrong.
    accuracy = sum(result["scores"]["accuracy"]) / 21
    assert found["ece"] == pytest.approx(1 - accuracy, abs=1e-4)
    assert found["brier"] == pytest.approx(2 * (1 - accuracy), abs=1e-4)
    assert found["bins"][0]["confidence"] is None
    # The last batch is of one task alone, which cannot be shuffled.
    assert len(result["shuffled"]["accuracy"]) == 20


class Overlapping(Sine):
    """Tests on what it trains on."""

    def members(self, split):
        return (*super().members(split)[:3], "99/99")


def test_what_makes_no_honest_comparison_is_refused(monkeypatch, tmp_path, compared):
    asked, folder, _, _ = compared
    with pytest.raises(RunError, match="holds a comparison already, expected a new folder"):
        compare(asked, folder)
    with pytest.raises(RunError, match="holds no comparison, expected a folder"):
        compare(asked, tmp_path / "none", resume=True)
    with pytest.raises(RunError, match=r"holds experiment \w+ \(small\), expected"):
        compare(experiment(seeds=[5]), folder, resume=True)
    with pytest.raises(RunError, match=r"belongs to experiment \w+, expected"):
        read_plan(folder, experiment(seeds=[5]))
    with pytest.raises(RunError, match=r"`metric` is 'accuracy' and tasks of setting k5 are scored by \['mse', 'mae'\]"):  # fmt: skip
        compare(experiment(metric="accuracy"), tmp_path / "a")
    unfit = {"hypernetwork": {"kind": "hypernetwork"}, "p": {"kind": "protonet"}}
    with pytest.raises(RunError, match="Learner p in setting k5: The tasks have values, expected"):
        compare(experiment(learners=unfit), tmp_path / "b")
    wrong = {"hypernetwork": {"kind": "hypernetwork"}, "p": {"kind": "maml", "steps": "many"}}
    with pytest.raises(RunError, match="Learner p in setting k5: .*str"):
        compare(experiment(learners=wrong), tmp_path / "c")
    # What was refused has left nothing in the way of a second attempt.
    assert not (tmp_path / "c").exists()
    monkeypatch.setitem(FAMILIES, "overlapping", Overlapping)
    record = {"k5": {"family": {**FAMILY, "name": "overlapping"}}}
    with pytest.raises(DataError, match="In setting k5 the test tasks share '99/99' and 0 more with the train tasks"):  # fmt: skip
        compare(experiment(settings=record), tmp_path / "d")


def test_episodes_that_have_changed_are_noticed(tmp_path):
    asked = experiment()
    plan_setting(asked, "k5", Sine(shots=5, queries=8), tmp_path, lambda line: None)
    with pytest.raises(RunError, match="episodes of setting k5 are others than those"):
        plan_setting(asked, "k5", Sine(shots=5, queries=9), tmp_path, lambda line: None)
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["settings"]["k5"]["test"] = "0" * 16
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    from netwright.referee.contest import run_contestant

    with pytest.raises(RunError, match="The test episodes are .*as planned: the data have changed"):
        run_contestant(
            asked, read_plan(tmp_path, asked)["k5"], Contestant("k5", "ridge", 0), tmp_path
        )


def test_damaged_files_say_what_to_do(tmp_path):
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(
        RunError, match="is damaged, expected what `netwright compare` wrote. Remove"
    ):
        read_plan(tmp_path, experiment())
    (tmp_path / "seed0.json").write_text("{")
    with pytest.raises(
        RunError, match="is damaged, expected what `netwright compare` wrote. Remove"
    ):
        read_result(tmp_path / "seed0.json")


def test_two_comparisons_in_one_folder_are_one_too_many(tmp_path):
    import fcntl

    asked = experiment(seeds=[0], learners={"hypernetwork": {"kind": "hypernetwork"}})
    folder = tmp_path / "shared"
    folder.mkdir()
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="Another comparison runs in .*expected one at a time"):
            compare(asked, folder, isolated=False)


def test_a_contestant_whose_process_dies_is_recorded(tmp_path):
    asked = experiment()
    plan = plan_setting(asked, "k5", Sine(shots=5, queries=8), tmp_path, lambda line: None)
    # Without the experiment's file its process cannot but end.
    contestant = Contestant("k5", "ridge", 0)
    _run(asked, plan, contestant, tmp_path, isolated=True)
    result = read_result(contestant.path(tmp_path))
    assert result["status"] == "failed"
    assert result["error"] == "its process ended with 1; see logs/k5-ridge-seed0.log"
    assert line_of(result).startswith("k5 ridge seed 0: failed: its process ended")
    assert "holds no comparison" in (tmp_path / "logs/k5-ridge-seed0.log").read_text()
