"""What is chosen of an architecture, as plain values: drawn, changed, crossed, laid out in a grid.

Options by name. Of those in `layered` there is one value per layer, all of one length, the depth; how long,
the choice `depth` says, which is no option itself.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from netwright.architectures.choices import Choice

DEPTH = "depth"
Options = dict[str, Any]
_FEW = 64


def drawn(
    choices: Mapping[str, Choice],
    layered: Sequence[str],
    rng: np.random.Generator,
    *,
    is_even: bool = False,
) -> Options:
    """Each option by its choice, layer by layer; or once for all layers, if these are to be alike."""
    depth = choices[DEPTH].draw(rng) if layered else 0

    def along(choice: Choice) -> list[Any]:
        return [choice.draw(rng)] * depth if is_even else [choice.draw(rng) for _ in range(depth)]

    return {
        name: along(choice) if name in layered else choice.draw(rng)
        for name, choice in own(choices, layered).items()
    }


def changed(
    options: Mapping[str, Any],
    name: str,
    choices: Mapping[str, Choice],
    layered: Sequence[str],
    rng: np.random.Generator,
) -> Options:
    """One option close to what it was: layers come or go, or one layer's value changes."""
    found = {each: list(v) if each in layered else v for each, v in options.items()}
    choice = choices[name]
    if layered and name == DEPTH:
        depth = len(found[layered[0]])
        target = choice.near(depth, rng)
        while depth < target:
            place = int(rng.integers(depth + 1))
            for each in layered:
                found[each].insert(place, choices[each].draw(rng))
            depth += 1
        while depth > target:
            place = int(rng.integers(depth))
            for each in layered:
                del found[each][place]
            depth -= 1
    elif name not in layered:
        found[name] = choice.near(found[name], rng)
    elif found[name]:
        place = int(rng.integers(len(found[name])))
        found[name][place] = choice.near(found[name][place], rng)
    return found


def crossed(
    parents: Sequence[Mapping[str, Any]], layered: Sequence[str], rng: np.random.Generator
) -> Options:
    """Each option from one of the parents; of a layer everything from one of those that have it."""
    found = {name: parents[int(rng.integers(len(parents)))][name] for name in parents[0]}
    if layered:
        source = []
        for i in range(len(found[layered[0]])):
            having = [parent for parent in parents if len(parent[layered[0]]) > i]
            source.append(having[int(rng.integers(len(having)))])
        for name in layered:
            found[name] = [parent[name][i] for i, parent in enumerate(source)]
    return found


def grid(
    choices: Mapping[str, Choice],
    layered: Sequence[str],
    *,
    extremes_only: bool = False,
    whole: Collection[str] = (),
) -> Iterator[Options]:
    """Every combination of values, the same in all layers.

    Args:
        choices: Of what.
        layered: Options with one value per layer.
        extremes_only: Whether only the least and the largest value of each is tried.
        whole: Options of which the least 64 are tried even so, and of the depth.
    """
    tried = [
        choice.values[:_FEW]
        if extremes_only and name in (DEPTH, *whole)
        else choice.extremes
        if extremes_only
        else choice.values
        for name, choice in choices.items()
    ]
    for values in product(*tried):
        options = dict(zip(choices, values, strict=True))
        if layered:
            depth = options.pop(DEPTH)
            options.update((name, [options[name]] * depth) for name in layered)
        yield options


def own(choices: Mapping[str, Choice], layered: Sequence[str]) -> dict[str, Choice]:
    """Choices of options, without that of the number of layers."""
    return {n: choice for n, choice in choices.items() if not (layered and n == DEPTH)}
