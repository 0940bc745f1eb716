"""`netwright design`."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from netwright.architectures import Limits, SearchSpace, to_record
from netwright.artifacts import write_file
from netwright.cli.generate import check_out, reader_of, save_network
from netwright.cli.inputs import labelled_rows, support_of, trained
from netwright.cli.output import json_text, next_folder, print_table
from netwright.conditions import Condition, ExampleSet, Texts
from netwright.errors import DataError, MissingExtraError, RunError
from netwright.hypernetwork import Hypernetwork
from netwright.runs import Run
from netwright.search import Design, Tried, design, draw
from netwright.search.scores import scored
from netwright.tasks import DataSet
from netwright.training import build_family


@dataclass(frozen=True)
class _Given:
    """What a search is for.

    Args:
        condition: What networks are written from.
        labels: Names of their outputs.
        held_out: What they are scored on; None for the support set in turn.
        rows: What polishing learns from; None for the support set.
        test: Rows that have no part in the search.
    """

    condition: Condition
    labels: tuple[str, ...]
    held_out: ExampleSet | None
    rows: ExampleSet | None = None
    test: ExampleSet | None = None


def run_design(
    run_folder: Path,
    *,
    support: Path | None,
    describe: str | None,
    held_out: Path | None,
    limits: Mapping[str, int | None],
    latency_ms: float | None,
    method: str,
    candidates: int,
    seed: int,
    by: str,
    polish: int,
    out: Path | None,
    picture: Path | None,
    folder: Path | None,
    resume: Path | None,
    weights: str,
    shifts: int | None,
    data_root: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Search, save the chosen network and the picture, and say what came of it."""
    if folder is not None and resume is not None:
        raise RunError(
            "Give --folder for a new search or --resume for one to go on with, not both."
        )
    if out is not None:
        check_out(out)
    if picture is not None and picture.suffix.lower() not in (".png", ".svg"):
        raise RunError(f"`--picture` is {picture}, expected a .png or an .svg file.")
    torch.set_num_threads(1)
    hypernetwork, run = trained(run_folder, weights, shifts)
    space = space_of(run, run_folder)
    given = _given(hypernetwork, run, space, support, describe, held_out, data_root)
    folder = resume or folder or next_folder("design")
    say = _Says(sys.stderr if as_json else sys.stdout, quiet, space)
    try:
        found = design(
            hypernetwork, space, given.condition, Limits(**limits), held_out=given.held_out,
            rows=given.rows, candidates=candidates, method=method, seed=seed, by=by.split(","),
            latency_ms=latency_ms, polish=polish, folder=folder, resume=resume is not None,
            labels=given.labels, say=say,
        )  # fmt: skip
    except (KeyboardInterrupt, SystemExit):
        print(f"stopped; go on with the same command and --resume {folder}", file=sys.stderr)
        raise
    out = out or folder / "network"
    size = save_network(found.network, out)
    drawn = _draw(found, picture or folder / "front.png", must=picture is not None)
    test = None if given.test is None else _score(found, given.test)
    report = {
        "folder": folder, "run": run.digest, "method": method, "seed": seed, **found.to_json(),
        "test": None if test is None else {"rows": int(given.test.mask.sum()), "value": test.value, "low": test.low, "high": test.high},  # type: ignore[union-attr]
        "out": out, "out_bytes": size, "picture": drawn,
    }  # fmt: skip
    write_file(folder / "front.json", (json_text(report) + "\n").encode())
    if as_json:
        print(json_text(report))
        return
    _print(found, space, test, given, out, size, drawn, folder)


def space_of(run: Run, folder: Path) -> SearchSpace:
    """The space of the architectures that a run's hypernetwork writes.

    Raises:
        RunError: If it writes one architecture only, or policies.
    """
    if run.family["name"] != "sized":
        name = run.family["name"]
        known = {"glyphs": "conv", "omniglot": "conv", "images": "conv"}
        raise RunError(
            f"{folder} writes networks of one architecture, expected a run over many of them. Train one: netwright "
            f"train {'FAMILY' if name in ('images', 'table', 'control') else name} --sizes {known.get(name, 'mlp')}"
        )
    if run.family["family"]["name"] == "control":
        raise RunError(
            f"{folder} writes policies, which are not scored on rows, expected networks for classes or values."
        )
    return SearchSpace.from_record(run.family["space"])


def _given(
    hypernetwork: Hypernetwork,
    run: Run,
    space: SearchSpace,
    support: Path | None,
    describe: str | None,
    held_out: Path | None,
    data_root: Path | None,
) -> _Given:
    inner = run.family["family"]
    if inner["name"] == "data-set":
        return _of_data_set(inner, space, support, describe, held_out, data_root)
    reads = hypernetwork.conditioner.reads
    if support is None and describe is None:
        raise RunError(
            f"Networks of this run are written from {' and '.join(n for n in reads if n != 'architecture')}, expected "
            f"{'--support' if 'examples' in reads else '--describe'}. Give it."
        )
    shape = space.smallest().input_shape
    labels = tuple((hypernetwork.preparation or {}).get("labels", ()))

    def read(path: Path) -> tuple[ExampleSet, tuple[str, ...]]:
        return support_of(path, shape, hypernetwork.preparation, reader_of(hypernetwork))

    examples, rows = None, None
    if support is not None:
        examples, named = read(support)
        labels = named or labels
    if held_out is not None:
        rows, named = read(held_out)
        if support is not None and named and named != labels:
            raise DataError(
                f"{held_out} has classes {list(named)} and {support} has {list(labels)}, expected the same ones. "
                "Give rows of every class, and of no other."
            )
    texts = None if describe is None else Texts([describe])
    return _Given(Condition(examples=examples, description=texts), labels, rows)


def _of_data_set(
    record: Mapping[str, Any],
    space: SearchSpace,
    support: Path | None,
    describe: str | None,
    held_out: Path | None,
    data_root: Path | None,
) -> _Given:
    if support is not None or describe is not None:
        raise RunError(
            f"Networks of this run are all for {record['data']}: they are written from their architecture alone, "
            "expected neither --support nor --describe. Give rows to score on with --held-out."
        )
    family = build_family(record, data_root=data_root)
    assert isinstance(family, DataSet)
    rows = {split: _whole(family, split) for split in ("train", "validation", "test")}
    if held_out is not None:
        shape = space.smallest().input_shape
        return _Given(
            Condition(),
            family.shape.labels,
            labelled_rows(held_out, shape, family.shape.outputs),
            rows["train"],
        )
    return _Given(Condition(), family.shape.labels, rows["validation"], rows["train"], rows["test"])


def _whole(family: DataSet, split: str) -> ExampleSet:
    """All rows of a split as those of one task."""
    places = torch.from_numpy(np.asarray(family.rows[split]))  # type: ignore[index]
    return ExampleSet.of(
        family.x[places][None], family.y[places][None], classes=family.shape.outputs
    )


class _Says:
    """Tells of candidates that are better than all before."""

    def __init__(self, file: Any, quiet: bool, space: SearchSpace) -> None:
        self.file, self.quiet, self.space = file, quiet, space
        self.best: Tried | None = None

    def __call__(self, tried: Tried) -> None:
        if tried.value is None or (self.best is not None and tried.merit <= self.best.merit):
            return
        self.best = tried
        if not self.quiet:
            print(
                f"candidate {tried.number + 1}: {tried.metric} {tried.value:.4f}, {tried.cost.bytes:,} bytes, "
                f"{short(tried, self.space)}",
                file=self.file,
                flush=True,
            )


def short(tried: Tried, space: SearchSpace) -> str:
    """What tells an architecture from the others of its space."""
    options = to_record(tried.architecture)
    values = [
        options[name]
        for name, choice in space.choices.items()
        if name in options and len(choice) > 1
    ]
    return " ".join(",".join(map(_plain, v)) if isinstance(v, list) else _plain(v) for v in values)


def _plain(value: Any) -> str:
    return {True: "+", False: "-"}[value] if isinstance(value, bool) else str(value)


@torch.no_grad()
def _score(found: Design, rows: ExampleSet) -> Tried:
    outputs = torch.cat([found.network(part) for part in rows.x[0].split(1_000)])
    return scored(found.chosen, outputs[None], rows)


def _draw(found: Design, path: Path, *, must: bool) -> Path | None:
    try:
        return draw(found, path)
    except MissingExtraError:
        if must:
            raise
        return None


def _print(
    found: Design, space: SearchSpace, test: Tried | None, given: _Given, out: Path, size: int,
    picture: Path | None, folder: Path,
) -> None:  # fmt: skip
    rows = [
        [
            "*" if each is found.chosen else "",
            _interval(each),
            f"{each.cost.bytes:,}",
            f"{each.cost.flops:,}",
            "" if each.latency_ms is None else f"{each.latency_ms:g}",
            short(each, space) + (f" +{each.polished}" if each.polished else ""),
        ]
        for each in found.front
    ]
    where = "" if found.folds == 1 else f" of the support set, held out in {found.folds} parts"
    print(
        f"{len(found.tried)} candidates, {found.limits}, scored on {found.rows:,} rows{where} (95 % intervals)"
    )
    title = f"front by {', '.join(found.by)}; * is chosen"
    print_table(title, ["", found.chosen.metric, "bytes", "flops", "ms", space.family], rows)
    if test is not None:
        assert given.test is not None
        print(
            f"the chosen one on {given.test.x.shape[1]:,} test rows, which had no part in it: {_interval(test)}"
        )
    print(f"{out}: {found.network.size:,} parameters, {size:,} bytes")
    if picture is not None:
        print(f"picture: {picture}")
    print(f"all candidates: {folder}/tried.jsonl")


def _interval(tried: Tried) -> str:
    digits = ".4f" if tried.metric == "accuracy" else ".4g"
    ends = "" if tried.low is None else f" [{tried.low:{digits}}, {tried.high:{digits}}]"
    return f"{tried.value:{digits}}{ends}"


__all__ = ["run_design", "short", "space_of"]
