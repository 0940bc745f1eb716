"""Arrays that say which of their examples have a label."""

import numpy as np
import pytest
import torch

from netwright.cli.inputs import conditions_of, support_of
from netwright.conditioners import Examples
from netwright.errors import DataError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_classes_are_those_of_labelled_examples(tmp_path, rng):
    path = tmp_path / "support.npz"
    np.savez(path, x=rng.normal(size=(4, 3)), y=[7, 3, -1, 7], labelled=[1, 1, 0, 1])
    examples, names = support_of(path, (3,), None, Examples((3,), unlabelled=True))
    assert names == ("3", "7")
    assert examples.labelled.tolist() == [[True, True, False, True]]
    assert examples.y[examples.labelled].tolist() == [1, 0, 1]
    assert examples.classes == 2
    examples.check()


@pytest.mark.parametrize("labels", ["fixed-classes", "values"])
def test_labels_of_fixed_classes_and_values_are_read(tmp_path, rng, labels):
    path = tmp_path / "support.npz"
    np.savez(path, x=rng.normal(size=(3, 2)), y=[0, 1, 0], labelled=[True, False, True])
    reader = Examples((2,), outputs=1 if labels == "values" else 2, labels=labels, unlabelled=True)
    examples, _ = support_of(path, (2,), None, reader)
    assert examples.labelled.tolist() == [[True, False, True]]


@pytest.mark.parametrize("labels", ["exchangeable-classes", "values"])
def test_labels_of_many_tasks_are_read(tmp_path, rng, labels):
    path = tmp_path / "many.npz"
    labelled = np.array([[True, True, False], [True, True, True]])
    y = np.array([[0, 1, 99], [1, 0, 0]])
    np.savez(path, x=rng.normal(size=(2, 3, 2)), y=y, labelled=labelled)
    outputs = 1 if labels == "values" else None
    condition, _ = conditions_of(path, None, Examples((2,), outputs=outputs, unlabelled=True))
    assert torch.equal(condition.examples.labelled, torch.from_numpy(labelled))
    assert condition.examples.classes == (None if labels == "values" else 2)
    condition.check()


def test_labels_of_another_number_and_none_at_all_are_refused(tmp_path, rng):
    path, reader = tmp_path / "support.npz", Examples((2,), unlabelled=True)
    np.savez(path, x=rng.normal(size=(3, 2)), y=[0, 1, 0], labelled=[1, 1])
    with pytest.raises(DataError, match=r"has labelled \[2\], expected \[3\]"):
        support_of(path, (2,), None, reader)
    np.savez(path, x=rng.normal(size=(3, 2)), y=[0, 1, 0], labelled=[0, 0, 0])
    with pytest.raises(DataError, match="has no labelled example, expected at least one"):
        support_of(path, (2,), None, reader)
