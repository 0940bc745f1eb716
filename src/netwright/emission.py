"""How each tensor of a child comes about: written per task, learned once for all tasks, or frozen.

An emission is chosen per tensor by the first rule that selects it.
"""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from netwright.errors import ParameterNameError


@dataclass(frozen=True)
class Full:
    """Every number is generated for each task."""


@dataclass(frozen=True)
class Shared:
    """One learned copy serves all tasks; it is trained with the hypernetwork."""


@dataclass(frozen=True)
class Frozen:
    """The template's own value serves all tasks and is never trained."""


Emission = Full | Shared | Frozen
EMISSIONS: dict[str, type[Full] | type[Shared] | type[Frozen]] = {
    "full": Full,
    "shared": Shared,
    "frozen": Frozen,
}

Selector = str | type[nn.Module] | Callable[[str, nn.Parameter], bool]
"""A glob over parameter names, a layer type, or a predicate of name and parameter."""


def assign_emissions(
    module: nn.Module, rules: Sequence[tuple[Selector, Emission | str]]
) -> dict[str, Emission]:
    """The emission of each parameter: that of the first rule that selects it, else `Full`.

    Raises:
        ParameterNameError: If a rule selects nothing, or names an unknown emission.
    """
    chosen: dict[str, Emission] = {}
    for selector, emission in rules:
        value = emission_of(emission)
        selected = [
            name for name, p in module.named_parameters() if _selects(selector, module, name, p)
        ]
        if not selected:
            names = [name for name, _ in module.named_parameters()]
            raise ParameterNameError(
                f"The rule {selector!r} selects no parameter, expected one of {names}. "
                "Write a glob such as 'body.*', a layer type or a predicate of (name, parameter)."
            )
        for name in selected:
            chosen.setdefault(name, value)
    return {name: chosen.get(name, Full()) for name, _ in module.named_parameters()}


def emission_of(emission: Emission | str) -> Emission:
    """An emission by its name in `EMISSIONS`, or itself.

    Raises:
        ParameterNameError: If the name is unknown.
    """
    if not isinstance(emission, str):
        return emission
    if emission not in EMISSIONS:
        raise ParameterNameError(
            f"Emission {emission!r} is not known, expected one of {list(EMISSIONS)}."
        )
    return EMISSIONS[emission]()


def _selects(selector: Selector, module: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    if isinstance(selector, str):
        return fnmatch.fnmatchcase(name, selector)
    if isinstance(selector, type):
        return isinstance(module.get_submodule(name.rpartition(".")[0]), selector)
    return selector(name, parameter)
