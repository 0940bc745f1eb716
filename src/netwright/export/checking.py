"""Answers of an exported network beside those of the network itself."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from netwright.errors import ExportError
from netwright.export.tracing import ROWS, sample_inputs, standing

Runner = Callable[[np.ndarray], np.ndarray]
"""Outputs [N, *] for inputs [N, *], float32."""


def check_answers(
    run: Runner, network: nn.Module, input_shape: tuple[int, ...], tolerance: float
) -> float:
    """Compare answers for one row and for several; returns the largest difference.

    Args:
        run: The exported network.
        network: What it was exported from.
        input_shape: Shape of one input.
        tolerance: Largest difference, relative to the largest answer where that is above 1.

    Raises:
        ExportError: If answers differ by more.
    """
    own, largest = standing(network), 0.0
    for rows in (1, ROWS + 3):
        x = sample_inputs(rows, input_shape)
        with torch.no_grad():
            expected = own(x)
        largest = max(largest, check_gap(run(x.numpy()), expected, tolerance))
    return largest


def check_gap(answer: np.ndarray, expected: Tensor, tolerance: float) -> float:
    """The largest difference of two answers.

    Raises:
        ExportError: If it is more than the tolerance, or shapes differ.
    """
    if tuple(answer.shape) != tuple(expected.shape):
        raise ExportError(
            f"The exported network's answers are {list(answer.shape)}, expected {list(expected.shape)}. "
            "Nothing was written; export it in another format."
        )
    gap = float((torch.from_numpy(np.array(answer)) - expected).abs().max())
    if not gap <= tolerance * max(1.0, float(expected.abs().max())):
        raise ExportError(
            f"The exported network's answers differ by {gap:.2g}, expected at most {tolerance:.2g}. "
            "Nothing was written; export it in another format."
        )
    return gap


def with_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """A copy of a network, ready for use, with other weights than its own; an axis may have another size."""
    own = standing(network)
    for name, value in weights.items():
        own.get_parameter(name).data = value.detach().to(torch.float32)
    return own


__all__ = ["Runner", "check_answers", "check_gap", "with_weights"]
