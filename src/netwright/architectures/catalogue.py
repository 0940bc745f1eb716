"""Every family by name, and records of their members."""

from typing import Any

from netwright.architectures.base import Architecture
from netwright.architectures.conv import Conv
from netwright.architectures.conv_net import ConvNet
from netwright.architectures.mlp import MLP
from netwright.architectures.recurrent import Recurrent
from netwright.architectures.recurrent_policy import RecurrentPolicy
from netwright.architectures.residual import Residual
from netwright.architectures.table_net import TableNet
from netwright.architectures.transformer import Transformer
from netwright.errors import RunError

# Names live on in run records: never reuse one.
ARCHITECTURES: dict[str, type[Architecture]] = {
    "conv": Conv,
    "conv-net": ConvNet,
    "mlp": MLP,
    "recurrent": Recurrent,
    "recurrent-policy": RecurrentPolicy,
    "residual": Residual,
    "table-net": TableNet,
    "transformer": Transformer,
}


def to_record(architecture: Architecture) -> dict[str, Any]:
    """JSON-able: {"family": name, **options}."""
    family = next(name for name, kind in ARCHITECTURES.items() if kind is type(architecture))
    return {"family": family, **architecture.options()}


def from_record(record: dict[str, Any]) -> Architecture:
    """The inverse of `to_record`.

    Raises:
        RunError: If the family or an option is unknown.
    """
    options = dict(record)
    family = options.pop("family", None)
    if family not in ARCHITECTURES:
        raise RunError(
            f"Architecture {family!r} is not known, expected one of {list(ARCHITECTURES)}."
        )
    try:
        return ARCHITECTURES[family](**options)
    except TypeError as error:
        raise RunError(f"Architecture {family!r} cannot take these options: {error}.") from None
