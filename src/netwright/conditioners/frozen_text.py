"""Reads a text by a language model that somebody else has trained."""

from typing import Any

import torch
from torch import Tensor, nn

from netwright.attention import masked_mean
from netwright.conditioners.base import Conditioner, Embedding
from netwright.conditions import Condition
from netwright.errors import ConditionError, MissingExtraError, RunError


class FrozenText(Conditioner):
    """Features of a frozen text encoder of the library transformers, and a learned map of them.

    For texts that training cannot cover: what the encoder knows of languages and words carries over. The
    encoder is kept as it is, and outside of the hypernetwork's own weights: files hold its name only, which
    must then lead to the same encoder. For an encoder that learns with the hypernetwork and needs no
    download see `Description`.

    Args:
        encoder: Folder of an encoder, or its name on the Hugging Face hub; read as safetensors only, and
            never with code of its own.
        size: E, the width of the embedding.

    Raises:
        RunError: If there is no such encoder, or it cannot be read.
        MissingExtraError: If transformers is not installed.
    """

    reads = ("description",)
    _model: Any

    def __init__(self, encoder: str, *, size: int = 64) -> None:
        super().__init__()
        self.encoder, self.size = str(encoder), size
        tokeniser, model = _read(self.encoder)
        self._tokeniser = tokeniser
        # Not a submodule: frozen weights of hundreds of megabytes have no place in a checkpoint.
        self.__dict__["_model"] = model
        limits = (tokeniser.model_max_length, model.config.max_position_embeddings)
        self._longest = int(min(limits))
        self.read = nn.Sequential(
            nn.LayerNorm(model.config.hidden_size), nn.Linear(model.config.hidden_size, size)
        )
        self.norm = nn.LayerNorm(size)

    def options(self) -> dict[str, Any]:
        """The JSON-able options that make this conditioner again."""
        return {"encoder": self.encoder, "size": self.size}

    def forward(self, condition: Condition) -> Embedding:
        """Read T texts; tokens are those of the encoder."""
        texts = condition.description
        if texts is None:
            raise self._missing(condition, "Give a text per task.")
        texts.check()
        device = self.norm.weight.device
        words = self._tokeniser(list(texts.values), padding=True, return_tensors="pt").to(device)
        mask = words["attention_mask"].bool()
        self._check_length(mask)
        with torch.no_grad():
            features: Tensor = self._model.to(device)(**words).last_hidden_state
        tokens = self.norm(self.read(features))
        return Embedding(masked_mean(tokens, mask), tokens, mask)

    def _check_length(self, mask: Tensor) -> None:
        lengths = mask.sum(dim=1)
        if int(lengths.max()) > self._longest:
            t = int(lengths.argmax())
            raise ConditionError(
                f"The description of task {t} has {int(lengths[t]):,} tokens, expected at most "
                f"{self._longest}. Shorten it."
            )


def _read(encoder: str) -> tuple[Any, Any]:
    """Tokeniser and model, frozen."""
    try:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError:
        raise MissingExtraError("transformers", "nlp", "The conditioner FrozenText") from None
    shows = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokeniser = AutoTokenizer.from_pretrained(encoder, trust_remote_code=False)
        model = AutoModel.from_pretrained(encoder, trust_remote_code=False, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"The encoder {encoder!r} cannot be read ({reason}), expected the folder or the name of a "
            "transformers model with safetensors. Download it first, or use `Description`."
        ) from None
    finally:
        if shows:
            logging.enable_progress_bar()
    return tokeniser, model.eval().requires_grad_(False)
