"""What a built module costs, measured while it runs one input."""

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from netwright.architectures import Cost


class LiveBytes(TorchDispatchMode):
    """Bytes of the memory that tensors hold, but for a module's own; `most` is their peak."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        super().__init__()
        self._own = {p.untyped_storage()._cdata for p in module.parameters()}
        self._sizes: dict[int, int] = {}
        self.now = self.most = 0
        self._see(x)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._see(value)
        return result

    def _see(self, value: Tensor) -> None:
        memory = value.untyped_storage()
        key = memory._cdata
        if key not in self._own and key not in self._sizes:
            self._sizes[key] = memory.nbytes()
            self.now += memory.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(memory, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def measured_cost(module: nn.Module, input_shape: tuple[int, ...]) -> Cost:
    """Of a built module: its tensors counted, and one input run at inference.

    oneDNN's fused recurrent kernel is one call in which nothing can be counted: it is left off.
    """
    module.eval()
    x = torch.rand(1, *input_shape)
    parameters = list(module.parameters())
    onednn = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        with torch.no_grad(), LiveBytes(module, x) as live:
            module(x)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(x)
    finally:
        torch._C._set_mkldnn_enabled(onednn)
    return Cost(
        parameters=sum(p.numel() for p in parameters),
        flops=counter.get_total_flops(),
        bytes=sum(p.numel() * p.element_size() for p in parameters),
        activation_bytes=live.most,
    )
