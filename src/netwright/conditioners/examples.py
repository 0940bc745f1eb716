"""Reads a support set of (x, y) pairs as a set: order and padding carry nothing."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.attention import InducedSetBlock, SetBlock, masked_mean
from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditioners.encoders import PictureEncoder, SequenceEncoder, VectorEncoder
from netwright.conditioners.standardise import Standardise
from netwright.conditions import Condition, ExampleSet
from netwright.errors import ConditionError, RunError
from netwright.shapes import check_dtype, check_shape

# What an input is, by how many axes it has; a sequence may be of any length.
_AXES = {1: "T S D", 2: "T S L D", 3: "T S C H W"}


class Examples(Conditioner):
    """A permutation-invariant encoder of a support set.

    With exchangeable classes each class token is the mean of its examples' features; classes then
    attend to each other, without positions, so that permuting labels permutes class tokens. With
    values or fixed classes y stands beside x, and the examples' features are averaged.

    Examples without label are read if asked for. With exchangeable classes each is a token of its own,
    which classes attend to; otherwise a zero stands for its y, and a flag says whether y is known.

    Args:
        x: Shape of one input: (C, H, W) for pictures, (D,) for vectors, (None, D) for sequences of D
            numbers per step and of any length, (L, D) for those of length L alone.
        size: E, the width of the embedding.
        outputs: C, for values or fixed classes; None for exchangeable classes.
        labels: What y is: `exchangeable-classes`, `fixed-classes` or `values`.
        channels: Width of the encoder of pictures or sequences, or of the vector encoder's hidden layers.
        depth: Number of attention blocks over the tokens.
        unlabelled: Whether examples without label are read; if not, they are refused.
        inducing: Number of learned points that tokens attend through, for support sets of thousands of
            rows: the cost grows with S, and not with its square. 0 for attention of all to all.
        counts: Whether tokens are told of how many examples: of the task, or of their class. Means do not
            say, and how sure an answer is depends on it.
        standardise: Whether what is read of each example is standardised over the examples of a step of training, and later
            by what was found there: what all have in common then hides nothing of a task.

    Raises:
        RunError: If `labels` and `outputs` do not agree, or a size does not make sense.

    References:
        Zaheer et al., Deep Sets, arXiv:1703.06114.
        Lee et al., Set Transformer, arXiv:1810.00825.
    """

    reads = ("examples",)

    def __init__(
        self,
        x: Sequence[int | None],
        *,
        size: int = 64,
        outputs: int | None = None,
        labels: Literal["exchangeable-classes", "fixed-classes", "values"] | None = None,
        channels: int = 64,
        depth: int = 2,
        unlabelled: bool = False,
        inducing: int = 0,
        counts: bool = False,
        standardise: bool = False,
    ) -> None:
        super().__init__()
        labels = labels or ("exchangeable-classes" if outputs is None else "values")
        if (labels == "exchangeable-classes") != (outputs is None):
            raise RunError(
                f"`labels` is {labels!r} and `outputs` is {outputs}, expected a number of outputs for "
                "values and fixed classes, and none for exchangeable classes."
            )
        if inducing < 0:
            raise RunError(f"`inducing` is {inducing}, expected a number of points, or 0 for none.")
        self.x, self.size, self.outputs, self.labels = _input_shape(x), size, outputs, labels
        self.channels, self.depth = channels, depth
        self.unlabelled, self.inducing = unlabelled, inducing
        # Beside y a flag that says whether it is known.
        width = outputs + unlabelled if outputs else 0
        sizes = [n for n in self.x if n is not None]
        self.encode_y: nn.Linear | None = None
        if len(self.x) == 1:
            self.encode_x: nn.Module = VectorEncoder(sizes[0] + width, channels, size)
        else:
            self.encode_x = (
                PictureEncoder(sizes, channels, size)
                if len(self.x) == 3
                else SequenceEncoder(sizes[-1], channels, size)
            )
            self.encode_y = nn.Linear(width, size, bias=False) if width else None
        self.blocks = nn.ModuleList(
            InducedSetBlock(size, inducing) if inducing else SetBlock(size) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(size)
        # A learned mark tells examples without label from classes; sets have no positions to tell.
        self.mark = (
            nn.Parameter(torch.randn(size) * 0.1) if unlabelled and outputs is None else None
        )
        self.encode_count = nn.Linear(1, size) if counts else None
        self.standardise = Standardise(size) if standardise else None

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        options = {
            "x": list(self.x),
            "size": self.size,
            "outputs": self.outputs,
            "labels": self.labels,
            "channels": self.channels,
            "depth": self.depth,
        }
        later = {
            "unlabelled": self.unlabelled,
            "inducing": self.inducing,
            "counts": self.encode_count is not None,
            "standardise": self.standardise is not None,
        }
        # Left out where they are the default, as in records of earlier versions.
        return {**options, **{name: value for name, value in later.items() if value}}

    def forward(self, condition: Condition) -> Embedding:
        """Read support sets x [T, S, *], y [T, S] or [T, S, C], mask and labelled [T, S]."""
        examples = condition.examples
        if examples is None:
            raise self._missing(condition, "Give a support set of (x, y) pairs.")
        self._check_kind(examples)
        examples = examples.cleared()
        exchangeable = self.labels == "exchangeable-classes"
        if exchangeable:
            tokens, mask, counts = self._class_tokens(examples)
        else:
            tokens, mask = self._example_features(examples), examples.mask
            counts = mask.sum(dim=1, keepdim=True)
        if self.encode_count is not None:
            tokens = tokens + self.encode_count(counts.clamp(min=1).log().to(tokens).unsqueeze(-1))
        for block in self.blocks:
            tokens = block(tokens, mask)
        tokens = self.norm(tokens)
        if not exchangeable:
            return Embedding(masked_mean(tokens, mask), tokens, mask)
        # Classes alone: of thousands of examples without label the mean would hide them.
        count = examples.classes or 0
        classes = tokens[:, :count]
        return Embedding(masked_mean(classes, mask[:, :count]), tokens, mask, classes)

    def check(self, condition: Condition) -> None:
        """Refuse kinds that are not read, and classes that none of their examples names.

        Raises:
            ConditionError: If there is a reason.
        """
        super().check(condition)
        examples = condition.examples
        if (
            examples is None
            or examples.labelled is None
            or self.labels != "exchangeable-classes"
            or not self.unlabelled
        ):
            return
        without = ~self._members(examples.cleared()).any(dim=1)
        if without.any():
            t, c = without.nonzero()[0].tolist()
            raise ConditionError(
                f"Class {c} of task {t} has no labelled example, expected one for each of "
                f"{examples.classes} classes: it is by them that such classes are known. Label one, or "
                "leave the class out."
            )

    def _members(self, examples: ExampleSet) -> Tensor:
        """Which labelled examples are of which class, [T, S, C]."""
        member = F.one_hot(examples.y.clamp(min=0), examples.classes or 0)
        return member * examples.has_label.unsqueeze(-1)

    def _class_tokens(self, examples: ExampleSet) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens of classes, [T, C, E], and after them one per example, if some have no label."""
        features = self._standard(self.encode_x(examples.x), examples)
        member = self._members(examples)
        counts = member.sum(dim=1)
        sums = torch.einsum("tnc,tne->tce", member.to(features.dtype), features)
        tokens, mask = sums / counts.clamp(min=1).unsqueeze(-1), counts > 0
        if self.mark is None or examples.labelled is None:
            return tokens, mask, counts
        without = examples.mask & ~examples.labelled
        return (
            torch.cat([tokens, features + self.mark], 1),
            torch.cat([mask, without], 1),
            torch.cat([counts, without.to(counts)], 1),
        )

    def _example_features(self, examples: ExampleSet) -> Tensor:
        y, dtype = examples.y, examples.x.dtype
        if self.labels == "fixed-classes":
            y = F.one_hot(y.clamp(min=0), self.outputs or 0)
        y = y.to(dtype)
        if self.unlabelled:
            known = examples.has_label.unsqueeze(-1).to(dtype)
            y = torch.cat([y * known, known], dim=-1)
        if self.encode_y is None:
            features: Tensor = self.encode_x(torch.cat([examples.x, y], dim=-1))
        else:
            features = self.encode_x(examples.x) + self.encode_y(y)
        return self._standard(features, examples)

    def _standard(self, features: Tensor, examples: ExampleSet) -> Tensor:
        if self.standardise is not None:
            features = self.standardise(features, examples.mask)
        return features

    def _check_kind(self, examples: ExampleSet) -> None:
        axes = _AXES[len(self.x)]
        sizes = {
            axis: size
            for axis, size in zip(axes.split()[2:], self.x, strict=True)
            if size is not None
        }
        hint = "Give examples of the shape that this hypernetwork was trained with."
        check_shape("examples.x", examples.x, axes, hint=hint, **sizes)
        if len(self.x) == 2 and not examples.x.shape[2]:
            raise ConditionError(
                "`examples.x` holds sequences of no step, expected at least one. Leave such tasks out."
            )
        is_values = self.labels == "values"
        if is_values == (examples.classes is not None):
            raise ConditionError(
                f"`examples.y` holds {'classes' if is_values else 'values'}, expected "
                f"{self.labels.replace('-', ' ')}. Use the labels that this hypernetwork was trained with."
            )
        own = self.norm.weight.dtype
        # Children meet these inputs too, and queries of the same type: nothing is converted unseen.
        to_mend = f"Convert the condition: `condition.to({own})`."
        if not examples.x.is_floating_point():
            to_mend = f"Give real numbers: `x.to({own})`."
        check_dtype("examples.x", examples.x, own, hint=to_mend)
        if is_values:
            check_shape("examples.y", examples.y, "T S C", C=self.outputs or 0, hint=hint)
        if not self.unlabelled and examples.labelled is not None:
            without = examples.mask & ~examples.labelled
            if without.any():
                t, n = without.nonzero()[0].tolist()
                raise ConditionError(
                    f"Example {n} of task {t} has no label, and this hypernetwork reads labelled examples "
                    "only. Leave such examples out, or train with `Examples(..., unlabelled=True)`."
                )


def _input_shape(x: Sequence[int | None]) -> tuple[int | None, ...]:
    """The shape of one input, checked.

    Raises:
        RunError: If it is that of no vector, sequence or picture.
    """
    shape = tuple(x)
    # Only the length of a sequence may be left open.
    fixed = shape[1:] if len(shape) == 2 and shape[0] is None else shape
    if len(shape) not in _AXES or not all(isinstance(n, int) and n >= 1 for n in fixed):
        raise RunError(
            f"`x` is {shape}, expected (D,) for vectors, (None, D) or (L, D) for sequences, or "
            "(C, H, W) for pictures."
        )
    return shape
