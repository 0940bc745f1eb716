"""A classifier for a table, written in one pass, and put where Python is not.

python examples/small_table.py
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

from netwright.estimators import NetwrightClassifier


def main() -> float:
    """Accuracy on rows that were not read."""
    table = load_breast_cancer(as_frame=True)
    order = np.random.default_rng(0).permutation(len(table.target))
    here, there = order[:200], order[200:]
    classifier = NetwrightClassifier().fit(table.data.iloc[here], table.target.iloc[here])
    accuracy = classifier.score(table.data.iloc[there], table.target.iloc[there])
    print(f"{len(here)} rows read, {accuracy:.3f} of {len(there)} others right")
    why = classifier.explain(table.data.iloc[there], table.target.iloc[there], repeats=2)
    print("most telling columns:", ", ".join(why.columns[:3]))
    with tempfile.TemporaryDirectory() as folder:
        source = classifier.export(Path(folder) / "tumour.c")
        print(f"{classifier.network_.size:,} numbers, {source.stat().st_size // 1000} kB of C")
    return float(accuracy)


if __name__ == "__main__":
    main()
