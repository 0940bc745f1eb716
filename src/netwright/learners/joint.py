"""One classifier of all training classes, whose body is a start for fine-tuning."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.architectures import Architecture
from netwright.rng import stream
from netwright.tasks.episodes import ClassPool, draw_shifts, shift_pictures


def train_joint(
    architecture: Architecture,
    pool: ClassPool,
    *,
    steps: int,
    batch: int = 128,
    rate: float = 3e-3,
    jitter: int = 0,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Weights of a child trained to tell all classes of a pool apart, without its head.

    Args:
        architecture: The child; its head is made as wide as the pool has classes.
        pool: Training pictures.
        steps: Steps of AdamW with a cosine.
        batch: Pictures per step.
        rate: Peak learning rate.
        jitter: Largest random shift of a picture, in pixels.
        seed: Decides weights and batches.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = architecture.with_classes(len(pool.counts)).build()
    labels = torch.from_numpy(np.repeat(np.arange(len(pool.counts)), pool.counts))
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        rng = stream(seed, "joint", step)
        rows = torch.from_numpy(rng.integers(0, len(labels), batch))
        pictures = pool.images[rows]
        if jitter:
            pictures = shift_pictures(pictures, draw_shifts(rng, (batch,), jitter), jitter)
        loss = F.cross_entropy(network(pictures.float().div_(255)), labels[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return _body_of(network, str(architecture.class_head))


def _body_of(network: nn.Module, class_head: str) -> dict[str, Tensor]:
    return {
        name: value.detach()
        for name, value in network.named_parameters()
        if not name.startswith(f"{class_head}.")
    }
