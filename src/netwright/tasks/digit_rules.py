"""Networks from descriptions: "flag digits that are greater than four, except seven"."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from netwright.conditions import Condition, ExampleSet, Texts
from netwright.errors import DataError, MissingExtraError
from netwright.tasks.base import (
    SPLITS,
    Source,
    Split,
    TaskBatch,
    TaskFamily,
    TaskShape,
    check_sources,
    check_split,
)
from netwright.tasks.rules import DIGITS, FRAMES, Rule, all_rules, split_of

# Of 100 pictures: how many are for validation and for testing.
_SHARES = {"validation": 10, "test": 30}


class DigitRules(TaskFamily):
    """Whether a handwritten digit obeys a rule that is given in words, by examples, or both.

    Pictures are scikit-learn's 1,797 digits of 8 x 8 pixels (UCI, CC BY 4.0), as vectors. Splits share no
    set of digits, however it is said, and no picture. Half of the queries obey the rule, so that
    accuracy is balanced accuracy.

    Args:
        sources: What the condition holds, of `description` and `examples`.
        shots: Labelled examples per task, every other one obeying the rule.
        queries: Queries per task.

    Raises:
        DataError: If a size or source does not fit.
        MissingExtraError: If scikit-learn is not installed.
    """

    def __init__(
        self,
        *,
        sources: Sequence[Source] = ("description", "examples"),
        shots: int = 5,
        queries: int = 40,
    ) -> None:
        self.sources = check_sources(sources)
        for name, size in (("shots", shots), ("queries", queries)):
            if not isinstance(size, int) or size < 2:
                raise DataError(f"`{name}` is {size!r}, expected a whole number of at least 2.")
        self.shots, self.queries = shots, queries
        pictures, digits = _pictures()
        self._pictures = torch.from_numpy(pictures)
        # Validation, test, train, in this order along a fixed shuffle.
        share = np.random.default_rng(0).permutation(len(digits)) * 100 // len(digits)
        bounds = [_SHARES["validation"], _SHARES["validation"] + _SHARES["test"]]
        place = np.searchsorted(bounds, share, side="right")
        places: dict[Split, int] = {"validation": 0, "test": 1, "train": 2}
        self._pools = {
            split: [np.flatnonzero((place == i) & (digits == digit)) for digit in DIGITS]
            for split, i in places.items()
        }
        rules = all_rules()
        self._sets: dict[Split, list[frozenset[int]]] = {
            split: [numbers for numbers in rules if split_of(numbers) == split] for split in SPLITS
        }
        self._members = {
            split: torch.tensor([[d in numbers for d in DIGITS] for numbers in sets]).numpy()
            for split, sets in self._sets.items()
        }
        self.shape = TaskShape(
            (64,), 2, "fixed-classes", labels=("no", "yes"), sources=self.sources
        )

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """Draw T rules, a way to say each, and pictures."""
        check_split(split)
        chosen = rng.integers(0, len(self._sets[split]), tasks)
        texts = self._texts(rng, [self._sets[split][i] for i in chosen])
        # Support and queries of a batch come from disjoint parts of the pictures of each digit.
        shuffled = [rng.permutation(pool) for pool in self._pools[split]]
        members = self._members[split][chosen]
        support = self._draw(
            rng, members, [pool[: len(pool) // 3] for pool in shuffled], self.shots
        )
        query = self._draw(
            rng, members, [pool[len(pool) // 3 :] for pool in shuffled], self.queries
        )
        condition = Condition(
            examples=support if "examples" in self.sources else None,
            description=Texts(texts) if "description" in self.sources else None,
        )
        return TaskBatch(condition, query)

    def members(self, split: Split) -> tuple[str, ...]:
        """Sets of digits, such as `0 2 4`."""
        check_split(split)
        return tuple(sorted(" ".join(map(str, sorted(s))) for s in self._sets[split]))

    def record(self) -> Mapping[str, Any]:
        """The JSON-able options that build this family again."""
        return {"sources": list(self.sources), "shots": self.shots, "queries": self.queries}

    def preparation(self) -> Mapping[str, Any]:
        """Names of the answers."""
        return {"kind": "fixed-classes", "labels": list(self.shape.labels)}

    def _texts(self, rng: np.random.Generator, sets: list[frozenset[int]]) -> list[str]:
        draws = rng.random((len(sets), 4))
        texts = []
        for numbers, (u, v, w, words) in zip(sets, draws, strict=True):
            rule = _pick(all_rules()[numbers], u)
            phrase, frame = int(v * len(rule.phrases)), int(w * len(FRAMES))
            texts.append(rule.say(phrase, frame, words=bool(words < 0.5)))
        return texts

    def _draw(
        self, rng: np.random.Generator, members: np.ndarray, pools: list[np.ndarray], count: int
    ) -> ExampleSet:
        """`count` pictures per task, every other one of a digit that obeys the rule."""
        tasks = len(members)
        y = np.broadcast_to(1 - np.arange(count) % 2, (tasks, count))
        # A random digit of those with the wanted answer: the largest of random keys.
        keys = rng.random((tasks, count, len(DIGITS)))
        digits = np.where(members[:, None] == y[..., None].astype(bool), keys, -1).argmax(-1)
        sizes = np.array([len(pool) for pool in pools])
        starts = np.concatenate([[0], sizes[:-1].cumsum()])
        within = (rng.random((tasks, count)) * sizes[digits]).astype(np.int64)
        index = torch.from_numpy(np.concatenate(pools)[starts[digits] + within])
        x = self._pictures.index_select(0, index.flatten()).view(tasks, count, -1)
        return ExampleSet.of(x, torch.from_numpy(y.copy()), classes=2)


def _pick(rules: tuple[Rule, ...], u: float) -> Rule:
    return rules[int(u * len(rules))]


@cache
def _pictures() -> tuple[np.ndarray, np.ndarray]:
    """Pictures float32 [1797, 64] from 0 to 1, and digits [1797]."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError("scikit-learn", "classical", "The digits") from None
    pictures, digits = load_digits(return_X_y=True)
    return (pictures / 16).astype(np.float32), digits
