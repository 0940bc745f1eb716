"""Estimators of scikit-learn, fitted on each task's support set alone."""

import difflib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, MissingExtraError, RunError
from netwright.learners.base import Cost, Learner, Predictor
from netwright.learners.nearest import NO_VOTE

# A seed that an estimator takes: 32 bits.
_MOST_SEED = 2**32


class Estimator(Learner):
    """A classifier or regressor of scikit-learn, fitted anew on the support set of each task.

    Only names that scikit-learn itself lists are known, so that a record can never name other code.

    Args:
        name: Its class, such as `LogisticRegression`, `Ridge` or `RandomForestClassifier`.
        labels: What y is, a kind of `TaskShape`; decides whether classifiers or regressors are looked up.
        seed: What its `random_state` is set to, if it has one.
        options: Its own arguments, numbers, texts and booleans.

    Raises:
        RunError: If there is no such estimator or option.
        MissingExtraError: If scikit-learn is not installed.
    """

    def __init__(self, name: str, labels: str, *, seed: int = 0, **options: Any) -> None:
        self.name, self.labels, self.seed, self.options = name, labels, seed, options
        self._kind = _estimator_named(name, "regressor" if labels == "values" else "classifier")
        for option, value in options.items():
            if not isinstance(value, str | int | float | bool | None | list):
                raise RunError(
                    f"`{option}` of {name} is {value!r}, expected a number, a text or true or false."
                )
        self._make()

    def adapt(self, condition: Condition) -> Predictor:
        """Fit one estimator per task.

        Raises:
            ConditionError: If there are no examples.
        """
        examples = _examples_of(condition, self.name)
        classes = examples.classes
        fitted = [self._fit(examples, t) for t in range(examples.tasks)]

        def predict(x: Tensor) -> Tensor:
            rows = x.flatten(2).numpy()
            found = [
                _values(model, rows[t]) if classes is None else _logits(model, rows[t], classes)
                for t, model in enumerate(fitted)
            ]
            return torch.from_numpy(np.stack(found)).to(x.dtype)

        return predict

    def cost(self, condition: Condition) -> Cost:
        """Nothing is trained beforehand; all numbers that the fitted estimator of the first task holds."""
        arrays = list(_arrays_in(self._fit(_examples_of(condition, self.name), 0), {}))
        numbers = sum(array.size * len(array.dtype.names or "1") for array in arrays)
        return Cost(0, numbers, sum(array.nbytes for array in arrays))

    def chosen(self, **options: Any) -> "Estimator":
        """The same estimator with other arguments."""
        return Estimator(self.name, self.labels, seed=self.seed, **{**self.options, **options})

    def _make(self) -> Any:
        try:
            model = self._kind(**self.options)
        except TypeError as error:
            raise RunError(f"{self.name} cannot take these options: {error}.") from None
        if "random_state" in model.get_params(deep=False) and "random_state" not in self.options:
            model.set_params(random_state=self.seed % _MOST_SEED)
        return model

    def _fit(self, examples: ExampleSet, task: int) -> Any:
        real = examples.mask[task]
        x, y = examples.x[task][real].flatten(1).numpy(), examples.y[task][real].numpy()
        if examples.classes is not None and len(np.unique(y)) == 1:
            return _Constant(int(y[0]))
        model = self._make()
        if examples.classes is None:
            if y.shape[1] == 1:
                y = y[:, 0]
            elif not model.__sklearn_tags__().target_tags.multi_output:
                from sklearn.multioutput import MultiOutputRegressor

                model = MultiOutputRegressor(model)
        with warnings.catch_warnings():
            # Few examples make many solvers stop early and say so, in each of hundreds of tasks.
            warnings.simplefilter("ignore")
            return model.fit(x, y)


class _Constant:
    """The only class that a support set has: most classifiers refuse to be fitted on it."""

    def __init__(self, label: int) -> None:
        self.classes_ = np.array([label])

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.repeat(self.classes_, len(x))


def _values(model: Any, x: np.ndarray) -> np.ndarray:
    found = np.asarray(model.predict(x))
    return found.reshape(len(x), -1)


def _logits(model: Any, x: np.ndarray, classes: int) -> np.ndarray:
    """Logits [Q, C] from what the classifier gives; classes that it has not seen have no probability."""
    columns = np.asarray(model.classes_)
    logits = np.full((len(x), classes), np.log(NO_VOTE))
    if hasattr(model, "predict_proba"):
        logits[:, columns] = np.log(np.clip(model.predict_proba(x), NO_VOTE, None))
    elif hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(x))
        scores = np.stack([0 * scores, scores], axis=1) if scores.ndim == 1 else scores
        logits[:, columns] = scores - scores.max(axis=1, keepdims=True)
    else:
        logits[np.arange(len(x)), model.predict(x)] = 0.0
    return logits


def _arrays_in(value: Any, seen: dict[int, Any]) -> Iterator[np.ndarray]:
    """Arrays and numbers of numpy that an object holds, however deep, each once."""
    if id(value) in seen or isinstance(value, str | bytes | type):
        return
    # Kept, not only remembered: what is made on the way and let go would leave its identity to another.
    seen[id(value)] = value
    parts: Iterable[Any] = ()
    if isinstance(value, np.ndarray | np.floating):
        if value.dtype != object:
            yield np.asarray(value)
            return
        parts = np.asarray(value).ravel()
    elif isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif hasattr(value, "__dict__"):
        parts = vars(value).values()
    elif type(value).__module__.startswith("sklearn.") and hasattr(value, "__getstate__"):
        # Trees are written in Cython: what they hold shows in their state only.
        parts = [value.__getstate__()]
    for part in parts:
        yield from _arrays_in(part, seen)


@cache
def _known(kind: str) -> dict[str, Any]:
    try:
        from sklearn.utils import all_estimators
    except ImportError:
        raise MissingExtraError("scikit-learn", "classical", "An estimator") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(all_estimators(type_filter=kind))


def _estimator_named(name: str, kind: str) -> Any:
    known = _known(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1) or ["Ridge" if kind == "regressor" else "LogisticRegression"]  # fmt: skip
        raise RunError(
            f"scikit-learn has no {kind} {name!r}, expected one of its own such as {near[0]!r}."
        )
    return known[name]


def _examples_of(condition: Condition, name: str) -> ExampleSet:
    if condition.examples is None:
        raise ConditionError(
            f"{name} needs examples, found none. Leave it out for tasks without them."
        )
    return condition.examples


__all__ = ["Estimator"]
