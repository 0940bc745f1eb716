"""One order of rows, columns and classes for a table, however they came."""

import numpy as np

_ROUNDS = 3


def canonical_order(x: np.ndarray, y: np.ndarray, classes: int) -> tuple[np.ndarray, ...]:
    """Orders of rows [S], columns [D] and classes [C] that do not depend on the order given.

    Keys of rows, columns and classes are sums, modulo 2^64, of scrambled keys of what they hold: addition of
    whole numbers does not care about order, to the last bit. A few rounds tell apart what can be told apart, as in
    the Weisfeiler-Lehman test; what cannot be is alike, and its order does not matter.

    Args:
        x: Rows, float32, [S, D].
        y: Classes from 0, [S].
        classes: C.
    """
    cells = _scramble(
        np.ascontiguousarray(x + 0.0, dtype=np.float32).view(np.uint32).astype(np.uint64)
    )
    rows = np.zeros(len(x), dtype=np.uint64)
    columns = np.zeros(x.shape[1], dtype=np.uint64)
    kinds = np.zeros(classes, dtype=np.uint64)
    for _ in range(_ROUNDS):
        rows = _scramble(_scramble(cells + columns).sum(axis=1, dtype=np.uint64) + kinds[y])
        columns = _scramble(_scramble(cells + rows[:, None]).sum(axis=0, dtype=np.uint64))
        kinds = np.zeros(classes, dtype=np.uint64)
        np.add.at(kinds, y, _scramble(rows))
        kinds = _scramble(kinds)
    return tuple(np.argsort(keys, kind="stable") for keys in (rows, columns, kinds))


def _scramble(keys: np.ndarray) -> np.ndarray:
    """Each number to one that has nothing to do with it (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        keys = keys + np.uint64(0x9E3779B97F4A7C15)
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(keys ^ (keys >> np.uint64(31)))


__all__ = ["canonical_order"]
