"""A training step with generated children, against the same arithmetic with shared weights.

    python benchmarks/execution.py                     # about fifteen minutes, one thread
    python benchmarks/execution.py --only mlp          # mlp, conv4, gru, transformer
    python benchmarks/execution.py --memory            # peak memory of the convolutions, a process each

The *limit* is the generator's own matrix products with a given gradient, one child with shared weights over
the rows of all tasks (for convolutions in blocks that fit a cache, channels last), and fused AdamW. All
variants write the same parameters by the same generator and take the same optimiser step.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

import netwright as nw
from netwright.objectives import Classification
from netwright.process import keep_freed_memory
from netwright.tasks import TaskBatch
from netwright.training.step import training_step

sys.path.insert(0, str(Path(__file__).parent))
import children
from records import Row, write_rows
from timing import Timing, in_turns

CONTEXT = 32
COMMAND = "python benchmarks/execution.py"


@dataclass(frozen=True)
class Work:
    """One cell of the table."""

    kind: str
    name: str
    module: nn.Module
    tasks: int
    rows: int
    input_shape: tuple[int, ...]
    outputs: int


def works(kinds: list[str]) -> Iterator[Work]:
    """Every cell of the chosen kinds."""
    if "mlp" in kinds:
        for tasks in (1, 16, 64, 256):
            yield Work("mlp", f"mlp-t{tasks}", children.MLP(), tasks, 20, (64,), 10)
    if "conv4" in kinds:
        for channels in (16, 32, 64):
            for tasks in (4, 16, 32):
                name, module = f"conv4-c{channels}-t{tasks}", children.Conv4(channels)
                yield Work("conv4", name, module, tasks, 25, (1, 28, 28), 5)
    if "gru" in kinds:
        yield Work("gru", "gru-t16", children.GRU(), 16, 16, (32, 16), 8)
    if "transformer" in kinds:
        yield Work("transformer", "transformer-t16", children.Transformer(), 16, 16, (32,), 32)


class Bench:
    """A hypernetwork, a batch, and the ways to take a step."""

    def __init__(self, work: Work) -> None:
        torch.manual_seed(0)
        self.work = work
        shape = (work.tasks, work.rows)
        self.x = (
            torch.randint(0, work.outputs, (*shape, *work.input_shape))
            if work.kind == "transformer"
            else torch.randn(*shape, *work.input_shape)
        )
        self.y = torch.randint(0, work.outputs, shape)
        context = torch.rand(work.tasks, CONTEXT)
        self.child = nw.Child(work.module, batch_norm="batch")
        reader = nw.conditioners.Context([0.0] * CONTEXT, [1.0] * CONTEXT)
        self.hypernetwork = nw.Hypernetwork(self.child, reader, "dense")
        self.optimiser = torch.optim.AdamW(self.hypernetwork.parameters(), lr=1e-5, fused=True)
        query = nw.ExampleSet.of(self.x, self.y, classes=work.outputs)
        self.batch = TaskBatch(nw.Condition(context=context), query)
        self.objective = Classification()
        written = self.hypernetwork(self.batch.condition)
        self.gradient = {name: 1e-3 * torch.randn_like(value) for name, value in written.items()}

    def ours(self) -> None:
        """The trainer's own step, without clipping, which the others do not have."""
        training_step(
            self.hypernetwork, self.objective, self.optimiser, self.batch, clip=float("inf")
        )

    def by(self, run: Callable[[dict[str, Tensor], Tensor], Tensor]) -> Callable[[], None]:
        """A step with children run in another way."""

        def step() -> None:
            self.optimiser.zero_grad(set_to_none=True)
            logits = run(self.hypernetwork(self.batch.condition), self.x)
            F.cross_entropy(logits.flatten(0, 1), self.y.flatten()).backward()
            self.optimiser.step()

        return step

    def loop(self, params: dict[str, Tensor], x: Tensor) -> Tensor:
        """`functional_call`, task by task."""
        unbound = {name: value.unbind(0) for name, value in params.items()}
        outputs = [
            functional_call(self.work.module, {n: v[t] for n, v in unbound.items()}, (rows,))
            for t, rows in enumerate(x.unbind(0))
        ]
        return torch.stack(outputs)

    def loop_channels_last(self, params: dict[str, Tensor], x: Tensor) -> Tensor:
        """The same, told to lay pictures out with channels last."""
        self.work.module.channels_last = True
        try:
            return self.loop(params, x)
        finally:
            self.work.module.channels_last = False

    def mapped(self, params: dict[str, Tensor], x: Tensor) -> Tensor:
        """`vmap` of `functional_call`."""
        return vmap(
            lambda p, rows: functional_call(self.work.module, p, (rows,)), randomness="different"
        )(params, x)

    def limit(self, block: int | None = None) -> Callable[[], None]:
        """The same arithmetic with shared weights, in blocks of so many rows."""
        module = self.work.module
        rows, y = self.x.flatten(0, 1), self.y.flatten()
        is_picture = self.x.dim() == 5

        def step() -> None:
            self.optimiser.zero_grad(set_to_none=True)
            embedding = self.hypernetwork.conditioner(self.batch.condition)
            written = self.hypernetwork.generator(embedding)
            torch.autograd.backward(list(written.values()), list(self.gradient.values()))
            for part, labels in zip(
                rows.split(block or len(rows)), y.split(block or len(y)), strict=True
            ):
                F.cross_entropy(module(part), labels).backward()
            self.optimiser.step()
            module.zero_grad(set_to_none=True)

        def channels_last() -> None:
            module.channels_last = True
            try:
                step()
            finally:
                module.channels_last = False

        return channels_last if is_picture else step


def rivals_of(bench: Bench) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    kind = bench.work.kind
    block = bench.work.rows if kind == "conv4" else None
    rivals: dict[str, Callable[[], object]] = {
        "limit": bench.limit(block),
        "ours": bench.ours,
        "loop": bench.by(bench.loop),
    }
    if kind == "conv4":
        rivals["loop-channels-last"] = bench.by(bench.loop_channels_last)
    if kind != "gru":
        rivals["vmap"] = bench.by(bench.mapped)
    return rivals


def agree(bench: Bench) -> None:
    """All ways of running give the same answer, or the figures mean nothing."""
    with torch.no_grad():
        params = bench.hypernetwork(bench.batch.condition)
        expected = bench.loop(params, bench.x)
        torch.testing.assert_close(bench.child(params, bench.x), expected, rtol=1e-3, atol=1e-4)


def rows_of(work: Work, budget_s: float) -> list[Row]:
    """Time one cell."""
    bench = Bench(work)
    agree(bench)
    timings = in_turns(rivals_of(bench), "limit", budget_s=budget_s)
    note = f"{bench.child.space.size:,} parameters, {work.rows} rows each, full training step"
    return [
        row(f"exec-{work.name}-{name}", timing, note)
        for name, timing in timings.items()
        if name != "limit"
    ]


def generation_rows(budget_s: float) -> list[Row]:
    """Writing alone, against the products of the generator by hand."""
    rows = []
    for work in works(["mlp"]):
        bench = Bench(work)
        generator, condition = bench.hypernetwork.generator, bench.batch.condition

        def products(bench: Bench = bench, generator: Any = generator) -> None:
            h = generator.trunk(bench.hypernetwork.conditioner(bench.batch.condition).z)
            for head in generator.heads:
                torch.addmm(head.base, h, head.weight.T)

        def ours(bench: Bench = bench, condition: nw.Condition = condition) -> None:
            bench.hypernetwork(condition)

        with torch.no_grad():
            timings = in_turns({"limit": products, "ours": ours}, "limit", budget_s=budget_s)
        note = "writing the parameters only, against the generator's products"
        rows.append(row(f"exec-generation-t{work.tasks}", timings["ours"], note))
    return rows


def row(name: str, timing: Timing, note: str) -> Row:
    """A ratio to the limit with its quartiles."""
    return Row(
        name, timing.ratio, timing.low, timing.high, "times the limit", False, timing.rounds, [], 0,
        COMMAND, f"{1000 * timing.seconds:.2f} ms; {note}",
    )  # fmt: skip


def memory_of(channels: int, tasks: int, how: str) -> float:
    """Memory that three steps take over what importing does, in a fresh process."""
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch; torch.set_num_threads(1)
import execution, children
from timing import peak_mb
# What optimisers, autograd and convolutions import or set up on first use is no matter of ours.
warm = torch.nn.Conv2d(1, 2, 3); optimiser = torch.optim.AdamW(warm.parameters(), fused=True)
warm(torch.zeros(1, 1, 9, 9)).sum().backward(); optimiser.step()
before = peak_mb()
bench = execution.Bench(execution.Work("conv4", "", children.Conv4({channels}), {tasks}, 25, (1, 28, 28), 5))
step = execution.rivals_of(bench)[{how!r}]
for _ in range(3): step()
print(peak_mb() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def memory_rows() -> list[Row]:
    """Peak memory of the largest convolutional cell that is asked about."""
    rows = []
    for how in ("ours", "loop", "loop-channels-last", "vmap"):
        value = memory_of(64, 16, how)
        note = "64 channels, 16 tasks, three steps, over the imported process"
        rows.append(
            Row(f"exec-conv4-memory-{how}", value, None, None, "MB", False, 1, [], 0,
                f"{COMMAND} --memory", note)
        )  # fmt: skip
    return rows


def main() -> None:
    """Parse, run, write."""
    kinds = ["mlp", "conv4", "gru", "transformer"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--budget", type=float, default=20, help="seconds per cell")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # As the command line does, and for all variants alike.
    keep_freed_memory()
    if arguments.memory:
        write_rows("execution", memory_rows())
        return
    if "mlp" in arguments.only:
        write_rows("execution", generation_rows(arguments.budget / 4))
    for work in works(arguments.only):
        write_rows("execution", rows_of(work, arguments.budget))


if __name__ == "__main__":
    main()
