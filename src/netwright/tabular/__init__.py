"""Networks for small tables: any number of rows, columns and classes."""

from netwright.tabular.statistics import between
from netwright.tabular.values import QUANTILES
from netwright.tabular.writer import TableWriter

__all__ = ["QUANTILES", "TableWriter", "between"]
