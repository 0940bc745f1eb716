"""Many generated networks resident at once, run together, saved together."""

from netwright.bank.bank import NetworkBank
from netwright.bank.mass import Shard, write_shard
from netwright.bank.table import AtRest, Table

__all__ = ["AtRest", "NetworkBank", "Shard", "Table", "write_shard"]
