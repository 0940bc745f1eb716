"""An 11-million-parameter ResNet-18 as a child: what writing it costs over training it directly.

    python benchmarks/large_child.py       # about four minutes; a process for each

One child, four 32 x 32 pictures, a full step each: of the hypernetwork with its child, against forward, backward
and fused AdamW of the child alone.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

import netwright as nw
from netwright.objectives import Classification
from netwright.process import keep_freed_memory
from netwright.tasks import TaskBatch
from netwright.training.step import training_step

sys.path.insert(0, str(Path(__file__).parent))
from children import ResNet18
from records import Row, write_rows
from timing import in_turns, peak_mb

COMMAND = "python benchmarks/large_child.py"
ROWS = 4
GENERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "chunked": ("chunked", {"chunk": 16_384, "learns_base": False}),
    "chunked-hidden-32": ("chunked", {"chunk": 16_384, "learns_base": False, "hidden": 32}),
    "chunked-bfloat16": (
        "chunked",
        {"chunk": 16_384, "learns_base": False, "precision": "bfloat16"},
    ),
    "chunked-learned-base": ("chunked", {"chunk": 16_384}),
    "low-rank-4": ("low-rank", {"rank": 4, "learns_base": False}),
    "low-rank-4-hidden-32": ("low-rank", {"rank": 4, "learns_base": False, "hidden": 32}),
    "low-rank-4-learned-base": ("low-rank", {"rank": 4}),
    "layer-tokens": ("layer-tokens", {}),
    "dense-16": ("dense", {"hidden": 16}),
}


def direct_step(x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    """Training the child with no generator."""
    torch.manual_seed(0)
    module = ResNet18()
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-5, fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(module(x[0]), y[0]).backward()
        optimiser.step()

    return step


def written_step(name: str, x: torch.Tensor, y: torch.Tensor) -> tuple[Callable[[], object], int]:
    """A step of a hypernetwork, and how many parameters its generator has."""
    torch.manual_seed(0)
    kind, options = GENERATORS[name]
    child = nw.Child(ResNet18(), batch_norm="batch")
    reader = nw.conditioners.Context([0.0] * 32, [1.0] * 32)
    hypernetwork = nw.Hypernetwork(child, reader, kind, **options)
    optimiser = torch.optim.AdamW(hypernetwork.parameters(), lr=1e-5, fused=True)
    condition = nw.Condition(context=torch.rand(1, 32))
    batch = TaskBatch(condition, nw.ExampleSet.of(x, y, classes=10))
    size = sum(p.numel() for p in hypernetwork.generator.parameters())
    objective = Classification()

    def step() -> object:
        return training_step(hypernetwork, objective, optimiser, batch, clip=float("inf"))

    return step, size


def measure(name: str, budget_s: float) -> dict[str, float]:
    """In this process: ratio of steps in turns, and peak memory of the hypernetwork's alone before."""
    torch.set_num_threads(1)
    keep_freed_memory()
    x, y = torch.randn(1, ROWS, 3, 32, 32), torch.randint(0, 10, (1, ROWS))
    # What optimisers and autograd import or set up on first use is no matter of ours.
    warm = torch.nn.Conv2d(3, 2, 3)
    optimiser = torch.optim.AdamW(warm.parameters(), fused=True)
    warm(x[0]).sum().backward()
    optimiser.step()
    before = peak_mb()
    step, size = written_step(name, x, y)
    for _ in range(3):
        step()
    memory = peak_mb() - before
    timings = in_turns({"direct": direct_step(x, y), "ours": step}, "direct", budget_s=budget_s)
    ours = timings["ours"]
    return {
        "ratio": ours.ratio, "low": ours.low, "high": ours.high, "rounds": ours.rounds,
        "ms": 1000 * ours.seconds, "direct_ms": 1000 * timings["direct"].seconds,
        "memory": memory, "size": size,
    }  # fmt: skip


def main() -> None:
    """Parse, run a process for each generator, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(GENERATORS), default=list(GENERATORS))
    parser.add_argument("--budget", type=float, default=20)
    parser.add_argument("--in-process", action="store_true")
    arguments = parser.parse_args()
    if arguments.in_process:
        print(json.dumps(measure(arguments.only[0], arguments.budget)))
        return
    for name in arguments.only:
        own = ["--in-process", "--only", name, "--budget", str(arguments.budget)]
        done = subprocess.run(
            [sys.executable, __file__, *own], check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout)
        note = (
            f"{found['ms']:.0f} ms against {found['direct_ms']:.0f} ms; {found['size'] / 1e6:.1f} M "
            "parameters in the generator"
        )
        rows = [
            Row(f"exec-large-child-{name}", found["ratio"], found["low"], found["high"],
                "times training the child directly", False, found["rounds"], [], 0, COMMAND, note),
            Row(f"exec-large-child-{name}-memory", found["memory"], None, None, "MB", False, 1, [], 0,
                COMMAND, "peak over the imported process"),
        ]  # fmt: skip
        write_rows("large_child", rows)


if __name__ == "__main__":
    main()
