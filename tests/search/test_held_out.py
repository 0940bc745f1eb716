"""Support sets held out in turn."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError
from netwright.search import given_rows, support_in_turn


def support(counts, *, unlabelled: int = 0, values: bool = False) -> Condition:
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64))
    y = torch.cat([y, torch.zeros(unlabelled, dtype=torch.int64)])
    labelled = torch.arange(len(y)) < len(y) - unlabelled
    x = torch.randn(1, len(y), 3)
    if values:
        return Condition(examples=ExampleSet.of(x, x[..., :1]))
    return Condition(
        examples=ExampleSet.of(x, y[None], classes=len(counts), labelled=labelled[None])
    )


@given(st.lists(st.integers(2, 9), min_size=2, max_size=4), st.integers(0, 3), st.integers(0, 9))
def test_each_labelled_example_is_held_out_once_and_no_class_is_ever_missing(
    counts, unlabelled, seed
):
    condition = support(counts, unlabelled=unlabelled)
    folds = support_in_turn(condition, seed=seed)
    known = condition.examples.has_label[0]
    assert folds.folds == min(5, *counts)
    assert torch.equal(folds.held_out.mask.sum(dim=0), known.long())
    written = folds.condition.examples
    assert torch.equal(written.mask | folds.held_out.mask, torch.ones_like(written.mask))
    assert not (written.mask & folds.held_out.mask).any()
    for fold in range(folds.folds):
        seen = written.y[fold][written.has_label[fold]]
        assert seen.unique().tolist() == list(range(len(counts)))
    sizes = folds.held_out.mask.sum(dim=1)
    assert int(sizes.max() - sizes.min()) <= len(counts)


def test_which_go_together_is_a_matter_of_the_seed():
    condition = support([6, 6])
    one, again, other = (support_in_turn(condition, seed=s).held_out.mask for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_values_are_held_out_as_one_group():
    assert support_in_turn(support([3, 4], values=True), seed=0).folds == 5


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (support([3, 1]), "a class has 1 labelled example, expected at least 2"),
        (support([1], values=True), "it has 1 labelled example, expected at least 2"),
        (Condition(), "no support set and no held-out rows"),
    ],
)
def test_what_cannot_be_held_out_is_refused(condition, message):
    with pytest.raises(ConditionError, match=message):
        support_in_turn(condition, seed=0)


def test_given_rows_must_be_of_the_same_classes():
    rows = support([2, 2, 2]).examples
    with pytest.raises(ConditionError, match="counts 3 classes and the support set 2"):
        given_rows(support([2, 2]), rows)
    with pytest.raises(ConditionError, match="no labelled row"):
        given_rows(Condition(), replace(rows, labelled=torch.zeros_like(rows.mask)))
