"""A module of your own as the child: its weights become the output of a hypernetwork.

python examples/your_own_module.py [STEPS]
"""

import sys

import torch
from torch import Tensor, nn

import netwright as nw
from netwright.rng import stream


class Wave(nn.Module):
    """A sum of learned waves: nothing that netwright knows, so it runs under `vmap` as a whole."""

    def __init__(self, waves: int = 24) -> None:
        super().__init__()
        self.frequency = nn.Linear(1, waves)
        self.mix = nn.Linear(waves, 1)

    def forward(self, x: Tensor) -> Tensor:
        """y [N, 1] for x [N, 1]."""
        return self.mix(torch.sin(self.frequency(x)))


def main(steps: int) -> None:
    """Train, write a network for an unseen sine wave, and compare it with another task's."""
    tasks = nw.tasks.Sine(shots=10)
    hypernetwork = nw.Hypernetwork(
        nw.Child(Wave()), nw.conditioners.Examples((1,), outputs=1, channels=128), "dense"
    )
    nw.train(hypernetwork, tasks, steps=steps, tasks=64, validate_every=max(1, steps // 4))

    batch = tasks.sample(stream(0, "example"), 2, "test")
    mine, other = hypernetwork.generate_many(batch.condition)
    x, y = batch.query.x[0], batch.query.y[0]
    with torch.no_grad():
        print(f"written for this wave:    mse {nn.functional.mse_loss(mine(x), y):.4f}")
        print(f"written for another wave: mse {nn.functional.mse_loss(other(x), y):.4f}")
    mine.save("my-wave")
    again = nw.load_network("my-wave", module=Wave())
    print(f"{again.size} parameters, saved to my-wave/ and loaded again")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
