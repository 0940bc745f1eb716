"""A GRU whose weights are rescaled at every time step by a smaller GRU."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from netwright.dynamic.rows import check_sizes, check_state, reset_rows, rows_of
from netwright.shapes import check_shape


class HyperGRUState(NamedTuple):
    """Where a `HyperGRU` stands after some steps.

    Args:
        h: Output of the last step, [B, H].
        hyper_h: Output of the small GRU, [B, K].
    """

    h: Tensor
    hyper_h: Tensor


class HyperGRU(nn.Module):
    """A GRU whose gates' rows are scaled, and whose biases are written, by a small GRU at every step.

    The small GRU reads the input and the large one's last output. From its own output come, for each of
    the three gates, three embeddings, and from these the factors of the rows of the two weight matrices
    and the bias:

        gate = norm(s * d_h * (W_h @ h) + d_x * (W_x @ x) + d_b)

    s is the reset gate in the candidate (it acts on the product, as in `nn.GRU`) and 1 in the gates. It
    is `HyperLSTM` with the cell of a GRU, and starts like it: factors of 0.1, of which behind a
    normalisation only the ratio matters.

    Args:
        inputs: D, numbers per step.
        hidden: H, width of the large GRU.
        hyper: K, width of the small one.
        embedding: Width of the embeddings.
        batch_first: Whether inputs and outputs are [B, L, *] rather than [L, B, *].

    Raises:
        RunError: If a size is below 1.

    References:
        Ha et al., HyperNetworks, arXiv:1609.09106, appendix A.2 (for the LSTM).
        Cho et al., Learning phrase representations, arXiv:1406.1078 (the GRU).
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
        self.hyper_cell = nn.GRUCell(inputs + hidden, hyper)
        # Gates in the order of `nn.GRU`: reset, update, candidate.
        self.weight_h = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.weight_x = nn.Parameter(torch.empty(3 * hidden, inputs))
        self.bias = nn.Parameter(torch.zeros(3 * hidden))
        # Embeddings of the three gates for W_h, W_x and the bias, in this order.
        self.embed = nn.Linear(hyper, 3 * 3 * embedding)
        self.factor = nn.Parameter(torch.empty(2, 3, embedding, hidden))
        self.shift = nn.Parameter(torch.zeros(3, embedding, hidden))
        self.norm_gates = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(3))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As in the paper: orthogonal gates, embeddings of ones, factors of 0.1."""
        reset_rows(self.weight_h, self.weight_x, self.embed, self.factor, self.shift)

    def forward(
        self, x: Tensor, state: HyperGRUState | None = None
    ) -> tuple[Tensor, HyperGRUState]:
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
        h, hyper_h = state
        # What does not depend on the state is taken for all steps at once.
        read = steps @ self.weight_x.T
        outputs = []
        for t, row in enumerate(steps.unbind(0)):
            hyper_h = self.hyper_cell(torch.cat([row, h], dim=1), hyper_h)
            h = self._step(read[t], h, hyper_h)
            outputs.append(h)
        y = (
            torch.stack(outputs, dim=1 if self.batch_first else 0)
            if outputs
            else x.new_zeros(*x.shape[:2], self.hidden)
        )
        return y, HyperGRUState(h, hyper_h)

    def initial_state(self, batch: int, like: Tensor) -> HyperGRUState:
        """Zeros for B sequences, of the type and device of `like`."""
        return HyperGRUState(like.new_zeros(batch, self.hidden), like.new_zeros(batch, self.hyper))

    def _step(self, read: Tensor, h: Tensor, hyper_h: Tensor) -> Tensor:
        of_h, of_x, of_b = rows_of(self.embed(hyper_h), self.factor, self.shift)
        from_h = (of_h * (h @ self.weight_h.T)).chunk(3, dim=1)
        from_x = (of_x * read + of_b + self.bias).chunk(3, dim=1)
        of_reset, of_update, of_candidate = self.norm_gates
        reset = of_reset(from_h[0] + from_x[0]).sigmoid()
        update = of_update(from_h[1] + from_x[1]).sigmoid()
        candidate = of_candidate(reset * from_h[2] + from_x[2]).tanh()
        new: Tensor = candidate + update * (h - candidate)
        return new
