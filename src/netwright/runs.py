"""Everything that decides a result, as one frozen, validated, JSON-able record."""

import hashlib
import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from netwright.errors import RunError

FORMAT = 1

# Settings of training that came after the first runs, and what those ran with: where they have that value a
# run keeps the identity that it had.
_LATER: dict[str, object] = {"kl_weight": 0.0}

# Objectives that runs had when none was recorded: with one of these a run keeps its identity, too.
_FIRST_OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"name": "classification"},
    {"name": "regression"},
    {
        "name": "policy-gradient", "updates": 24, "parts": 6, "discount": 0.98, "trace": 0.95, "clip": 0.2,
        "spread": [0.6, 0.15], "critic": 96, "critic_rate": 2e-3,
    },
)  # fmt: skip

R = TypeVar("R", bound=BaseModel)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=False)


class TrainingRecord(_Record):
    """How a hypernetwork is trained.

    Args:
        steps: Optimiser steps.
        tasks: T, tasks per step.
        learning_rate: Peak rate of AdamW.
        warm_up: Steps over which the rate rises linearly from 0.
        final_rate: Fraction of the peak rate at the last step; cosine in between.
        weight_decay: Decoupled weight decay.
        clip: Largest norm of the gradient.
        stages: Whether children are differentiated all at once (`one`), a few tasks at a time
            (`two`), or as is faster (`auto`).
        recompute: Whether what the hypernetwork computes on the way is computed again for its gradient
            and not kept: less memory, one more forward pass.
        kl_weight: How much of a penalty that the generator states, in nats per task (the divergence of a
            distribution from its prior), is added to each task's loss.
        average: Decay of the running average of weights that is evaluated and used; 0 for none.
        validate_every: Steps between validations.
        validation_tasks: Tasks per validation, the same each time.
        patience: Validations without improvement before an early stop; 0 for never.
        checkpoint_every: Steps between checkpoints.
        log_every: Steps between lines of the log.
        seed: Decides initial weights, tasks and dropout.
    """

    steps: PositiveInt = 5_000
    tasks: PositiveInt = 16
    learning_rate: PositiveFloat = 1e-3
    warm_up: int = Field(default=200, ge=0)
    final_rate: float = Field(default=0.0, ge=0, le=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    clip: PositiveFloat = 1.0
    stages: Literal["auto", "one", "two"] = "auto"
    recompute: bool = False
    kl_weight: float = Field(default=0.0, ge=0)
    average: float = Field(default=0.0, ge=0, lt=1)
    validate_every: PositiveInt = 500
    validation_tasks: PositiveInt = 200
    patience: int = Field(default=0, ge=0)
    checkpoint_every: PositiveInt = 500
    log_every: PositiveInt = 50
    seed: int = Field(default=0, ge=0)


class Run(_Record):
    """A task family, a hypernetwork, an objective and a training, each by name and options.

    Args:
        family: {"name": name in `tasks.FAMILIES`, **options}.
        hypernetwork: See `Hypernetwork.record`.
        training: How it is trained.
        objective: {"name": name in `objectives.NAMED`, **options}; None in records from before it was recorded.
        threads: CPU threads; results are the same bits only for the same number.
        device: `cpu` or `cuda`.
        format: Version of this record's format.
    """

    family: dict[str, Any]
    hypernetwork: dict[str, Any]
    training: TrainingRecord = TrainingRecord()
    objective: dict[str, Any] | None = None
    threads: PositiveInt = 1
    device: Literal["cpu", "cuda"] = "cpu"
    format: int = FORMAT

    @property
    def digest(self) -> str:
        """Identity of the run: equal digests, equal results on one machine."""
        record = self.model_dump()
        for name, default in _LATER.items():
            if record["training"][name] == default:
                del record["training"][name]
        if record["objective"] in (None, *_FIRST_OBJECTIVES):
            del record["objective"]
        elif "teacher" in record["objective"]:
            # Where a teacher lies decides nothing.
            record["objective"]["teacher"].pop("path", None)
        text = json.dumps(record, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> bytes:
        """The record as it is saved beside its results."""
        return (json.dumps(self.model_dump(), indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes, *, name: str = "run record") -> "Run":
        """The inverse of `to_json`.

        Raises:
            RunError: If the record is not JSON, from a newer netwright, or has a wrong value.
        """
        try:
            record = json.loads(text)
        except ValueError as error:
            raise RunError(
                f"The {name} is not JSON ({error}), expected what netwright wrote."
            ) from None
        newer = isinstance(record, dict) and isinstance(record.get("format"), int)
        if newer and record["format"] > FORMAT:
            raise RunError(
                f"The {name} has format {record['format']}, expected at most {FORMAT}: it was written "
                "by a newer netwright. Upgrade: pip install -U netwright"
            )
        return validated(cls, record, name)


def validated(kind: type[R], values: Any, name: str) -> R:
    """`values` as a record, with the first mistake named in one line.

    Raises:
        RunError: If a value is missing, unknown or out of range.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or name
        known = (
            f" Known options: {', '.join(kind.model_fields)}." if "extra" in first["type"] else ""
        )
        raise RunError(f"`{place}` of the {name}: {first['msg'].lower()}.{known}") from None
