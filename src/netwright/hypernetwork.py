"""The network that writes networks: conditioner, generator and child in one."""

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from netwright.anchors import ANCHORS
from netwright.architectures import Architecture, to_record
from netwright.architectures import from_record as architecture_from_record
from netwright.child import Child, child_of
from netwright.class_head import ClassHead, Head, class_head_for
from netwright.conditioners import CONDITIONERS, Compose, Conditioner, Embedding
from netwright.conditions import Condition, ExampleSet
from netwright.ensemble import Averages, GeneratedEnsemble
from netwright.errors import RunError
from netwright.generated import GeneratedNetwork, Provenance, condition_digest, weights_digest
from netwright.generators import (
    GENERATORS,
    Graph,
    StochasticGenerator,
    WeightDistribution,
    WeightGenerator,
    Written,
)
from netwright.initialisation import Initialisation, measure_initialisation
from netwright.lora import LoraAdapter, lora_adapter
from netwright.sampling import check_single, draw_ensemble
from netwright.writer import Writer

Start = Literal["bias-hyper-init", "hyperfan"]


class Hypernetwork(Writer):
    """Writes T child networks from T conditions in one forward pass.

    Args:
        child: What is written.
        conditioner: What reads the condition, or several, whose tokens are laid side by side.
        generator: Name in `GENERATORS`, or a class or function with the same arguments.
        head: How the rows of a class head come about. `anchored`: a closed form in the child's own
            feature space plus a generated residual; `anchor-only`; `residual-only`. Has no effect
            on children without class head, for which only the default may be given.
        anchor: Name in `ANCHORS`.
        initialisation: `bias-hyper-init`: theta_0 is the child's own initialisation (or its pretrained values) and
            corrections start small. `hyperfan`: weights start as corrections alone, of the variance that the child's
            own initialisation has; constants (norms) keep their theta_0. For research: see the benchmarks.
        shifts: If not 0, each support picture is read with copies shifted by so many pixels: five
            times the cost of reading, steadier class means. May be set after training.
        options: Further arguments of the generator.

    Raises:
        RunError: If a name is unknown or an option does not fit.

    References:
        Beck et al., Hypernetworks in meta-reinforcement learning (bias-hyper-init), arXiv:2210.11348.
        Chang et al., Principled weight initialization for hypernetworks (hyperfan), arXiv:2312.08399.
    """

    def __init__(
        self,
        child: Child,
        conditioner: Conditioner | Sequence[Conditioner],
        generator: str | type[WeightGenerator] = "layer-tokens",
        *,
        head: Head | None = None,
        anchor: str = "prototype",
        initialisation: Start = "bias-hyper-init",
        shifts: int = 0,
        **options: object,
    ) -> None:
        super().__init__()
        self.child = child
        self.conditioner = _conditioner_of(conditioner)
        if isinstance(generator, str):
            if generator not in GENERATORS:
                raise RunError(
                    f"Generator {generator!r} is not known, expected one of {list(GENERATORS)}."
                )
            generator = GENERATORS[generator]
        self.shifts = shifts
        if initialisation not in get_args(Start):
            raise RunError(
                f"`initialisation` is {initialisation!r}, expected one of {list(get_args(Start))}."
            )
        self.initialisation: Start = initialisation
        base = {name: value[0] for name, value in child.initial_params().items()}
        if initialisation == "hyperfan":
            base |= {
                s.name: torch.zeros_like(base[s.name]) for s in child.space.tensors if s.std > 0
            }
        if generator.reads_graph:
            options = {"graph": child.graph, **options}
        try:
            # Each generator takes its own options beside these.
            self.generator: WeightGenerator = generator(  # type: ignore[call-arg]
                child.space.select(lambda spec: not spec.has_class_axis),
                self.conditioner.size,
                base=base,
                **options,
            )
        except TypeError as error:
            raise RunError(f"{generator.__name__} cannot take these options: {error}.") from None
        if initialisation == "hyperfan":
            self.generator.rescale(1 / self.generator.correction)
        if anchor not in ANCHORS:
            raise RunError(f"Anchor {anchor!r} is not known, expected one of {list(ANCHORS)}.")
        self.head, self.anchor_name = _head_of(child, head), anchor
        self.class_head = (
            None
            if child.class_head is None
            else ClassHead(
                child,
                self.conditioner.size,
                kind=self.head,
                anchor=anchor,
                any_width=generator.reads_graph,
            )
        )

    def forward(self, condition: Condition) -> dict[str, Tensor]:
        """Write params, each [T, *shape], from the conditions of T tasks.

        Raises:
            ConditionError: If the condition lacks what the conditioner reads.
            ShapeError: If it is of another shape than in training.
        """
        return self.write_from(self.read(condition), condition)

    def write(self, condition: Condition) -> Written:
        """As a call, with what training may add to its loss.

        Raises:
            ConditionError: If the condition lacks what the conditioner reads.
            ShapeError: If it is of another shape than in training.
        """
        embedding = self.read(condition)
        written = self.generator.write(embedding)
        return replace(written, params=self.with_class_rows(written.params, embedding, condition))

    def distribution(self, condition: Condition) -> WeightDistribution:
        """The distribution over theta [T, P], in the order of `child.space`, that is written for T tasks.

        Raises:
            RunError: If the generator writes no distribution, or the child has rows of classes.
            ConditionError: If the condition lacks what the conditioner reads.
            ShapeError: If it is of another shape than in training.
        """
        if not isinstance(self.generator, StochasticGenerator):
            raise RunError(
                f"{type(self.generator).__name__} writes one network per task, expected a generator that "
                'writes a distribution. Use generator="gaussian".'
            )
        if self.class_head is not None:
            raise RunError(
                "The child has a row per class, which comes from an anchor and from samples of its body: "
                "its distribution is not known. Use `generate_ensemble` for samples of it."
            )
        return self.generator.distribution(self.read(condition))

    def read(self, condition: Condition) -> Embedding:
        """What the conditioner makes of the conditions of T tasks: the first half of a call.

        Raises:
            ConditionError: If the condition lacks what the conditioner reads.
            ShapeError: If it is of another shape than in training.
        """
        embedding: Embedding = self.conditioner(self._as_read(condition))
        return embedding

    def write_from(self, embedding: Embedding, condition: Condition) -> dict[str, Tensor]:
        """Params, each [T, *shape], from an embedding, which need not be one that was read: the second half.

        Args:
            embedding: Of T tasks.
            condition: Of the same tasks; an anchored class head also starts from its examples.
        """
        return self.with_class_rows(self.generator(embedding), embedding, condition)

    def with_class_rows(
        self, params: dict[str, Tensor], embedding: Embedding, condition: Condition
    ) -> dict[str, Tensor]:
        """Params of all tensors of the child, in order."""
        if self.class_head is None:
            return params
        rows = self.class_head(self.child, params, embedding, self._as_read(condition))
        whole = {**params, **rows}
        return {name: whole[name] for name in self.child.space.names}

    def _as_read(self, condition: Condition) -> Condition:
        """With shifted copies of support pictures, if they are read so."""
        if not self.shifts or condition.examples is None:
            return condition
        return replace(condition, examples=condition.examples.with_shifts(self.shifts))

    def check_initialisation(self, condition: Condition, x: Tensor) -> Initialisation:
        """How the children of these conditions start, beside the child's own initialisation; print it.

        Args:
            condition: Of T tasks, such as a batch of training.
            x: Inputs of the children, [T, N, *].

        Raises:
            ConditionError: If the condition lacks what is read.
            ShapeError: If an axis does not fit.

        References:
            Chang et al., Principled weight initialization for hypernetworks, arXiv:2312.08399.
        """
        was_training = self.training
        self.eval()
        try:
            # Training starts from samples, if the generator writes a distribution.
            self.generator.train(isinstance(self.generator, StochasticGenerator))
            devices = [x.device] if x.is_cuda else []
            with torch.enable_grad(), torch.random.fork_rng(devices=devices):
                return measure_initialisation(
                    self.child,
                    self(condition),
                    x,
                    self,
                    otherwise=self.generator.starts_otherwise(),
                    drawn=self.generator.draws_start,
                )
        finally:
            self.train(was_training)

    def record(self) -> dict[str, Any]:
        """The JSON-able description that `Hypernetwork.from_record` builds this one from, untrained.

        A child that is a module of the user's own is recorded by its space only.
        """
        conditioner = self.conditioner
        parts = list(conditioner.parts) if isinstance(conditioner, Compose) else [conditioner]
        architecture = self.child.architecture
        return {
            "child": to_record(architecture) if isinstance(architecture, Architecture) else None,
            "emissions": self.child.emission_records(),
            "precision": self.child.precision,
            "space": self.child.space.digest,
            "conditioner": [
                {"name": _name_of(part, CONDITIONERS), **part.options()}
                for part in parts
                if isinstance(part, Conditioner)
            ],
            "condition_dropout": conditioner.dropout if isinstance(conditioner, Compose) else 0.0,
            "generator": {"name": _name_of(self.generator, GENERATORS), **self.generator.options()},
            "head": self.head,
            "anchor": self.anchor_name,
            "shifts": self.shifts,
            # Left out where it is the default, as in records of earlier versions.
            **(
                {}
                if self.initialisation == "bias-hyper-init"
                else {"initialisation": self.initialisation}
            ),
        }

    @classmethod
    def from_record(
        cls, record: Mapping[str, Any], *, child: Child | None = None
    ) -> "Hypernetwork":
        """An untrained hypernetwork as described; `child` is needed for modules of the user's own.

        Raises:
            RunError: If a name or option is unknown, or the child is of another space.
        """
        if "writer" in record:
            raise RunError(
                f"The record is of a writer {record['writer']!r}, expected a hypernetwork. Use "
                "`netwright.training.load_writer`."
            )
        if child is None:
            if record["child"] is None:
                raise RunError(
                    "The hypernetwork writes a module of your own, expected that module. "
                    "Pass the `Child` that it was trained with."
                )
            architecture = architecture_from_record(record["child"])
            child = Child(
                architecture,
                emissions=list(record.get("emissions", {}).items()),
                precision=record.get("precision", "float32"),
            )
        if child.space.digest != record["space"]:
            raise RunError(
                f"The child has space {child.space.digest}, expected {record['space']}. "
                "Pass the same module with the same emissions as in training."
            )
        parts = [_build(CONDITIONERS, part, "Conditioner") for part in record["conditioner"]]
        generator = dict(record["generator"])
        return cls(
            child,
            _conditioner_of(parts, record.get("condition_dropout", 0.0)),
            generator.pop("name"),
            head=record["head"],
            anchor=record["anchor"],
            shifts=record.get("shifts", 0),
            initialisation=record.get("initialisation", "bias-hyper-init"),
            **generator,
        )

    def for_child(self, child: Child) -> "Hypernetwork":
        """The same hypernetwork, with the same learned numbers, writing another child.

        Args:
            child: Of any architecture, if the generator reads graphs; else of the same tensors, connected in the
                same way, as the one that it was made for.

        Raises:
            RunError: If the generator has numbers that fit one width only.
            ShapeError: If the child has other tensors, or class rows of another length.
            UnsupportedChildError: If the generator reads graphs, and the child cannot be traced.
        """
        body = child.space.select(lambda spec: not spec.has_class_axis)
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.class_head = class_head_for(self.class_head, self.child, child)
        other.generator = (
            self.generator.for_graph(body, child.graph)
            if isinstance(self.generator, Graph)
            else self.generator.for_space(body)
        )
        other.child = child
        return other

    def for_architecture(self, architecture: Hashable) -> "Hypernetwork":
        """As `for_child`, for what `netwright.architectures` describes; of the last thousands the child is kept.

        Raises:
            RunError: If it is too large, or the generator cannot write it.
        """
        if architecture == self.child.architecture:
            return self
        child = child_of(architecture, self.child.precision)
        if child.training != self.training:
            child.train(self.training)
        return self.for_child(child)

    @torch.no_grad()
    def generate_many(
        self,
        condition: Condition,
        *,
        labels: Sequence[Sequence[str]] = (),
        max_bytes: int | None = None,
    ) -> list[GeneratedNetwork]:
        """Write a network per task of a condition with T tasks.

        Args:
            condition: What to write from, T tasks.
            labels: Names of the outputs, per task.
            max_bytes: Most bytes of parameters that one forward pass writes; several passes are
                made if need be. None for one pass.

        Raises:
            ConditionError: If the condition is empty, not finite, or lacks what is read.
            ShapeError: If it is of another shape than in training.
        """
        condition.check()
        self.conditioner.check(condition)
        if condition.architecture is not None and set(condition.architecture.values) != {
            self.child.architecture
        }:
            return self._generate_sizes(condition, labels, max_bytes)
        self.generator.check()
        was_training = self.training
        # `no_grad` and not `inference_mode`: such weights could never be fine-tuned.
        tasks = condition.tasks
        each = tasks if max_bytes is None else max(1, max_bytes // (4 * self.child.space.size))
        networks: list[GeneratedNetwork] = []
        try:
            self.eval()
            written_by = weights_digest(self)
            for first in range(0, tasks, each):
                own = condition.rows(slice(first, first + each))
                params = self(own)
                networks += [
                    self.network_of(
                        params, t, own, written_by, tuple(labels[first + t]) if labels else ()
                    )
                    for t in range(own.tasks)
                ]
            return networks
        finally:
            self.train(was_training)

    def _generate_sizes(
        self, condition: Condition, labels: Sequence[Sequence[str]], max_bytes: int | None
    ) -> list[GeneratedNetwork]:
        """Networks of the architectures that are asked for, each group by what writes it."""
        assert condition.architecture is not None
        found: dict[int, GeneratedNetwork] = {}
        for architecture, tasks in condition.architecture.groups().items():
            networks = (
                self.for_architecture(architecture)
                .eval()
                .generate_many(
                    condition.rows(torch.tensor(tasks)),
                    labels=[labels[t] for t in tasks] if labels else (),
                    max_bytes=max_bytes,
                )
            )
            found.update(zip(tasks, networks, strict=True))
        return [found[t] for t in range(condition.tasks)]

    def export(
        self, path: str | Path, *, opset: int | None = None, tolerance: float = 1e-5
    ) -> Path:
        """Write one ONNX graph for every network that is written, with weights as inputs; see `Child.export`.

        Raises:
            MissingExtraError: If the `export` extra is not installed.
            ExportError: If ONNX cannot express the child so, or the file gives other answers.
            ArtifactError: If the file cannot be written.
        """
        return self.child.export(path, opset=opset, tolerance=tolerance)

    def generate(
        self, condition: Condition | ExampleSet, *, labels: Sequence[str] = ()
    ) -> GeneratedNetwork:
        """Write the network of one task, T = 1.

        Raises:
            ConditionError: If the condition is of several tasks, not finite, or lacks what is read.
            ShapeError: If it is of another shape than in training.
        """
        if isinstance(condition, ExampleSet):
            condition = Condition(examples=condition)
        check_single(condition)
        return self.generate_many(condition, labels=[labels])[0]

    @torch.no_grad()
    def generate_lora(
        self, condition: Condition | ExampleSet, *, inside: str = "", base_model: str = ""
    ) -> LoraAdapter:
        """Write the corrections of one task, T = 1, as an adapter that PEFT loads onto the child's base model.

        Args:
            condition: What to write from.
            inside: Path of the base model in the child's module, if it is wrapped.
            base_model: Its name or path, for the adapter's config.

        Raises:
            ConditionError: If the condition is of several tasks, not finite, or lacks what is read.
            ArtifactError: If the child has an emission that PEFT has no form for.
        """
        if isinstance(condition, ExampleSet):
            condition = Condition(examples=condition)
        check_single(condition)
        condition.check()
        self.conditioner.check(condition)
        self.generator.check()
        provenance = Provenance(
            hypernetwork=weights_digest(self),
            condition=condition_digest(condition),
            space=self.child.space.digest,
            run=self.run_digest,
        )
        was_training = self.training
        try:
            params = self.eval()(condition)
        finally:
            self.train(was_training)
        return lora_adapter(
            self.child, params, provenance=provenance, inside=inside, base_model=base_model
        )

    @torch.no_grad()
    def generate_ensemble(
        self,
        condition: Condition | ExampleSet,
        *,
        samples: int,
        rng: torch.Generator,
        averages: Averages | None = None,
        labels: Sequence[str] = (),
    ) -> GeneratedEnsemble:
        """Write S networks of one task, T = 1, each from noise, or from a distribution of weights, of its own.

        Args:
            condition: What to write from, without noise, which is drawn.
            samples: S.
            rng: Source of all randomness.
            averages: What the ensemble's answer is the mean of: `values` or class `probabilities`; by default
                probabilities if the child has rows of classes or examples are read with classes.
            labels: Names of the outputs.

        Raises:
            RunError: If all networks of a condition are the same, or S is below 1.
            ConditionError: If the condition has noise, is of several tasks, not finite, or lacks what is read.
            ShapeError: If it is of another shape than in training.
        """
        if isinstance(condition, ExampleSet):
            condition = Condition(examples=condition)
        return draw_ensemble(
            self, condition, samples=samples, rng=rng, averages=averages, labels=tuple(labels)
        )

    def network_of(
        self,
        params: dict[str, Tensor],
        task: int,
        condition: Condition,
        written_by: str,
        labels: tuple[str, ...] = (),
        sample: str = "",
    ) -> GeneratedNetwork:
        """Task `task` of params as a network that knows where it comes from.

        Args:
            params: Of T tasks, each [T, *shape].
            task: Which of them.
            condition: What they were written from, T tasks.
            written_by: What wrote them: a digest, and what else decided the numbers.
            labels: Names of the outputs.
            sample: Which sample of a distribution it is.
        """
        provenance = Provenance(
            hypernetwork=written_by,
            condition=condition_digest(condition.rows(slice(task, task + 1))),
            space=self.child.space.digest,
            run=self.run_digest,
            sample=sample,
        )
        architecture = self.child.architecture
        if isinstance(architecture, Architecture) and self.child.class_head is not None:
            architecture = architecture.with_classes(
                params[f"{self.child.class_head}.weight"].shape[1]
            )
        input_shape = architecture.input_shape if isinstance(architecture, Architecture) else ()
        return GeneratedNetwork(
            self.child.materialise(params, task),
            provenance=provenance,
            input_shape=input_shape,
            architecture=architecture if isinstance(architecture, Architecture) else None,
            labels=labels,
            preparation=self.preparation,
        )


def _conditioner_of(
    given: Conditioner | Sequence[Conditioner], dropout: float = 0.0
) -> Conditioner:
    if isinstance(given, Conditioner):
        return given
    return given[0] if len(given) == 1 else Compose(given, dropout=dropout)


def _head_of(child: Child, head: Head | None) -> Head:
    if head is None:
        return "residual-only" if child.class_head is None else "anchored"
    if head not in get_args(Head):
        raise RunError(f"`head` is {head!r}, expected one of {list(get_args(Head))}.")
    if child.class_head is None and head != "residual-only":
        raise RunError(
            f"`head` is {head!r} and the child has no class head, expected 'residual-only'. "
            "Give the child exchangeable classes, or leave `head` out."
        )
    return head


def _name_of(part: nn.Module, family: Mapping[str, type]) -> str:
    for name, kind in family.items():
        if type(part) is kind:
            return name
    raise RunError(
        f"{type(part).__name__} has no name in records, expected one of {list(family)}. "
        "Add it to its family's dict before training with checkpoints."
    )


def _build(
    family: Mapping[str, type[Conditioner]], record: Mapping[str, Any], kind: str
) -> Conditioner:
    options = dict(record)
    name = options.pop("name", None)
    if name not in family:
        raise RunError(f"{kind} {name!r} is not known, expected one of {list(family)}.")
    try:
        return family[name](**options)
    except TypeError as error:
        raise RunError(f"{kind} {name!r} cannot take these options: {error}.") from None
