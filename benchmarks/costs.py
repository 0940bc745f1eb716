"""What things cost before any learning: importing, `--help`, writing a network, drawing tasks.

    python benchmarks/costs.py         # about two minutes

Import times are medians over fresh processes, interleaved with their reference in each round.
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import netwright as nw
from netwright.evaluation import generation_ms
from netwright.rng import stream
from netwright.training.step import training_step

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


def sampling_rows() -> list[Row]:
    """CPU-time of drawing a batch of training tasks over that of the whole step."""
    with tempfile.TemporaryDirectory() as folder:
        families = [
            ("sine", nw.tasks.Sine()),
            ("glyphs", nw.tasks.Glyphs(jitter=1)),
            ("images", nw.tasks.Images(_write_pictures(Path(folder)))),
            ("table", nw.tasks.Table(_write_table(Path(folder)), task="store", target="units")),
        ]
        with contextlib.suppress(nw.errors.DataError):
            omniglot = nw.tasks.Omniglot(ways=20, queries=5, jitter=2, warps=5, download=False)
            families.append(("omniglot", omniglot))
        return [
            row(
                f"sampling-share-{name}{'' if tasks == 16 else f'-{tasks}'}",
                shares_of(family, tasks),
                "of a training step",
                f"{tasks} tasks",
            )
            for name, family in families
            for tasks in ((16, 64) if len(family.shape.x) == 1 else (16,))
        ]


def shares_of(family: nw.tasks.TaskFamily, tasks: int, rounds: int = 25) -> list[float]:
    """Per round, the share of sampling in sampling and step."""
    hypernetwork = nw.make_hypernetwork(family.shape, seed=0)
    objective = nw.objectives.OBJECTIVES[family.shape.kind]()
    optimiser = torch.optim.AdamW(hypernetwork.parameters(), fused=True)
    shares = []
    for i in range(rounds + 3):
        start = time.process_time()
        batch = family.sample(stream(0, "cost", i), tasks, "train")
        between = time.process_time()
        training_step(hypernetwork, objective, optimiser, batch, clip=1.0)
        end = time.process_time()
        shares.append((between - start) / (end - start))
    return shares[3:]


def _write_pictures(root: Path) -> Path:
    """Glyphs as a person's own folder of pictures."""
    pool = nw.tasks.Glyphs().pools["train"]
    pictures = pool.images[: 60 * 20].reshape(60, 20, 28, 28).numpy()
    for c, of_class in enumerate(pictures):
        (root / "pictures" / str(c)).mkdir(parents=True)
        for i, picture in enumerate(of_class):
            Image.fromarray(picture).save(root / "pictures" / str(c) / f"{i}.png")
    return root / "pictures"


def _write_table(root: Path) -> Path:
    """200 stores of 200 rows with a category and missing values."""
    rng = np.random.default_rng(0)
    lines = ["store,a,b,kind,units"]
    for store in range(200):
        for a, b, units in rng.normal(size=(200, 3)).tolist():
            lines.append(f"s{store},{a},{'' if b > 2 else b},{'xyz'[int(b) % 3]},{units}")
    path = root / "sales.csv"
    path.write_text("\n".join(lines))
    return path


def main() -> None:
    """Run and write."""
    torch.set_num_threads(1)
    write_rows("costs", [*generation_rows(), *sampling_rows(), *import_rows()])


if __name__ == "__main__":
    main()
