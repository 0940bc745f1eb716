"""The record of a training: made before it runs, compared when it goes on."""

import json
import math
from collections.abc import Mapping
from typing import Any

import torch

from netwright.errors import RunError
from netwright.objectives import OBJECTIVES, Objective, objective_record
from netwright.objectives.memory import memory_of, told_width
from netwright.runs import Run, TrainingRecord, validated
from netwright.tasks import FAMILIES, TaskFamily
from netwright.training.step import check_penalty
from netwright.writer import Writer


def plan_run(
    writer: Writer,
    family: TaskFamily,
    device: str,
    settings: Mapping[str, Any],
    objective: Objective | None = None,
) -> Run:
    """The record of a training before it runs; by default with the objective that suits the family's labels.

    Raises:
        RunError: If a setting is unknown or out of range.
    """
    training = validated(TrainingRecord, dict(settings), "training settings")
    check_penalty(writer, training.kl_weight)
    architecture, shape = writer.child.architecture, family.shape
    reads = tuple(getattr(architecture, "input_shape", shape.x))
    if shape.kind == "actions" and memory_of(writer.child):
        width = told_width(shape.x[0] or 0, shape.outputs)
        if reads != (1, width):
            raise RunError(
                f"The child reads {reads[-1]} numbers per step, expected {width}: what is seen, the last action, the last reward, "
                f"and whether an episode begins. Give it inputs={width}."
            )
    elif shape.kind == "actions" and reads != shape.x:
        raise RunError(
            f"The child reads inputs of shape {reads} and the machines show {shape.x}, expected the same. "
            "Build it with `default_child(family.shape)`."
        )
    return Run(
        family={"name": family_name(family), **family.record()},
        hypernetwork=writer.record(),
        training=training,
        objective=objective_record(objective or OBJECTIVES[shape.kind]()),
        threads=torch.get_num_threads(),
        device=device,  # type: ignore[arg-type]
    )


def resolve_device(device: str) -> str:
    """`cuda` if there is one and `auto` was asked for.

    Raises:
        RunError: If the device is unknown or not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise RunError(f"Device {device!r} is not known, expected 'cpu', 'cuda' or 'auto'.")
    if device == "cuda" and not torch.cuda.is_available():
        raise RunError("Device 'cuda' was asked for and there is none. Use 'auto' or 'cpu'.")
    return device


def family_name(family: TaskFamily) -> str:
    """The name in `FAMILIES`, or that of the class for families of the user's own."""
    names = [name for name, kind in FAMILIES.items() if kind is type(family)]
    return names[0] if names else type(family).__name__


def learning_rate(record: TrainingRecord, step: int) -> float:
    """Linear warm-up, then a cosine from the peak down to `final_rate` of it at the last step."""
    warm_up = min(1.0, (step + 1) / record.warm_up) if record.warm_up else 1.0
    cosine = 0.5 * (1 + math.cos(math.pi * step / record.steps))
    return record.learning_rate * warm_up * (record.final_rate + (1 - record.final_rate) * cosine)


def difference(saved: Run, wanted: Run) -> str:
    """The first thing in which two records differ, in words."""
    a, b = saved.model_dump(), wanted.model_dump()
    for section in a:
        if a[section] != b[section] and isinstance(a[section], dict):
            assert isinstance(b[section], dict)
            keys = [
                k for k in {**a[section], **b[section]} if a[section].get(k) != b[section].get(k)
            ]
            key = keys[0]
            theirs, ours = a[section].get(key), b[section].get(key)
            return f"its {section}.{key} is {json.dumps(theirs)}, here it is {json.dumps(ours)}"
        if a[section] != b[section]:
            return f"its {section} is {a[section]!r}, here it is {b[section]!r}"
    return "its record differs"
