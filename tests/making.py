"""Hypernetworks and conditions of every kind, for contract tests."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import nn

from netwright.architectures import conv, mlp
from netwright.child import Child
from netwright.conditioners import (
    CONDITIONERS,
    Architecture,
    Conditioner,
    Context,
    Description,
    Examples,
    FrozenText,
    Hyperparameters,
    Identity,
    Input,
    Noise,
    Preference,
)
from netwright.conditions import Architectures, Condition, ExampleSet, Texts
from netwright.hypernetwork import Hypernetwork

SIZE = 16
# Kinds of condition, each by one conditioner: a frozen encoder reads texts too.
SOURCES = [name for name in CONDITIONERS if name != "frozen-text"]


@cache
def make_encoder() -> str:
    """Folder of a text encoder of random weights, saved as any other is."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = Path(tempfile.mkdtemp(prefix="encoder-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "one",
        "two",
        "three",
        "four",
        "of",
        "them",
        ",",
    ]
    (folder / "vocab.txt").write_text("\n".join(words))
    config = BertConfig(
        vocab_size=len(words), hidden_size=24, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=20,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=20).save_pretrained(folder)
    return str(folder)


def make_conditioner(name: str) -> Conditioner:
    """A small conditioner by its name in `CONDITIONERS`."""
    makers = {
        "architecture": lambda: Architecture(size=SIZE),
        "context": lambda: Context([0.0, -1.0], [1.0, 1.0], size=SIZE),
        "description": lambda: Description(size=SIZE, buckets=500),
        "examples": lambda: Examples((3,), size=SIZE, outputs=2, channels=16),
        "frozen-text": lambda: FrozenText(make_encoder(), size=SIZE),
        "hyperparameters": lambda: Hyperparameters(
            [1e-4, 0], [1, 0.5], logarithmic=[True, False], size=SIZE
        ),
        "identity": lambda: Identity(50, size=SIZE),
        "input": lambda: Input((3,), size=SIZE, channels=16),
        "noise": lambda: Noise(5, size=SIZE),
        "preference": lambda: Preference(3, size=SIZE),
    }
    assert makers.keys() == CONDITIONERS.keys(), "add the new conditioner here"
    return makers[name]()


def make_condition(tasks: int, rng: torch.Generator, *kinds: str) -> Condition:
    """A condition with everything that the conditioners above read, or some kinds of it."""
    x, y = torch.randn(tasks, 6, 3, generator=rng), torch.randn(tasks, 6, 2, generator=rng)
    context = torch.rand(tasks, 2, generator=rng)
    identity = torch.randint(0, 50, (tasks,), generator=rng)
    words = ["one", "two", "three", "four", "of", "them,"]
    lengths = torch.randint(2, 9, (tasks,), generator=rng).tolist()
    chosen = [torch.randint(0, 6, (n,), generator=rng).tolist() for n in lengths]
    texts = Texts([" ".join(words[i] for i in each) for each in chosen])
    shares = Preference.draw(tasks, 3, generator=rng)
    settings = torch.rand(tasks, 2, generator=rng) * torch.tensor([1.0, 0.5]) + 1e-4
    own = torch.randn(tasks, 3, generator=rng)
    noise = Noise.draw(tasks, 5, generator=rng)
    # Different widths for different tasks: their networks are to differ.
    widths = torch.randperm(60, generator=rng).tolist() * -(-tasks // 60)
    wanted = Architectures(
        [
            mlp(inputs=3, hidden=(w + 4,) * (1 + t % 3), outputs=2)
            for t, w in enumerate(widths[:tasks])
        ]
    )
    whole = Condition(
        ExampleSet.of(x, y), context, identity, texts, shares, settings, own, noise, wanted
    )
    return Condition(**{name: whole.present()[name] for name in kinds}) if kinds else whole


def make_vector_hypernetwork(generator: str, conditioner: str = "examples") -> Hypernetwork:
    """Writes an MLP for values."""
    child = Child(mlp(inputs=3, hidden=(24, 24), outputs=2))
    return Hypernetwork(child, make_conditioner(conditioner), generator)


def make_picture_hypernetwork(generator: str, head: str = "anchored") -> Hypernetwork:
    """Writes a convolutional classifier of 12 x 12 pictures."""
    child = Child(conv(channels=8, depth=2, classes=4, image=(1, 12, 12)))
    encoder = Examples((1, 12, 12), size=SIZE, channels=16)
    return Hypernetwork(child, encoder, generator, head=head)


def make_picture_condition(tasks: int, ways: int, shots: int, rng: torch.Generator) -> Condition:
    """Pictures 12 x 12 with `shots` examples of each of `ways` classes."""
    x = torch.rand(tasks, ways * shots, 1, 12, 12, generator=rng)
    y = torch.arange(ways).repeat_interleave(shots).expand(tasks, -1).clone()
    return Condition(ExampleSet.of(x, y, classes=ways))


def perturb(module: nn.Module, rng: torch.Generator) -> None:
    """Move every parameter: freshly initialised modules satisfy too many laws."""
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=rng)
