"""The three parts that everything which is learned from, chosen by or reported on is divided into."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, get_args

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def split_of_record(record: Mapping[str, Any]) -> Split:
    """8 of 10 records are for training, 1 for validation, 1 for testing: by a hash of the record alone.

    >>> split_of_record({"family": "mlp", "hidden": [8]})
    'train'
    """
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    tenth = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 10
    return "train" if tenth < 8 else "validation" if tenth == 8 else "test"
