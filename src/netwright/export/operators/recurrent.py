"""Recurrent layers as steps of a program: one step per layer and direction."""

from collections.abc import Callable, Sequence
from typing import Any

from netwright.export.lowering import Lowering, Operand
from netwright.export.operators.shapes import select, transpose
from netwright.export.program import Shape


def recurrent(cell: str) -> Callable[..., Any]:
    """GRU, LSTM and plain recurrent layers, one on top of the other."""

    def run(
        lowering: Lowering,
        shapes: list[Shape],
        x: Operand,
        state: Any,
        weights: Sequence[Operand],
        biases: bool,
        layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        if train and dropout:
            raise lowering.refuse("dropout that is at work")
        states: list[Operand] = list(state) if isinstance(state, list | tuple) else [state]
        each = 4 if biases else 2
        if len(weights) != each * layers * (2 if bidirectional else 1):
            raise lowering.refuse("an LSTM whose outputs are projected")
        if not batch_first:
            x = transpose(lowering, _turned(lowering.shape(x)), x, 0, 1)
        lasts: list[Operand] = []
        for _ in range(layers):
            found = []
            for backwards in (False, True)[: 1 + bidirectional]:
                number = len(lasts)
                rows, width = shapes[1][1], shapes[1][2]
                own = weights[each * number : each * (number + 1)]
                start = [select(lowering, (rows, width), part, 0, number) for part in states]
                hidden: Shape = (rows, lowering.shape(x)[1], lowering.shape(own[1])[1])
                y = lowering.step(
                    "recur", hidden, (x, *start, *own), cell=cell, backwards=backwards
                )
                found.append(y)
                lasts.append(select(lowering, (rows, hidden[2]), y, 1, 0 if backwards else -1))
            width = shapes[0][2]
            y = found[0]
            if bidirectional:
                y = lowering.step("join", (*lowering.shape(y)[:2], width), tuple(found), axis=2)
            x = y
        last = _stacked(lowering, shapes[1], lasts)
        if not batch_first:
            x = transpose(lowering, _turned(lowering.shape(x)), x, 0, 1)
        # The other state of an LSTM after the last step is not computed: nothing is answered in its place.
        return (x, last) if cell != "lstm" else (x, last, None)

    return run


def _stacked(lowering: Lowering, shape: Shape, parts: Sequence[Operand]) -> str:
    raised = tuple(lowering.step("reshape", (1, *shape[1:]), (part,)) for part in parts)
    return raised[0] if len(raised) == 1 else lowering.step("join", shape, raised, axis=0)


def _turned(shape: Shape) -> Shape:
    return (shape[1], shape[0], *shape[2:])


__all__ = ["recurrent"]
