"""What a training needs to go on in the same bits, as files and back."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from netwright.artifacts import tensors_from_bytes, tensors_to_bytes
from netwright.errors import ArtifactError
from netwright.training.average import WeightAverage


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Args:
        step: Optimiser steps done.
        best_step: Step of the best validation, -1 if there was none.
        best_value: Its metric.
        best_loss: Its loss, which decides between equals.
        validations_without_gain: Since the best one.
        log_bytes: Length of the log at this step; what stands beyond it is of a lost future.
        tasks_left_out: Tasks whose loss was not finite, in total.
        left_out_in_a_row: Steps in a row in which that happened.
        since_log: What the steps since the last line of the log did.
        cpu_seconds: Spent on training so far, all attempts counted in; decides nothing.
        finished: Whether the training has come to its end.
    """

    step: int = 0
    best_step: int = -1
    best_value: float | None = None
    best_loss: float | None = None
    validations_without_gain: int = 0
    log_bytes: int = 0
    tasks_left_out: int = 0
    left_out_in_a_row: int = 0
    since_log: tuple[dict[str, Any], ...] = ()
    cpu_seconds: float = 0.0
    finished: bool = False

    def but(self, **changes: Any) -> "Progress":
        """A copy with some fields changed."""
        return replace(self, **changes)


# What is evaluated and used; with an average of weights the ones under training stand beside it.
WEIGHTS, TRAINED_WEIGHTS = "hypernetwork.safetensors", "training.safetensors"


def state_files(
    hypernetwork: nn.Module,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    average: WeightAverage | None = None,
) -> dict[str, bytes]:
    """The files of a checkpoint, by name."""
    weights = _weights_bytes(hypernetwork)
    files = {
        WEIGHTS: weights,
        "optimiser.safetensors": tensors_to_bytes(_optimiser_tensors(hypernetwork, optimiser)),
        "progress.json": json.dumps(asdict(progress), indent=2).encode(),
    }
    if average is not None:
        with average.applied():
            files |= {WEIGHTS: _weights_bytes(hypernetwork), TRAINED_WEIGHTS: weights}
    return files


def load_weights(
    hypernetwork: nn.Module, files: dict[str, bytes], name: str, *, file: str = WEIGHTS
) -> None:
    """Put a checkpoint's weights into a hypernetwork of the same making.

    Raises:
        ArtifactError: If the weights are of another hypernetwork.
    """
    tensors = tensors_from_bytes(files.get(file, b""), f"{file} in {name}")
    own = hypernetwork.state_dict()
    if own.keys() != tensors.keys() or any(
        own[n].shape != t.shape or own[n].is_floating_point() != t.is_floating_point()
        for n, t in tensors.items()
    ):
        raise ArtifactError(
            f"The weights in {name} are of another hypernetwork, expected {len(own)} tensors of the "
            "same names and shapes. Build it from the run record beside them; if it was, another version of "
            "netwright wrote them: use that one, or train again."
        )
    hypernetwork.load_state_dict(tensors)


def load_state(
    hypernetwork: nn.Module,
    optimiser: torch.optim.Optimizer,
    files: dict[str, bytes],
    name: str,
    average: WeightAverage | None = None,
) -> Progress:
    """Put a checkpoint's weights, their average and moments back; returns how far it had come.

    Raises:
        ArtifactError: If the checkpoint is of another hypernetwork.
    """
    load_weights(hypernetwork, files, name)
    if average is not None:
        average.take()
        load_weights(hypernetwork, files, name, file=TRAINED_WEIGHTS)
    tensors = tensors_from_bytes(files["optimiser.safetensors"])
    for parameter_name, parameter in hypernetwork.named_parameters():
        slots = {
            key.rpartition("/")[2]: value
            for key, value in tensors.items()
            if key.rpartition("/")[0] == parameter_name
        }
        if slots:
            optimiser.state[parameter] = {
                slot: value if slot == "step" else value.to(parameter.device)
                for slot, value in slots.items()
            }
    progress = json.loads(files["progress.json"])
    return Progress(**{**progress, "since_log": tuple(progress["since_log"])})


def _weights_bytes(hypernetwork: nn.Module) -> bytes:
    return tensors_to_bytes({name: t.detach() for name, t in hypernetwork.state_dict().items()})


def _optimiser_tensors(
    hypernetwork: nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    return {
        f"{name}/{slot}": value.detach()
        for name, parameter in hypernetwork.named_parameters()
        for slot, value in optimiser.state.get(parameter, {}).items()
    }
