"""`netwright save`."""

from pathlib import Path

from netwright.cli.output import print_json
from netwright.saved import evaluations_of, is_saved
from netwright.training import load_writer


def run_save(run_folder: Path, out: Path, *, weights: str, as_json: bool) -> None:
    """Make a folder of a run's hypernetwork, with the evaluations that are of its weights in the card."""
    writer, run = load_writer(run_folder, weights=weights)
    evaluations = [] if is_saved(run_folder) else evaluations_of(writer)
    writer.save_pretrained(out, evaluations=evaluations)
    size = sum(path.stat().st_size for path in out.iterdir())
    numbers = sum(parameter.numel() for parameter in writer.parameters())
    splits = [str(report["split"]) for report in evaluations]
    if as_json:
        print_json(
            {"out": out, "run": run.digest, "parameters": numbers, "bytes": size, "evaluations": splits}
        )  # fmt: skip
        return
    print(f"{out}: {type(writer).__name__} of {numbers:,} parameters, {size:,} bytes")
    if splits:
        print(f"its card, {out / 'README.md'}, tells of the evaluations on: {', '.join(splits)}")
    else:
        print(f"its card says that it is not evaluated; first: netwright evaluate {run_folder}")
    print(f"next: netwright generate {out} --support DIR --out NETWORK")
