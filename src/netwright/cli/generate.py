"""`netwright generate`."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from netwright.apps.control.flight import check_machine, parse_machine
from netwright.artifacts import tensors_to_bytes, write_file
from netwright.bank import write_shard
from netwright.cli.inputs import conditions_of, support_of, trained
from netwright.cli.output import print_json
from netwright.conditioners import Examples
from netwright.conditions import Condition, Texts
from netwright.environments import ENVIRONMENTS
from netwright.errors import RunError
from netwright.export import files_of, format_of
from netwright.generated import GeneratedNetwork
from netwright.hypernetwork import Hypernetwork

_FILES = (".safetensors", ".onnx", ".c", ".h", ".py", ".pt2")


def run_generate(
    run_folder: Path,
    support: Path | None,
    describe: str | None,
    context: tuple[str, ...],
    out: Path,
    *,
    weights: str,
    shifts: int | None,
    as_json: bool,
) -> None:
    """Write one network from a support set or a description or both, to a folder or to one file."""
    hypernetwork, run = trained(run_folder, weights, shifts)
    architecture = hypernetwork.child.architecture
    if architecture is None:
        raise RunError("This run writes a module of your own; use `load_hypernetwork` from Python.")
    examples, labels = None, tuple((hypernetwork.preparation or {}).get("labels", ()))
    if support is not None:
        examples, named = support_of(
            support,
            architecture.input_shape,  # type: ignore[attr-defined]
            hypernetwork.preparation,
            reader_of(hypernetwork),
        )
        labels = named or labels
    condition = Condition(
        examples=examples,
        context=_machine(hypernetwork.preparation, context) if context else None,
        description=None if describe is None else Texts([describe]),
    )
    hypernetwork.generate(condition)  # the first call pays for what is set up once
    started = time.perf_counter()
    network = hypernetwork.generate(condition, labels=labels)
    milliseconds = 1000 * (time.perf_counter() - started)
    size = save_network(network, out)
    count = 0 if examples is None else int(examples.mask.sum())
    if as_json:
        print_json(
            {
                "out": out,
                "run": run.digest,
                "parameters": network.size,
                "bytes": size,
                "milliseconds": milliseconds,
                "examples": count,
                "description": describe,
                "labels": labels,
            }
        )
        return
    sources = [f"{count} examples"] * (count > 0) + ["a description"] * (describe is not None)
    sources += [f"{len(condition.context[0])} numbers"] if condition.context is not None else []
    print(
        f"{out}: {network.size:,} parameters, {size:,} bytes, written from {' and '.join(sources)}"
    )
    told = f"; outputs: {', '.join(labels)}" if labels else ""
    print(f"in {milliseconds:.1f} ms{told}")
    if out.is_dir():
        print(f"next: netwright predict {out} INPUTS")


def run_generate_many(
    run_folder: Path,
    many: Path,
    out: Path,
    *,
    shard: str,
    at_rest: str,
    weights: str,
    shifts: int | None,
    as_json: bool,
) -> None:
    """Write the networks of one shard of many tasks, or find that they are there."""
    index, of = _shard(shard)
    hypernetwork, run = trained(run_folder, weights, shifts)
    condition, ids = conditions_of(many, hypernetwork.preparation, reader_of(hypernetwork))
    started = time.perf_counter()
    done = write_shard(
        hypernetwork,
        condition,
        ids,
        out,
        shard=(index, of),
        at_rest=at_rest,  # type: ignore[arg-type]
    )
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "folder": done.folder,
                "run": run.digest,
                "networks": done.networks,
                "of": len(ids),
                "was_there": done.was_there,
                "mended": done.mended,
                "seconds": seconds,
            }
        )
        return
    if done.mended:
        print(f"written anew: {done.mended}")
    what = "there already, whole" if done.was_there else f"written in {seconds:.1f} s"
    print(f"{done.folder}: {done.networks:,} networks of {len(ids):,}, {what}")
    if of > 1:
        print(f"next: the other shards of {of}; netwright.NetworkBank.load({str(out)!r}) reads all")


def reader_of(hypernetwork: Hypernetwork) -> Examples | None:
    """What reads support sets, if anything does."""
    return next((part for part in hypernetwork.modules() if isinstance(part, Examples)), None)


def _shard(text: str) -> tuple[int, int]:
    """Which shard of how many, from 0, from `3/16`."""
    first, slash, second = text.partition("/")
    if (
        not slash
        or not first.isdigit()
        or not second.isdigit()
        or not 1 <= int(first) <= int(second)
    ):
        raise RunError(f"`--shard` is {text!r}, expected such as 3/16: the third of sixteen.")
    return int(first) - 1, int(second)


def _machine(preparation: Mapping[str, Any] | None, context: tuple[str, ...]) -> Tensor:
    told = preparation or {}
    if told.get("kind") != "control":
        raise RunError(
            "`--context` says what a machine is like, and this run is of other tasks, expected one that "
            "`netwright train pendulum` or its like has made. Give contexts of other tasks with --many."
        )
    environment = ENVIRONMENTS[told["environment"]]()
    machine = parse_machine(environment, context)
    check_machine(environment, machine)
    return machine


def check_out(out: Path) -> None:
    """Refuse what no network can be saved as, before any is written.

    Raises:
        RunError: If its ending is another.
    """
    if out.suffix.lower() not in (*_FILES, "", ".network"):
        raise RunError(
            f"`--out` is {out}, expected a folder, or a file that ends in {', '.join(_FILES)}."
        )


def save_network(network: GeneratedNetwork, out: Path) -> int:
    """Save a network as its ending says; how many bytes that made.

    Raises:
        RunError: If its ending is another.
        ArtifactError: If it cannot be written, or has no such form.
    """
    check_out(out)
    ending = out.suffix.lower()
    if ending == ".safetensors":
        write_file(out, tensors_to_bytes(network.network.state_dict()))
    elif ending in _FILES:
        network.export(out)
        return sum(each.stat().st_size for each in files_of(out, format_of(out)))
    else:
        network.save(out)
    return out.stat().st_size if out.is_file() else sum(p.stat().st_size for p in out.iterdir())
