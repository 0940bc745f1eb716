"""What things cost before any learning: importing, `--help`, writing a network.

    python benchmarks/costs.py         # about a minute

Import times are medians over fresh processes, interleaved with their reference in each round.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import netwright as nw
from netwright.evaluation import generation_ms
from netwright.rng import stream

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

COMMAND = "python benchmarks/costs.py"
ROUNDS = 9


def seconds_of(code: str) -> float:
    """Wall-clock seconds of a fresh process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - start


def import_rows() -> list[Row]:
    """Importing netwright with all its public names over importing torch; `netwright --help`."""
    torch_alone = "import torch"
    everything = "import netwright as nw\nfor name in nw.__all__: getattr(nw, name)"
    ask = "import sys; sys.argv = ['netwright', '--help']; from netwright.cli import main; main()"
    extra, asked = [], []
    seconds_of(everything)
    for _ in range(ROUNDS):
        reference = seconds_of(torch_alone)
        extra.append(seconds_of(everything) - reference)
        asked.append(seconds_of(ask))
    return [
        row("import-seconds", extra, "s over `import torch`", "every public name loaded"),
        row("help-seconds", asked, "s", "`netwright --help`, the whole process"),
    ]


def row(name: str, values: list[float], unit: str, note: str) -> Row:
    """Median, smallest and largest of some rounds."""
    low, high = min(values), max(values)
    return Row(
        name, statistics.median(values), low, high, unit, False, len(values), [], 0, COMMAND, note
    )


def generation_rows() -> list[Row]:
    """CPU-milliseconds to write 5-way 1-shot networks of the 8-channel child."""
    tasks = nw.tasks.Glyphs(ways=5, shots=1)
    hypernetwork = nw.make_hypernetwork(tasks.shape, seed=0).eval()
    condition = tasks.sample(stream(0, "cost"), 64, "test").condition
    one = condition.rows(slice(0, 1))
    alone = [generation_ms(hypernetwork, one, rounds=5) for _ in range(ROUNDS)]
    together = [generation_ms(hypernetwork, condition, rounds=5) / 64 for _ in range(ROUNDS)]
    modules = []
    for _ in range(ROUNDS):
        start = time.process_time()
        hypernetwork.generate_many(condition)
        modules.append(1000 * (time.process_time() - start) / 64)
    note = "encoder, generator and anchor; 2,029 parameters"
    return [
        row("generate-ms-alone", alone, "CPU-ms", note),
        row("generate-ms-64", together, "CPU-ms per task at T = 64", note),
        row(
            "generate-ms-64-modules",
            modules,
            "CPU-ms per task at T = 64",
            "as modules with provenance",
        ),
    ]


def main() -> None:
    """Run and write."""
    torch.set_num_threads(1)
    write_rows("costs", [*generation_rows(), *import_rows()])


if __name__ == "__main__":
    main()
