"""Support sets with rows that have no label: what stands in their y is nowhere to be seen."""

from dataclasses import replace

import pytest
import torch

import netwright as nw
from netwright.errors import ConditionError, ShapeError
from netwright.generated import condition_digest

NAN = float("nan")


def values(junk=NAN):
    """Two tasks of three examples, the last of each without label."""
    x, y = torch.arange(12.0).reshape(2, 3, 2), torch.arange(6.0).reshape(2, 3, 1)
    y[:, 2] = junk
    return nw.ExampleSet.of(x, y, labelled=torch.tensor([[True, True, False]] * 2))


def classes(junk=-1):
    """The same with classes."""
    y = torch.tensor([[0, 1, junk], [1, 0, junk]])
    return nw.ExampleSet.of(torch.rand(2, 3, 2), y, labelled=y != junk)


def test_what_stands_beside_an_unlabelled_row_is_not_checked_and_what_has_a_label_is():
    values().check()
    classes(99).check()
    wrong = values()
    wrong.y[1, 0] = NAN
    with pytest.raises(ConditionError, match=r"`support.y` is nan at \[1, 0, 0\], expected finite"):
        wrong.check()
    with pytest.raises(ConditionError, match="holds class 99 at task 0, example 2, expected 0 to"):
        replace(classes(99), labelled=torch.ones(2, 3, dtype=torch.bool)).check()
    wrong = values()
    wrong.x[0, 2, 1] = NAN
    with pytest.raises(ConditionError, match=r"`support.x` is nan at \[0, 2, 1\]"):
        wrong.check()


def test_classes_are_counted_from_labelled_rows():
    assert classes(99).classes == 2
    with pytest.raises(ConditionError, match="No example is labelled, .* Pass `classes`"):
        nw.ExampleSet.of(
            torch.rand(1, 2, 3),
            torch.zeros(1, 2, dtype=torch.long),
            labelled=torch.zeros(1, 2, dtype=torch.bool),
        )


def test_labels_follow_tasks_and_shifted_copies():
    examples = classes()
    assert torch.equal(examples.rows(slice(1, 2)).labelled, examples.labelled[1:])
    assert torch.equal(examples.rows(torch.tensor([1, 0])).labelled, examples.labelled.flip(0))
    pictures = replace(examples, x=torch.rand(2, 3, 1, 4, 4)).with_shifts(1)
    assert torch.equal(pictures.labelled, torch.cat([examples.labelled] * 5, 1))
    assert torch.equal(examples.to("cpu").labelled, examples.labelled)
    condition = nw.Condition(examples).rows(slice(0, 1))
    assert torch.equal(condition.examples.labelled, examples.labelled[:1])


def test_real_numbers_are_converted_and_labels_are_not():
    examples = values()
    half = nw.Condition(examples, context=torch.rand(2, 3)).to(torch.float16)
    assert half.examples.x.dtype == half.examples.y.dtype == half.context.dtype == torch.float16
    assert half.examples.mask.dtype == half.examples.labelled.dtype == torch.bool
    assert classes().to(torch.float64).y.dtype == torch.int64


def test_a_label_is_known_where_a_row_is_real_and_labelled():
    examples = replace(classes(), mask=torch.tensor([[True, True, True], [False, True, True]]))
    assert examples.has_label.tolist() == [[True, True, False], [False, True, False]]
    assert nw.ExampleSet.of(torch.rand(1, 2, 1), torch.rand(1, 2, 1)).has_label.all()
    cleared = replace(values(), mask=examples.mask).cleared()
    assert cleared.y.flatten().tolist() == [0, 1, 0, 0, 4, 0]
    assert cleared.x[1].tolist() == [[0, 0], [8, 9], [10, 11]]


def test_the_digest_of_a_set_without_unlabelled_rows_is_what_it_was():
    x = torch.arange(12.0).reshape(1, 4, 3)
    plain = nw.ExampleSet.of(x, torch.tensor([[0, 1, 2, 0]]))
    # As recorded before sets could have such rows: provenance of older networks names it.
    assert condition_digest(nw.Condition(plain)) == "82d500c527bbfd65"


def test_the_digest_tells_labels_apart_and_not_what_stands_beside_none():
    digests = [condition_digest(nw.Condition(values(junk))) for junk in (NAN, 3.0)]
    assert digests[0] == digests[1]
    everything = replace(values(3.0), labelled=None)
    assert condition_digest(nw.Condition(everything)) != digests[0]
    assert condition_digest(nw.Condition(replace(everything, labelled=everything.mask))) not in (
        digests[0],
        condition_digest(nw.Condition(everything)),
    )


def test_marks_of_another_shape_or_type_are_refused():
    x, y = torch.rand(2, 3, 2), torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(ShapeError, match=r"`labelled` is \[2, 2\], expected \[T=2, N=3\]"):
        nw.ExampleSet.of(x, y, labelled=torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"`labelled` is torch.float32, .* `labelled.bool\(\)`"):
        nw.ExampleSet.of(x, y, labelled=torch.ones(2, 3))
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ShapeError, match=r"`support.labelled` is \[2, 2\], expected \[T=2, N=3\]"):
        nw.ExampleSet(x, y, mask, 2, mask[:, :2]).check()
    with pytest.raises(ShapeError, match=r"`mask` is torch.float32, expected torch.bool"):
        nw.ExampleSet(x, y, torch.ones(2, 3), 2)
    with pytest.raises(ShapeError, match=r"`y` is torch.int32, expected torch.int64"):
        nw.ExampleSet(x, y.int(), mask, 2)
