"""What hypernetworks learn from.

`FAMILIES` turns the names in commands and run records into classes; a name is never reused.
"""

from netwright.tasks.base import SPLITS, Split, TaskBatch, TaskFamily, TaskShape
from netwright.tasks.control import Control, EpisodeBatch
from netwright.tasks.data_set import DataSet
from netwright.tasks.digit_rules import DigitRules
from netwright.tasks.drawings import Drawings
from netwright.tasks.glyphs import Glyphs
from netwright.tasks.images import Images
from netwright.tasks.omniglot import Omniglot
from netwright.tasks.sine import Sine
from netwright.tasks.sized import Sized
from netwright.tasks.synthetic_tables import SyntheticTables
from netwright.tasks.table import Table, TablePreparation
from netwright.tasks.transfer import Transfer

FAMILIES: dict[str, type[TaskFamily]] = {
    "control": Control,
    "data-set": DataSet,
    "digit-rules": DigitRules,
    "drawings": Drawings,
    "glyphs": Glyphs,
    "images": Images,
    "omniglot": Omniglot,
    "sine": Sine,
    "sized": Sized,
    "synthetic-tables": SyntheticTables,
    "table": Table,
    "transfer": Transfer,
}

__all__ = [
    "FAMILIES",
    "SPLITS",
    "Control",
    "DataSet",
    "DigitRules",
    "Drawings",
    "EpisodeBatch",
    "Glyphs",
    "Images",
    "Omniglot",
    "Sine",
    "Sized",
    "Split",
    "SyntheticTables",
    "Table",
    "TablePreparation",
    "TaskBatch",
    "TaskFamily",
    "TaskShape",
    "Transfer",
]
