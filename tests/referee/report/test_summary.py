"""The numbers of a report against independent computations and known effects."""

import json

import numpy as np
import pytest
from comparisons import LEARNERS, changed, write_comparison
from scipy import stats

from netwright.referee.report import read_comparison, summarise
from netwright.referee.report.tables import cost_table

SETTING = "5-way-1-shot"


def summary_of(folder, **options):
    unfinished = options.pop("unfinished", False)
    return summarise(read_comparison(write_comparison(folder, **options), unfinished=unfinished))


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return summary_of(tmp_path_factory.mktemp("one") / "c")


def scores_of(summary, learner, setting=SETTING):
    return np.array([r.primary for r in summary.comparison.of(setting, learner)])


def outcomes(setting):
    return {row.learner: row.verdict.outcome for row in setting.rows}


def test_known_effects_give_their_verdicts(one):
    assert outcomes(one.settings[0]) == {
        "hypernetwork": "reference", "maml-10": "loss", "hypernetwork+5": "tie",
        "joint+tune": "loss", "protonet-wide": "win", "neighbours": "loss",
    }  # fmt: skip


def test_of_an_error_the_lower_is_the_winner(tmp_path):
    found = summary_of(tmp_path / "c", error=True).settings[0]
    assert not found.higher_is_better
    assert outcomes(found)["protonet-wide"] == "win"
    assert found["protonet-wide"].difference.value < 0
    assert found.ranked[0].learner == "protonet-wide"
    assert found["protonet-wide"].rank < found["hypernetwork"].rank < found["maml-10"].rank


def test_a_mean_and_its_interval_are_those_of_the_crossed_model(one):
    scores = scores_of(one, "maml-10")
    seeds, episodes = scores.shape
    # Two-way analysis of variance by hand.
    grand, by_seed, by_episode = scores.mean(), scores.mean(1), scores.mean(0)
    rest = scores - by_seed[:, None] - by_episode[None] + grand
    ms_seed = episodes * ((by_seed - grand) ** 2).sum() / (seeds - 1)
    ms_episode = seeds * ((by_episode - grand) ** 2).sum() / (episodes - 1)
    ms_rest = (rest**2).sum() / ((seeds - 1) * (episodes - 1))
    squared = stats.t.ppf(0.975, seeds - 1) ** 2 * ms_seed
    squared += stats.t.ppf(0.975, episodes - 1) ** 2 * max(ms_episode - ms_rest, 0)
    half = (squared / scores.size) ** 0.5
    mean = one.settings[0]["maml-10"].mean
    assert mean.value == pytest.approx(grand)
    assert (mean.low, mean.high) == pytest.approx((grand - half, grand + half))


def test_the_widest_correction_is_for_all_comparisons(one):
    levels = sorted(row.difference.level for row in one.settings[0].rows if row.difference)
    assert one.settings[0].comparisons == 5
    assert levels[-1] == pytest.approx(1 - 0.05 / 5)
    assert levels[0] == pytest.approx(0.95)


def test_interquartile_means_are_trimmed_means(one):
    for row in one.settings[0].rows:
        expected = stats.trim_mean(scores_of(one, row.learner).ravel(), 0.25)
        assert row.interquartile_mean.value == pytest.approx(expected)


def test_improvement_counts_pairs_of_seeds(one):
    own = scores_of(one, "hypernetwork").mean(axis=1)
    for row in one.settings[0].rows[1:]:
        rival = scores_of(one, row.learner).mean(axis=1)
        wins = [float(a > b) + (a == b) / 2 for a in rival for b in own]
        assert row.improvement.value == pytest.approx(np.mean(wins))
    assert one.settings[0]["hypernetwork"].improvement is None


def test_improvement_is_improvement_for_errors_too(tmp_path):
    found = summary_of(tmp_path / "c", error=True).settings[0]
    assert found["protonet-wide"].improvement.value == 1
    assert found["joint+tune"].improvement.value == 0


def test_ranks_are_those_of_scipy(one):
    learners = [row.learner for row in one.settings[0].rows]
    stacked = np.stack([scores_of(one, name) for name in learners], axis=-1)
    expected = stats.rankdata(-stacked, axis=-1).mean(axis=(0, 1))
    assert [row.rank for row in one.settings[0].rows] == pytest.approx(list(expected))


def test_the_condition_of_another_task_is_worth_less(one):
    row = one.settings[0]["hypernetwork"]
    results = one.comparison.of(SETTING, "hypernetwork")
    shuffled = np.mean([r.primary_shuffled for r in results])
    assert row.control.shuffled.value == pytest.approx(shuffled)
    assert row.control.gain.value == pytest.approx(row.mean.value - shuffled)
    assert row.control.gain.low > 0
    assert one.settings[0]["neighbours"].control is None


def test_the_worth_of_a_condition_is_positive_for_errors_too(tmp_path):
    found = summary_of(tmp_path / "c", error=True).settings[0]
    assert found["hypernetwork"].control.gain.low > 0


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "failed", "error": "the loss was not finite", "scores": {}},
        {"scores": {"accuracy": [float("nan"), *[0.99] * 119]}},
        {"scores": {"accuracy": [None, *[0.99] * 119]}},
    ],
)
def test_a_learner_with_a_failed_seed_gets_no_verdict(tmp_path, fields):
    found = summary_of(tmp_path / "c", change=changed("protonet-wide", 1, **fields)).settings[0]
    row = found["protonet-wide"]
    assert (row.verdict.outcome, row.verdict.reason) == ("no claim", "seed 1 failed")
    assert row.seeds == (0, 2)
    assert row.mean is not None
    assert row.difference is None
    assert row.rank is None
    assert [failure.seed for failure in row.failures] == [1]
    # The others are compared as if it had not been there.
    assert found.comparisons == 4
    assert outcomes(found)["maml-10"] == "loss"


def test_without_the_reference_nothing_is_claimed(tmp_path):
    change = changed("hypernetwork", 2, status="failed", error="boom", scores={})
    found = summary_of(tmp_path / "c", change=change).settings[0]
    assert set(outcomes(found).values()) == {"no claim"}
    assert found["maml-10"].verdict.reason == "hypernetwork, the reference: seed 2 failed"
    assert found["maml-10"].mean is not None


def test_one_seed_claims_nothing(tmp_path):
    found = summary_of(tmp_path / "c", seeds=(0,)).settings[0]
    assert found["maml-10"].verdict.outcome == "no claim"
    assert found["maml-10"].verdict.reason == "one seed"
    assert found["maml-10"].difference is not None


def test_a_seed_that_is_missing_is_said_to_be(tmp_path):
    found = summary_of(
        tmp_path / "c",
        change=lambda r: None if (r["learner"], r["seed"]) == ("maml-10", 0) else r,
        unfinished=True,
    ).settings[0]
    assert found["maml-10"].verdict.reason == "seed 0 missing"


def test_a_learner_alone_is_summed_up_without_a_verdict(tmp_path):
    learners = {"hypernetwork": LEARNERS["hypernetwork"]}
    found = summary_of(tmp_path / "c", learners=learners)
    (row,) = found.settings[0].rows
    assert row.verdict.reason == "nothing to compare with"
    assert row.mean is not None
    assert found.across.critical is None


def test_scores_made_from_each_other_get_no_verdict_and_stop_nobody(tmp_path):
    own = {}

    def change(result):
        if result["learner"] == "hypernetwork":
            own[result["seed"]] = result["scores"]["accuracy"]
        if result["learner"] == "maml-10":
            scores = [score - 0.25 for score in own[result["seed"]]]
            return {**result, "scores": {"accuracy": scores}}
        return result

    found = summary_of(tmp_path / "c", change=change).settings[0]
    assert "differ from those of 'hypernetwork' by -0.25" in found["maml-10"].verdict.reason
    assert outcomes(found)["protonet-wide"] == "win"


def test_curves_are_means_at_the_steps_that_all_seeds_reached(tmp_path):
    curves = {
        0: [{"step": 1, "cpu_seconds": 1.0, "validation": 0.2}, {"step": 2, "cpu_seconds": 2.0, "validation": 0.4}],
        1: [{"step": 1, "cpu_seconds": 3.0, "validation": 0.6}],
        2: [{"step": 1, "cpu_seconds": None, "validation": float("nan")}, {"step": 2, "cpu_seconds": 2.0, "validation": 0.4}],
    }  # fmt: skip
    found = summary_of(tmp_path / "c", change=lambda r: {**r, "curve": curves[r["seed"]]})
    (point,) = found.settings[0]["maml-10"].curve
    assert (point.step, point.cpu_seconds) == (1, 2.0)
    assert (point.validation.mean, point.validation.low, point.validation.high) == (0.4, 0.2, 0.6)


def test_bins_of_confidence_are_pooled_by_their_counts(tmp_path):
    def change(result):
        count, accuracy = [(30, 0.5), (10, 0.9), (0, float("nan"))][result["seed"]]
        confidence = 0.7 if count else None
        one = {
            "low": 0.0,
            "high": 1.0,
            "count": count,
            "confidence": confidence,
            "accuracy": accuracy,
        }
        return {**result, "calibration": {"ece": 0.1 * (1 + result["seed"]), "brier": None, "bins": [one]}}  # fmt: skip

    found = summary_of(tmp_path / "c", change=change).settings[0]["maml-10"].calibration
    assert (found.ece, found.brier) == (pytest.approx(0.2), None)
    assert found.bins[0].count == 40
    assert found.bins[0].accuracy == pytest.approx(0.6)
    assert found.bins[0].confidence == pytest.approx(0.7)


def test_costs_are_means_over_seeds(tmp_path):
    def change(result):
        cost = {
            **result["cost"],
            "adapt_ms": [1.0, 2.0, 6.0][result["seed"]],
            "peak_memory_mb": None,
        }
        return {**result, "cost": cost}

    cost = summary_of(tmp_path / "c", change=change).settings[0]["maml-10"].cost
    assert (cost.adapt_ms, cost.peak_memory_mb) == (3.0, None)


def test_steps_of_trial_stand_beside_the_other_costs_where_there_are_any(tmp_path):
    def change(result):
        steps = 200 if result["learner"] == "maml-10" else 0
        return {**result, "cost": {**result["cost"], "trial_steps": steps}}

    setting = summary_of(tmp_path / "c", change=change).settings[0]
    table = cost_table(setting)
    column = [column.title for column in table.columns].index("trial, steps")
    said = {row[0]: row[column] for row in table.rows}
    assert said["maml-10"] == "200"
    assert len(said) > 1
    assert {value for name, value in said.items() if name != "maml-10"} == {"0"}
    assert all(len(row) == len(table.columns) for row in table.rows)
    plain = cost_table(summary_of(tmp_path / "plain").settings[0])
    assert len(plain.columns) == len(table.columns) - 1 == len(plain.rows[0])


def test_ranks_across_settings_are_friedmans(tmp_path):
    settings = ("a", "b", "c", "d")
    found = summary_of(tmp_path / "c", settings=settings, seeds=(0, 1), episodes=20)
    means = {
        name: [scores_of(found, name, setting).mean() for setting in settings] for name in LEARNERS
    }
    expected = stats.friedmanchisquare(*means.values())
    assert found.across.critical.test.chi_squared == pytest.approx(expected.statistic)
    assert found.across.critical.test.p_value == pytest.approx(expected.pvalue)
    for aggregate in found.across.aggregates:
        of_seeds = np.array([scores_of(found, aggregate.learner, s).mean(1) for s in settings])
        expected = stats.trim_mean(of_seeds.ravel(), 0.25)
        assert aggregate.interquartile_mean.value == pytest.approx(expected)


def test_improvement_over_settings_counts_pairs_of_seeds_in_each(tmp_path):
    settings = ("a", "b", "c")
    found = summary_of(tmp_path / "c", settings=settings, episodes=20, error=True)
    own = [scores_of(found, "hypernetwork", setting).mean(1) for setting in settings]
    for aggregate in found.across.aggregates:
        if aggregate.learner == "hypernetwork":
            assert aggregate.improvement is None
            continue
        rival = [scores_of(found, aggregate.learner, setting).mean(1) for setting in settings]
        # Of an error the lower one is better.
        wins = [a < b for r, o in zip(rival, own, strict=True) for a in r for b in o]
        assert aggregate.improvement.value == pytest.approx(np.mean(wins))


def test_tallies_count_the_verdicts_of_all_settings(tmp_path):
    change = changed("joint+tune", 0, status="failed", error="x", scores={})
    found = summary_of(tmp_path / "c", settings=("a", "b"), change=change)
    for tally in found.across.tallies:
        verdicts = [outcomes(setting)[tally.learner] for setting in found.settings]
        counted = ["win"] * tally.wins + ["tie"] * tally.ties
        counted += ["loss"] * tally.losses + ["no claim"] * tally.no_claims
        assert sorted(counted) == sorted(verdicts)
    assert found.across.left_out == ("joint+tune",)
    assert "joint+tune" not in found.across.critical.learners


def test_one_setting_has_no_ranks_and_says_why(one):
    assert one.across.critical is None
    assert (
        one.across.why_no_ranks == "There is one setting; ranks across settings need at least two."
    )


def test_two_learners_have_no_ranks_and_the_summary_says_why(tmp_path):
    learners = {name: LEARNERS[name] for name in ("hypernetwork", "maml-10")}
    found = summary_of(tmp_path / "c", learners=learners, settings=("a", "b"), episodes=5)
    assert found.across.why_no_ranks.startswith("2 learners finished in every setting")


def test_settings_without_any_difference_have_no_ranks(tmp_path):
    def change(result):
        return {**result, "scores": {"accuracy": [0.1, 0.2, 0.3]}}

    found = summary_of(tmp_path / "c", settings=("a", "b"), episodes=3, change=change)
    assert "are the same for all 6 learners" in found.across.why_no_ranks
    assert {v for s in found.settings for v in outcomes(s).values()} == {"reference", "tie"}


def test_the_numbers_as_json_are_finite_and_whole(tmp_path):
    change = changed("maml-10", 1, scores={"accuracy": [float("inf")] * 120})
    found = summary_of(tmp_path / "c", settings=("a", "b"), change=change)
    text = json.dumps(found.to_json(), allow_nan=False)
    read = json.loads(text)
    row = next(r for r in read["settings"][0]["rows"] if r["learner"] == "protonet-wide")
    assert row["difference"]["low"] == found.settings[0]["protonet-wide"].difference.low
    assert read["experiment_hash"] == found.comparison.experiment_hash


def test_another_learner_changes_no_other_interval_than_the_corrected_ones(tmp_path, one):
    fewer = {name: row for name, row in LEARNERS.items() if name != "neighbours"}
    found = summary_of(tmp_path / "c", learners=fewer).settings[0]
    for row in found.rows:
        before = one.settings[0][row.learner]
        assert row.mean == before.mean
        assert row.interquartile_mean == before.interquartile_mean
        assert row.improvement == before.improvement
