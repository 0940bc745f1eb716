"""Small comparisons on sine waves."""

from typing import Any

from netwright.referee import Experiment, experiment_of

FAMILY = {"name": "sine", "shots": 5, "queries": 8}
SMALL = {"size": 16, "encoder_channels": 16}


def record(**changes: Any) -> dict[str, Any]:
    """An experiment that takes moments."""
    return {
        "name": "small",
        "settings": {"k5": {"family": FAMILY, "child": {"name": "mlp", "hidden": [8]}}},
        "metric": "mse",
        "reference": "hypernetwork",
        "learners": {
            "hypernetwork": {"kind": "hypernetwork", **SMALL},
            "maml": {"kind": "maml", "steps": 1, "grid": {"rate": [0.01, 0.1], "steps_at_use": [1, 3]}},
            "joint": {"kind": "joint"},
            "joint-tuned": {"kind": "joint+tune", "grid": {"rate": [0.01, 0.03], "steps": [1, 5]}},
            "ridge": {"kind": "sklearn:Ridge"},
        },
        "seeds": [0, 1],
        "budget": {"steps": 20},
        "training": {"tasks": 4},
        "test_episodes": 30,
        "validation_episodes": 20,
        **changes,
    }  # fmt: skip


def experiment(**changes: Any) -> Experiment:
    return experiment_of(record(**changes))
