"""An LSTM whose weights are rescaled at every time step by a smaller LSTM."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from netwright.dynamic.rows import check_sizes, check_state, reset_rows, rows_of
from netwright.shapes import check_shape


class HyperLSTMState(NamedTuple):
    """Where a `HyperLSTM` stands after some steps.

    Args:
        h: Output of the last step, [B, H].
        c: Cell of the last step, [B, H].
        hyper_h: Output of the small LSTM, [B, K].
        hyper_c: Cell of the small LSTM, [B, K].
    """

    h: Tensor
    c: Tensor
    hyper_h: Tensor
    hyper_c: Tensor


class HyperLSTM(nn.Module):
    """An LSTM whose gates' rows are scaled, and whose biases are written, by a small LSTM at every step.

    The small LSTM reads the input and the large one's last output. From its own output come, for each of
    the four gates, three embeddings, and from these the factors of the rows of the two weight matrices
    and the bias:

        gate = norm(d_h * (W_h @ h) + d_x * (W_x @ x) + d_b)

    Factors start at 0.1, as in the paper: behind a normalisation only their ratio matters.

    Args:
        inputs: D, numbers per step.
        hidden: H, width of the large LSTM.
        hyper: K, width of the small one.
        embedding: Width of the embeddings.
        batch_first: Whether inputs and outputs are [B, L, *] rather than [L, B, *].

    Raises:
        RunError: If a size is below 1.

    References:
        Ha et al., HyperNetworks, arXiv:1609.09106, appendix A.2.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        hyper: int = 64,
        embedding: int = 16,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(inputs=inputs, hidden=hidden, hyper=hyper, embedding=embedding)
        self.inputs, self.hidden, self.hyper, self.embedding = inputs, hidden, hyper, embedding
        self.batch_first = batch_first
        self.hyper_cell = nn.LSTMCell(inputs + hidden, hyper)
        self.weight_h = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.weight_x = nn.Parameter(torch.empty(4 * hidden, inputs))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        # Embeddings of the four gates for W_h, W_x and the bias, in this order.
        self.embed = nn.Linear(hyper, 3 * 4 * embedding)
        self.factor = nn.Parameter(torch.empty(2, 4, embedding, hidden))
        self.shift = nn.Parameter(torch.zeros(4, embedding, hidden))
        self.norm_gates = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(4))
        self.norm_cell = nn.LayerNorm(hidden)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As in the paper: orthogonal gates, embeddings of ones, factors of 0.1."""
        reset_rows(self.weight_h, self.weight_x, self.embed, self.factor, self.shift)

    def forward(
        self, x: Tensor, state: HyperLSTMState | None = None
    ) -> tuple[Tensor, HyperLSTMState]:
        """Outputs of every step, and where it stands after the last.

        Args:
            x: [L, B, D], or [B, L, D] with `batch_first`.
            state: Where to go on; None to begin.

        Raises:
            ShapeError: If an axis does not fit.
        """
        check_shape("x", x, "B L D" if self.batch_first else "L B D", D=self.inputs)
        steps = x.transpose(0, 1) if self.batch_first else x
        state = state or self.initial_state(steps.shape[1], x)
        check_state(state, steps.shape[1], self.hidden, self.hyper)
        h, c, hyper_h, hyper_c = state
        # What does not depend on the state is taken for all steps at once.
        read = steps @ self.weight_x.T
        outputs = []
        for t, row in enumerate(steps.unbind(0)):
            hyper_h, hyper_c = self.hyper_cell(torch.cat([row, h], dim=1), (hyper_h, hyper_c))
            h, c = self._step(read[t], h, c, hyper_h)
            outputs.append(h)
        y = (
            torch.stack(outputs, dim=1 if self.batch_first else 0)
            if outputs
            else x.new_zeros(*x.shape[:2], self.hidden)
        )
        return y, HyperLSTMState(h, c, hyper_h, hyper_c)

    def initial_state(self, batch: int, like: Tensor) -> HyperLSTMState:
        """Zeros for B sequences, of the type and device of `like`."""
        large, small = like.new_zeros(batch, self.hidden), like.new_zeros(batch, self.hyper)
        return HyperLSTMState(large, large, small, small)

    def _step(self, read: Tensor, h: Tensor, c: Tensor, hyper_h: Tensor) -> tuple[Tensor, Tensor]:
        of_h, of_x, of_b = rows_of(self.embed(hyper_h), self.factor, self.shift)
        gates = of_h * (h @ self.weight_h.T) + of_x * read + of_b + self.bias
        i, g, f, o = (
            norm(gate) for norm, gate in zip(self.norm_gates, gates.chunk(4, dim=1), strict=True)
        )
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * self.norm_cell(c).tanh(), c
