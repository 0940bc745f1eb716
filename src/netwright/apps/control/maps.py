"""What policies earn over a plane of two of a machine's numbers, as a picture."""

import io
from pathlib import Path

import numpy as np
import torch

from netwright.artifacts import write_file
from netwright.conditions import ExampleSet
from netwright.errors import ArtifactError, DataError, MissingExtraError
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks.control import Control, EpisodeBatch
from netwright.writer import Writer

_POINTS, _EPISODES = 25, 4
# The plane reaches so far beyond training, in shares of the range.
_BEYOND = 0.25


@torch.no_grad()
def return_map(
    writer: Writer, family: Control, machine: torch.Tensor, names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of two quantities, [P] each, and mean returns [P, P], the first quantity along the last axis.

    Args:
        writer: What writes policies.
        family: The machines.
        machine: What the other quantities are, [1, P].
        names: The two quantities.

    Raises:
        DataError: If a name is unknown.
    """
    quantities = family.environment.quantities
    places = {q.name: i for i, q in enumerate(quantities)}
    for name in names:
        if name not in places:
            raise DataError(f"The machine has no {name!r}, expected two of {list(places)}.")
    axes = []
    for name in names:
        q = quantities[places[name]]
        reach = 0.0 if q.is_discrete else _BEYOND * (q.high - q.least) / 2
        least = q.least - reach if q.kind == "signed" else max(0.2 * q.low, q.least - reach)
        axes.append(torch.linspace(least, q.high + reach, _POINTS))
    first, second = torch.meshgrid(*axes, indexing="xy")
    machines = machine.repeat(_POINTS**2, 1)
    machines[:, places[names[0]]], machines[:, places[names[1]]] = first.flatten(), second.flatten()
    rng = stream(0, "map")
    # The same states to begin in everywhere: neighbours differ by their machine alone.
    start = family.environment.start(rng, 1, _EPISODES).expand(_POINTS**2, -1, -1)
    batch = EpisodeBatch(
        family.condition(machines, rng),
        ExampleSet.of(start, start.new_zeros(_POINTS**2, _EPISODES, 1)),
        machines,
        family.environment,
    )
    params = writer(batch.condition)
    earned = roll_out(lambda x: writer.child(params, x), batch).rewards.sum(dim=2).mean(dim=1)
    return axes[0].numpy(), axes[1].numpy(), earned.view(_POINTS, _POINTS).numpy()


def draw_map(
    writer: Writer,
    family: Control,
    machine: torch.Tensor,
    names: tuple[str, str],
    path: str | Path,
) -> Path:
    """A return map as a picture, what was trained on being framed.

    Raises:
        DataError: If a name is unknown.
        MissingExtraError: If matplotlib is not installed.
        ArtifactError: If the ending is another than .png, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ArtifactError(f"{path} ends in {path.suffix!r}, expected .png.")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "Drawing a map") from None
    x, y, earned = return_map(writer, family, machine, names)
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axis = figure.subplots()
    mesh = axis.pcolormesh(x, y, earned, cmap="cividis", shading="nearest")
    figure.colorbar(mesh, ax=axis, label=f"return, mean of {_EPISODES} episodes")
    by_name = {q.name: q for q in family.environment.quantities}
    for set_label, name in ((axis.set_xlabel, names[0]), (axis.set_ylabel, names[1])):
        unit = by_name[name].unit
        set_label(f"{name} ({unit})" if unit else name)
    boxes = [
        [(q.low, q.high), (-q.high, -q.low)] if q.kind == "signed" else [(q.low, q.high)]
        for q in (by_name[name] for name in names)
    ]
    for left, right in boxes[0]:
        for low, high in boxes[1]:
            corners_x, corners_y = [left, right, right, left, left], [low, low, high, high, low]
            axis.plot(corners_x, corners_y, color="white", lw=1.2)
    axis.set_title(f"{family.name}: framed is what was trained on", fontsize=9)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    write_file(path, file.getvalue())
    return path


__all__ = ["draw_map", "return_map"]
