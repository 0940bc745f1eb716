"""Each kind of step of a program as lines of C, for one row."""

from collections.abc import Callable, Sequence
from math import isfinite, prod
from typing import Any

from netwright.export.c_memory import Memory
from netwright.export.c_places import at, index_of, loops, moved, strides_of
from netwright.export.functions import OF_ONE, OF_TWO
from netwright.export.program import Program, Step, fixed

_GATES = {"gru": 3, "lstm": 4, "tanh": 1, "relu": 1}


def scratch_of(program: Program) -> dict[str, int]:
    """Numbers that steps need beside what they make, by the name of that."""
    found = {}
    for step in program.steps:
        if step.kind == "recur":
            size, cell = fixed(program.shapes[step.output])[-1], step.options["cell"]
            found[step.output] = (2 * _GATES[cell] + (cell == "lstm")) * size
    return found


class Printer:
    """Lines of C, and the kernels that they call.

    Args:
        program: What is printed.
        memory: Where its values lie.
    """

    def __init__(self, program: Program, memory: Memory) -> None:
        self.program, self.memory = program, memory
        self.kernels: set[str] = set()

    def lines(self) -> list[str]:
        """The body of the function."""
        lines = [line for step in self.program.steps for line in PRINTERS[step.kind](self, step)]
        root = self.memory.root[self.program.result]
        if root == "x" or root in self.program.constants:
            count = prod(self.shape(self.program.result))
            lines.append(f"for (int i = 0; i < {count}; i++) y[i] = {self.place(root)}[i];")
        return lines

    def shape(self, name: str | float) -> tuple[int, ...]:
        """For one row; of a number, none."""
        return fixed(self.program.shapes[name]) if isinstance(name, str) else ()

    def place(self, name: str) -> str:
        """An expression for where a value begins."""
        root = self.memory.root[name]
        if root == "x" or root in self.program.constants:
            return root
        if root == self.memory.root[self.program.result]:
            return "y"
        offset = self.memory.places[root]
        return f"(work + {offset})" if offset else "work"

    def call(self, kernel: str, *arguments: Any) -> str:
        """One call of a kernel."""
        self.kernels.add(kernel)
        return f"{kernel}({', '.join(map(str, arguments))});"

    def copy(self, step: Step, strides: Sequence[int], offset: int = 0) -> list[str]:
        """Numbers of the first input, taken with a stride along each axis of the output."""
        (source,) = step.inputs[:1]
        shape = self.shape(step.output)
        at, into = index_of(shape, strides, offset), index_of(shape, strides_of(shape))
        body = f"{self.place(step.output)}[{into}] = {self.place(str(source))}[{at}];"
        return [loops(shape, body)]


def number(value: float) -> str:
    """A number as a `float` of C."""
    if not isfinite(value):
        return "NAN" if value != value else ("INFINITY" if value > 0 else "-INFINITY")
    # Nine digits tell every float32 from every other; `1f` is no number in C, `1.0f` is.
    spelled = f"{value:.9g}"
    return (spelled if any(mark in spelled for mark in ".e") else spelled + ".0") + "f"


def _reshape(printer: Printer, step: Step) -> list[str]:
    return []


def _linear(printer: Printer, step: Step) -> list[str]:
    x, weight, *bias = (str(each) for each in step.inputs)
    outputs, inputs = printer.shape(weight)
    rows = prod(printer.shape(x)) // inputs
    beside = printer.place(bias[0]) if bias else "NULL"
    places = (printer.place(x), printer.place(weight), beside, printer.place(step.output))
    return [printer.call("linear", *places, rows, inputs, outputs)]


def _convolve(printer: Printer, step: Step) -> list[str]:
    x, weight, *bias = (str(each) for each in step.inputs)
    images, inputs, height, width = printer.shape(x)
    _, outputs, made_high, made_wide = printer.shape(step.output)
    high, wide = printer.shape(weight)[2:]
    options = step.options
    settings = (*options["stride"], *options["padding"], *options["dilation"], options["groups"])
    beside = printer.place(bias[0]) if bias else "NULL"
    lines = []
    for image in range(images):
        source = moved(printer.place(x), image * inputs * height * width)
        into = moved(printer.place(step.output), image * outputs * made_high * made_wide)
        sizes = (inputs, height, width, outputs, made_high, made_wide, high, wide)
        lines.append(
            printer.call("convolve", source, printer.place(weight), beside, into, *sizes, *settings)
        )
    return lines


def _group_norm(printer: Printer, step: Step) -> list[str]:
    x, *rest = (str(each) for each in step.inputs)
    shape, y = printer.shape(x), printer.place(step.output)
    rows = shape[0] * step.options["groups"]
    count = prod(shape) // rows
    eps = number(step.options["eps"])
    lines = [printer.call("normalise", printer.place(x), y, rows, count, eps)]
    if rest:
        weights = [printer.place(each) for each in rest]
        sizes = (shape[0], shape[1], prod(shape[2:]))
        lines.append(printer.call("scale_and_shift", y, *weights, *sizes))
    return lines


def _layer_norm(printer: Printer, step: Step) -> list[str]:
    x, *rest = (str(each) for each in step.inputs)
    shape, y = printer.shape(x), printer.place(step.output)
    count = prod(shape[len(shape) - step.options["axes"] :])
    rows = prod(shape) // count
    eps = number(step.options["eps"])
    lines = [printer.call("normalise", printer.place(x), y, rows, count, eps)]
    if rest:
        weights = [printer.place(each) for each in rest]
        lines.append(printer.call("scale_and_shift", y, *weights, rows, count, 1))
    return lines


def _map(printer: Printer, step: Step) -> list[str]:
    count, settings = prod(printer.shape(step.output)), dict(step.options)
    function = OF_ONE[settings.pop("function")].c
    formula = function.format(x="v", **{name: number(value) for name, value in settings.items()})
    if "sigmoid(" in formula:
        printer.kernels.add("sigmoid")
    x, y = printer.place(str(step.inputs[0])), printer.place(step.output)
    return [
        f"for (int i = 0; i < {count}; i++) {{ float v = {at(x, 'i')}; {at(y, 'i')} = {formula}; }}"
    ]


def _combine(printer: Printer, step: Step) -> list[str]:
    shape = printer.shape(step.output)
    operands = []
    for each in step.inputs:
        if isinstance(each, float):
            operands.append(number(each))
            continue
        own = printer.shape(each)
        strides = [0] * (len(shape) - len(own)) + [
            0 if size == 1 else stride for size, stride in zip(own, strides_of(own), strict=True)
        ]
        operands.append(at(printer.place(each), index_of(shape, strides)))
    formula = OF_TWO[step.options["function"]].c.format(a=operands[0], b=operands[1])
    into = at(printer.place(step.output), index_of(shape, strides_of(shape)))
    return [loops(shape, f"{into} = {formula};")]


def _softmax(printer: Printer, step: Step) -> list[str]:
    shape, axis = printer.shape(step.output), step.options["axis"]
    sizes = (prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :]), int(step.options["log"]))
    return [
        printer.call(
            "softmax", printer.place(str(step.inputs[0])), printer.place(step.output), *sizes
        )
    ]


def _reduce(printer: Printer, step: Step) -> list[str]:
    shape, (first, end) = printer.shape(step.inputs[0]), step.options["axes"]
    sizes = (prod(shape[:first]), prod(shape[first:end]), prod(shape[end:]))
    places = (printer.place(str(step.inputs[0])), printer.place(step.output))
    function = step.options["function"]
    if function == "logsumexp":
        return [printer.call("reduce_logsumexp", *places, *sizes)]
    if function in ("max", "min"):
        sign = "1.0f" if function == "max" else "-1.0f"
        return [printer.call("reduce_most", *places, *sizes, sign)]
    by = number(1.0 / sizes[1]) if function == "mean" else "1.0f"
    return [printer.call("reduce_mean", *places, *sizes, by)]


def _matmul(printer: Printer, step: Step) -> list[str]:
    a, b = (str(each) for each in step.inputs)
    shape = printer.shape(step.output)
    rows, inside = printer.shape(a)[-2:]
    columns = shape[-1]
    batch = shape[:-2]
    at = []
    for each, size in ((a, rows * inside), (b, inside * columns)):
        own = printer.shape(each)[:-2]
        strides = [0] * (len(batch) - len(own)) + [
            0 if n == 1 else size * stride for n, stride in zip(own, strides_of(own), strict=True)
        ]
        at.append(f"{printer.place(each)} + {index_of(batch, strides)}")
    into = f"{printer.place(step.output)} + {index_of(batch, [rows * columns * s for s in strides_of(batch)])}"
    call = printer.call("matmul", *at, into, rows, inside, columns)
    return [loops(batch, call)]


def _permute(printer: Printer, step: Step) -> list[str]:
    strides = strides_of(printer.shape(step.inputs[0]))
    return printer.copy(step, [strides[axis] for axis in step.options["axes"]])


def _slice(printer: Printer, step: Step) -> list[str]:
    strides, axis = list(strides_of(printer.shape(step.inputs[0]))), step.options["axis"]
    offset = step.options["start"] * strides[axis]
    strides[axis] *= step.options["step"]
    return printer.copy(step, strides, offset)


def _expand(printer: Printer, step: Step) -> list[str]:
    own, shape = printer.shape(step.inputs[0]), printer.shape(step.output)
    strides = [0] * (len(shape) - len(own)) + [
        0 if size == 1 else stride for size, stride in zip(own, strides_of(own), strict=True)
    ]
    return printer.copy(step, strides)


def _join(printer: Printer, step: Step) -> list[str]:
    strides, axis, start, lines = (
        strides_of(printer.shape(step.output)),
        step.options["axis"],
        0,
        [],
    )
    for each in step.inputs:
        own = printer.shape(each)
        into = at(printer.place(step.output), index_of(own, strides, start * strides[axis]))
        lines.append(
            loops(own, f"{into} = {at(printer.place(str(each)), index_of(own, strides_of(own)))};")
        )
        start += own[axis]
    return lines


def _pool(printer: Printer, step: Step) -> list[str]:
    images, channels, height, width = printer.shape(step.inputs[0])
    made = printer.shape(step.output)[2:]
    options = step.options
    settings = (*options["kernel"], *options["stride"], *options["padding"])
    places = (printer.place(str(step.inputs[0])), printer.place(step.output))
    sizes = (images * channels, height, width, *made, *settings, int(options["function"] == "max"))
    return [printer.call("pool", *places, *sizes)]


def _adaptive_pool(printer: Printer, step: Step) -> list[str]:
    images, channels, height, width = printer.shape(step.inputs[0])
    places = (printer.place(str(step.inputs[0])), printer.place(step.output))
    sizes = (images * channels, height, width, *printer.shape(step.output)[2:])
    return [printer.call("adaptive_pool", *places, *sizes, int(step.options["function"] == "max"))]


def _take(printer: Printer, step: Step) -> list[str]:
    width = prod(printer.shape(step.output)[1:])
    x, y = printer.place(str(step.inputs[0])), printer.place(step.output)
    return [
        f"for (int i = 0; i < {width}; i++) {at(y, f'i + {n * width}')} = {at(x, f'i + {place * width}')};"
        for n, place in enumerate(step.options["places"])
    ]


def _recur(printer: Printer, step: Step) -> list[str]:
    cell = step.options["cell"]
    states = 2 if cell == "lstm" else 1
    x, *names = (str(each) for each in step.inputs)
    places = [printer.place(each) for each in names] + ["NULL"] * (states + 4 - len(names))
    _, steps, inputs = printer.shape(x)
    size = printer.shape(step.output)[-1]
    gates = moved("work", printer.memory.scratch[step.output])
    kernel = cell if cell in ("gru", "lstm") else "plain_recurrent"
    told = [steps, inputs, size, int(step.options["backwards"])]
    told += [int(cell == "relu")] * (kernel == "plain_recurrent")
    into = printer.place(step.output)
    return [printer.call(kernel, printer.place(x), *places, into, gates, *told)]


PRINTERS: dict[str, Callable[[Printer, Step], list[str]]] = {
    "linear": _linear,
    "convolve": _convolve,
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
    "map": _map,
    "combine": _combine,
    "softmax": _softmax,
    "reduce": _reduce,
    "matmul": _matmul,
    "reshape": _reshape,
    "permute": _permute,
    "slice": _slice,
    "join": _join,
    "expand": _expand,
    "pool": _pool,
    "adaptive_pool": _adaptive_pool,
    "recur": _recur,
    "take": _take,
}

__all__ = ["PRINTERS", "Printer", "number", "scratch_of"]
