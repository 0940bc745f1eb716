"""Recurrent layers of T tasks: one input projection, then one batched product per time step.

`vmap` has no rule for `nn.GRU`, `nn.LSTM` and `nn.RNN`. These run them with the modules' own names of
parameters, and give the same answers.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.layers.linear import affine
from netwright.layers.weights import LowRankWeight, Weight, dense

State = tuple[Tensor, ...]
Step = Callable[[Tensor, Tensor, State], State]
"""From projected inputs [T, N, G], the hidden state's map of them [T, N, G] and the state, the next state."""


def run_recurrent(
    module: nn.RNN | nn.GRU | nn.LSTM,
    tensors: Mapping[str, Weight],
    tasks: int,
    x: Tensor,
    hx: Tensor | tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
    """As the module's own call, for rows of T tasks one after the other.

    Args:
        module: The template.
        tensors: Its weights by name.
        tasks: T.
        x: [T * N, L, I] if the module is `batch_first`, else [L, T * N, I].
        hx: Initial state (for an LSTM, two), [layers * directions, T * N, H]; zeros if None.

    Returns:
        Outputs [T * N, L, directions * H] (or [L, T * N, ...]) and the last state.
    """
    by_row = x if module.batch_first else x.transpose(0, 1)
    sequence = by_row.unflatten(0, (tasks, -1))  # [T, N, L, I]
    directions = 2 if module.bidirectional else 1
    cells = module.num_layers * directions
    starts = _initial_states(module, hx, cells, sequence)
    finals: list[State] = []
    for layer in range(module.num_layers):
        if layer and module.dropout and module.training:
            sequence = F.dropout(sequence, module.dropout)
        outputs = []
        for direction in range(directions):
            suffix = f"_l{layer}" + ("_reverse" if direction else "")
            out, last = _run_direction(
                module, tensors, suffix, sequence, starts[layer * directions + direction]
            )
            outputs.append(out)
            finals.append(last)
        sequence = outputs[0] if directions == 1 else torch.cat(outputs, dim=-1)
    y = sequence.flatten(0, 1)
    states = [torch.stack(part).flatten(1, 2) for part in zip(*finals, strict=True)]
    y = y if module.batch_first else y.transpose(0, 1)
    return y, (states[0], states[1]) if isinstance(module, nn.LSTM) else states[0]


def run_recurrent_cell(
    module: nn.RNNCell | nn.GRUCell | nn.LSTMCell,
    tensors: Mapping[str, Weight],
    tasks: int,
    x: Tensor,
    hx: Tensor | tuple[Tensor, Tensor] | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """As the cell's own call, for x [T * N, I] and states [T * N, H]."""
    rows = x.unflatten(0, (tasks, -1))
    count = 2 if isinstance(module, nn.LSTMCell) else 1
    if hx is None:
        state: State = tuple(x.new_zeros(*rows.shape[:2], module.hidden_size) for _ in range(count))
    else:
        given = hx if isinstance(hx, tuple) else (hx,)
        state = tuple(part.unflatten(0, (tasks, -1)) for part in given)
    inputs = affine(rows, tensors["weight_ih"], _bias(tensors, "bias_ih"))
    hidden = affine(state[0], tensors["weight_hh"], _bias(tensors, "bias_hh"))
    inputs, hidden = inputs.to(state[0].dtype), hidden.to(state[0].dtype)
    new = tuple(part.flatten(0, 1) for part in _step_of(module)(inputs, hidden, state))
    return (new[0], new[1]) if count == 2 else new[0]


def _run_direction(
    module: nn.RNN | nn.GRU | nn.LSTM,
    tensors: Mapping[str, Weight],
    suffix: str,
    sequence: Tensor,
    state: State,
) -> tuple[Tensor, State]:
    """One layer in one direction: outputs [T, N, L, H] and the last state."""
    steps = sequence.shape[2]
    inputs = affine(
        sequence.flatten(1, 2), tensors[f"weight_ih{suffix}"], _bias(tensors, f"bias_ih{suffix}")
    ).unflatten(1, (-1, steps))
    # Products may be taken in half precision; what is summed over time is not.
    inputs = inputs.to(state[0].dtype)
    hidden_map = _hoisted(tensors[f"weight_hh{suffix}"], _bias(tensors, f"bias_hh{suffix}"))
    step = _step_of(module)
    backwards = suffix.endswith("_reverse")
    # `unbind`, not an index per step: its backward is one stack.
    times = inputs.unbind(2)
    outputs = []
    for projected in reversed(times) if backwards else times:
        state = step(projected, hidden_map(state[0]).to(projected.dtype), state)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if backwards else outputs, dim=2), state


def _hoisted(weight: Weight, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """h [T, N, H] -> h[t] @ weight[t].T + bias[t], with what does not depend on h done once."""
    if isinstance(weight, LowRankWeight):
        return lambda h: affine(h, weight, bias)
    weight = dense(weight)
    if weight.dim() == 2:
        return lambda h: affine(h, weight, bias)
    turned = weight.transpose(1, 2)
    if bias is None:
        return lambda h: torch.bmm(h, turned)
    beside = bias.unsqueeze(1) if bias.dim() == 2 else bias
    return lambda h: torch.baddbmm(beside, h, turned)


def _step_of(module: nn.Module) -> Step:
    if isinstance(module, (nn.GRU, nn.GRUCell)):
        return _gru_step
    if isinstance(module, (nn.LSTM, nn.LSTMCell)):
        return _lstm_step
    assert isinstance(module, (nn.RNN, nn.RNNCell))
    return _relu_step if module.nonlinearity == "relu" else _tanh_step


def _gru_step(inputs: Tensor, hidden: Tensor, state: State) -> State:
    (h,) = state
    size = h.shape[-1]
    gates_in, new_in = inputs.split([2 * size, size], dim=-1)
    gates_h, new_h = hidden.split([2 * size, size], dim=-1)
    reset, update = torch.sigmoid(gates_in + gates_h).chunk(2, dim=-1)
    new = torch.tanh(torch.addcmul(new_in, reset, new_h))
    return (torch.lerp(new, h, update),)


def _lstm_step(inputs: Tensor, hidden: Tensor, state: State) -> State:
    _, cell = state
    gates = inputs + hidden
    size = cell.shape[-1]
    opening, candidate, out = gates.split([2 * size, size, size], dim=-1)
    let_in, keep = torch.sigmoid(opening).chunk(2, dim=-1)
    cell = torch.addcmul(keep * cell, let_in, torch.tanh(candidate))
    return torch.sigmoid(out) * torch.tanh(cell), cell


def _tanh_step(inputs: Tensor, hidden: Tensor, state: State) -> State:
    return (torch.tanh(inputs + hidden),)


def _relu_step(inputs: Tensor, hidden: Tensor, state: State) -> State:
    return (torch.relu(inputs + hidden),)


def _initial_states(
    module: nn.RNN | nn.GRU | nn.LSTM,
    hx: Tensor | tuple[Tensor, Tensor] | None,
    cells: int,
    sequence: Tensor,
) -> Sequence[State]:
    """The initial state of each cell, each part [T, N, H]."""
    tasks, count = sequence.shape[:2]
    parts = 2 if isinstance(module, nn.LSTM) else 1
    if hx is None:
        zeros = sequence.new_zeros(tasks, count, module.hidden_size)
        return [(zeros,) * parts] * cells
    given = hx if isinstance(hx, tuple) else (hx,)
    separate = [part.unflatten(1, (tasks, count)).unbind(0) for part in given]
    return list(zip(*separate, strict=True))


def _bias(tensors: Mapping[str, Weight], name: str) -> Tensor | None:
    bias = tensors.get(name)
    assert bias is None or isinstance(bias, Tensor)
    return bias
