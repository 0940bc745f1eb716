"""How long one input takes, measured."""

import time
from statistics import median

import torch

from netwright.architectures import Architecture

_WARM_UP, _RUNS = 5, 31


def latency_ms(architecture: Architecture) -> float:
    """Milliseconds of one input on this machine, with torch as it is set up: the median of 31 runs.

    Two digits of it: the next one is another at every measurement.
    """
    # Which numbers the module has does not matter, and none may come out of the caller's random state.
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        network = architecture.build().eval()
        x = torch.zeros(1, *architecture.input_shape)
        times = []
        for run in range(_WARM_UP + _RUNS):
            started = time.perf_counter()
            network(x)
            if run >= _WARM_UP:
                times.append(time.perf_counter() - started)
    return float(f"{1000 * median(times):.2g}")


__all__ = ["latency_ms"]
