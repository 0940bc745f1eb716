"""Comparison folders made by a simulation whose effects are known."""

import itertools
import json
from pathlib import Path

import numpy as np
import yaml

# By learner: kind, mean accuracy, seed spread, bytes, adapt ms, training CPU-seconds.
LEARNERS = {
    "hypernetwork": ("hypernetwork", 0.80, 0.004, 9_838, 2.1, 310.0),
    "maml-10": ("maml", 0.74, 0.006, 9_838, 31.0, 1_240.0),
    "hypernetwork+5": ("hypernetwork+adapt", 0.803, 0.004, 9_838, 14.0, 310.0),
    "joint+tune": ("joint+tune", 0.60, 0.010, 9_838, 12.0, 95.0),
    "protonet-wide": ("protonet", 0.86, 0.005, 112_000, 0.9, 160.0),
    "neighbours": ("nearest-neighbours", 0.50, 0.0, 15_680, 0.05, 0.0),
}
EPISODES = 120


def write_comparison(
    folder: Path,
    *,
    learners=LEARNERS,
    settings=("5-way-1-shot",),
    seeds=(0, 1, 2),
    reference="hypernetwork",
    episodes=EPISODES,
    question="Do networks written in one pass match networks adapted by gradient steps?",
    hypotheses=("hypernetwork is more accurate than maml-10.",),
    error=False,
    change=lambda result: result,
) -> Path:
    """Write a comparison as `netwright compare` would.

    score = mean(learner) + shift(setting) + seed + episode + rest; with `error` the metric is one less that.

    `change` maps each result to what is written, or to None.
    """
    folder.mkdir(parents=True)
    metric = "error" if error else "accuracy"
    experiment = {
        "name": "glyphs-referee",
        "question": question,
        "hypotheses": list(hypotheses),
        "settings": {
            name: {"family": {"name": "glyphs", "ways": 5, "shots": 1}} for name in settings
        },
        "metric": metric,
        "reference": reference,
        "learners": {name: {"kind": row[0]} for name, row in learners.items()},
        "seeds": list(seeds),
        "budget": {"steps": 4000},
        "test_episodes": episodes,
        "stopping_rule": "All seeds run to the end of their budget.",
    }
    (folder / "experiment.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))
    (folder / "plan.json").write_text(json.dumps({"steps": dict.fromkeys(settings, 4000)}))
    for i, setting in enumerate(settings):
        rng = np.random.default_rng(i)
        of_episode = rng.normal(0, 0.06, episodes)
        for j, (name, row) in enumerate(learners.items()):
            for seed in seeds:
                result = simulate(rng, setting, name, row, seed, -0.1 * i, of_episode, metric)
                result = change(result)
                if result is not None:
                    path = folder / "results" / f"setting{i}" / f"learner{j}" / f"seed{seed}.json"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(json.dumps(result))
    return folder


def changed(learner, seed, /, **fields):
    """For `change`: other fields in the results of one learner with one seed."""

    def change(result):
        is_it = (result["learner"], result["seed"]) == (learner, seed)
        return {**result, **fields} if is_it else result

    return change


def simulate(rng, setting, name, row, seed, shift, of_episode, metric):
    """One result file."""
    kind, mean, spread, size, adapt_ms, seconds = row

    def flip(score):
        return 1 - score if metric == "error" else score

    level = mean + shift + rng.normal(0, spread)
    scores = level + of_episode + rng.normal(0, 0.05, len(of_episode))
    shuffled = 0.2 + rng.normal(0, 0.05, len(of_episode))
    steps = range(500, 4001, 500) if seconds else ()
    curve = [
        {
            "step": step,
            "cpu_seconds": seconds * step / 4000,
            "validation": flip(0.2 + (level - 0.2) * (1 - 0.4 ** (step / 500)) + rng.normal(0, 0.004)),
        }
        for step in steps
    ]  # fmt: skip
    # More examples help who learns from them more than who has learned to do with one.
    gain = 0.085 if kind == "joint+tune" else 0.03
    support = [
        {"shots": shots, "value": flip(min(level + gain * np.log2(shots), 0.97))}
        for shots in (1, 2, 5, 10, 20)
    ]
    return {
        "format": 1, "setting": setting, "learner": name, "kind": kind, "seed": seed,
        "status": "done", "error": "",
        "metric": metric, "higher_is_better": metric != "error", "unit": "",
        "fingerprint": f"f{setting}",
        "scores": {metric: flip(scores).tolist()},
        "shuffled": {metric: flip(shuffled).tolist()} if kind != "nearest-neighbours" else None,
        "calibration": calibration(rng, level),
        "curve": curve,
        "by_support": support,
        "choice": {"rate": 0.1, "steps": 5} if kind in ("maml", "joint+tune") else None,
        "tried": [
            {"rate": rate, "steps": steps, "validation": flip(level - abs(rate - 0.1) / 2)}
            for rate in (0.03, 0.1, 0.3) for steps in (1, 5)
        ] if kind in ("maml", "joint+tune") else [],
        "cost": {
            "train_steps": 4000 if seconds else 0, "train_tasks": 64_000 if seconds else 0,
            "train_cpu_seconds": seconds * rng.uniform(0.97, 1.03), "peak_memory_mb": 410.0,
            "adapt_ms": adapt_ms, "adapt_ms_of_64": adapt_ms / 3, "predict_ms": 0.4,
            "trained_parameters": 180_000, "deployed_parameters": size // 4, "deployed_bytes": size,
        },
        "run": f"{seed:016x}", "versions": {"netwright": "0.1.0", "torch": "2.13.0"},
        "machine": "one thread of a CPU",
    }  # fmt: skip


def calibration(rng, level):
    """Ten bins whose accuracy falls short of their confidence."""
    edges = np.linspace(0, 1, 11)
    bins = [
        {
            "low": low, "high": high, "count": int(1 + 400 * high**3),
            "confidence": (low + high) / 2, "accuracy": max(0.0, (low + high) / 2 - 0.06 + rng.normal(0, 0.01)),
        }
        for low, high in itertools.pairwise(edges)
    ]  # fmt: skip
    bins[0] = {**bins[0], "count": 0, "confidence": None, "accuracy": float("nan")}
    return {"ece": 0.06, "brier": 1 - level, "bins": bins}
