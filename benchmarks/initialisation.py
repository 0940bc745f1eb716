"""How children start, and whether training bears bad scales: other starts beside ours.

    python benchmarks/initialisation.py         # about six CPU-minutes

`init-guarantee`: for every generator, emission and conditioner, twenty random children each: the worst variance
of a tensor at step 0 over that of the child's own initialisation, and the worst spread of outputs.
`init-stability`: sine waves with inputs at three scales and children of three depths, from three starts: ours; without
theta_0, every tensor written at full scale; and plain linear heads as torch initialises them.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

import netwright as nw
from netwright.conditioners import CONDITIONERS, Embedding
from netwright.generators import GENERATORS, WeightGenerator
from netwright.generators.base import scale_of, unit_linear
from netwright.generators.dense import trunk_of
from netwright.initialisation import Initialisation
from netwright.process import keep_freed_memory
from netwright.rng import stream
from netwright.space import ParameterSpace
from netwright.tasks import Split, TaskBatch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from making import make_condition, make_conditioner
from records import Row, write_rows

ROOT = Path(__file__).parent.parent
COMMAND = "python benchmarks/initialisation.py"
EMISSIONS = {
    "full": "full", "low_rank": nw.LowRank(2), "film": nw.Film(), "bias_only": nw.BiasOnly(),
}  # fmt: skip
CHILDREN = 20
STARTS, SCALES, DEPTHS, STEPS = ("ours", "no-base", "plain"), (0.1, 1.0, 10.0), (2, 4, 8), 2_000
# Smaller tensors say little about their variance.
LEAST = 64


def start_of(generator: str, emission: str, conditioner: str, seed: int) -> Initialisation:
    """How a random child starts."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    hidden = tuple(torch.randint(8, 49, (1 + seed % 3,), generator=rng).tolist())
    inputs = 4 + seed
    child = nw.Child(
        nw.architectures.mlp(inputs=inputs, hidden=hidden, outputs=12),
        emissions=[("*", EMISSIONS[emission])],
    )
    hypernetwork = nw.Hypernetwork(child, make_conditioner(conditioner), generator)
    return hypernetwork.check_initialisation(
        make_condition(8, rng), torch.randn(8, 32, inputs, generator=rng)
    )


def guarantee_rows() -> list[Row]:
    """A row per generator and emission: the variance that is farthest from 1."""
    rows = []
    for generator in GENERATORS:
        for emission in EMISSIONS:
            started = time.process_time()
            found = [
                start_of(generator, emission, conditioner, seed)
                for conditioner in CONDITIONERS
                for seed in range(CHILDREN)
            ]
            ratios = [
                t.variance for f in found for t in f.tensors if t.variance and t.formed >= LEAST
            ]
            outputs = [f.output for f in found]
            worst = max(ratios, key=lambda ratio: abs(np.log(ratio)), default=1.0)
            note = (
                f"tensors of at least {LEAST} numbers; outputs {min(outputs):.2f} to {max(outputs):.2f} of "
                f"the child's own; {len(CONDITIONERS)} conditioners"
            )
            rows.append(
                Row(
                    f"init-guarantee-{generator}-{emission}", worst,
                    min(ratios, default=1.0), max(ratios, default=1.0), "variance over the child's own", False,
                    len(found), list(range(CHILDREN)), round(time.process_time() - started), COMMAND, note,
                )
            )  # fmt: skip
    return rows


class Headed(WeightGenerator):
    """Linear heads without theta_0: at the child's own scale, or as torch initialises them."""

    def __init__(
        self,
        space: ParameterSpace,
        embedding_size: int,
        *,
        base: Mapping[str, Tensor],
        is_scaled: bool,
    ) -> None:
        super().__init__(space, embedding_size)
        self.trunk = trunk_of(embedding_size, 128)
        self.scales = [scale_of(spec) if is_scaled else 1.0 for spec in space.tensors]
        self.heads = nn.ModuleList(
            unit_linear(128, spec.size, 1.0) if is_scaled else nn.Linear(128, spec.size)
            for spec in space.tensors
        )

    def forward(self, embedding: Embedding) -> dict[str, Tensor]:
        """Params [T, *shape] from the global token."""
        h = self.trunk(embedding.z)
        return {
            spec.name: (scale * head(h)).reshape(len(h), *spec.shape)
            for spec, scale, head in zip(self.space.tensors, self.scales, self.heads, strict=True)
        }

    def options(self) -> dict[str, Any]:
        """None that a record could hold."""
        return {}


class Scaled(nw.tasks.Sine):
    """Sine waves whose inputs are multiplied, as users' units do."""

    def __init__(self, scale: float) -> None:
        super().__init__(shots=10, queries=30)
        self.scale = scale

    def sample(self, rng: np.random.Generator, tasks: int, split: Split) -> TaskBatch:
        """The same waves, with x in other units."""
        batch = super().sample(rng, tasks, split)
        support = batch.condition.examples
        assert support is not None
        batch.query.x.mul_(self.scale)
        support.x.mul_(self.scale)
        return batch


def explained(start: str, scale: float, depth: int) -> float:
    """Share of the variance of unseen waves that is explained after training; 0 if it did not learn."""
    tasks = Scaled(scale)
    torch.manual_seed(0)
    child = nw.Child(nw.architectures.mlp(inputs=1, hidden=(40,) * depth, outputs=1))
    reader = nw.conditioners.Examples((1,), outputs=1, channels=128)
    if start == "ours":
        hypernetwork = nw.Hypernetwork(child, reader, "dense")
    else:
        hypernetwork = nw.Hypernetwork(child, reader, Headed, is_scaled=start == "no-base")
    optimiser = torch.optim.AdamW(hypernetwork.parameters(), lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for step in range(STEPS):
        batch = tasks.sample(stream(0, "stability", step), 32, "train")
        params = hypernetwork(batch.condition)
        loss = (child(params, batch.query.x) - batch.query.y).square().mean()
        if not loss.isfinite():
            return 0.0
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(hypernetwork.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    mse = nw.evaluate(hypernetwork, tasks, tasks=400).metrics["mse"].value
    variance = float(tasks.sample(stream(0, "variance"), 2_000, "test").query.y.var())
    return max(0.0, 1 - mse / variance)


def stability_rows(picture: Path) -> list[Row]:
    """A row per start: the share of runs that reach 90 % of the best run's explained variance."""
    found, seconds = {}, {}
    for start in STARTS:
        started = time.process_time()
        for scale in SCALES:
            for depth in DEPTHS:
                found[start, scale, depth] = explained(start, scale, depth)
                print(start, scale, depth, round(found[start, scale, depth], 3), flush=True)
        seconds[start] = time.process_time() - started
    best = max(found.values())
    draw(found, picture)
    rows = []
    for start in STARTS:
        own = {key: value for key, value in found.items() if key[0] == start}
        share = sum(value >= 0.9 * best for value in own.values()) / len(own)
        note = (
            f"{len(own)} runs of {STEPS} steps; explained variance at worst {min(own.values()):.2f}, best of all "
            f"{best:.2f}"
        )
        rows.append(
            Row(f"init-stability-{start}", 100 * share, None, None, "% of runs within 90 % of the best", True,
                len(own), [0], round(seconds[start]), COMMAND, note)
        )  # fmt: skip
    return rows


def draw(found: Mapping[tuple[str, float, int], float], picture: Path) -> None:
    """Explained variance by scale of inputs and depth, a panel per start."""
    figure, panels = plt.subplots(1, len(STARTS), figsize=(9, 3), sharey=True)
    for panel, start in zip(panels, STARTS, strict=True):
        values = [[found[start, scale, depth] for depth in DEPTHS] for scale in SCALES]
        image = panel.imshow(values, vmin=0, vmax=1, cmap="viridis")
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                colour = "white" if value < 0.6 else "black"
                panel.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour)
        panel.set_xticks(range(len(DEPTHS)), DEPTHS)
        panel.set_yticks(range(len(SCALES)), SCALES)
        panel.set_xlabel("hidden layers of the child")
        panel.set_title(
            {"ours": "ours", "no-base": "without theta_0", "plain": "plain heads"}[start]
        )
    panels[0].set_ylabel("inputs multiplied by")
    figure.colorbar(image, ax=panels, label="explained variance")
    picture.parent.mkdir(exist_ok=True)
    figure.savefig(picture, dpi=110, bbox_inches="tight")


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["guarantee", "stability"])
    parser.add_argument("--picture", type=Path, default=ROOT / "docs/images/init-stability.png")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    if arguments.only != "stability":
        write_rows("initialisation", guarantee_rows())
    if arguments.only != "guarantee":
        write_rows("initialisation", stability_rows(arguments.picture))


if __name__ == "__main__":
    main()
