"""Hypernetworks over many architectures, trained for a moment, and what searches need."""

from pathlib import Path

import torch

import netwright as nw
from netwright.architectures import conv_space, mlp_space
from netwright.conditions import ExampleSet
from netwright.tasks import Images, Sized

SPACE = mlp_space(64, outputs=10, depth=(1, 2), width=(4, 32), activations=("relu", "tanh"))
PICTURES = conv_space(
    (1, 12, 12), classes=2, depth=(1, 2), channels=(2, 4), kernels=(1, 3), norms=("group",),
    skips=(False,), activations=("relu",),
)  # fmt: skip


def digits(pool: int = 20) -> Sized:
    """Scikit-learn's digits, and networks of `SPACE` for them."""
    return Sized(family={"name": "data-set", "data": "digits"}, space=SPACE, pool=pool)


def rows(split: str, most: int | None = None) -> ExampleSet:
    """Rows of the digits as those of one task."""
    data = digits().family
    places = torch.from_numpy(data.rows[split][:most])
    return ExampleSet.of(data.x[places][None], data.y[places][None], classes=10)


def train_digits(folder: Path) -> Path:
    """A run folder: a few seconds, and well above chance."""
    family = digits()
    hypernetwork = nw.make_hypernetwork(
        family.shape, seed=0, child=SPACE.smallest(), size=32, mixtures=4, rank=4
    )
    nw.train(
        hypernetwork, family, folder=folder, steps=120, tasks=4, learning_rate=3e-3, warm_up=20,
        validate_every=120, validation_tasks=4, progress=False,
    )  # fmt: skip
    return folder


def train_pictures(root: Path, folder: Path) -> Path:
    """A run folder of few-shot tasks from a folder of pictures; hardly trained."""
    record = {"name": "images", "root": str(root), "ways": 2, "queries": 3, "image_size": 12}
    family = Sized(family=record, space=PICTURES, pool=6)
    assert isinstance(family.family, Images)
    hypernetwork = nw.make_hypernetwork(
        family.shape, seed=0, child=PICTURES.smallest(), size=16, encoder_channels=8
    )
    nw.train(
        hypernetwork, family, folder=folder, steps=8, tasks=2, validate_every=8,
        validation_tasks=2, progress=False,
    )  # fmt: skip
    return folder
