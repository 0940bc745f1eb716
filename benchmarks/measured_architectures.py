"""How networks of any architecture are measured: written by a hypernetwork, and trained by themselves.

`architectures.py` does it on digits, `architectures_pictures.py` and `architectures_shared.py` on pictures. What is there already,
trained networks as well, is not made again.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn
from torch.nn import functional as F

import netwright as nw
from netwright.architectures import Architecture, Limits, SearchSpace, to_record
from netwright.artifacts import write_file
from netwright.conditions import Architectures, Condition
from netwright.hypernetwork import Hypernetwork
from netwright.rng import stream
from netwright.tasks import DataSet, Sized
from netwright.training import Checkpoints, make_hypernetwork

sys.path.insert(0, str(Path(__file__).parent))
from records import Row

UNSEEN = 200


def family(
    name: str,
    space: SearchSpace,
    *,
    pool: int = 1_000,
    limits: Limits | None = None,
    **options: Any,
) -> Sized:
    """The data set, and networks of the space for it."""
    return Sized(
        family={"name": "data-set", **({} if name == "digits" else {"data": name}), **options},
        space=space,
        pool=pool,
        most=limits,
    )


def written(
    folder: Path,
    seed: int,
    own: Sized,
    steps: int,
    *,
    generator: Mapping[str, Any] | None = None,
    **settings: Any,
) -> tuple[Hypernetwork, float]:
    """A hypernetwork that writes networks of the space, and CPU-seconds of its training."""
    child = own.space.smallest()
    hypernetwork = make_hypernetwork(own.shape, seed=seed, child=child, **(generator or {}))
    place = folder / f"hypernetwork-{seed}"
    defaults = {
        "tasks": 8, "learning_rate": 3e-3, "warm_up": 100, "average": 0.99, "validate_every": 500,
        "validation_tasks": 60, "checkpoint_every": 500, "progress": False,
    }  # fmt: skip
    own_settings = {**defaults, **settings}
    return hypernetwork, trained_on(hypernetwork, own, place, seed, steps, own_settings)


def trained_on(
    hypernetwork: Hypernetwork, own: Any, place: Path, seed: int, steps: int, settings: Mapping[str, Any]
) -> float:  # fmt: skip
    """CPU-seconds of a training that goes on where it was."""
    there = place.exists() and bool(Checkpoints(place).steps())
    done = nw.train(
        hypernetwork, own, folder=place, resume=there, steps=steps, seed=seed, **settings
    )
    return done.cpu_seconds


def unseen(own: Sized, count: int = UNSEEN, most: Limits | None = None) -> list[Architecture]:
    """Different architectures of the test part of the space."""
    rng, found = stream(0, "unseen"), {}
    while len(found) < count:
        found[own.space.sample(rng, split="test", most=most or own.most)] = None
    return list(found)


@torch.no_grad()
def score(network: Callable[[Tensor], Tensor], data: DataSet, split: str) -> float:
    """Accuracy on all rows of a split.

    1,000 of Fashion-MNIST's 10,000 test rows, of which tasks are made, tell two networks apart by no less than 1.2 points; those of 5 and
    6 blocks are all within one or two when trained.
    """
    right = [
        network(data.x[rows]).argmax(dim=-1) == data.y[rows]
        for rows in np.array_split(data.rows[split], -(-len(data.rows[split]) // 500))
    ]
    return float(torch.cat(right).float().mean())


@torch.no_grad()
def scores_of(
    hypernetwork: Hypernetwork, wanted: list[Architecture], data: DataSet, split: str
) -> np.ndarray:
    """Accuracy of the network that is written for each architecture."""
    found = []
    for architecture in wanted:
        own = hypernetwork.eval().for_architecture(architecture)
        params = own(Condition(architecture=Architectures([architecture])))
        found.append(score(lambda x: own.child(params, x[None])[0], data, split))  # noqa: B023
    return np.array(found)


def trained(
    network: nn.Module,
    data: DataSet,
    steps: int,
    seed: int,
    rate: float = 5e-3,
    watch: Callable[[int], None] | None = None,
) -> nn.Module:
    """A network after so many steps of Adam on 64 rows each, the rate falling to 0."""
    optimiser = torch.optim.Adam(network.parameters(), lr=rate, fused=True)
    rows, rng = data.rows["train"], np.random.default_rng(seed)
    network.train()
    for step in range(steps):
        if watch is not None:
            watch(step)
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - step / steps)
        chosen = rows[rng.integers(len(rows), size=64)]
        optimiser.zero_grad()
        x = data.x[chosen]
        if data.noise:
            # As the hypernetwork's training has it.
            drawn = rng.standard_normal(tuple(x.shape), dtype=np.float32)
            x = x + data.noise * torch.from_numpy(drawn)
        F.cross_entropy(network(x), data.y[chosen]).backward()
        optimiser.step()
    return network.eval()


def trained_scores(
    folder: Path,
    wanted: list[Architecture],
    data: DataSet,
    steps: int,
    seeds: int,
    rate: float = 5e-3,
) -> np.ndarray:
    """Test accuracy of each architecture trained from scratch, [A, seeds]; kept in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"trained-{steps}.json"
    have: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    found = np.zeros((len(wanted), seeds))
    for i, architecture in enumerate(wanted):
        for seed in range(seeds):
            key = f"{json.dumps(to_record(architecture))} {seed}"
            if key not in have:
                torch.manual_seed(seed)
                have[key] = score(
                    trained(architecture.build(), data, steps, seed, rate), data, "test"
                )
            found[i, seed] = have[key]
        if i % 20 == 19:
            write_file(path, json.dumps(have).encode())
    write_file(path, json.dumps(have).encode())
    return found


def polished_scores(
    hypernetwork: Hypernetwork,
    wanted: list[Architecture],
    data: DataSet,
    steps: int,
    rate: float,
    split: str,
) -> np.ndarray:
    """Accuracy of the network that is written for each architecture, after so many steps of training."""
    found = []
    for architecture in wanted:
        condition = Condition(architecture=Architectures([architecture]))
        network = hypernetwork.eval().generate(condition).network.requires_grad_()
        found.append(score(trained(network, data, steps, 0, rate), data, split))
    return np.array(found)


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % of the bootstrap of a mean."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(2_000, len(values)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def tau_interval(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """95 % of the bootstrap of Kendall's tau over architectures."""
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(a), size=len(a)) for _ in range(400)]
    taus = [kendalltau(a[i], b[i])[0] for i in draws]
    return float(np.quantile(taus, 0.025)), float(np.quantile(taus, 0.975))


def row(
    name: str, values: list[float], ends: tuple[float, float], unit: str, command: str, note: str,
    *, n: int = UNSEEN, cpu: float = 0.0, higher: bool = True,
) -> Row:  # fmt: skip
    """The mean over seeds, each of which the note names."""
    each = ", ".join(f"{v:.4g}" for v in values)
    return Row(
        name, float(np.mean(values)), *ends, unit, higher, n, list(range(len(values))), cpu,
        command, f"{note}; seeds: {each}",
    )  # fmt: skip


def quality(
    label: str,
    folder: Path,
    own: Sized,
    seeds: int,
    steps: int,
    scratch: int,
    count: int,
    command: str,
    *,
    tries: int = 3,
    rate: float = 5e-3,
    references: Path | None = None,
    **settings: Any,
) -> tuple[list[Row], np.ndarray]:
    """Mean accuracy of written networks, and how their order agrees with that of trained ones.

    Args:
        references: Folder of the accuracies of trained networks; that of hypernetworks if not given.

    Returns:
        Rows, and the accuracy of each written network, [seeds, A].
    """
    data: Any = own.family
    wanted = unseen(own, count)
    started, place = time.process_time(), references or folder
    each = trained_scores(place, wanted, data, scratch, tries, rate)
    reference = each.mean(axis=1)
    short = trained_scores(place, wanted, data, 30, 1).mean(axis=1)
    print(f"trained {reference.mean():.4f}, 30 steps {short.mean():.4f}, {time.process_time() - started:.0f} CPU-s", flush=True)  # fmt: skip
    means, taus, all_scores, cpu = [], [], [], 0.0
    for seed in range(seeds):
        hypernetwork, spent = written(folder, seed, own, steps, **settings)
        cpu += spent
        found = scores_of(hypernetwork, wanted, data, "test")
        all_scores.append(found)
        means.append(float(found.mean()))
        taus.append(float(kendalltau(found, reference)[0]))
        print(f"{label} seed {seed}: {means[-1]:.4f} (least {found.min():.3f}), tau {taus[-1]:.3f}, {spent:.0f} CPU-s", flush=True)  # fmt: skip
    mean = np.mean(all_scores, axis=0)
    agree = float(kendalltau(each[:, 0], each[:, -1])[0])
    twice = f"two trainings of the same networks agree by {agree:.3f}, " if tries > 1 else ""
    note = f"{count} unseen architectures; trained from scratch ({scratch} steps, {tries} seeds) {reference.mean():.4f}, 30 steps of Adam {short.mean():.4f}"
    notes = f"with accuracy after training; {twice}30 steps of Adam by {float(kendalltau(short, reference)[0]):.3f}"
    rows = [
        row(f"{label}-accuracy", means, interval(mean), "share", command, note, n=count, cpu=cpu),
        row(f"{label}-tau", taus, tau_interval(mean, reference), "Kendall's tau", command, notes, n=count, cpu=cpu),
    ]  # fmt: skip
    return rows, np.array(all_scores)
