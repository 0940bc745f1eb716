"""Low-rank corrections of a shared base, never formed, against the base alone over the same rows.

    python benchmarks/corrections.py       # about a minute

A base of 10.2 million parameters (four linear layers of 1,600), 16 tasks of 8 rows each, rank 4.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import netwright as nw
from netwright.process import keep_freed_memory

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows
from timing import in_turns

COMMAND = "python benchmarks/corrections.py"
TASKS, ROWS, WIDTH, LAYERS, RANK = 16, 8, 1_600, 4, 4


def base() -> nn.Sequential:
    """Ten million parameters."""
    layers: list[nn.Module] = []
    for _ in range(LAYERS):
        layers += [nn.Linear(WIDTH, WIDTH), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Bench:
    """The base alone, and sixteen children that differ from it by low-rank corrections."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = base()
        rule = ("*", nw.LowRank(RANK, "shared"))
        self.child = nw.Child(self.module, emissions=[rule])
        params = self.child.initial_params(TASKS)
        self.params = {
            n: (v + 0.01 * torch.randn_like(v)).requires_grad_() for n, v in params.items()
        }
        self.x = torch.randn(TASKS, ROWS, WIDTH)

    def alone(self) -> Tensor:
        """The base over all rows."""
        y: Tensor = self.module(self.x.flatten(0, 1))
        return y

    def ours(self) -> Tensor:
        """All children, each on its own rows."""
        return self.child(self.params, self.x)

    def formed(self) -> Tensor:
        """The same with every task's weights formed, as other libraries do."""
        return self.child(self.params, self.x, strategy="vmap")

    def trained(self, run: Callable[[], Tensor]) -> Callable[[], None]:
        """Forward and backward, to the base and to the corrections."""

        def step() -> None:
            run().square().mean().backward()
            for parameter in [*self.module.parameters(), *self.child.parameters()]:
                parameter.grad = None
            for parameter in self.params.values():
                parameter.grad = None

        return step

    def untrained(self, run: Callable[[], Tensor]) -> Callable[[], None]:
        """Forward only."""

        def step() -> None:
            with torch.no_grad():
                run()

        return step


def memory_of(how: str) -> float:
    """Memory of forward and backward over the imported process, base and inputs included."""
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch; torch.set_num_threads(1)
import corrections
from timing import peak_mb
torch.nn.Linear(2, 2)(torch.zeros(1, 2)).sum().backward()
before = peak_mb()
bench = corrections.Bench()
if {how!r} == "alone":
    bench.child = None
    step = lambda: bench.alone().square().mean().backward()
else:
    bench.module = None
    step = lambda: getattr(bench, {how!r})().square().mean().backward()
import gc; gc.collect()
for _ in range(3): step()
print(peak_mb() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    bench = Bench()
    torch.testing.assert_close(bench.ours(), bench.formed(), rtol=1e-3, atol=1e-4)
    rows = []
    for name, way in (("forward", bench.untrained), ("training", bench.trained)):
        rivals = {"alone": way(bench.alone), "ours": way(bench.ours), "formed": way(bench.formed)}
        timings = in_turns(rivals, "alone", budget_s=arguments.budget)
        for how in ("ours", "formed"):
            found = timings[how]
            rows.append(
                Row(f"exec-unmaterialised-{name}-{how}", found.ratio, found.low, found.high,
                    "times the base alone", False, found.rounds, [], 0, COMMAND,
                    f"{1000 * found.seconds:.1f} ms; 10.2 M parameters, rank 4, 16 tasks x 8 rows")
            )  # fmt: skip
    alone = memory_of("alone")
    for how in ("ours", "formed"):
        value = memory_of(how)
        rows.append(
            Row(f"exec-unmaterialised-memory-{how}", value / alone, None, None,
                "times the base alone", False, 1, [], 0, COMMAND,
                f"{value:.0f} MB against {alone:.0f} MB, peak of forward and backward")
        )  # fmt: skip
    write_rows("corrections", rows)


if __name__ == "__main__":
    main()
