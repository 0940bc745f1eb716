"""Declarative child families, what they cost, and spaces of their members.

`ARCHITECTURES` turns the names in run records into classes; a name is never reused.
"""

from netwright.architectures.base import Architecture
from netwright.architectures.catalogue import ARCHITECTURES, from_record, to_record
from netwright.architectures.choices import Choice, LogUniform, OneOf, Uniform, Weighted
from netwright.architectures.conv import Conv
from netwright.architectures.conv_net import ConvNet
from netwright.architectures.cost import Cost, Limits, check_cost, parameter_limit
from netwright.architectures.mlp import MLP
from netwright.architectures.recurrent import Recurrent
from netwright.architectures.recurrent_policy import RecurrentPolicy
from netwright.architectures.residual import Residual
from netwright.architectures.search_space import SearchSpace
from netwright.architectures.spaces import (
    conv_space,
    mlp_space,
    recurrent_space,
    residual_space,
    transformer_space,
)
from netwright.architectures.table_net import TableNet
from netwright.architectures.transformer import Transformer

conv = Conv
mlp = MLP
recurrent_policy = RecurrentPolicy

__all__ = [
    "ARCHITECTURES",
    "MLP",
    "Architecture",
    "Choice",
    "Conv",
    "ConvNet",
    "Cost",
    "Limits",
    "LogUniform",
    "OneOf",
    "Recurrent",
    "RecurrentPolicy",
    "Residual",
    "SearchSpace",
    "TableNet",
    "Transformer",
    "Uniform",
    "Weighted",
    "check_cost",
    "conv",
    "conv_space",
    "from_record",
    "mlp",
    "mlp_space",
    "parameter_limit",
    "recurrent_policy",
    "recurrent_space",
    "residual_space",
    "to_record",
    "transformer_space",
]
