"""`netwright demo`: the whole story on characters of scripts that the hypernetwork has never seen."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from netwright.architectures import Conv
from netwright.artifacts import write_file
from netwright.child import Child
from netwright.cli.output import json_text, next_folder, print_table
from netwright.evaluation import Estimate, mean_estimate
from netwright.evaluation.evaluate import fixed_batches, median_ms
from netwright.generated import GeneratedNetwork
from netwright.hypernetwork import Hypernetwork
from netwright.learners import (
    FineTune,
    Generate,
    Learner,
    NearestMean,
    NearestNeighbour,
    train_joint,
)
from netwright.objectives import Classification
from netwright.rng import stream
from netwright.tasks import Glyphs, TaskBatch
from netwright.training import curves as training_curves
from netwright.training import make_hypernetwork, seeded_weights, train

WAYS, SHOTS, QUERIES = 5, 1, 10
TEST_TASKS, VALIDATION_TASKS = 200, 60
JOINT_STEPS = 500
# What fine-tuning may choose from, on validation tasks.
RATES = (3e-3, 1e-2, 3e-2)
STEPS = [5, 10, 20, 40, 80]


@dataclass(frozen=True)
class Rival:
    """A row of the table."""

    name: str
    accuracy: Estimate
    milliseconds: float
    parameters: int
    note: str = ""


def run_demo(folder: Path | None, *, steps: int, seed: int, as_json: bool) -> None:
    """Train, write networks for unseen scripts, compare, and leave files to look at."""
    torch.set_num_threads(1)
    folder = folder or next_folder("demo")
    started = time.monotonic()

    def say(text: str) -> None:
        if not as_json:
            print(text, flush=True)

    say(_STORY)
    family = Glyphs(WAYS, SHOTS, QUERIES, jitter=1)
    say(f"1. Characters: train on {_list(family.members('train'))};")
    say(
        f"   choose on {_list(family.members('validation'))}; test on {_list(family.members('test'))}."
    )
    say(f"2. Meta-training for {steps} steps of 16 tasks (about a minute) ...")
    hypernetwork = make_hypernetwork(family.shape, seed=seed)
    result = train(
        hypernetwork, family, folder=folder, steps=steps, tasks=16, learning_rate=4e-3,
        validate_every=max(1, steps // 6), checkpoint_every=max(1, steps), log_every=20, seed=seed,
        progress=not as_json,
    )  # fmt: skip
    curves = training_curves.draw(folder, result.log)
    say(
        f"3. Now {TEST_TASKS} tasks from scripts it has never seen: {SHOTS} example for each of {WAYS}"
    )
    say(
        "   characters. The rivals get the same child and the same examples; `joint` is one classifier"
    )
    say("   of all training characters; steps and rates were chosen on the validation scripts.")
    rivals = compare(hypernetwork, family, seed)
    if not as_json:
        _print_rivals(rivals)
    batch = family.sample(stream(seed, "demo", "shown"), 1, "test")
    network = hypernetwork.generate(
        batch.condition, labels=[f"character {c + 1}" for c in range(WAYS)]
    )
    network.save(folder / "network")
    onnx = _export(network, batch, folder)
    picture = draw(folder, network, batch)
    report = {
        "folder": folder, "run": result.run.digest, "seconds": round(time.monotonic() - started, 1),
        "steps": steps, "seed": seed, "test_tasks": TEST_TASKS,
        "rivals": [
            {
                "name": r.name, "accuracy": r.accuracy.value, "low": r.accuracy.low,
                "high": r.accuracy.high, "milliseconds": r.milliseconds,
                "parameters": r.parameters, "note": r.note,
            }
            for r in rivals
        ],
        "network": folder / "network", "onnx": onnx, "picture": picture, "curves": curves,
    }  # fmt: skip
    write_file(folder / "demo.json", json_text(report).encode())
    if as_json:
        print(json_text(report))
        return
    size = sum(path.stat().st_size for path in (folder / "network").iterdir())
    say(f"4. One of the networks, {network.size:,} parameters, as files:")
    say(f"   {folder / 'network'}/   ({size / 1000:.1f} kB; netwright.load_network reads it)")
    say(f"   {onnx or 'ONNX: ' + _NO_EXPORT}")
    say(f"   {picture or 'picture: needs matplotlib'}   what it saw, and what it said")
    say(f"   {curves or 'curves: needs matplotlib'}   how the hypernetwork learned")
    say(f"Done in {time.monotonic() - started:.0f} s. Next:")
    say(f"   netwright evaluate {folder} --shots 5          more examples, better networks")
    say(f"   netwright generate {folder} --support DIR --out my-network    DIR/<class>/*.png")
    say("   netwright train sales.csv --task store --target units         a network per store")


_STORY = """A hypernetwork is one network that writes the weights of others. It is trained once, over many
small tasks ("tell these 5 characters apart, here is one example of each"). For a new task it then
writes a small network in one forward pass: nothing is trained, no gradient is taken.
"""
_NAMES = {"CANADIAN": "Canadian syllabics", "NKO": "N'Ko", "OLD": "Old Italic"}
_NO_EXPORT = "pip install 'netwright[export]'"


def compare(hypernetwork: Hypernetwork, family: Glyphs, seed: int) -> list[Rival]:
    """Accuracy on the same test tasks; steps and rates of the tuned ones chosen on validation tasks."""
    objective = Classification()
    architecture = Conv(classes=WAYS)
    with seeded_weights(seed):
        scratch = Child(architecture)
    from_nothing = {name: value[0] for name, value in scratch.initial_params().items()}
    joint = train_joint(architecture, family.pools["train"], steps=JOINT_STEPS, jitter=1, seed=seed)
    # A head of zeros: the body's features decide, no class is preferred.
    from_joint = {name: joint.get(name, torch.zeros_like(v)) for name, v in from_nothing.items()}
    validation = list(fixed_batches(family, "validation", VALIDATION_TASKS, seed))
    starts = {"trained from scratch": from_nothing, "joint, fine-tuned": from_joint}
    learners: list[tuple[str, Learner, str]] = [
        ("generated network", Generate(hypernetwork), "one forward pass")
    ]
    for name, initial in starts.items():
        rate, steps = choose(scratch, initial, objective, validation)
        tuned = FineTune(scratch, initial, objective, steps=steps, rate=rate)
        learners.append((name, tuned, f"{steps} steps, rate {rate:g}"))
    body = {name: value for name, value in joint.items() if name in from_joint}
    learners.append(("joint, nearest mean", NearestMean(scratch, body), "in its features"))
    learners.append(("1-nearest neighbour", NearestNeighbour(), "in pixels"))
    test = list(fixed_batches(family, "test", TEST_TASKS, seed))
    kept = WAYS * SHOTS * 28 * 28
    return [
        Rival(
            name,
            accuracy_of(learner, objective, test),
            median_ms(partial(learner.adapt, test[0].condition.rows(slice(0, 1))), 5),
            kept if isinstance(learner, NearestNeighbour) else scratch.space.size,
            note,
        )
        for name, learner, note in learners
    ]


def choose(
    child: Child,
    initial: dict[str, Tensor],
    objective: Classification,
    batches: Sequence[TaskBatch],
) -> tuple[float, int]:
    """The rate and number of steps with the best accuracy on validation tasks."""
    best = (-1.0, RATES[0], STEPS[0])
    for rate in RATES:
        tuner = FineTune(child, initial, objective, steps=max(STEPS), rate=rate)
        found: dict[int, list[Tensor]] = {steps: [] for steps in STEPS}
        for batch in batches:
            for steps, params in zip(STEPS, tuner.trajectory(batch.condition, STEPS), strict=True):
                with torch.no_grad():
                    score = objective(child, params, batch)
                found[steps].append(score.metrics["accuracy"])
        for steps, values in found.items():
            best = max(best, (float(torch.cat(values).mean()), rate, steps))
    return best[1], best[2]


def accuracy_of(
    learner: Learner, objective: Classification, batches: Sequence[TaskBatch]
) -> Estimate:
    """Mean accuracy over tasks."""
    values = []
    for batch in batches:
        predict = learner.adapt(batch.condition)
        with torch.no_grad():
            values.append(objective.score(predict(batch.query.x), batch.query).metrics["accuracy"])
    return mean_estimate(torch.cat(values))


def draw(folder: Path, network: GeneratedNetwork, batch: TaskBatch) -> Path | None:
    """A picture: the support set, queries, and what the network said of each."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    support, query = batch.condition.examples, batch.query
    assert support is not None
    with torch.no_grad():
        said = network(query.x[0]).argmax(dim=1)
    shown = 6
    figure = Figure(figsize=(1.15 * (shown + 1.6), 1.15 * WAYS), layout="constrained")
    axes = figure.subplots(WAYS, shown + 1)
    for c in range(WAYS):
        rows = (query.y[0] == c).nonzero().flatten()[:shown]
        pictures = [support.x[0][support.y[0] == c][0], *query.x[0][rows]]
        for k, picture in enumerate(pictures):
            axis = axes[c][k]
            axis.imshow(1 - picture[0].numpy(), cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            answer = None if k == 0 else int(said[rows[k - 1]])
            colour = "0.3" if k == 0 else "tab:green" if answer == c else "tab:red"
            for spine in axis.spines.values():
                spine.set_color(colour)
                spine.set_linewidth(2.5)
            if answer is not None and answer != c:
                axis.set_xlabel(f"said {answer + 1}", fontsize=8, color=colour, labelpad=1)
        axes[c][0].set_ylabel(f"{c + 1}", rotation=0, labelpad=10, va="center")
    axes[0][0].set_title("example", fontsize=9)
    axes[0][1].set_title("new ones: green is right, red is wrong", fontsize=9, loc="left")
    path = folder / "predictions.png"
    figure.savefig(path, dpi=110)
    return path


def _export(network: GeneratedNetwork, batch: TaskBatch, folder: Path) -> Path | None:
    """ONNX, and its answers on this task's queries, which must be the network's own."""
    from netwright.errors import ArtifactError, MissingExtraError

    try:
        path = network.export(folder / "network.onnx")
    except MissingExtraError:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"x": batch.query.x[0].numpy()})
    with torch.no_grad():
        own = network(batch.query.x[0])
    if not torch.allclose(torch.from_numpy(answer), own, atol=1e-4, rtol=1e-4):
        raise ArtifactError(f"{path} gives other answers than the network, expected the same.")
    return path


def _print_rivals(rivals: Sequence[Rival]) -> None:
    rows = [
        [
            rival.name,
            f"{100 * rival.accuracy.value:.1f} ± {50 * (rival.accuracy.high - rival.accuracy.low):.1f} %",
            f"{rival.milliseconds:.1f}",
            f"{rival.parameters:,}",
            rival.note,
        ]
        for rival in rivals
    ]
    print_table(
        "   accuracy with its 95 % interval; milliseconds for a new task; numbers kept",
        ["", "accuracy", "ms", "numbers", "how"],
        rows,
    )


def _list(scripts: Sequence[str]) -> str:
    return ", ".join(_NAMES.get(name, name.capitalize()) for name in scripts)
