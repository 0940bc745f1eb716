"""Meta-train the hypernetwork that writes networks for drawings, measure it, and put it into the package.

    python benchmarks/studio_hypernetwork.py --folder runs/drawings              # about 20 CPU-minutes; what the package holds
    python benchmarks/studio_hypernetwork.py --folder runs/drawings --package    # half precision, about 1 MB
    python benchmarks/studio_hypernetwork.py --evaluate                          # of what the package holds, on unseen alphabets and scripts

Ctrl-C, and again goes on. Weights are those of the best validation, on alphabets and scripts of their own.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

import netwright as nw
from netwright.architectures import Conv
from netwright.artifacts import tensors_to_bytes, write_artifact
from netwright.estimators.pretrained import DRAWINGS, KIND, pretrained_drawings
from netwright.evaluation.evaluate import fixed_batches
from netwright.evaluation.statistics import mean_estimate
from netwright.process import keep_freed_memory
from netwright.tasks import Drawings
from netwright.training import Checkpoints, curves

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

PACKAGE = Path(nw.__file__).parent / "pretrained" / DRAWINGS
EPISODES = 600
SOURCES = """\
What these weights were trained on; no picture of either is in this folder.

Omniglot, background alphabets: Brenden M. Lake, Ruslan Salakhutdinov, Joshua B. Tenenbaum, Human-level concept learning
through probabilistic program induction, Science 350 (2015). MIT licence, github.com/brendenlake/omniglot.

Characters drawn from fonts that matplotlib ships:
  DejaVu Sans (regular, bold, oblique, bold oblique), DejaVu Serif (regular, bold, italic), DejaVu Sans Mono: changes in
  the public domain, the glyphs of Bitstream Vera and Arev under their own licences, which allow use in any document.
  STIX General: SIL Open Font Licence 1.1.
"""
# Evaluated sizes: ways, shots.
SIZES = [(2, 1), (5, 1), (5, 5), (10, 1), (10, 5)]


def train(folder: Path, steps: int, seed: int) -> None:
    """Train, or go on where a run was stopped."""
    tasks = Drawings(ways=(2, 10), shots=(1, 5), queries=6)
    child = Conv(channels=16, classes=10)
    result = nw.train(
        nw.make_hypernetwork(tasks.shape, seed=seed, child=child),
        tasks,
        folder=folder,
        resume=bool(Checkpoints(folder).steps()),
        steps=steps,
        tasks=16,
        learning_rate=3e-3,
        weight_decay=1e-4,
        average=0.998,
        validate_every=max(1, steps // 11),
        validation_tasks=400,
        checkpoint_every=250,
        seed=seed,
    )
    curves.draw(folder, result.log)
    print(f"{folder}: {result.step} steps in {result.cpu_seconds:.0f} CPU-seconds")


def package(folder: Path, to: Path) -> None:
    """The weights of the best validation in half precision, with the record, the log and an evaluation of their run."""
    writer, run = nw.load_hypernetwork(folder)
    weights = {name: value.half() for name, value in writer.state_dict().items()}
    writer.load_state_dict({name: value.float() for name, value in weights.items()})
    tasks = Drawings(ways=5, shots=1, queries=10)
    found = nw.evaluate(writer, tasks, tasks=EPISODES).to_json()
    evaluation = {
        "run": run.digest,
        "family": {"name": "drawings", **tasks.record()},
        "seed": 0,
        **found,
    }
    newest = Checkpoints(folder).newest().files
    write_artifact(
        to,
        KIND,
        {
            "model.safetensors": tensors_to_bytes(weights),
            "run.json": newest["run.json"],
            "progress.json": newest["progress.json"],
            "log.jsonl": (folder / "log.jsonl").read_bytes(),
            "SOURCES.txt": SOURCES.encode(),
            "evaluation-test.json": (json.dumps(evaluation, indent=2) + "\n").encode(),
        },
    )


def evaluate(seed: int) -> list[Row]:
    """Fixed episodes of test alphabets and test scripts, written by what the package holds."""
    hypernetwork = pretrained_drawings()
    rows = []
    for source in ("omniglot", "glyphs"):
        for ways, shots in SIZES:
            started = time.process_time()
            tasks = Drawings(ways, shots, queries=10, source=source)
            found = nw.evaluate(hypernetwork, tasks, tasks=EPISODES, seed=seed)
            accuracy, shuffled = found.metrics["accuracy"], found.shuffled["accuracy"]
            pixels = mean_estimate(
                torch.cat([nearest_mean(b) for b in fixed_batches(tasks, "test", EPISODES, seed)])
            )
            note = (
                f"shipped half-precision weights; nearest mean of pixels {100 * pixels.value:.1f}; shuffled condition "
                f"{100 * shuffled.value:.1f}; calibration error {found.calibration_error:.3f}; "
                f"{found.parameters} parameters, {found.generate_ms:.1f} ms"
            )
            rows.append(
                Row(
                    f"studio-drawings-{source}-{ways}w{shots}s",
                    100 * accuracy.value, 100 * accuracy.low, 100 * accuracy.high,
                    "% accuracy", True, EPISODES, [seed], round(time.process_time() - started),
                    "python benchmarks/studio_hypernetwork.py --evaluate", note,
                )
            )  # fmt: skip
    return rows


def nearest_mean(batch: nw.tasks.TaskBatch) -> torch.Tensor:
    """Accuracy [T] of the nearest mean of pixels: what needs no hypernetwork."""
    support = batch.condition.examples
    assert support is not None
    assert support.classes is not None
    x, query = support.x.flatten(2), batch.query.x.flatten(2)
    member = torch.nn.functional.one_hot(support.y, support.classes).to(x.dtype)
    means = torch.einsum("tsc,tsd->tcd", member, x) / member.sum(1).unsqueeze(-1)
    return (torch.cdist(query, means).argmin(-1) == batch.query.y).float().mean(1)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--steps", type=int, default=5_500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--package", action="store_true", help="do not train; fill the package")
    parser.add_argument("--evaluate", action="store_true", help="do not train; measure the package")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    if args.evaluate:
        write_rows("studio_hypernetwork", evaluate(args.seed))
    elif args.folder is None:
        parser.error("--folder is missing: where the run lies or is to lie")
    elif args.package:
        package(args.folder, PACKAGE)
    else:
        train(args.folder, args.steps, args.seed)


if __name__ == "__main__":
    main()
