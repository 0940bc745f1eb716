"""From records to writers: hypernetworks and their rivals that are trained in the same loop."""

from collections.abc import Callable, Mapping
from typing import Any

from netwright.architectures import from_record as architecture_from_record
from netwright.child import Child
from netwright.errors import RunError, ShapeError
from netwright.hypernetwork import Hypernetwork
from netwright.learners.adapted_embedding import AdaptedEmbedding
from netwright.learners.adapted_policy import AdaptedPolicy
from netwright.learners.adapted_weights import AdaptedWeights
from netwright.learners.cavia import Cavia
from netwright.learners.closed_form import ClosedForm
from netwright.learners.joint_classes import JointClassifier
from netwright.learners.reptile import Reptile
from netwright.learners.reptile_hypernetwork import ReptileHypernetwork
from netwright.learners.start import Start
from netwright.tabular import TableWriter
from netwright.writer import Writer


def writer_from_record(record: Mapping[str, Any], *, child: Child | None = None) -> Writer:
    """An untrained writer as described; `child` is needed for modules of the user's own.

    Raises:
        RunError: If a kind, a name or an option is unknown, or the child is of another space.
    """
    options = dict(record)
    kind = options.pop("writer", "hypernetwork")
    if kind not in _MAKERS:
        raise RunError(f"Writer {kind!r} is not known, expected one of {list(_MAKERS)}.")
    return _MAKERS[kind](options, child)


def _hypernetwork(record: Mapping[str, Any], child: Child | None) -> Writer:
    return Hypernetwork.from_record(record, child=child)


def _start(record: Mapping[str, Any], child: Child | None) -> Start:
    if child is None:
        if record["child"] is None:
            raise RunError(
                "The record is of a module of your own, expected that module. Pass the `Child`."
            )
        architecture = architecture_from_record(record["child"])
        child = Child(architecture, emissions=list(record["emissions"].items()))
    if child.space.digest != record["space"]:
        raise ShapeError(
            f"The child has space {child.space.digest}, expected {record['space']}. "
            "Pass the same module with the same emissions as in training."
        )
    return Start(child, class_rows=record["class_rows"])


def _adapted_weights(record: dict[str, Any], child: Child | None) -> Writer:
    return AdaptedWeights(writer_from_record(record.pop("start"), child=child), **record)


def _adapted_policy(record: dict[str, Any], child: Child | None) -> Writer:
    return AdaptedPolicy(writer_from_record(record.pop("start"), child=child), **record)


def _adapted_embedding(record: dict[str, Any], child: Child | None) -> Writer:
    start = Hypernetwork.from_record(record.pop("start"), child=child)
    return AdaptedEmbedding(start, **record)


def _cavia(record: dict[str, Any], child: Child | None) -> Writer:
    return Cavia(_start(record.pop("start"), child).child, **record)


def _reptile(record: dict[str, Any], child: Child | None) -> Writer:
    start = record.pop("start")
    return Reptile(_start(start, child), **record)


def _reptile_hypernetwork(record: dict[str, Any], child: Child | None) -> Writer:
    hypernetwork = Hypernetwork.from_record(record.pop("hypernetwork"), child=child)
    return ReptileHypernetwork(hypernetwork, **record)


def _closed_form(record: dict[str, Any], child: Child | None) -> Writer:
    return ClosedForm(_start(record["start"], child).child, anchor=record["anchor"])


def _joint_classifier(record: dict[str, Any], child: Child | None) -> Writer:
    return JointClassifier(architecture_from_record(record["child"]), record["classes"])


def _table(record: dict[str, Any], child: Child | None) -> Writer:
    return TableWriter(**record)


_MAKERS: dict[str, Callable[[dict[str, Any], Child | None], Writer]] = {
    "adapted-embedding": _adapted_embedding,
    "adapted-policy": _adapted_policy,
    "adapted-weights": _adapted_weights,
    "cavia": _cavia,
    "closed-form": _closed_form,
    "hypernetwork": _hypernetwork,
    "joint-classifier": _joint_classifier,
    "reptile": _reptile,
    "reptile-hypernetwork": _reptile_hypernetwork,
    "start": _start,
    "table": _table,
}

__all__ = ["writer_from_record"]
