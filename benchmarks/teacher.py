"""What a large network says of Fashion-MNIST's training rows: soft labels that small ones are taught by."""

import io
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.artifacts import write_file
from netwright.tasks import DataSet

EPOCHS, ROWS, RATE = 20, 64, 4e-3


def soft_labels(folder: Path, data: DataSet) -> Path:
    """File with probabilities of the training rows, [rows, 10]; made once, CPU-seconds and accuracy are printed."""
    path = folder / "soft-labels.npy"
    if path.exists():
        return path
    started = time.process_time()
    torch.manual_seed(0)
    rng, rows = np.random.default_rng(0), data.rows["train"]
    teacher = nn.Sequential(
        *_block(1, 24, 2), *_block(24, 48, 1), *_block(48, 64, 2), *_block(64, 64, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.1), nn.Linear(64, 10),
    )  # fmt: skip
    steps = EPOCHS * len(rows) // ROWS
    optimiser = torch.optim.AdamW(teacher.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(steps):
        chosen = rows[rng.integers(len(rows), size=ROWS)]
        # Mirrored and moved: the teacher alone has capacity to learn 12,000 pictures by heart.
        x = data.x[chosen].flip(-1) if rng.random() < 0.5 else data.x[chosen]
        across, down = (int(n) for n in rng.integers(-2, 3, size=2))
        optimiser.zero_grad()
        out = teacher(torch.roll(x, (across, down), (-1, -2)))
        F.cross_entropy(out, data.y[chosen]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    teacher.eval()
    said = {split: _said(teacher, data.x[data.rows[split]]) for split in ("train", "validation")}
    right = said["validation"].argmax(dim=1) == data.y[data.rows["validation"]]
    print(f"teacher: {right.float().mean():.4f} of validation rows, {time.process_time() - started:.0f} CPU-s", flush=True)  # fmt: skip
    made = io.BytesIO()
    np.save(made, said["train"].softmax(dim=1).numpy())
    write_file(path, made.getvalue())
    return path


@torch.no_grad()
def _said(teacher: nn.Module, x: Tensor) -> Tensor:
    """Logits, the mean of a picture's and its mirror image's."""
    return torch.cat([(teacher(part) + teacher(part.flip(-1))) / 2 for part in x.split(500)])


def _block(inputs: int, channels: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
    return [conv, nn.BatchNorm2d(channels), nn.ReLU()]
