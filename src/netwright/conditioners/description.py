"""Reads a text that says what a network should do."""

from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from netwright.attention import SetBlock, masked_mean
from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditioners.words import pieces_of, words_of
from netwright.conditions import Condition, Texts
from netwright.errors import ConditionError, RunError


class Description(Conditioner):
    """A small transformer over words, trained from nothing together with the hypernetwork.

    A word is the mean of learned vectors of its hashed pieces, so that there is no vocabulary and any
    language can be learned. A text of which training has seen no word is refused when a network is
    written from it.

    Args:
        size: E, the width of the embedding.
        depth: Number of attention blocks over the words.
        words: Most words of a text.
        buckets: How many vectors pieces are hashed to.

    Raises:
        RunError: If a size is below 1.
    """

    reads = ("description",)

    def __init__(
        self, *, size: int = 64, depth: int = 2, words: int = 64, buckets: int = 8192
    ) -> None:
        super().__init__()
        if min(size, words, buckets) < 1 or depth < 0:
            raise RunError(
                f"The sizes are size={size}, depth={depth}, words={words}, buckets={buckets}, expected at "
                "least 1 (a depth of at least 0)."
            )
        self.size, self.depth, self.words, self.buckets = size, depth, words, buckets
        self.pieces = nn.EmbeddingBag(buckets, size, mode="mean")
        self.positions = nn.Parameter(0.1 * torch.randn(words, size))
        self.blocks = nn.ModuleList(SetBlock(size) for _ in range(depth))
        self.norm = nn.LayerNorm(size)
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(buckets, dtype=torch.bool))

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        return {
            "size": self.size,
            "depth": self.depth,
            "words": self.words,
            "buckets": self.buckets,
        }

    def forward(self, condition: Condition) -> Embedding:
        """Read T texts; tokens are their words."""
        read = self._words(self._texts(condition))
        device = self.positions.device
        lengths = torch.tensor([len(words) for words in read], device=device)
        pieces = [piece for words in read for piece in words]
        starts = torch.tensor([0] + [len(piece) for piece in pieces[:-1]]).cumsum(0)
        flat = torch.tensor([number for piece in pieces for number in piece], device=device)
        if self.training:
            self.seen[[piece[0] for piece in pieces]] = True
        vectors = self.pieces(flat, starts.to(device))
        mask = torch.arange(int(lengths.max()), device=device) < lengths.unsqueeze(1)
        tokens = vectors.new_zeros(*mask.shape, self.size)
        tokens[mask] = vectors
        tokens = tokens + self.positions[: mask.shape[1]]
        for block in self.blocks:
            tokens = block(tokens, mask)
        tokens = self.norm(tokens)
        return Embedding(masked_mean(tokens, mask), tokens, mask)

    def check(self, condition: Condition) -> None:
        """Refuse texts of which training has seen no word.

        Raises:
            ConditionError: If there is one.
        """
        super().check(condition)
        texts = self._texts(condition)
        for t, words in enumerate(self._words(texts)):
            if self.seen.any() and not any(self.seen[piece[0]] for piece in words):
                raise ConditionError(
                    f"The description of task {t}, {shorten(texts.values[t], 60)!r}, has no word that was "
                    "seen in training. Use the language and the words of training."
                )

    def _texts(self, condition: Condition) -> Texts:
        if condition.description is None:
            raise self._missing(condition, "Give a text per task.")
        if not isinstance(condition.description, Texts):
            raise ConditionError(
                f"`description` is {type(condition.description).__name__}, expected `netwright.Texts`. "
                "Put the texts into one: Texts(['...'])."
            )
        return condition.description

    def _words(self, texts: Texts) -> list[list[tuple[int, ...]]]:
        """The words of each text as pieces."""
        texts.check()
        # A book is refused before it is taken apart.
        longest = 100 * self.words
        read = [words_of(value[: longest + 1]) for value in texts.values]
        for t, (words, value) in enumerate(zip(read, texts.values, strict=True)):
            if len(words) > self.words or len(value) > longest:
                count = (
                    f"{len(words):,} words" if len(value) <= longest else f"{len(value):,} letters"
                )
                raise ConditionError(
                    f"The description of task {t} has {count}, expected at most {self.words} words. "
                    "Shorten it, or make the conditioner with more `words`."
                )
        return [[pieces_of(word, self.buckets) for word in words] for words in read]
