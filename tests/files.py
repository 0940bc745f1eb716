"""Folders of pictures and tables, made for a test."""

import numpy as np
from PIL import Image


def write_pictures(root, classes, count, rng, task=""):
    for c in range(classes):
        folder = root / task / f"class{c}"
        folder.mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (9, 9), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")


def write_table(path, rng, tasks=12, rows=20):
    lines = ["store,day,size,kind,units"]
    for task in range(tasks):
        for _ in range(rows):
            day, size = rng.normal(), rng.uniform(1, 9)
            lines.append(
                f"s{task},{day:.3f},{size:.3f},{'ab'[int(size > 5)]},{day * task + size:.4f}"
            )
    path.write_text("\n".join(lines) + "\n")
