"""Netwright: one network that writes networks.

A hypernetwork is meta-trained over many tasks. For a task that it has never seen it then writes a
small child network in one forward pass: an ordinary `nn.Module`, standalone and exportable.

Names load on first use, so that the command line answers without importing torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from netwright._version import __version__

if TYPE_CHECKING:
    from netwright import (
        anchors,
        architectures,
        conditioners,
        dynamic,
        errors,
        generators,
        objectives,
        search,
        tasks,
    )
    from netwright.bank import NetworkBank
    from netwright.child import Child
    from netwright.conditions import Condition, ExampleSet, Texts
    from netwright.emission import BiasOnly, Film, Frozen, Full, LowRank, Shared
    from netwright.ensemble import GeneratedEnsemble, load_ensemble
    from netwright.evaluation import Evaluation, evaluate
    from netwright.generated import GeneratedNetwork, load_network
    from netwright.hypernetwork import Hypernetwork
    from netwright.space import ParameterSpace
    from netwright.static import StaticHypernetwork
    from netwright.training import load_hypernetwork, make_hypernetwork, train

_HOMES = {
    "BiasOnly": "netwright.emission",
    "Child": "netwright.child",
    "Condition": "netwright.conditions",
    "Evaluation": "netwright.evaluation",
    "ExampleSet": "netwright.conditions",
    "Film": "netwright.emission",
    "Frozen": "netwright.emission",
    "Full": "netwright.emission",
    "GeneratedEnsemble": "netwright.ensemble",
    "GeneratedNetwork": "netwright.generated",
    "Hypernetwork": "netwright.hypernetwork",
    "LowRank": "netwright.emission",
    "NetworkBank": "netwright.bank",
    "ParameterSpace": "netwright.space",
    "Shared": "netwright.emission",
    "StaticHypernetwork": "netwright.static",
    "Texts": "netwright.conditions",
    "evaluate": "netwright.evaluation",
    "load_ensemble": "netwright.ensemble",
    "load_hypernetwork": "netwright.training",
    "load_network": "netwright.generated",
    "make_hypernetwork": "netwright.training",
    "train": "netwright.training",
}
_ROOMS = (
    "anchors",
    "architectures",
    "conditioners",
    "dynamic",
    "errors",
    "generators",
    "objectives",
    "search",
    "tasks",
)

__all__ = [
    "BiasOnly",
    "Child",
    "Condition",
    "Evaluation",
    "ExampleSet",
    "Film",
    "Frozen",
    "Full",
    "GeneratedEnsemble",
    "GeneratedNetwork",
    "Hypernetwork",
    "LowRank",
    "NetworkBank",
    "ParameterSpace",
    "Shared",
    "StaticHypernetwork",
    "Texts",
    "__version__",
    "anchors",
    "architectures",
    "conditioners",
    "dynamic",
    "errors",
    "evaluate",
    "generators",
    "load_ensemble",
    "load_hypernetwork",
    "load_network",
    "make_hypernetwork",
    "objectives",
    "search",
    "tasks",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"netwright.{name}")
    else:
        raise AttributeError(f"module 'netwright' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
