"""Result files and comparison folders: what is refused, and in which words."""

import json

import pytest
import yaml
from comparisons import LEARNERS, changed, write_comparison

from netwright.errors import ArtifactError
from netwright.referee.report import read_comparison, read_result

TWO = {name: LEARNERS[name] for name in ("hypernetwork", "maml-10")}


def small(folder, **options):
    return write_comparison(folder, **{"learners": TWO, "seeds": (0, 1), "episodes": 5, **options})


def refused(folder, match, **options):
    with pytest.raises(ArtifactError, match=match):
        read_comparison(folder, **options)


def test_a_folder_is_read_as_it_was_written(tmp_path):
    found = read_comparison(small(tmp_path / "c"))
    assert found.name == "c"
    assert list(found.design.learners) == list(TWO)
    assert [r.seed for r in found.of("5-way-1-shot", "maml-10")] == [0, 1]
    path = tmp_path / "c" / "results" / "setting0" / "learner1" / "seed1.json"
    written = json.loads(path.read_text())["scores"]["accuracy"]
    assert list(found.results["5-way-1-shot", "maml-10", 1].primary) == written
    assert found.missing == ()


def test_the_experiment_hash_is_that_of_its_file(tmp_path):
    import hashlib

    folder = small(tmp_path / "c")
    expected = hashlib.sha256((folder / "experiment.yaml").read_bytes()).hexdigest()
    assert read_comparison(folder).experiment_hash == expected


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", r"x.json cannot be read .*expected a result in JSON. Remove it"),
        ("[]", r"x.json has format None, expected 1. It is no result file"),
        ('{"format": 2}', r"x.json has format 2, expected 1.*report with the version that compared"),
        ('{"format": 1}', r"x.json: `setting` cannot be used \(field required\)"),
    ],
)  # fmt: skip
def test_what_is_no_result_file_is_refused(tmp_path, text, match):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=match):
        read_result(path)


def test_a_result_without_scores_of_its_metric_is_refused(tmp_path):
    folder = small(tmp_path / "c", change=changed("maml-10", 0, scores={"loss": [1.0] * 5}))
    refused(
        folder, r"seed0.json is done and has scores of \['loss'\], expected some of .*`accuracy`"
    )


def test_missing_seeds_are_refused_by_name(tmp_path):
    folder = small(
        tmp_path / "c",
        change=lambda r: None if (r["learner"], r["seed"]) == ("maml-10", 1) else r,
    )
    refused(folder, r"lacks the results of maml-10 with seed 1 in 5-way-1-shot, expected all.*--resume.*--unfinished")  # fmt: skip
    found = read_comparison(folder, unfinished=True)
    assert found.missing == (("5-way-1-shot", "maml-10", 1),)


def test_a_folder_without_any_result_is_refused_also_when_unfinished(tmp_path):
    folder = small(tmp_path / "c", change=lambda result: None)
    refused(folder, r"hypernetwork with seed 0.*and 1 more, expected", unfinished=True)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"fingerprint": "other"}, r"maml-10 with seed 1 in 5-way-1-shot has test episodes of fingerprint 'other', expected 'f5-way-1-shot' as hypernetwork with seed 0"),
        ({"scores": {"accuracy": [0.5] * 4}}, r"maml-10 with seed 1 .*number of test episodes: 4, expected 5"),
        ({"higher_is_better": False}, r"maml-10 with seed 1 .*higher_is_better False, expected True"),
        ({"learner": "stranger"}, r"has learner 'stranger', expected one of \['hypernetwork', 'maml-10'\] as in experiment.yaml"),
        ({"seed": 7}, r"has seed 7, expected one of \[0, 1\]"),
        ({"setting": "moon"}, r"has setting 'moon', expected one of"),
        ({"metric": "loss", "scores": {"loss": [0.5] * 5}}, r"has metric 'loss', expected one of \['accuracy'\]"),
        ({"seed": 0}, r"is a second result of maml-10 with seed 0 in 5-way-1-shot, expected one"),
    ],
)  # fmt: skip
def test_results_that_do_not_belong_together_are_refused_by_name(tmp_path, fields, match):
    refused(small(tmp_path / "c", change=changed("maml-10", 1, **fields)), match)


def test_a_failed_result_needs_no_fingerprint(tmp_path):
    change = changed("maml-10", 1, status="failed", error="boom", fingerprint="", scores={})
    found = read_comparison(small(tmp_path / "c", change=change))
    assert found.results["5-way-1-shot", "maml-10", 1].failure == "boom"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda e: None, r"experiment.yaml: `the whole` cannot be used"),
        (lambda e: {**e, "seeds": "many"}, r"experiment.yaml: `seeds` cannot be used"),
        (lambda e: {**e, "reference": "nobody"}, r"`reference` is 'nobody', expected one of \['hypernetwork', 'maml-10'\]"),
    ],
)  # fmt: skip
def test_an_experiment_that_cannot_be_used_is_refused(tmp_path, change, match):
    folder = small(tmp_path / "c")
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(change(yaml.safe_load(path.read_text()))))
    refused(folder, match)


def test_a_folder_that_is_no_comparison_is_refused(tmp_path):
    refused(
        tmp_path, r"experiment.yaml cannot be read .*Name the folder that `netwright compare` made"
    )
    (tmp_path / "experiment.yaml").write_text("a: [")
    refused(tmp_path, r"experiment.yaml cannot be read")


def test_a_damaged_plan_is_refused_and_an_absent_one_is_not(tmp_path):
    folder = small(tmp_path / "c")
    (folder / "plan.json").write_text("{")
    refused(folder, r"plan.json cannot be read .*Restore it")
    (folder / "plan.json").unlink()
    assert read_comparison(folder).plan is None
