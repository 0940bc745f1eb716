"""Every architecture family in every format: answers beside torch's; speed, size, and what int8 costs.

    python benchmarks/export_matrix.py             # about four CPU-minutes, needs a C compiler and the extra `export`
    python benchmarks/export_matrix.py speed       # one part of it: matrix, int8 or speed

Networks are of their family's usual sizes, with weights moved from where they start, three seeds each; inputs are normal. What
int8 costs is measured with children trained on handwritten digits of 8 x 8: accuracy on 100 rows of calibration, and on 897 rows
that neither training nor calibration has seen.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from netwright.architectures import (
    ARCHITECTURES,
    MLP,
    Architecture,
    Conv,
    ConvNet,
    Recurrent,
    RecurrentPolicy,
    Residual,
    TableNet,
    Transformer,
)
from netwright.conditions import ExampleSet
from netwright.export import FORMATS, compare_formats, export_network, export_onnx_int8
from netwright.export.latency import TORCH, open_exported

sys.path.insert(0, str(Path(__file__).parent))
from records import Row, write_rows

COMMAND = "python benchmarks/export_matrix.py"
SEEDS, ROWS, TOLERANCE, ROUNDS = (0, 1, 2), 64, 1e-5, 301
MEMBERS: dict[str, list[Architecture]] = {
    "mlp": [MLP(64, (64, 64), outputs=10), MLP(8, (40, 40), outputs=1, activation="tanh")],
    "conv": [Conv(channels=8, depth=4, classes=5), Conv(channels=32, depth=3, outputs=10, image=(3, 32, 32))],
    "conv-net": [
        ConvNet(channels=(8, 8, 16), strides=(2, 1, 2), skips=(False, True, False), classes=5),
        ConvNet((6, 6), (5, 3), (2, 1), (False, True), outputs=10, norm="none", activation="gelu"),
    ],
    "residual": [Residual(64, outputs=10), Residual(20, width=48, blocks=4, outputs=3, activation="silu")],
    "recurrent": [
        Recurrent(3, 20, width=32, outputs=2),
        Recurrent(8, 30, width=24, layers=2, cell="lstm", outputs=4, read="all"),
    ],
    "recurrent-policy": [RecurrentPolicy(6, hidden=48, outputs=1)],
    "table-net": [TableNet(10, classes=3), TableNet(40, hidden=64, ramps=20, classes=2)],
    "transformer": [Transformer(3, 20, outputs=2), Transformer(8, 32, width=48, heads=4, depth=2, outputs=5)],
}  # fmt: skip
EXACT = [name for name in FORMATS if name != "onnx-int8"]
DIGITS = {
    "mlp": MLP(64, (64, 64), outputs=10),
    "conv": Conv(channels=16, depth=2, outputs=10, image=(1, 8, 8)),
}


@dataclass(frozen=True)
class Cell:
    """The largest difference of one family in one format, relative to the largest answer; NaN if it failed."""

    gap: float
    reason: str = ""


def main() -> None:
    torch.set_num_threads(1)
    assert set(MEMBERS) == set(ARCHITECTURES)
    for part in sys.argv[1:] or PARTS:
        write_rows("export_matrix", PARTS[part]())


def matrix_rows() -> list[Row]:
    """How many pairs of family and format are within tolerance."""
    started = time.process_time()
    cells = {(f, n): cell_of(f, n) for f in MEMBERS for n in EXACT}
    return [matrix_row(cells, time.process_time() - started)]


def cell_of(family: str, name: str) -> Cell:
    """Export each member with each seed, run the file, and take the largest difference."""
    largest = 0.0
    for architecture in MEMBERS[family]:
        for seed in SEEDS:
            network = shaken(architecture, seed)
            x = torch.randn(
                ROWS, *architecture.input_shape, generator=torch.Generator().manual_seed(seed)
            )
            with torch.no_grad():
                expected = network(x).numpy()
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"net{FORMATS[name].endings[0]}"
                try:
                    export_network(
                        network,
                        architecture.input_shape,
                        path,
                        format=name,
                        class_head=architecture.class_head,
                    )
                    answer = open_exported(name, path, network, expected.shape[1:])(x.numpy())
                except ValueError as error:
                    print(f"{family} {name}: {error}", file=sys.stderr)
                    return Cell(float("nan"), str(error))
            gap = float(np.abs(answer - expected).max() / max(1.0, np.abs(expected).max()))
            largest = max(largest, gap)
    return Cell(largest)


def shaken(architecture: Architecture, seed: int) -> nn.Module:
    """A network whose scales are no ones and whose biases are no zeros."""
    torch.manual_seed(seed)
    network = architecture.build().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def matrix_row(cells: dict[tuple[str, str], Cell], seconds: float) -> Row:
    within = sum(cell.gap <= TOLERANCE for cell in cells.values())
    table = "; ".join(
        f"{family}: " + ", ".join(f"{name} {cells[family, name].gap:.0e}" for name in EXACT)
        for family in MEMBERS
    )
    networks = sum(map(len, MEMBERS.values())) * len(SEEDS)
    return Row(
        "export-matrix", within, None, None, "pairs of family and format", True, len(cells), list(SEEDS), seconds, COMMAND,
        f"of {len(cells)} within {TOLERANCE:g} of torch, relative to the largest answer; {networks} networks of "
        f"{len(MEMBERS)} families, {ROWS} inputs each; largest difference of each pair: {table}",
    )  # fmt: skip


def int8_rows() -> list[Row]:
    """Accuracy lost by int8 on rows of calibration and on rows that nothing has seen."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    found = []
    for family, architecture in DIGITS.items():
        started, lost, seen, sizes, accuracy = time.process_time(), [], [], [], []
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(len(digits.target))
            x = (
                torch.from_numpy(digits.data[order] / 16)
                .float()
                .reshape(-1, *architecture.input_shape)
            )
            y = torch.from_numpy(digits.target[order]).long()
            network = trained(architecture, x[:800], y[:800], seed)
            support = ExampleSet.of(x[800:900][None], y[800:900][None], classes=10)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "net.onnx"
                cost = export_onnx_int8(
                    network, architecture.input_shape, path, calibration=support
                )
                answer = open_exported("onnx-int8", path, network, (10,))(x[900:].numpy())
            with torch.no_grad():
                expected = network(x[900:]).numpy()
            before, after = (
                (each.argmax(1) == y[900:].numpy()).mean() for each in (expected, answer)
            )
            lost.append(float(100 * (before - after)))
            seen.append(100 * (cost.before - cost.after))
            accuracy.append(float(100 * before))
            sizes.append((cost.bytes_before, cost.bytes_after))
        found.append(
            Row(
                f"export-int8-digits-{family}", statistics.mean(lost), min(lost), max(lost), "points of accuracy", False,
                len(SEEDS), list(SEEDS), time.process_time() - started, COMMAND,
                f"lost on {len(y) - 900} unseen rows, of {statistics.mean(accuracy):.2f} %; on the 100 rows of calibration, as the "
                f"export says: {statistics.mean(seen):.2f}; bytes of ONNX {sizes[0][0]:,} to {sizes[0][1]:,}; low and high "
                "are the least and largest seed",
            )
        )  # fmt: skip
    return found


def trained(architecture: Architecture, x: torch.Tensor, y: torch.Tensor, seed: int) -> nn.Module:
    """400 steps of Adam on 64 rows."""
    torch.manual_seed(seed)
    network = architecture.build()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(400):
        rows = torch.randint(len(x), (64,))
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
        optimiser.step()
    return network.eval()


def speed_rows() -> list[Row]:
    """One input and 32, of the child of the demo and of an MLP."""
    found = []
    for family, architecture in (("conv", MEMBERS["conv"][0]), ("mlp", MEMBERS["mlp"][0])):
        started = time.process_time()
        network = shaken(architecture, 0)
        speeds = compare_formats(
            network,
            architecture.input_shape,
            calibration=torch.rand(32, *architecture.input_shape),
            class_head=architecture.class_head,
            rounds=ROUNDS,
        )
        (torch_speed,) = (each for each in speeds if each.format == TORCH)
        seconds = time.process_time() - started
        for each in speeds:
            assert each.single_us is not None, each.reason
            found.append(
                Row(
                    f"export-speed-{family}-{each.format}", each.single_us, None, None, "microseconds", False, ROUNDS, [0],
                    seconds, COMMAND,
                    f"one input, {architecture.parameters:,} parameters, median of {ROUNDS} turns; 32 inputs {each.batch_us:.0f}; "
                    f"{each.bytes:,} bytes; torch takes {torch_speed.single_us / each.single_us:.2f} and "
                    f"{torch_speed.batch_us / each.batch_us:.2f} times as long in the same turns",
                )
            )  # fmt: skip
    return found


PARTS = {"matrix": matrix_rows, "int8": int8_rows, "speed": speed_rows}

if __name__ == "__main__":
    main()
