"""Small trainings on sine waves, and ways to stop them."""

import os
from pathlib import Path

import torch

import netwright as nw
from netwright.artifacts import read_artifact, write_artifact
from netwright.tasks import Sine, TaskBatch

SETTINGS = {
    "steps": 24, "tasks": 4, "validate_every": 6, "validation_tasks": 10, "checkpoint_every": 5,
    "log_every": 4, "progress": False,
}  # fmt: skip


def make(seed: int = 0) -> nw.Hypernetwork:
    family = Sine(shots=5, queries=8)
    child = nw.architectures.mlp(inputs=1, hidden=(8,), outputs=1)
    return nw.make_hypernetwork(family.shape, seed=seed, child=child, size=16, encoder_channels=16)


def weights(hypernetwork: nw.Hypernetwork) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in hypernetwork.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def run(folder: str | Path | None, **changes) -> tuple[nw.Hypernetwork, object]:
    hypernetwork = make()
    result = nw.train(
        hypernetwork, Sine(shots=5, queries=8), folder=folder, **{**SETTINGS, **changes}
    )
    return hypernetwork, result


class Stops(Sine):
    """Sends its own process a signal after some batches, as a person or a scheduler would."""

    def __init__(self, after: int, number: int) -> None:
        super().__init__(shots=5, queries=8)
        self.left, self.number = after, number

    def sample(self, rng, tasks, split) -> TaskBatch:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        return super().sample(rng, tasks, split)


def rename_family(folder: Path) -> None:
    """As if the run in a folder had been one on the family that `Stops` stands for."""
    for path in (folder / "checkpoints").glob("step-*"):
        files = read_artifact(path, "checkpoint")
        files["run.json"] = files["run.json"].replace(b'"Stops"', b'"sine"')
        write_artifact(path, "checkpoint", files)
