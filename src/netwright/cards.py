"""The README.md of a saved folder: what is known of what lies beside it, and what is not known.

Everything in a card comes from the folder's own records; where they say nothing, the card says so.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netwright._version import __version__

if TYPE_CHECKING:
    from netwright.ensemble import GeneratedEnsemble
    from netwright.generated import GeneratedNetwork, Provenance
    from netwright.writer import Writer

_HEAD = "---\nlibrary_name: netwright\ntags:\n- hypernetwork\n---\n"
_FILES = (
    "Every file beside this one is plain data (safetensors and JSON; no pickle is read, and no code), with its size and "
    "sha256 in `manifest.json`. `netwright verify .` checks them."
)
_UNKNOWN = "Not known: no record says it."
_MOST_LABELS = 20


def hypernetwork_card(
    writer: "Writer", weights: str, evaluations: Sequence[Mapping[str, Any]]
) -> str:
    """The card of a hypernetwork.

    Args:
        writer: What is saved.
        weights: Digest of its weights.
        evaluations: What `netwright evaluate` said of these weights.
    """
    run = writer.run
    record = writer.record()
    numbers = sum(p.numel() for p in writer.parameters())
    kind = type(writer).__name__
    read = [str(part["name"]) for part in record.get("conditioner", [])]
    of_tasks = "" if run is None else f" for tasks of the family `{_family_name(run.family)}`"
    lines = [
        _HEAD,
        f"# A {kind} that writes networks{of_tasks}",
        "",
        f"A hypernetwork of {numbers:,} parameters. From the condition of a task that it has never seen"
        + (f" ({', '.join(read)})" if read else "")
        + " it writes the weights of a small child network in one forward pass.",
        "",
        "| | |",
        "| --- | --- |",
        f"| child | {_child(writer)} |",
        *([f"| generator | {record['generator']['name']} |"] if "generator" in record else []),
        f"| weights | `{weights}` |",
        f"| run | {f'`{run.digest}`' if run else _UNKNOWN} |",
        f"| written by | netwright {__version__} |",
        "",
        "## Data",
        "",
        *_data(writer, evaluations),
        "",
        "## Results",
        "",
        *_results(evaluations),
        "",
        "## Intended use",
        "",
        "Writing networks for unseen tasks of the family above, from conditions of the same form."
        if run
        else f"What it was trained for is not known. It reads conditions of its record in `config.json`. {_UNKNOWN}",
        "",
        "## Limits",
        "",
        "- The results above are of the tasks named there; on tasks of other kinds nothing has been measured.",
        "- Fairness, privacy of the training data and robustness to hostile conditions have not been measured.",
        "- Licence of weights and data: not stated in the records.",
        "",
        "## How to load",
        "",
        "```python",
        "import netwright as nw",
        "",
        f"hypernetwork = nw.{kind}.from_pretrained(FOLDER)"
        if kind == "Hypernetwork"
        else "hypernetwork, run = netwright.training.load_writer(FOLDER)",
        "```",
        "",
        _FILES,
        "",
    ]
    return "\n".join(lines)


def network_card(network: "GeneratedNetwork") -> str:
    """The card of a written network."""
    module = ", module=MyModule()" if network.architecture is None else ""
    said = f"{network.size:,} parameters, written in one forward pass: no training was done for its task."
    load = f"network = nw.load_network(FOLDER{module})  # an nn.Module"
    return _card_of_network(network, "A network that a hypernetwork wrote", said, load)


def ensemble_card(ensemble: "GeneratedEnsemble") -> str:
    """The card of several networks of one task."""
    module = ", module=MyModule()" if ensemble.architecture is None else ""
    said = (
        f"{ensemble.samples} networks of one task, {ensemble.size:,} parameters together, whose answer is the mean of their "
        f"{ensemble.averages}. No training was done for the task. Digests below are of the first."
    )
    load = f"ensemble = netwright.load_ensemble(FOLDER{module})  # an nn.Module"
    return _card_of_network(
        next(ensemble.networks()), "Networks that a hypernetwork wrote", said, load
    )


def _card_of_network(network: "GeneratedNetwork", title: str, said: str, load: str) -> str:
    provenance = network.provenance
    architecture = network.architecture
    described = "a module of the user's own" if architecture is None else f"`{architecture!r}`"
    known = {
        "hypernetwork": provenance.hypernetwork,
        "condition": provenance.condition,
        "parameter space": provenance.space,
        "run": provenance.run,
        "sample": provenance.sample,
    }
    preparation = (network.preparation or {}).get("kind", "")
    lines = [
        _HEAD,
        f"# {title}",
        "",
        said,
        "",
        "| | |",
        "| --- | --- |",
        f"| architecture | {_cell(described)} |",
        f"| input | {list(network.input_shape) or _UNKNOWN} |",
        f"| outputs | {_labels(network.labels)} |",
        f"| preparation of inputs | {f'{preparation}, in `config.json`' if preparation else 'none recorded'} |",
        *[f"| digest of its {name} | `{_cell(digest)}` |" for name, digest in known.items() if digest],
        *[f"| written by {name} | {version} |" for name, version in provenance.versions.items()],
        "",
        "## Data and results",
        "",
        "Written from one condition, of which the digest above is kept and nothing else. How good this network is has not "
        "been recorded with it: evaluate it on examples of its task that it was not written from.",
        "",
        "## Intended use and limits",
        "",
        "For the task that it was written for, and inputs like those. Nothing is known of others.",
        "",
        "## How to load",
        "",
        "```python",
        "import netwright as nw",
        "",
        load,
        "```",
        "",
        _FILES,
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def lora_card(base_model: str, rank: int, targets: Sequence[str], provenance: "Provenance") -> str:
    """The card of an adapter.

    Args:
        base_model: Name or path of what it corrects; "" if it is not known.
        rank: Of its corrections.
        targets: Paths of the corrected layers.
        provenance: What wrote it, and from what.
    """
    base = f"`{_cell(base_model)}`" if base_model else _UNKNOWN
    digests = {"hypernetwork": provenance.hypernetwork, "condition": provenance.condition, "run": provenance.run}  # fmt: skip
    lines = [
        "---\nlibrary_name: peft\ntags:\n- lora\n- hypernetwork\n---\n",
        "# An adapter that a hypernetwork wrote",
        "",
        f"Corrections of rank {rank} for {len(targets)} layers, written in one forward pass: nothing was trained for its "
        "task.",
        "",
        "| | |",
        "| --- | --- |",
        f"| base model | {base} |",
        *[f"| digest of its {name} | `{_cell(digest)}` |" for name, digest in digests.items() if digest],
        *[f"| written by {name} | {version} |" for name, version in provenance.versions.items()],
        "",
        "How good it is has not been recorded with it. It is for the task that it was written for, and for the base model "
        "exactly as it was when the hypernetwork was trained.",
        "",
        "```python",
        "from peft import PeftModel",
        "",
        "model = PeftModel.from_pretrained(base_model, FOLDER)",
        "```",
        "",
        _FILES,
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _family_name(family: Mapping[str, Any]) -> str:
    inner = family.get("family")
    return (
        f"{family['name']} {inner['name']}" if isinstance(inner, Mapping) else str(family["name"])
    )


def _child(writer: "Writer") -> str:
    child = writer.child
    architecture = child.architecture
    described = "a module of the user's own" if architecture is None else f"`{architecture!r}`"
    return _cell(f"{described}, {child.space.size:,} numbers written per task")


def _data(writer: "Writer", evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    run = writer.run
    if run is None:
        return [_UNKNOWN]
    options = {name: value for name, value in run.family.items() if name != "name"}
    training = run.training
    prints = sorted({(str(e["split"]), str(e["fingerprint"])) for e in evaluations})
    return [
        f"Task family `{_family_name(run.family)}`" + (f", options `{options}`." if options else "."),
        "",
        f"Trained on tasks of its split `train` ({training.steps:,} steps of {training.tasks} tasks at most, seed "
        f"{training.seed}), chosen on {training.validation_tasks} tasks of `validation`; the splits share no task. "
        "Whole record: `run.json`.",
        *[f"\nFingerprint of the split `{split}`: `{found}`." for split, found in prints],
    ]  # fmt: skip


def _results(evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    if not evaluations:
        return ["Not known: these weights have not been evaluated, or the evaluation is not kept."]
    lines = [
        "| split | tasks | seed | metric | generated networks | 95 % interval | shuffled conditions |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    notes = []
    for report in evaluations:
        for name, own in report["metrics"].items():
            shuffled = report["shuffled"].get(name)
            other = "-" if shuffled is None else f"{shuffled['value']:.4f}"
            lines.append(
                f"| {report['split']} | {report['tasks']} | {report['seed']} | {name} | {own['value']:.4f} | "
                f"{own['low']:.4f} to {own['high']:.4f} | {other} |"
            )
        changed = {k: v for k, v in report["family"].items() if k != "name"}
        notes.append(f"\nTasks of `{report['split']}` in this evaluation: `{changed}`.")
        if report.get("shifts"):
            notes.append(f"Support pictures were read with copies shifted by {report['shifts']}.")
        if report.get("calibration_error") is not None:
            notes.append(f"Calibration error {report['calibration_error']:.3f}.")
    return [*lines, *notes]


def _labels(labels: Sequence[str]) -> str:
    if not labels:
        return "not named"
    more = "" if len(labels) <= _MOST_LABELS else f" and {len(labels) - _MOST_LABELS} more"
    return _cell(", ".join(f"`{label}`" for label in labels[:_MOST_LABELS])) + more


def _cell(text: str) -> str:
    """Text that stays inside its cell of a table, whatever it holds."""
    return " ".join(text.replace("|", "\\|").split())


__all__ = ["ensemble_card", "hypernetwork_card", "lora_card", "network_card"]
