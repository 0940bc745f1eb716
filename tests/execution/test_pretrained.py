"""A transformer of another library as the base: tasks differ by what is written, the rest runs once."""

import pytest
import torch
from children import assert_equals_a_loop_over_modules, random_params
from torch import nn
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from netwright.child import Child
from netwright.emission import LowRank


class Reader(nn.Module):
    """What a transformer says of a text's first token."""

    def __init__(self, transformer: nn.Module, size: int) -> None:
        super().__init__()
        self.transformer, self.head = transformer, nn.Linear(size, 3)

    def forward(self, ids):
        return self.head(self.transformer(input_ids=ids).last_hidden_state[:, 0])


BERT = BertConfig(
    vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
    max_position_embeddings=16,
)  # fmt: skip
DISTILBERT = DistilBertConfig(
    vocab_size=50, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=16
)
BASES = {
    "bert": (
        lambda: BertModel(BERT, add_pooling_layer=False),
        ("*.query.weight", "*.value.weight"),
    ),
    "distilbert": (lambda: DistilBertModel(DISTILBERT), ("*.q_lin.weight", "*.v_lin.weight")),
}


@pytest.mark.parametrize("name", BASES)
def test_low_rank_corrections_of_a_pretrained_transformer(name):
    torch.manual_seed(0)
    make, chosen = BASES[name]
    module = Reader(make(), 32).eval()
    rules = [(glob, LowRank(4, "frozen")) for glob in chosen]
    child = Child(module, emissions=[("head.*", "full"), *rules, ("*", "frozen")]).eval()
    ids = torch.randint(0, 50, (3, 4, 7))
    found = child.plan(ids)
    assert found.how == "composite"
    assert len(found.lines) == 5
    assert {line.how for line in found.lines} == {"kernel"}
    # 2 layers x 2 maps x (4 x 32 down, 32 x 4 up), and the head.
    assert child.space.size == 4 * 256 + 99
    assert_equals_a_loop_over_modules(child, random_params(child, 3), ids, "auto", 1e-4)


def test_a_transformer_that_is_all_written_runs_by_kernels_too():
    torch.manual_seed(0)
    module = Reader(BertModel(BERT, add_pooling_layer=False), 32).eval()
    # A table with a padding row has a gradient of its own making; it is left to the fallback.
    child = Child(module, emissions=[("*word_embeddings*", "shared")]).eval()
    ids = torch.randint(1, 50, (2, 3, 5))
    found = child.plan(ids)
    assert found.how == "composite", found.why
    params = {
        name: value + 0.05 * torch.randn_like(value)
        for name, value in child.initial_params(2).items()
    }
    y = child(params, ids)
    for t in range(2):
        expected = child.materialise(params, t)(ids[t])
        torch.testing.assert_close(y[t], expected, rtol=1e-4, atol=1e-5)
