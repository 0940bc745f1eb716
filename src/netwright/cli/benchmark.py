"""`netwright benchmark`."""

from dataclasses import asdict
from pathlib import Path

from netwright.cli.export import calibration_of
from netwright.cli.output import print_json, print_table
from netwright.export import FORMATS, compare_formats
from netwright.export.latency import BATCH
from netwright.generated import load_network


def run_benchmark(
    folder: Path, *, formats: str | None, calibration: Path | None, rounds: int, as_json: bool
) -> None:
    """Say how fast and how large a saved network is in each format."""
    network = load_network(folder)
    names = (
        tuple(FORMATS) if formats is None else tuple(each.strip() for each in formats.split(","))
    )
    found = compare_formats(
        network.network,
        network.input_shape,
        formats=names,
        calibration=None if calibration is None else calibration_of(calibration, network),
        class_head=None if network.architecture is None else network.architecture.class_head,
        rounds=rounds,
    )
    if as_json:
        print_json(
            {
                "network": folder,
                "parameters": network.size,
                "batch": BATCH,
                "rounds": rounds,
                "formats": [asdict(each) for each in found],
            }
        )
        return
    rows = [
        [
            each.format,
            f"{each.single_us:,.1f}",
            f"{each.batch_us:,.1f}",
            f"{each.bytes:,}",
            f"{each.gap:.1g}",
        ]
        for each in found
        if not each.reason
    ]
    title = f"{folder}: {network.size:,} parameters; one thread, {rounds} turns of each, medians"
    print_table(
        title, ["format", "µs, 1 input", f"µs, {BATCH} inputs", "bytes", "difference"], rows
    )
    for each in found:
        if each.reason:
            print(f"{each.format}: {each.reason}")


__all__ = ["run_benchmark"]
