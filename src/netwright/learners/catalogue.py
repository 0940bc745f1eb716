"""Every way of learning from little data that a hypernetwork is compared with, by name.

Not part of `netwright.learners` itself: it builds on the room `training`, which reads learners' records.
"""

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from netwright.architectures import MLP, Architecture, Conv, RecurrentPolicy
from netwright.child import Child
from netwright.class_head import Head
from netwright.emission import EMISSIONS, Emission, LowRank, emission_of
from netwright.errors import RunError
from netwright.generators import GENERATORS
from netwright.hypernetwork import Hypernetwork
from netwright.learners.adapted_embedding import AdaptedEmbedding
from netwright.learners.adapted_policy import AdaptedPolicy
from netwright.learners.adapted_weights import AdaptedWeights
from netwright.learners.base import Learner
from netwright.learners.cavia import Cavia
from netwright.learners.closed_form import ClosedForm
from netwright.learners.estimator import Estimator
from netwright.learners.fine_tune import FineTune
from netwright.learners.generate import Generate
from netwright.learners.joint_learner import Joint, TunedJoint
from netwright.learners.nearest import NearestNeighbour
from netwright.learners.reptile import Reptile
from netwright.learners.reptile_hypernetwork import ReptileHypernetwork
from netwright.learners.start import ClassRows, Start
from netwright.objectives import OBJECTIVES
from netwright.objectives.memory import told_width
from netwright.tasks import Control, TaskFamily
from netwright.training.recipe import (
    default_child,
    default_conditioner,
    default_generator,
    seeded_weights,
)

Grid = Mapping[str, tuple[Any, ...]]
ESTIMATOR = "sklearn:"


@dataclass(frozen=True)
class Kind:
    """A kind of learner.

    Args:
        make: From a task family, a child architecture and options, a learner that is not trained yet.
        before: Options that are chosen by short trainings, scored on validation tasks.
        at_use: Options that are chosen on validation tasks once the learner is trained.
        passes_on: Where `make` hands options on that it does not name itself.
    """

    make: Callable[..., Learner]
    before: Grid = field(default_factory=dict)
    at_use: Grid = field(default_factory=dict)
    passes_on: Callable[..., Any] | None = None

    def options(self, given: Mapping[str, Any]) -> list[str]:
        """Names of all options that the kind takes, beside those given."""
        names = _keywords(self.make)
        if self.passes_on is not None:
            generator = given.get("generator")
            kinds = [GENERATORS[generator]] if generator in GENERATORS else GENERATORS.values()
            names += [*_keywords(self.passes_on), *(n for kind in kinds for n in _keywords(kind))]
        fixed = {"base", *getattr(self.make, "keywords", {})}
        return [name for name in dict.fromkeys(names) if name not in fixed]


def _keywords(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


def make_learner(
    kind: str,
    family: TaskFamily,
    *,
    child: Architecture | None = None,
    seed: int = 0,
    **options: Any,
) -> Learner:
    """A learner by its kind, its initial weights decided by `seed` alone.

    Args:
        kind: Name in `LEARNERS`, or `sklearn:` and the name of an estimator of scikit-learn.
        family: Where tasks come from.
        child: The network that is written or adapted; by default what suits the family.
        seed: Decides initial weights.
        options: Of the kind.

    Raises:
        RunError: If a name is unknown, or the kind does not suit the family.
        MissingExtraError: If it needs a package that is not installed.
    """
    child = child or default_child(family.shape)
    known = kind_named(kind)
    if family.shape.kind == "actions" and kind not in ACTING:
        raise RunError(
            f"Learner {kind!r} learns from examples with answers, and the tasks are to act, expected one of {list(ACTING)}."
        )
    if not kind.startswith(ESTIMATOR):
        check_options(kind, options)
    if kind.startswith(ESTIMATOR):
        options = {"seed": seed, **options}
    with seeded_weights(seed):
        return known.make(family, child, **options)


def kind_named(name: str) -> Kind:
    """The kind of a name in `LEARNERS`, or of `sklearn:NAME`.

    Raises:
        RunError: If there is none.
    """
    if name.startswith(ESTIMATOR):
        estimator = name.removeprefix(ESTIMATOR)
        return Kind(partial(_estimator, estimator), at_use=_GRIDS.get(estimator, {}))
    if name not in LEARNERS:
        near = difflib.get_close_matches(name, LEARNERS, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise RunError(
            f"Learner {name!r} is not known, expected one of {list(LEARNERS)} or `{ESTIMATOR}NAME`. {hint}".rstrip()
        )
    return LEARNERS[name]


def check_options(kind: str, options: Mapping[str, Any], place: str = "") -> None:
    """Refuse options that a kind does not take; `place` is where they stand in a file.

    Raises:
        RunError: If there is one.
    """
    names = kind_named(kind).options(options)
    for name in options:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise RunError(
                f"`{place}{name}` is no option of {kind}, expected some of {names}.{hint}"
            )


def _hypernetwork(
    family: TaskFamily,
    child: Architecture,
    *,
    generator: str | None = None,
    head: Head | None = None,
    anchor: str = "prototype",
    size: int = 64,
    encoder_channels: int | None = None,
    emission: str | Mapping[str, Any] = "full",
    width: int | None = None,
    **options: Any,
) -> Hypernetwork:
    shape, child = family.shape, with_width(child, width)
    return Hypernetwork(
        Child(child, emissions=rules_of(emission, child)),
        default_conditioner(shape, size=size, channels=encoder_channels),
        generator or default_generator(shape),
        head=head,
        anchor=anchor,
        **options,
    )


def _generate(family: TaskFamily, child: Architecture, **options: Any) -> Learner:
    return Generate(_hypernetwork(family, child, **options))


def _generate_and_adapt(
    family: TaskFamily,
    child: Architecture,
    *,
    steps: int = 1,
    steps_at_use: int | None = None,
    rate: float = 0.01,
    order: int = 2,
    adapts: Literal["all", "head"] = "all",
    **options: Any,
) -> Learner:
    start = _hypernetwork(family, child, **options)
    return Generate(
        AdaptedWeights(
            start,
            family.shape.kind,
            steps=steps,
            steps_at_use=steps_at_use,
            rate=rate,
            order=order,
            adapts=adapts,
        )
    )


def _hypernetwork_by_reptile(
    family: TaskFamily,
    child: Architecture,
    *,
    steps: int = 3,
    rate: float = 0.003,
    batch: int = 10,
    **options: Any,
) -> Learner:
    hypernetwork = _hypernetwork(family, child, **options)
    return Generate(ReptileHypernetwork(hypernetwork, steps=steps, rate=rate, batch=batch))


def _generate_and_adapt_embedding(
    family: TaskFamily,
    child: Architecture,
    *,
    steps: int = 1,
    steps_at_use: int | None = None,
    rate: float = 0.1,
    order: int = 2,
    **options: Any,
) -> Learner:
    start = _hypernetwork(family, child, **options)
    kind = family.shape.kind
    return Generate(
        AdaptedEmbedding(
            start, kind, steps=steps, steps_at_use=steps_at_use, rate=rate, order=order
        )
    )


def _cavia(
    family: TaskFamily,
    child: Architecture,
    *,
    context: int | None = None,
    steps: int = 2,
    steps_at_use: int | None = None,
    rate: float = 0.5,
) -> Learner:
    """As in the paper: a context beside the input of an MLP, or one that scales and shifts maps of pictures."""
    is_mlp = isinstance(child, MLP)
    rules = [
        rule for rule in rules_of("concat" if is_mlp else "film", child) if not _is_of_head(rule)
    ]
    head = [(f"{child.class_head}.*", "shared")] if child.class_head else []
    return Generate(
        Cavia(
            Child(child, emissions=[*head, *rules]),
            family.shape.kind,
            context=context or (5 if is_mlp else 100),
            steps=steps,
            steps_at_use=steps_at_use,
            rate=rate,
        )
    )


def _is_of_head(rule: tuple[str, Emission | str]) -> bool:
    return rule[0].startswith("head.")


def _maml(
    order: int,
    adapts: Literal["all", "head"],
    rates: Literal["fixed", "learned", "learned-each"],
    family: TaskFamily,
    child: Architecture,
    *,
    steps: int = 5,
    steps_at_use: int | None = None,
    rate: float = 0.01,
) -> Learner:
    start = Start(Child(child), class_rows=_class_rows(family))
    return Generate(
        AdaptedWeights(
            start,
            family.shape.kind,
            steps=steps,
            steps_at_use=steps_at_use,
            rate=rate,
            rates=rates,
            order=order,
            adapts=adapts,
        )
    )


def _maml_rl(
    family: TaskFamily,
    child: Architecture,
    *,
    trials: int = 1,
    steps: int = 1,
    steps_at_use: int | None = None,
    rate: float = 0.1,
    spread: float = 0.5,
    discount: float = 0.98,
    trace: float = 0.95,
    order: int = 2,
) -> Learner:
    return Generate(
        AdaptedPolicy(
            Start(Child(child)),
            trials=trials,
            steps=steps,
            steps_at_use=steps_at_use,
            rate=rate,
            spread=spread,
            discount=discount,
            trace=trace,
            order=order,
            keys=_acted_in(family).environment.discrete,
        )
    )


def _rl2(family: TaskFamily, child: Architecture, *, hidden: int = 48) -> Learner:
    """One policy that remembers, of whatever child there is: what differs between machines is for it to find out."""
    acts = family.shape.outputs
    seen = _acted_in(family).environment.observations
    architecture = RecurrentPolicy(inputs=told_width(seen, acts), hidden=hidden, outputs=acts)
    # The same weights for all tasks: their recurrent part is run once, on the rows of all of them.
    return Generate(Start(Child(architecture, emissions=[("recurrent.*", "shared")])))


def _acted_in(family: TaskFamily) -> Control:
    if not isinstance(family, Control):
        raise RunError(
            f"The tasks have {family.shape.kind}, expected tasks to act in: the learner finds out by trial. Leave it out."
        )
    return family


def _reptile(
    family: TaskFamily,
    child: Architecture,
    *,
    steps: int = 5,
    steps_at_use: int | None = None,
    rate: float = 0.02,
    batch: int = 10,
) -> Learner:
    start = Start(Child(child), class_rows=_class_rows(family))
    return Generate(
        Reptile(
            start, family.shape.kind, steps=steps, steps_at_use=steps_at_use, rate=rate, batch=batch
        )
    )


def _closed_form(anchor: str, family: TaskFamily, child: Architecture) -> Learner:
    if family.shape.kind != "exchangeable-classes":
        raise RunError(
            f"The tasks have {family.shape.kind}, expected exchangeable classes: the head is solved from the "
            "examples of each class. Leave protonet and r2d2 out."
        )
    return Generate(ClosedForm(Child(child), anchor=anchor))


def _joint(family: TaskFamily, child: Architecture) -> Learner:
    return Joint(family, child)


def _joint_and_tune(
    family: TaskFamily, child: Architecture, *, steps: int = 20, rate: float = 0.01
) -> Learner:
    return TunedJoint(Joint(family, child), child, family.shape.kind, steps=steps, rate=rate)


def _scratch(
    family: TaskFamily, child: Architecture, *, steps: int = 50, rate: float = 0.01
) -> Learner:
    network = Child(child)
    initial = {name: value[0] for name, value in network.initial_params().items()}
    objective = OBJECTIVES[family.shape.kind]()
    return FineTune(network, initial, objective, steps=steps, rate=rate)


def _nearest(family: TaskFamily, child: Architecture, *, neighbours: int = 1) -> Learner:
    return NearestNeighbour(neighbours)


def _estimator(name: str, family: TaskFamily, child: Architecture, **options: Any) -> Learner:
    return Estimator(name, family.shape.kind, **options)


def _class_rows(family: TaskFamily) -> ClassRows:
    return "shared" if family.shape.kind == "exchangeable-classes" else "own"


def with_width(child: Architecture, width: int | None) -> Architecture:
    """The same child with hidden layers, or channels, of one width.

    Raises:
        RunError: If the child has no width that can be set.
    """
    if width is None:
        return child
    if isinstance(child, MLP):
        return replace(child, hidden=(width,) * len(child.hidden))
    if isinstance(child, Conv):
        return replace(child, channels=width)
    raise RunError(
        f"`width` is {width} and the child is {type(child).__name__}, expected an MLP or a convolutional "
        "child. Leave `width` out."
    )


_LOW_RANK = re.compile(r"low-rank-(\d+)")


def rules_of(
    emission: str | Mapping[str, Any], child: Architecture
) -> list[tuple[str, Emission | str]]:
    """Rules of a `Child` by one name: `full`, `film`, `bias-only`, `low-rank`, `low-rank-R` or `concat`.

    `concat` writes what a concatenated embedding amounts to: an addition to the first layer's outputs. Class
    rows, which are no part of what tasks could share, are written as well.

    Raises:
        RunError: If the name is unknown.
        ParameterNameError: If an option is out of range.
    """
    if emission == "full":
        return []
    if emission == "concat":
        names = [name for name, _ in child.build().named_parameters()]
        first = next(name for name in names if name.endswith(".bias"))
        head = [(f"{child.class_head}.*", "full")] if child.class_head else []
        return [(first, "full"), *head, ("*", "shared")]
    if isinstance(emission, str):
        if found := _LOW_RANK.fullmatch(emission):
            return [("*", LowRank(int(found[1])))]
        if emission.replace("-", "_") not in EMISSIONS:
            known = ["full", "concat", "film", "bias-only", "low-rank", "low-rank-16"]
            raise RunError(f"Emission {emission!r} is not known, expected one such as {known}.")
        emission = {"name": emission.replace("-", "_")}
    return [("*", emission_of(emission))]


_WIDE = {"rate": (0.01, 0.05, 0.3)}
_STEPS = {"steps_at_use": (1, 5, 10)}
_TUNING = {"rate": (0.001, 0.003, 0.01, 0.03), "steps": (1, 5, 20, 50)}
_SCRATCH = {"rate": (0.003, 0.01, 0.03), "steps": (5, 20, 50, 100)}

# What can learn to act: the others need examples of right answers to adapt.
ACTING = ("hypernetwork", "film", "concat", "joint", "maml-rl", "rl2")

# Names live on in experiments and their results: never reuse one.
LEARNERS: dict[str, Kind] = {
    "anil": Kind(partial(_maml, 2, "head", "fixed"), _WIDE, _STEPS),
    "cavia": Kind(_cavia, {"rate": (0.1, 0.5, 2.0)}, _STEPS),
    "concat": Kind(partial(_generate, emission="concat"), passes_on=_hypernetwork),
    "film": Kind(partial(_generate, emission="film"), passes_on=_hypernetwork),
    "fomaml": Kind(partial(_maml, 1, "all", "fixed"), _WIDE, _STEPS),
    "hypernetwork": Kind(_generate, passes_on=_hypernetwork),
    "hypernetwork+adapt": Kind(
        _generate_and_adapt, _WIDE, {"steps_at_use": (0, 1, 5)}, passes_on=_hypernetwork
    ),
    "hypernetwork+embedding": Kind(
        _generate_and_adapt_embedding,
        {"rate": (0.01, 0.1, 1.0)},
        {"steps_at_use": (0, 1, 5)},
        passes_on=_hypernetwork,
    ),
    "hypernetwork-by-reptile": Kind(
        _hypernetwork_by_reptile, {"rate": (0.001, 0.003, 0.01)}, passes_on=_hypernetwork
    ),
    "joint": Kind(_joint),
    "joint+tune": Kind(_joint_and_tune, at_use=_TUNING),
    "maml": Kind(partial(_maml, 2, "all", "fixed"), _WIDE, _STEPS),
    "maml-rl": Kind(_maml_rl),
    "meta-sgd": Kind(partial(_maml, 2, "all", "learned"), _WIDE, _STEPS),
    "meta-sgd-each": Kind(partial(_maml, 2, "all", "learned-each"), _WIDE, _STEPS),
    "nearest-neighbours": Kind(_nearest, at_use={"neighbours": (1, 3, 5)}),
    "protonet": Kind(partial(_closed_form, "prototype")),
    "r2d2": Kind(partial(_closed_form, "ridge")),
    "reptile": Kind(_reptile, {"rate": (0.005, 0.02, 0.1)}, {"steps_at_use": (5, 10, 50)}),
    "rl2": Kind(_rl2),
    "scratch": Kind(_scratch, at_use=_SCRATCH),
}
_GRIDS: dict[str, Grid] = {
    "LogisticRegression": {"C": (0.1, 1.0, 10.0)},
    "Ridge": {"alpha": (0.01, 0.1, 1.0, 10.0)},
}

__all__ = ["LEARNERS", "Grid", "Kind", "check_options", "kind_named", "make_learner", "rules_of"]
