"""How each tensor of a child comes about: written per task, shared by all tasks, or both.

An emission is chosen per tensor by the first rule that selects it. `LowRank`, `Film` and `BiasOnly` write a
correction of a base that all tasks share, which is learned with the hypernetwork or frozen; the base is
never copied per task, so that T tasks cost T corrections.
"""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

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


@dataclass(frozen=True)
class LowRank:
    """base + up @ down per task, of a rank that is at most `rank`; vectors stay as they are.

    Args:
        rank: r.
        base: Whether the base is learned with the hypernetwork (`shared`) or kept (`frozen`).

    References:
        Hu et al., LoRA, arXiv:2106.09685.
    """

    rank: int = 4
    base: Literal["shared", "frozen"] = "shared"


@dataclass(frozen=True)
class Film:
    """(1 + scale) * base per task, one factor per output; vectors (biases, norms) are written in full.

    Args:
        base: Whether the base is learned with the hypernetwork (`shared`) or kept (`frozen`).

    References:
        Perez et al., FiLM, arXiv:1709.07871.
    """

    base: Literal["shared", "frozen"] = "shared"


@dataclass(frozen=True)
class BiasOnly:
    """Biases are written in full, and rows of exchangeable classes; everything else stays as it is.

    Args:
        base: Whether the rest is learned with the hypernetwork (`shared`) or kept (`frozen`).

    References:
        Ben Zaken et al., BitFit, arXiv:2106.10199.
    """

    base: Literal["shared", "frozen"] = "shared"


Emission = Full | Shared | Frozen | LowRank | Film | BiasOnly
EMISSIONS: dict[str, type[Emission]] = {
    "bias_only": BiasOnly,
    "film": Film,
    "frozen": Frozen,
    "full": Full,
    "low_rank": LowRank,
    "shared": Shared,
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
            name for name, p in module.named_parameters() if selects(selector, module, name, p)
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


def emission_of(emission: Emission | str | Mapping[str, Any]) -> Emission:
    """An emission by its name in `EMISSIONS`, by name and options, or itself.

    Raises:
        ParameterNameError: If the name or an option is unknown or out of range.
    """
    if isinstance(emission, str):
        emission = {"name": emission}
    if not isinstance(emission, Mapping):
        return _checked(emission)
    options = dict(emission)
    name = options.pop("name", None)
    if name not in EMISSIONS:
        raise ParameterNameError(
            f"Emission {name!r} is not known, expected one of {list(EMISSIONS)}."
        )
    try:
        return _checked(EMISSIONS[name](**options))
    except TypeError as error:
        raise ParameterNameError(f"Emission {name!r} cannot take these options: {error}.") from None


def emission_record(emission: Emission) -> str | dict[str, Any]:
    """The inverse of `emission_of`, JSON-able."""
    name = next(name for name, kind in EMISSIONS.items() if kind is type(emission))
    options = asdict(emission)
    return {"name": name, **options} if options else name


def _checked(emission: Emission) -> Emission:
    base = getattr(emission, "base", "shared")
    if base not in ("shared", "frozen"):
        raise ParameterNameError(f"`base` is {base!r}, expected 'shared' or 'frozen'.")
    rank = getattr(emission, "rank", 1)
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise ParameterNameError(f"`rank` is {rank!r}, expected a whole number of at least 1.")
    return emission


def selects(selector: Selector, module: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    """Whether a selector means this parameter of the module."""
    if isinstance(selector, str):
        return fnmatch.fnmatchcase(name, selector)
    if isinstance(selector, type):
        return isinstance(module.get_submodule(name.rpartition(".")[0]), selector)
    return selector(name, parameter)
