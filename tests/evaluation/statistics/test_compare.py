"""The table of a comparison: right parts, honest verdicts, no claim from one seed."""

import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from netwright.errors import ShapeError, StatisticsError
from netwright.evaluation import compare_scores
from netwright.evaluation.statistics import crossed_mean, effect_sizes


def scores(seeds: int = 4, episodes: int = 60, rng: int = 0) -> dict[str, np.ndarray]:
    """One better, one worse, one alike; episodes in common."""
    draw = np.random.default_rng(rng).normal
    episode = draw(0.7, 0.1, (1, episodes))
    means = {"reference": 0, "better": 0.1, "worse": -0.1, "alike": 0.001}
    return {
        name: episode + mean + draw(0, 0.01, (seeds, 1)) + draw(0, 0.05, (seeds, episodes))
        for name, mean in means.items()
    }


def test_verdicts_of_clear_cases():
    found = compare_scores(scores(), reference="reference")
    assert [row.verdict for row in found.rows] == [None, "win", "loss", "tie"]
    assert [row.learner for row in found.rows] == list(scores())
    assert (found.seeds, found.episodes) == (4, 60)


def test_errors_are_better_when_lower():
    turned = {name: -values for name, values in scores().items()}
    found = compare_scores(turned, reference="reference", higher_is_better=False)
    other = compare_scores(scores(), reference="reference")
    assert [row.verdict for row in found.rows] == [row.verdict for row in other.rows]
    assert [row.rank for row in found.rows] == [row.rank for row in other.rows]
    assert found["better"].difference.value == pytest.approx(-other["better"].difference.value)


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_every_cell_follows_from_the_scores(correction):
    table = scores()
    found = compare_scores(table, reference="reference", correction=correction)
    names = [name for name in table if name != "reference"]
    own = [crossed_mean(table[name] - table["reference"]) for name in names]
    adjusted = multipletests([mean.p_value() for mean in own], method=correction)[1]
    for name, mean, p in zip(names, own, adjusted, strict=True):
        row = found[name]
        assert row.p_value == pytest.approx(p)
        assert row.difference == mean.interval(row.difference.level)
        assert row.difference.level >= 0.95
        assert row.mean == crossed_mean(table[name]).interval(0.95)
        assert row.effects == effect_sizes(table[name], table["reference"])
    ranks = scipy.stats.rankdata(-np.stack([*table.values()]), axis=0).mean(axis=(1, 2))
    assert [row.rank for row in found.rows] == pytest.approx(ranks)


@given(st.integers(0, 10_000), st.sampled_from(["holm", "bonferroni"]), st.floats(0, 0.05))
def test_a_verdict_never_contradicts_its_p_value(rng, correction, shift):
    draw = np.random.default_rng(rng).normal
    table = {str(i): draw(shift * i, 0.1, (3, 20)) for i in range(4)}
    found = compare_scores(table, reference="0", correction=correction)
    for row in found.rows[1:]:
        assert (row.verdict == "tie") == (row.p_value >= 0.05) == (not row.difference.excludes_zero)


def test_one_seed_runs_and_claims_nothing():
    found = compare_scores(scores(seeds=1), reference="reference")
    assert {row.verdict for row in found.rows[1:]} == {"no claim: one seed"}
    assert found["better"].p_value < 1e-6
    assert "one trained seed" in found["better"].difference.method


def test_more_comparisons_widen_the_intervals_of_what_is_not_rejected():
    table = scores()
    alone = compare_scores({n: table[n] for n in ("reference", "alike")}, reference="reference")
    among = compare_scores(table, reference="reference", correction="bonferroni")
    assert among["alike"].difference.level == pytest.approx(1 - 0.05 / 3)
    assert among["alike"].difference.low < alone["alike"].difference.low


def test_the_same_scores_are_a_tie_with_certainty():
    table = scores()
    table["copy"] = table["reference"].copy()
    row = compare_scores(table, reference="reference")["copy"]
    assert (row.verdict, row.p_value) == ("tie", 1)
    assert (row.difference.value, row.difference.low, row.difference.high) == (0, 0, 0)
    assert row.effects.superiority == 0.5


def test_it_prints_as_a_table_and_goes_to_json():
    found = compare_scores(scores(), reference="reference")
    lines = str(found).splitlines()
    assert len(lines) == 2 + 4
    assert {line.count("|") for line in lines} == {8}
    assert lines[2].endswith("| reference |")
    assert "< 0.001" in lines[3]
    assert lines[3].endswith("| win |")
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["rows"][1]["verdict"] == "win"
    assert plain["rows"][1]["difference"]["level"] == found["better"].difference.level
    with pytest.raises(KeyError, match="nobody"):
        found["nobody"]


def spoilt(name: str, values: object) -> dict[str, object]:
    return {**scores(), name: values}


@pytest.mark.parametrize(
    ("table", "options", "error", "message"),
    [
        (scores(), {"reference": "maml"}, StatisticsError,
         r"of \['alike', 'better', 'reference', 'worse'\], expected the reference 'maml' and at least one other"),
        ({"reference": np.zeros((2, 5))}, {}, StatisticsError, "and at least one other learner"),
        (spoilt("worse", np.zeros((4, 59))), {}, ShapeError,
         r"`scores\['worse'\]` is \[4, 59\], expected \[4, 60\] as 'reference' has. Score all learners on"),
        (spoilt("worse", np.zeros(60)), {}, ShapeError, r"`scores\['worse'\]` is \[60\], expected \[S, N\]"),
        (spoilt("worse", np.full((4, 60), np.nan)), {}, StatisticsError,
         r"`scores\['worse'\]` is nan at \[0, 0\], expected finite numbers"),
        (spoilt("worse", scores()["reference"] + 0.1), {}, StatisticsError,
         r"`scores\['worse'\]` differ from those of 'reference' by 0.1 in every episode: without any variation"),
        ({"reference": np.zeros((3, 1)), "b": np.ones((3, 1))}, {}, StatisticsError,
         r"holds 1 along N, expected at least 2"),
        (scores(), {"correction": "none"}, StatisticsError,
         r"`correction` is 'none', expected one of \['bonferroni', 'holm'\]"),
        (scores(), {"level": 5}, StatisticsError, "`level` is 5, expected a share"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(table, options, error, message):
    with pytest.raises(error, match=message):
        compare_scores(table, **{"reference": "reference", **options})
