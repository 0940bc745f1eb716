"""Corrections of low rank as adapters: PEFT loads them, and the model says what the child says."""

import json

import peft
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

import netwright as nw
from netwright.artifacts import read_artifact
from netwright.emission import Film, LowRank
from netwright.errors import ArtifactError, ConditionError

# PEFT asks transformers by a name that is to go.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

FROZEN = ("*", "frozen")


class Says(nn.Module):
    """A model of another library by its logits alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        return self.model(ids).logits


def bert():
    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=16, num_labels=3, initializer_range=0.2,
    )  # fmt: skip
    return BertForSequenceClassification(config).eval()


def gpt():
    config = GPT2Config(
        vocab_size=50, n_positions=16, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def convolutions():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.Flatten(), nn.Linear(4 * 6 * 6, 3)
    )


def perturbed(child, conditioner="dense"):
    """A hypernetwork that writes corrections that count."""
    hypernetwork = nw.Hypernetwork(
        child, nw.conditioners.Context([0.0] * 2, [1.0] * 2), conditioner
    )
    with torch.no_grad():
        for parameter in hypernetwork.generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return hypernetwork.eval()


CONDITION = nw.Condition(context=torch.tensor([[0.3, 0.9]]))


def check(make, rules, x, tmp_path, *, wrapped=True, tolerance=1e-5):
    torch.manual_seed(0)
    model = make()
    child = nw.Child(Says(model) if wrapped else model, emissions=[*rules, FROZEN])
    hypernetwork = perturbed(child)
    adapter = hypernetwork.generate_lora(CONDITION, inside="model" if wrapped else "")
    adapter.save(tmp_path / "adapter")
    with torch.no_grad():
        before = model(x).logits if wrapped else model(x)
        expected = hypernetwork.generate(CONDITION)(x)
        loaded = peft.PeftModel.from_pretrained(model, tmp_path / "adapter").eval()
        found = loaded(x).logits if wrapped else loaded(x)
        merged = loaded.merge_and_unload()(x)
    assert (expected - before).abs().max() > 1e-2, "the corrections do nothing"
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    merged = merged.logits if wrapped else merged
    torch.testing.assert_close(merged, expected, rtol=1e-4, atol=1e-4)
    return adapter


def test_peft_loads_corrections_of_a_transformer(tmp_path):
    rules = [("*.query.weight", LowRank(4, "frozen")), ("*.value.weight", LowRank(2, "frozen"))]
    adapter = check(bert, rules, torch.randint(0, 50, (4, 7)), tmp_path)
    assert adapter.rank == 4
    assert len(adapter.targets) == 4
    files = read_artifact(tmp_path / "adapter", "lora-adapter")
    config = json.loads(files["adapter_config.json"])
    assert config["peft_type"] == "LORA"
    assert adapter.provenance.condition in files["README.md"].decode()


def test_layers_that_are_written_in_full_go_along(tmp_path):
    rules = [("*.query.weight", LowRank(4, "frozen")), ("*classifier*", "full")]
    adapter = check(bert, rules, torch.randint(0, 50, (4, 7)), tmp_path)
    assert adapter.saved == ("classifier",)


def test_peft_loads_corrections_of_layers_whose_weights_lie_the_other_way(tmp_path):
    # Outputs of a language model are large: float32 has as many digits of them.
    rules = [("*.c_attn.weight", LowRank(4, "frozen")), ("*wpe.weight", LowRank(3, "frozen"))]
    check(gpt, rules, torch.randint(0, 50, (2, 7)), tmp_path, tolerance=2e-5)


def test_peft_loads_corrections_of_convolutions_and_of_names_that_end_alike(tmp_path):
    rules = [("0.weight", LowRank(4, "frozen")), ("2.weight", LowRank(2, "frozen"))]
    check(convolutions, rules, torch.randn(3, 1, 8, 8), tmp_path, wrapped=False)

    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.block = nn.Linear(4, 4), nn.Sequential()
            self.block.add_module("fc", nn.Linear(4, 4))

        def forward(self, x):
            return self.block(self.fc(x).relu())

    rules = [("fc.weight", LowRank(2, "frozen"))]
    adapter = check(Nested, rules, torch.randn(3, 4), tmp_path, wrapped=False)
    assert adapter.targets == ("fc",)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(self.a(x))


LOW = LowRank(2, "frozen")


@pytest.mark.parametrize(
    ("module", "rules", "message"),
    [
        (nn.Linear(4, 4), [("weight", LowRank(2))], "base of 'weight' was learned"),
        (nn.Sequential(nn.Linear(4, 4)), [("0.weight", LowRank(2))], "base of '0.weight' was learned with"),
        (nn.Sequential(nn.Linear(4, 4)), [("0.weight", Film("frozen"))], "emitted as Film, which PEFT's LoRA has no"),
        (nn.Sequential(nn.Linear(4, 4)), [("0.weight", "full")], "has no correction of low rank"),
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), [("0.weight", LOW), ("1.bias", "full")], "'1.bias' is written in full and '1.weight' is not"),
        (nn.Sequential(nn.Linear(4, 4)), [("0.weight", LOW), ("0.bias", "full")], "'0.bias' is written in full and '0.weight' is not"),
        (nn.Sequential(nn.Linear(4, 4)), [("0.weight", LOW), ("0.bias", "shared")], "emitted as Shared"),
        (Tied(), [("a.weight", LOW)], "'a.weight' is tied to another tensor"),
    ],
    ids=range(8),
)  # fmt: skip
def test_what_peft_cannot_say_is_refused_in_one_line(module, rules, message, tmp_path):
    hypernetwork = perturbed(nw.Child(module, emissions=[*rules, FROZEN]) if rules[0][1] != "full" or len(rules) > 1 else nw.Child(module, emissions=rules))  # fmt: skip
    with pytest.raises(ArtifactError, match=message) as refusal:
        hypernetwork.generate_lora(CONDITION)
    assert "\n" not in str(refusal.value)


def test_what_is_written_outside_the_base_model_is_refused():
    child = nw.Child(
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)),
        emissions=[("*.weight", LOW), FROZEN],
    )
    with pytest.raises(ArtifactError, match="'1.weight' is not inside '0', expected all"):
        perturbed(child).generate_lora(CONDITION, inside="0")


def test_the_condition_is_of_one_task():
    child = nw.Child(nn.Sequential(nn.Linear(4, 4)), emissions=[("*.weight", LOW), FROZEN])
    two = nw.Condition(context=torch.rand(2, 2))
    with pytest.raises(ConditionError):
        perturbed(child).generate_lora(two)
