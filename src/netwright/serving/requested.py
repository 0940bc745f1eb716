"""Architectures that a request asks for: known by name, and paid for before anything is made."""

from typing import Any

from netwright.architectures import ARCHITECTURES, Architecture, Cost, from_record, to_record
from netwright.errors import NetwrightError
from netwright.serving.limits import ServerLimits
from netwright.serving.problems import invalid, too_large
from netwright.serving.served import Served

# Options are walked layer by layer to know what they cost: that, too, must be cheap.
_MOST_LAYERS = 256
_COUNTS_LAYERS = ("depth", "layers", "blocks")
_LARGEST = 2**31


def architecture_of(record: Any, served: Served) -> Architecture:
    """The architecture that a record names; options that are left out are those of the hypernetwork's own child.

    Raises:
        RequestError: If there is none such, or it takes other inputs or gives other outputs.
    """
    own = to_record(served.architecture)
    if not isinstance(record, dict) or not record:
        raise invalid(
            "`condition.architecture` must be an object such as a hypernetwork's `child`."
        )
    family = record.get("family", own["family"])
    if family not in ARCHITECTURES:
        raise invalid(f"`condition.architecture.family` must be one of {sorted(ARCHITECTURES)}.")
    if not all(_is_option(value) for value in record.values()):
        raise invalid(
            "Options of `condition.architecture` must be texts, whole numbers from 0, or lists of at most "
            f"{_MOST_LAYERS} of them; a depth is at most {_MOST_LAYERS}."
        )
    if any(isinstance(record.get(n), int) and record[n] > _MOST_LAYERS for n in _COUNTS_LAYERS):
        raise too_large(f"`condition.architecture` is too deep, expected at most {_MOST_LAYERS}.")
    whole = {**own, **record} if family == own["family"] else {**_ends(own, family), **record}
    try:
        architecture = from_record(whole)
    except (NetwrightError, TypeError, ValueError):
        raise invalid(
            "`condition.architecture` has an option that this family does not have, or of another kind."
        ) from None
    if architecture.input_shape != served.architecture.input_shape or _outputs(
        architecture
    ) != _outputs(served.architecture):
        raise invalid(
            "`condition.architecture` must take the inputs and give the outputs of `child`."
        )
    return architecture


def check_network_cost(cost: Cost, served: Served, examples: int, limits: ServerLimits) -> None:
    """Refuse networks that are too large, by arithmetic alone.

    Raises:
        RequestError: 413 if it has too many parameters, or examples would not fit through it.
    """
    most = max(limits.parameters, served.cost.parameters)
    if cost.parameters > most:
        raise too_large(f"The network would have too many parameters, expected at most {most:,}.")
    check_activations(cost, examples, limits)


def check_activations(cost: Cost, rows: int, limits: ServerLimits) -> None:
    """Refuse more rows than a network can be run on at once.

    Raises:
        RequestError: 413 if there are more.
    """
    each = cost.activation_bytes
    if rows * each > limits.activation_bytes:
        most = max(1, limits.activation_bytes // each)
        raise too_large(f"There are too many rows for this network, expected at most {most:,}.")


def _is_option(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= _MOST_LAYERS and all(
            not isinstance(item, list) and _is_option(item) for item in value
        )
    if isinstance(value, str):
        return len(value) <= 40
    return isinstance(value, bool) or (isinstance(value, int) and 0 <= value < _LARGEST)


def _outputs(architecture: Architecture) -> tuple[Any, Any]:
    options = architecture.options()
    exchangeable = options.get("classes") is not None
    return (exchangeable, None if exchangeable else options.get("outputs"))


def _ends(own: dict[str, Any], family: Any) -> dict[str, Any]:
    """What an architecture of another family has in common with a hypernetwork's own child."""
    known = ARCHITECTURES[family].__dataclass_fields__
    names = ("inputs", "steps", "image", "classes", "outputs")
    return {"family": family, **{n: own[n] for n in names if n in own and n in known}}
