"""From a record to a hypernetwork and its tasks, and a good default record for any task family."""

import difflib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from netwright.architectures import MLP, Architecture, Conv
from netwright.artifacts import understood
from netwright.child import Child
from netwright.conditioners import Architecture as ReadsArchitecture
from netwright.conditioners import Compose, Conditioner, Context, Description, Examples
from netwright.errors import ArtifactError, RunError
from netwright.generators import GENERATORS
from netwright.hypernetwork import Hypernetwork
from netwright.learners.records import writer_from_record
from netwright.rng import derive_seed
from netwright.runs import Run
from netwright.saved import is_saved, read_pretrained
from netwright.tasks import FAMILIES, TaskFamily, TaskShape
from netwright.training.checkpoints import Checkpoints
from netwright.training.state import load_weights
from netwright.writer import Writer


def default_child(
    shape: TaskShape, *, channels: int | None = None, hidden: tuple[int, ...] | None = None
) -> Architecture:
    """A small child that fits a family's tasks: convolutional for pictures, an MLP for vectors.

    Args:
        shape: What the tasks have in common.
        channels: Of a convolutional child; by default 8.
        hidden: Widths of the hidden layers of an MLP; by default 40 and 40, of a policy 32 and 32.

    Raises:
        RunError: If an option is given that the child does not have, or no child of ours reads the inputs.
    """
    sizes = [n for n in shape.x if n is not None]
    if shape.x == (None,):
        raise RunError(
            "The tasks are tables of any number of columns, which no child of one width fits. "
            "Use `netwright.tabular.TableWriter`, as benchmarks/pretrain_tables.py does."
        )
    if len(shape.x) not in (1, 3) or len(sizes) < len(shape.x):
        raise RunError(
            f"The tasks have inputs of shape {shape.x}, expected vectors (D,) or pictures (C, H, W). For "
            "sequences give a module of your own: `Hypernetwork(Child(module), default_conditioner(shape))`."
        )
    exchangeable = shape.kind == "exchangeable-classes"
    outputs: dict[str, Any] = {"classes" if exchangeable else "outputs": shape.outputs}
    if len(shape.x) == 3:
        if hidden is not None:
            raise RunError(
                f"`hidden` is {hidden} and the tasks have pictures, expected none: the child is "
                "convolutional. Give `channels` instead."
            )
        image = (sizes[0], sizes[1], sizes[2])
        return Conv(channels=8 if channels is None else channels, image=image, **outputs)
    if channels is not None:
        raise RunError(
            f"`channels` is {channels} and the tasks have vectors, expected none: the child is an "
            "MLP. Give `hidden` instead."
        )
    if shape.kind == "actions":
        # Small steps of the weights are to be small steps of what is done.
        return MLP(inputs=sizes[0], hidden=hidden or (32, 32), activation="tanh", **outputs)
    return MLP(inputs=sizes[0], hidden=(40, 40) if hidden is None else hidden, **outputs)


def default_training(shape: TaskShape) -> dict[str, Any]:
    """Settings of a training that suit a family's tasks."""
    if shape.kind == "actions":
        # A hundred rounds of acting, and 24 steps on each.
        return {
            "steps": 2_400, "tasks": 128, "validate_every": 240, "validation_tasks": 100,
            "warm_up": 20, "weight_decay": 0.0, "average": 0.98,
        }  # fmt: skip
    if "architecture" in shape.sources:
        # Each task of a step is a network of its own to run: fewer, and larger steps, averaged.
        return {
            "steps": 4_000, "tasks": 8, "validate_every": 500, "validation_tasks": 60,
            "learning_rate": 3e-3, "warm_up": 100, "average": 0.99, "weight_decay": 0.03,
        }  # fmt: skip
    return {"steps": 5_000, "tasks": 16, "validate_every": 500}


# How often a kind of condition is left out in training, where tasks have several.
CONDITION_DROPOUT = 0.25


def default_conditioner(
    shape: TaskShape, *, size: int = 64, channels: int | None = None, graph_is_read: bool = False
) -> Conditioner:
    """What reads the conditions of a family's tasks: each kind, and any of them alone.

    Args:
        shape: Of the tasks.
        size: E, the width of the embedding.
        channels: Of the encoder of examples.
        graph_is_read: Whether the generator reads the requested graph itself: beside other kinds it is not read here then.
    """
    beside = graph_is_read and len(shape.sources) > 1
    makers: dict[str, Callable[[], Conditioner]] = {
        "context": lambda: Context(list(shape.context[0]), list(shape.context[1]), size=size),
        "examples": lambda: _examples(shape, size, channels),
        "description": lambda: Description(size=size),
        "architecture": lambda: ReadsArchitecture(size=size, **({"depth": 0} if beside else {})),
    }
    parts = [makers[source]() for source in shape.sources]
    several = sum(not part.optional for part in parts) > 1
    # A network of a requested architecture with classes of its own is written from both or not at all.
    if several and set(shape.sources) == {"examples", "architecture"}:
        several = shape.kind != "exchangeable-classes"
    return (
        parts[0] if len(parts) == 1 else Compose(parts, dropout=CONDITION_DROPOUT if several else 0)
    )


def default_generator(shape: TaskShape) -> str:
    """Name of a generator that suits the default child of a family's tasks."""
    if "architecture" in shape.sources:
        return "graph"
    return "layer-tokens" if len(shape.x) == 3 else "dense"


def default_generator_options(shape: TaskShape) -> dict[str, Any]:
    """Options of the default generator that suit the default child of a family's tasks."""
    if "architecture" in shape.sources and len(shape.x) == 3 and shape.kind == "fixed-classes":
        # Convolutional networks of any depth: what each layer hands on at the start keeps deep ones as good as shallow ones.
        return {"mixtures": 48, "frequency": 1.0, "units": 32, "identity": 1.0}
    return {}


def default_size(shape: TaskShape) -> int:
    """E, the width of tokens that suits a family's tasks."""
    return 128 if default_generator_options(shape) else 64


def default_head_is_anchor(shape: TaskShape) -> bool:
    """Whether rows of class heads are to be closed forms alone."""
    return "architecture" in shape.sources and shape.kind == "exchangeable-classes"


def _examples(shape: TaskShape, size: int, channels: int | None) -> Conditioner:
    if channels is None:
        channels = 128 if len(shape.x) == 1 else 64
    exchangeable = shape.kind == "exchangeable-classes"
    if shape.examples is not None or shape.kind == "actions":
        inputs, outputs = shape.examples or (0, 0)
        return Examples((inputs,), size=size, outputs=outputs, labels="values", channels=channels)
    return Examples(
        shape.x,
        size=size,
        outputs=None if exchangeable else shape.outputs,
        labels=shape.kind,
        channels=channels,
        # So one hypernetwork for Omniglot networks of 2 to 32 kB was trained; what it alone brings was not separated.
        standardise=exchangeable and "architecture" in shape.sources,
    )


def make_hypernetwork(
    shape: TaskShape,
    *,
    seed: int,
    child: Architecture | None = None,
    conditioner: Conditioner | None = None,
    generator: str | None = None,
    head: str | None = None,
    size: int | None = None,
    encoder_channels: int | None = None,
    **generator_options: Any,
) -> Hypernetwork:
    """A hypernetwork for a family's tasks, its initial weights decided by `seed` alone.

    What is not given is as `default_generator`, `default_generator_options` and `default_size` say.

    Where tasks ask for architectures and have classes of their own, class rows are the anchor's alone by default, in
    units of the features: learned ones would be of one width.

    Raises:
        RunError: If an option is unknown or does not fit.
    """
    if head is None and default_head_is_anchor(shape):
        head = "anchor-only"
        generator_options.setdefault("anchor", "relative-prototype")
    if generator is None:
        generator_options = {**default_generator_options(shape), **generator_options}
    size = default_size(shape) if size is None else size
    name = generator or default_generator(shape)
    graph_is_read = name in GENERATORS and GENERATORS[name].reads_graph
    with seeded_weights(seed):
        return Hypernetwork(
            Child(child or default_child(shape)),
            conditioner
            or default_conditioner(
                shape, size=size, channels=encoder_channels, graph_is_read=graph_is_read
            ),
            name,
            head=head,  # type: ignore[arg-type]
            **generator_options,
        )


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Initial weights as a pure function of a seed; the random state around it is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        yield


def build_family(record: Mapping[str, Any], **overrides: Any) -> TaskFamily:
    """The task family that a record names.

    Args:
        record: {"name": name in `FAMILIES`, **options}.
        overrides: Options that take the place of recorded ones, such as `data_root`.

    Raises:
        RunError: If the name or an option is unknown.
        DataError: If its data cannot be read.
    """
    options = {**record, **{k: v for k, v in overrides.items() if v is not None}}
    check_family(options)
    name = options.pop("name")
    return FAMILIES[name](**options)


def check_family(record: Mapping[str, Any], place: str = "") -> None:
    """Refuse the record of a family that does not exist, or without what it needs; no data is read.

    Args:
        record: {"name": name in `FAMILIES`, **options}.
        place: Where it stands in a file, if it does.

    Raises:
        RunError: If the name or an option is unknown.
    """
    options = dict(record)
    name = options.pop("name", None)
    where = f"`{place}`: " if place else ""
    if name not in FAMILIES:
        raise RunError(
            f"{where}Task family {name!r} is not known, expected one of {sorted(FAMILIES)}, "
            f"a folder of pictures, or a CSV or Parquet file.{_nearest(str(name), FAMILIES)}"
        )
    known = inspect.signature(FAMILIES[name]).parameters
    if unknown := sorted(options.keys() - known.keys()):
        raise RunError(
            f"{where}Task family {name!r} has no option {unknown[0]!r}, expected some of {list(known)}. "
            f"Leave that option out.{_nearest(unknown[0], known)}"
        )
    needed = [k for k, p in known.items() if p.default is p.empty and k not in options]
    if needed:
        raise RunError(
            f"{where}Task family {name!r} needs the option {needed[0]!r}, expected it beside "
            f"{sorted(options)}. Give it."
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def build_hypernetwork(run: Run) -> Hypernetwork:
    """The untrained hypernetwork that a run starts from.

    Raises:
        RunError: If the run is of a rival of hypernetworks.
    """
    with seeded_weights(run.training.seed):
        return _hypernetwork(writer_from_record(run.hypernetwork), "the record")


def load_hypernetwork(
    folder: str | Path, *, child: Child | None = None, weights: str = "best"
) -> tuple[Hypernetwork, Run]:
    """A trained hypernetwork and the record of its run, from a run folder; see `load_writer`.

    Raises:
        RunError: If the run trained a rival of hypernetworks.
    """
    writer, run = load_writer(folder, child=child, weights=weights)
    return _hypernetwork(writer, str(folder)), run


def load_writer(
    folder: str | Path, *, child: Child | None = None, weights: str = "best"
) -> tuple[Writer, Run]:
    """A trained hypernetwork, or a rival of one, and the record of its run, from a run folder.

    Args:
        folder: A run folder, or what `Writer.save_pretrained` made of one.
        child: What it writes, for children that are modules of the user's own.
        weights: `best` by validation, or `last`; of a saved folder what is in it.

    Raises:
        ArtifactError: If there is no checkpoint, or it is damaged, newer, or of another kind.
        RunError: If its record cannot be used, or `weights` is neither.
    """
    if weights not in ("best", "last"):
        raise RunError(f"`weights` is {weights!r}, expected 'best' or 'last'.")
    folder = Path(folder)
    if not folder.is_dir():
        raise ArtifactError(
            f"{folder} is not a folder, expected a run folder that `netwright train` made."
        )
    if is_saved(folder):
        return _saved(folder, child, weights)
    checkpoints = Checkpoints(folder)
    checkpoint = checkpoints.newest()
    run = Run.from_json(
        checkpoint.files.get("run.json", b""), name=f"run record in {checkpoint.path}"
    )
    with understood(str(checkpoint.path)):
        best = checkpoint.best_step
    if weights == "best" and best >= 0 and best != checkpoint.step:
        checkpoint = checkpoints.read(best)
    with seeded_weights(run.training.seed), understood(str(checkpoint.path)):
        writer = writer_from_record(run.hypernetwork, child=child)
        load_weights(writer, checkpoint.files, str(checkpoint.path))
        writer.preparation = json.loads(checkpoint.files["preparation.json"])
    writer.run, writer.run_digest, writer.run_folder = run, run.digest, str(folder)
    return writer.eval(), run


def _saved(folder: Path, child: Child | None, weights: str) -> tuple[Writer, Run]:
    """What `Writer.save_pretrained` made of a run."""
    saved = read_pretrained(folder)
    if saved.run is None:
        raise RunError(
            f"{folder} was saved without the record of a run, expected one: no command knows its tasks. Use "
            "`Hypernetwork.from_pretrained` from Python."
        )
    if weights != "best":
        raise RunError(f"{folder} holds one set of weights, expected no `--weights`. Leave it out.")
    with torch.random.fork_rng(devices=[]), understood(str(folder)):
        writer = writer_from_record(saved.record, child=child)
        saved.fill(writer)
    return writer, saved.run


def _hypernetwork(writer: Writer, name: str) -> Hypernetwork:
    if not isinstance(writer, Hypernetwork):
        raise RunError(
            f"{name} is of {type(writer).__name__}, expected a hypernetwork. Use `load_writer`."
        )
    return writer


__all__ = [
    "build_family",
    "build_hypernetwork",
    "check_family",
    "default_child",
    "default_conditioner",
    "default_generator",
    "default_generator_options",
    "default_size",
    "default_training",
    "load_hypernetwork",
    "load_writer",
    "make_hypernetwork",
    "seeded_weights",
]
