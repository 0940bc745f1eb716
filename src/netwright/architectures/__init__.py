"""Declarative child families, what they cost, and spaces of their members.

`ARCHITECTURES` turns the names in run records into classes; a name is never reused.
"""

from netwright.architectures.base import Architecture
from netwright.architectures.catalogue import ARCHITECTURES, from_record, to_record
from netwright.architectures.choices import Choice, LogUniform, OneOf, Uniform
from netwright.architectures.conv import Conv
from netwright.architectures.cost import Cost, Limits, check_cost, parameter_limit
from netwright.architectures.mlp import MLP
from netwright.architectures.recurrent_policy import RecurrentPolicy
from netwright.architectures.search_space import SearchSpace
from netwright.architectures.spaces import mlp_space
from netwright.architectures.table_net import TableNet

conv = Conv
mlp = MLP
recurrent_policy = RecurrentPolicy

__all__ = [
    "ARCHITECTURES",
    "MLP",
    "Architecture",
    "Choice",
    "Conv",
    "Cost",
    "Limits",
    "LogUniform",
    "OneOf",
    "RecurrentPolicy",
    "SearchSpace",
    "TableNet",
    "Uniform",
    "check_cost",
    "conv",
    "from_record",
    "mlp",
    "mlp_space",
    "parameter_limit",
    "recurrent_policy",
    "to_record",
]
