"""Corrections of low rank as adapters that PEFT loads: a written network for whoever has the base model already."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netwright.artifacts import tensors_to_bytes, write_artifact
from netwright.cards import lora_card
from netwright.child import Child
from netwright.emission import Emission, Frozen, Full, LowRank
from netwright.errors import ArtifactError
from netwright.generated import Provenance

KIND = "lora-adapter"
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class LoraAdapter:
    """What one task adds to a base model, in the names and shapes of PEFT.

    Args:
        tensors: By PEFT's names: `lora_A` [r, I] and `lora_B` [O, r] per corrected layer, layers that are written in
            full as they are.
        rank: r, of all layers; those of a lower rank are filled up with zeros.
        targets: Paths of the corrected layers in the base model.
        saved: Paths of the layers that are written in full.
        turned: Whether layers keep their weights as [I, O], as `Conv1D` of the transformers library does.
        base_model: Name or path of the base model; "" if it is not known.
        provenance: What wrote it, and from what.

    References:
        Hu et al., LoRA, arXiv:2106.09685.
    """

    tensors: Mapping[str, Tensor]
    rank: int
    targets: tuple[str, ...]
    saved: tuple[str, ...]
    turned: bool
    base_model: str
    provenance: Provenance

    def config(self) -> dict[str, Any]:
        """The content of adapter_config.json."""
        return {
            "peft_type": "LORA",
            "task_type": None,
            "base_model_name_or_path": self.base_model or None,
            "inference_mode": True,
            "r": self.rank,
            # PEFT multiplies by lora_alpha / r.
            "lora_alpha": self.rank,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": self.turned,
            # As a pattern of whole paths: names in a list would also mean layers whose paths end with them.
            "target_modules": "|".join(map(re.escape, self.targets)),
            "modules_to_save": list(self.saved) or None,
        }

    def save(self, folder: str | Path) -> Path:
        """Write a folder: adapter_config.json, adapter_model.safetensors, README.md, manifest.json.

        `PeftModel.from_pretrained(base_model, folder)` reads it.

        Raises:
            ArtifactError: If the folder cannot be written; what stood there before is kept.
        """
        files = {
            "adapter_config.json": json.dumps(self.config(), indent=2).encode(),
            "adapter_model.safetensors": tensors_to_bytes(self.tensors),
            "README.md": lora_card(self.base_model, self.rank, self.targets, self.provenance).encode(),
        }  # fmt: skip
        write_artifact(Path(folder), KIND, files, provenance=asdict(self.provenance))
        return Path(folder)


@torch.no_grad()
def lora_adapter(
    child: Child,
    params: Mapping[str, Tensor],
    *,
    provenance: Provenance,
    inside: str = "",
    base_model: str = "",
) -> LoraAdapter:
    """Params of one task as an adapter of the model that the child was made of.

    Args:
        child: Its emissions are `LowRank(base="frozen")`, whole layers in `Full`, the rest `Frozen`.
        params: Of one task, T = 1, each [1, *shape].
        provenance: What wrote them.
        inside: Path of the base model in the child's module, if it is wrapped.
        base_model: Its name or path, for the config.

    Raises:
        ArtifactError: If there is something that PEFT has no form for.
    """
    specs = {name: _names_of(child, name) for name in child.emissions}
    for name, emission in child.emissions.items():
        _check(name, emission, specs[name], inside)
    low = [name for name, emission in child.emissions.items() if isinstance(emission, LowRank)]
    if not low:
        raise ArtifactError(
            "The child has no correction of low rank, expected at least one: an adapter is made of these. Give emissions "
            'such as ("*attention*weight", nw.LowRank(4, base="frozen")).'
        )
    rank = max(params[f"{name}.down"].shape[1] for name in low)
    tensors: dict[str, Tensor] = {}
    for name in low:
        down, up = params[f"{name}.down"][0], params[f"{name}.up"][0]
        path = name.rpartition(".")[0]
        module = child.template.get_submodule(path)
        shape = child.template.get_parameter(name).shape
        for key, value in _factors(path, module, down, up, rank, shape).items():
            tensors[f"{_PREFIX}{_inside(path, inside)}.{key}"] = value.contiguous()
    saved = _whole_layers(child)
    for path in saved:
        for leaf, _ in child.template.get_submodule(path).named_parameters():
            key = f"{_PREFIX}{_inside(path, inside)}.{leaf}"
            tensors[key] = params[f"{path}.{leaf}"][0].clone()
    paths = [name.rpartition(".")[0] for name in low]
    return LoraAdapter(
        tensors,
        rank,
        targets=tuple(_inside(path, inside) for path in paths),
        saved=tuple(_inside(path, inside) for path in saved),
        turned=any(_is_turned(child.template.get_submodule(path)) for path in paths),
        base_model=base_model,
        provenance=provenance,
    )


def _check(name: str, emission: Emission, names: int, inside: str) -> None:
    """Refuse what an adapter cannot say of one tensor."""
    if isinstance(emission, LowRank) and emission.base != "frozen":
        raise ArtifactError(
            f"The base of {name!r} was learned with the hypernetwork, and an adapter holds corrections of the model as "
            f'it was, expected `LowRank({emission.rank}, base="frozen")`. Train with that.'
        )
    if not isinstance(emission, LowRank | Full | Frozen):
        raise ArtifactError(
            f"{name!r} is emitted as {type(emission).__name__}, which PEFT's LoRA has no form for, expected LowRank, Full "
            "for whole layers, or Frozen. Train with these, or save the network by itself."
        )
    if isinstance(emission, Frozen):
        return
    if names > 1:
        raise ArtifactError(
            f"{name!r} is tied to another tensor, and an adapter would change one of them, expected a tensor of its own. "
            "Freeze it, or save the network by itself."
        )
    if isinstance(emission, LowRank) and name.rpartition(".")[2] != "weight":
        raise ArtifactError(
            f"{name!r} is no `weight` of a layer, expected one: PEFT corrects layers. Freeze it, or save the network by "
            "itself."
        )
    if inside and not name.startswith(f"{inside}."):
        raise ArtifactError(
            f"{name!r} is not inside {inside!r}, expected all that is written to be there: the rest of the child is no "
            "part of the base model. Freeze it, or give another `inside`."
        )


def _names_of(child: Child, name: str) -> int:
    """Under how many names the template knows a tensor."""
    own = child.template.get_parameter(name)
    every = child.template.named_parameters(remove_duplicate=False)
    return sum(parameter is own for _, parameter in every)


def _whole_layers(child: Child) -> tuple[str, ...]:
    """Paths of layers all of whose tensors are written in full.

    Raises:
        ArtifactError: If a layer is written in full by half.
    """
    full = [name for name, emission in child.emissions.items() if isinstance(emission, Full)]
    paths = dict.fromkeys(name.rpartition(".")[0] for name in full)
    for path in paths:
        layer = child.template.get_submodule(path)
        for leaf, _ in layer.named_parameters():
            whole = f"{path}.{leaf}" if path else leaf
            if whole not in full or not path:
                raise ArtifactError(
                    f"{next(n for n in full if n.rpartition('.')[0] == path)!r} is written in full and {whole!r} is not, "
                    "and PEFT keeps whole layers, expected both. Write both in full, or freeze the first."
                )
    return tuple(paths)


def _factors(
    path: str, module: nn.Module, down: Tensor, up: Tensor, rank: int, shape: torch.Size
) -> dict[str, Tensor]:
    """PEFT's two factors of up [O, r] @ down [r, I], filled up to `rank`."""
    down = torch.cat([down, down.new_zeros(rank - len(down), down.shape[1])])
    up = torch.cat([up, up.new_zeros(len(up), rank - up.shape[1])], dim=1)
    if isinstance(module, nn.Embedding):
        return {"lora_embedding_A": up.T, "lora_embedding_B": down.T}
    if isinstance(module, nn.Linear):
        return {"lora_A.weight": down, "lora_B.weight": up}
    if isinstance(module, nn.Conv1d | nn.Conv2d) and module.groups == 1:
        ones = (1,) * (len(shape) - 2)
        return {
            "lora_A.weight": down.reshape(rank, *shape[1:]),
            "lora_B.weight": up.reshape(len(up), rank, *ones),
        }
    if _is_turned(module):
        return {"lora_A.weight": up.T, "lora_B.weight": down.T}
    raise ArtifactError(
        f"{path!r} is a {type(module).__name__}, expected a linear layer, an embedding or a convolution without groups: "
        "PEFT corrects no others. Freeze it, or save the network by itself."
    )


def _is_turned(module: nn.Module) -> bool:
    # A linear layer of the transformers library, which is no dependency, whose weight is [I, O].
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf")


def _inside(path: str, inside: str) -> str:
    return path.removeprefix(f"{inside}.") if inside else path


__all__ = ["KIND", "LoraAdapter", "lora_adapter"]
