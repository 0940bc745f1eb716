"""Meta-train the hypernetwork for tables, and put it into the package.

    python benchmarks/pretrain_tables.py --steps 2000 --branches fixed --folder runs/tables     # what the package holds
    python benchmarks/pretrain_tables.py --folder runs/tables --package         # half precision, about 0.2 MB

Ctrl-C, and again goes on. Only made-up tables are seen. The package then holds weights, run record and log.
"""

import argparse
from pathlib import Path

import torch

import netwright as nw
from netwright.artifacts import tensors_to_bytes, write_artifact
from netwright.estimators.pretrained import KIND, TABLES
from netwright.tabular import TableWriter
from netwright.tasks import SyntheticTables
from netwright.training import Checkpoints, load_writer
from netwright.training.plan import resolve_device
from netwright.training.recipe import seeded_weights

PACKAGE = Path(nw.__file__).parent / "pretrained" / TABLES


def train(
    folder: Path, steps: int, seed: int, learning_rate: float, device: str, branches: str
) -> None:
    """Train, or go on where a run was stopped."""
    with seeded_weights(seed):
        writer = TableWriter(branches=branches)  # type: ignore[arg-type]
    nw.train(
        writer,
        SyntheticTables(device=resolve_device(device)),
        folder=folder,
        resume=bool(Checkpoints(folder).steps()),
        steps=steps,
        tasks=8,
        learning_rate=learning_rate,
        weight_decay=1e-4,
        average=0.999,
        validate_every=1_000,
        validation_tasks=400,
        checkpoint_every=250,
        seed=seed,
        device=device,
    )


def package(folder: Path, to: Path) -> None:
    """The last weights in half precision, with the record and the log of their run."""
    writer, _ = load_writer(folder, weights="last")
    weights = {name: value.half() for name, value in writer.state_dict().items()}
    write_artifact(
        to,
        KIND,
        {
            "model.safetensors": tensors_to_bytes(weights),
            "run.json": Checkpoints(folder).newest().files["run.json"],
            "log.jsonl": (folder / "log.jsonl").read_bytes(),
        },
    )


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--branches", choices=["learned", "fixed"], default="learned")
    parser.add_argument("--package", action="store_true", help="do not train; fill the package")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.package:
        package(args.folder, PACKAGE)
    else:
        train(args.folder, args.steps, args.seed, args.learning_rate, args.device, args.branches)


if __name__ == "__main__":
    main()
