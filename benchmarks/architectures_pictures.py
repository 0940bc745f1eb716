"""Convolutional networks of any architecture from one hypernetwork: for one data set, and for tasks never seen.

python benchmarks/architectures_pictures.py conv --folder runs/arch-conv
python benchmarks/architectures_pictures.py task --folder runs/arch-task
python benchmarks/architectures_pictures.py reader --folder runs/arch-reader
python benchmarks/architectures_pictures.py alone --folder runs/arch-alone
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor

import netwright as nw
from netwright.architectures import Architecture, ConvNet, Limits, Weighted, conv_space
from netwright.artifacts import write_file
from netwright.conditioners import Architecture as ReadsArchitecture
from netwright.conditioners import Compose, Examples
from netwright.conditions import Architectures, Condition
from netwright.hypernetwork import Hypernetwork
from netwright.process import keep_freed_memory, keep_kernels
from netwright.tasks import Sized
from netwright.training import make_hypernetwork, seeded_weights
from netwright.writer import Writer

sys.path.insert(0, str(Path(__file__).parent))
from measured_architectures import (
    family,
    interval,
    polished_scores,
    quality,
    row,
    tau_interval,
    trained_on,
    trained_scores,
    unseen,
    written,
)
from records import RESULTS, Row, write_rows
from teacher import soft_labels

COMMAND = "python benchmarks/architectures_pictures.py {0} --folder runs/arch-{0}"
# Channels of four blocks that make networks of about so many bytes.
SIZES = {"2kb": 4, "8kb": 8, "32kb": 16}
# Steps of a hypernetwork for one size alone; of one for all with the ends in every step, and without them.
ALONE, WITH_ENDS, WITHOUT = 4_000, 9_000, 3_000
CONV_STEPS = 30_000
# Accuracies of trained networks, which hours went into, are kept beside the results: they depend on no hypernetwork.
REFERENCES = RESULTS / "conv_networks"
CONV: dict[str, Any] = {
    "generator": {"size": 128, "mixtures": 48, "frequency": 1.0, "units": 32, "identity": 1.0}, "tasks": 4, "average": 0.998,
    "validation_tasks": 30, "validate_every": 1_000, "checkpoint_every": 250,
}  # fmt: skip
SETTINGS = {
    "tasks": 16, "learning_rate": 3e-3, "warm_up": 100, "average": 0.99, "validate_every": 250,
    "validation_tasks": 100, "checkpoint_every": 250, "progress": False,
}  # fmt: skip


def conv_family(taught_by: Path | None = None) -> Sized:
    """Fashion-MNIST, and convolutional networks of any depth, width, kernels, strides, short cuts and norms.

    A stem and 2 to 5 blocks. Three strides of four are 2 and three blocks of four have no short cut: the mean over all places that
    the head reads is of little use where a network sees 5 x 5 pixels at once (60 % when trained), and no network costs more than 1.5
    MFLOP, for 10 % of the others would be half of the cost of a training.

    Args:
        taught_by: Soft labels of the training rows; their classes if not given.
    """
    space = conv_space(
        (1, 28, 28), outputs=10, depth=(3, 6), kernels=(3, 5), strides=Weighted((1, 2), (1, 3)),
        skips=Weighted((False, True), (3, 1)), activations=("relu", "gelu"),
    )  # fmt: skip
    limits = Limits(flops=1_500_000)
    soft = {} if taught_by is None else {"soft_labels": str(taught_by)}
    return family("fashion-mnist", space, pool=4_000, limits=limits, queries=32, most=1_000, **soft)


def conv(folder: Path, seeds: int) -> list[Row]:
    """Networks of unseen depth, width, kernels, strides, short cuts and norms for Fashion-MNIST."""
    plain: Any = conv_family().family
    own = conv_family(soft_labels(folder, plain))
    command = COMMAND.format("conv")
    # The order after 1,500 steps (80 %) is that of who learns fast: what trained networks were expected to have is about 87 %.
    rows, found = quality(
        "arch-conv", folder, own, seeds, CONV_STEPS, 4_500, 40, command, tries=2, rate=3e-3, references=REFERENCES, **CONV
    )  # fmt: skip
    write_file(
        REFERENCES / "written.json", json.dumps(dict(enumerate(found.round(4).tolist()))).encode()
    )
    wanted = unseen(own, 40)
    long = trained_scores(REFERENCES, wanted, plain, 4_500, 2, 3e-3).mean(axis=1)
    short = trained_scores(REFERENCES, wanted, plain, 1_500, 1, 3e-3).mean(axis=1)
    taus = [float(kendalltau(each, short)[0]) for each in found]
    note = (
        f"with accuracy after training for 1,500 steps only ({short.mean():.4f}, one training), whose order agrees with that after 4,500 by "
        f"{float(kendalltau(short, long)[0]):.3f}"
    )
    ends = tau_interval(found.mean(axis=0), short)
    rows.append(row("arch-conv-tau-1500", taus, ends, "Kendall's tau", command, note, n=40))
    return [*rows, by_parameters(wanted, long), *polished(folder, own, seeds, long)]


def by_parameters(wanted: list[Architecture], reference: np.ndarray) -> Row:
    """What their number of parameters alone says of the order of networks."""
    counts = np.array([float(architecture.cost.parameters) for architecture in wanted])
    tau, ends = float(kendalltau(counts, reference)[0]), tau_interval(counts, reference)
    note = "number of parameters, with accuracy after training for 4,500 steps; no hypernetwork"
    return row(
        "arch-conv-tau-parameters", [tau], ends, "Kendall's tau", COMMAND.format("conv"), note, n=40
    )


def polished(folder: Path, own: Sized, seeds: int, reference: np.ndarray) -> list[Row]:
    """Written networks after 30 steps of training, and how their order agrees with the reference."""
    data: Any = own.family
    wanted, every = unseen(own, 40), []
    for seed in range(seeds):
        hypernetwork, _ = written(folder, seed, own, CONV_STEPS, **CONV)
        every.append(polished_scores(hypernetwork, wanted, data, 30, 3e-3, "test"))
    mean, command = np.mean(every, axis=0), COMMAND.format("conv")
    means = [float(each.mean()) for each in every]
    taus = [float(kendalltau(each, reference)[0]) for each in every]
    note = "written, then 30 steps of Adam at a rate of 0.003"
    return [
        row("arch-conv-polished-accuracy", means, interval(mean), "share", command, note, n=40),
        row("arch-conv-polished-tau", taus, tau_interval(mean, reference), "Kendall's tau", command, f"{note}; with accuracy after training", n=40),
    ]  # fmt: skip


class Asking(Writer):
    """A hypernetwork of all sizes that is asked for one."""

    def __init__(self, hypernetwork: Hypernetwork, architecture: Architecture) -> None:
        super().__init__()
        self.hypernetwork = hypernetwork.for_architecture(architecture)
        self.architecture = architecture
        self._shares_child_of(self.hypernetwork)

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Write params of the one architecture."""
        return self.hypernetwork(self.asked(condition))

    def asked(self, condition: Condition) -> Condition:
        """With the one architecture."""
        wanted = Architectures([self.architecture] * condition.tasks)
        return replace(condition, architecture=wanted)

    def record(self) -> dict[str, Any]:
        """That of the hypernetwork."""
        return self.hypernetwork.record()


class OfOthers(Asking):
    """As `Asking`, all but class rows written for the task before: what do weights owe to examples?"""

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Write params of the one architecture."""
        asked = self.asked(condition)
        own = self.hypernetwork.read(asked)
        body: dict[str, Tensor] = self.hypernetwork.generator(own.mapped(lambda v: v.roll(1, 0)))
        return self.hypernetwork.with_class_rows(body, own, asked)


def omniglot(*, ends: bool) -> Sized:
    """Omniglot, 5 ways, 1 shot, and networks of 3 and 4 blocks of 4 to 16 channels."""
    space = conv_space(
        (1, 28, 28), classes=5, depth=(3, 4), channels=(4, 16), kernels=(3,), strides=(2,), skips=(False,),
        norms=("group",), activations=("relu",),
    )  # fmt: skip
    tasks = {"name": "omniglot", "ways": 5, "shots": 1, "queries": 5, "jitter": 2}
    # Layers that are all alike are seldom drawn at random, and are what is asked for here.
    return Sized(family=tasks, space=space, each=4, even=0.3, ends=ends)


def of_channels(width: int) -> ConvNet:
    """The network of four blocks of one width that is asked for."""
    return ConvNet(
        channels=(width,) * 4, kernels=(3,) * 4, strides=(2,) * 4, skips=(False,) * 4, classes=5,
        image=(1, 28, 28), norm="group", activation="relu",
    )  # fmt: skip


def all_sizes(
    seed: int, *, standardise: bool = True, dropout: float = 0, correction: float = 0.01
) -> Hypernetwork:
    """A hypernetwork for Omniglot networks of all sizes, untrained."""
    shape = omniglot(ends=True).shape
    with seeded_weights(seed):
        examples = Examples(shape.x, size=128, labels=shape.kind, standardise=standardise)
        # What is asked for is read beside examples as well: 82.1 % of validation tasks (mean of the three sizes), 81.3 without.
        reads = Compose([examples, ReadsArchitecture(size=128)], dropout=dropout)
    return make_hypernetwork(
        shape, seed=seed, child=of_channels(SIZES["32kb"]), head="anchored", anchor="relative-prototype", size=128,
        mixtures=128, units=16, correction=correction, conditioner=reads,
    )  # fmt: skip


# Of a training for all sizes; the rate is twice as high for one size.
ALL_SIZES: dict[str, Any] = {
    **SETTINGS, "tasks": 24, "weight_decay": 0.05, "average": 0.998, "validate_every": 1_000, "validation_tasks": 60,
    "checkpoint_every": 500, "learning_rate": 1.5e-3,
}  # fmt: skip


def one_for_all(folder: Path, seed: int) -> tuple[Hypernetwork, float]:
    """A hypernetwork for Omniglot networks of all sizes, and its CPU-seconds.

    The largest and the smallest are met from one side only, so that they are in every step (the sandwich rule). What lies between is
    given back at the end what it loses by that.
    """
    one, last = all_sizes(seed), {**ALL_SIZES, "learning_rate": 5e-4}
    spent = trained_on(one, omniglot(ends=True), folder / f"all-{seed}", seed, WITH_ENDS, ALL_SIZES)
    return one, spent + trained_on(
        one, omniglot(ends=False), folder / f"last-{seed}", 100 + seed, WITHOUT, last
    )


# What is changed in short trainings for all sizes: options of `all_sizes`, and settings of the training.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "": ({}, {}, "as in the long training"),
    "-plain": ({"standardise": False}, {}, "features of examples not standardised"),
    "-full": ({"correction": 0.1}, {}, "corrections of 0.1 at the start, as by default, in place of 0.01"),
    "-dropout": ({"dropout": 0.25}, {}, "examples, or what is asked for, left out in one of four tasks, as by default for other tasks"),
    "-rate": ({}, {"learning_rate": 3e-3}, "at twice the rate"),
}  # fmt: skip


def reader(folder: Path, seeds: int) -> list[Row]:
    """Short trainings for all sizes, each with one thing changed: accuracy on validation tasks."""
    rows, own = [], omniglot(ends=False).family
    for name, (options, settings, what) in VARIANTS.items():
        means, by_size, cpu = [], [], 0.0
        for seed in range(seeds):
            one = all_sizes(seed, **options)
            place = folder / f"reader{name}-{seed}"
            cpu += trained_on(
                one, omniglot(ends=True), place, seed, 1_500, {**ALL_SIZES, **settings}
            )
            found = [
                nw.evaluate(Asking(one, of_channels(width)), own, tasks=600, split="validation").metrics["accuracy"].value
                for width in SIZES.values()
            ]  # fmt: skip
            means.append(float(np.mean(found)))
            by_size.append(", ".join(f"{value:.4f}" for value in found))
            print(f"reader{name} seed {seed}: {by_size[-1]}", flush=True)
        note = f"mean over 2, 8 and 32 kB, validation tasks, 1,500 steps of 24 tasks, {what}; by size {'; '.join(by_size)}"
        ends = (min(means), max(means))
        rows.append(row(f"arch-task-reader{name}", means, ends, "share", f"{COMMAND.format('reader')} --seeds {seeds}", note, n=600, cpu=cpu))  # fmt: skip
    return rows


def task(folder: Path, seeds: int) -> list[Row]:
    """Omniglot, 5 ways, 1 shot: one hypernetwork for all sizes, beside one for each size."""
    children = {name: of_channels(width) for name, width in SIZES.items()}
    alone: dict[str, list[float]] = {name: [] for name in SIZES}
    whole: dict[str, list[float]] = {name: [] for name in SIZES}
    others: dict[str, list[float]] = {name: [] for name in SIZES}
    spent: dict[str, float] = {"one for all": 0.0, **dict.fromkeys(SIZES, 0.0)}
    own: Any = omniglot(ends=False).family
    for seed in range(seeds):
        one, cpu = one_for_all(folder, seed)
        spent["one for all"] += cpu
        for name, child in children.items():
            single = make_hypernetwork(own.shape, seed=seed, child=child)
            spent[name] += trained_on(single, own, folder / f"{name}-{seed}", seed, ALONE, SETTINGS)
            alone[name].append(nw.evaluate(single, own, tasks=600).metrics["accuracy"].value)
            found = nw.evaluate(Asking(one, child), own, tasks=600)
            whole[name].append(found.metrics["accuracy"].value)
            turned = nw.evaluate(OfOthers(one, child), own, tasks=600)
            others[name].append(turned.metrics["accuracy"].value)
            print(f"{name} seed {seed}: one for all {whole[name][-1]:.4f}, alone {alone[name][-1]:.4f}", spent, flush=True)  # fmt: skip
    rows = []
    for name, values in whole.items():
        each = ", ".join(f"{v:.4f}" for v in alone[name])
        note = (
            f"5w1s, 600 unseen tasks, four blocks of {SIZES[name]} channels, {children[name].cost.bytes:,} bytes; a "
            f"hypernetwork for this size alone (layer-tokens, anchored, {ALONE:,} steps of 16 tasks; this one {WITH_ENDS + WITHOUT:,} of 24) {np.mean(alone[name]):.4f} ({each}) in {spent[name]:.0f} CPU-s; all but class rows written for "
            f"another task {np.mean(others[name]):.4f}"
        )
        ends = (min(values), max(values))
        rows.append(row(f"arch-task-{name}", values, ends, "share", COMMAND.format("task"), note, n=600, cpu=spent["one for all"]))  # fmt: skip
    return rows


def standardised_alone(folder: Path, seeds: int) -> list[Row]:
    """A hypernetwork for 8 kB alone that reads examples as the one for all sizes does: is it a stronger reference?"""
    own: Any = omniglot(ends=False).family
    name, every, validation, cpu = "8kb", [], [], 0.0
    for seed in range(seeds):
        with seeded_weights(seed):
            reads = Examples(own.shape.x, labels=own.shape.kind, standardise=True)
        single = make_hypernetwork(
            own.shape, seed=seed, child=of_channels(SIZES[name]), conditioner=reads
        )
        cpu += trained_on(single, own, folder / f"{name}-{seed}", seed, ALONE, SETTINGS)
        for found, split in ((every, "test"), (validation, "validation")):
            found.append(nw.evaluate(single, own, tasks=600, split=split).metrics["accuracy"].value)
        print(f"alone {name} seed {seed}: {every[-1]:.4f}, validation {validation[-1]:.4f}", flush=True)  # fmt: skip
    note = (
        f"5w1s, 600 unseen tasks, four blocks of {SIZES[name]} channels, a hypernetwork for this size alone whose features of examples are "
        f"standardised (layer-tokens, anchored, {ALONE:,} steps of 16 tasks); validation tasks {np.mean(validation):.4f}"
    )
    ends = (min(every), max(every))
    return [
        row(f"arch-task-alone-{name}", every, ends, "share", COMMAND.format("alone"), note, n=600, cpu=cpu)
    ]  # fmt: skip


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["conv", "task", "reader", "alone"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    keep_kernels()
    args.folder.mkdir(parents=True, exist_ok=True)
    rows = {"conv": conv, "task": task, "reader": reader, "alone": standardised_alone}[args.what](
        args.folder, args.seeds
    )
    write_rows("architectures", rows)


if __name__ == "__main__":
    main()
