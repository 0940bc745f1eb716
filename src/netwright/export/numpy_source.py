"""Programs as modules that need nothing but NumPy: one .py, and one .npz beside it with the weights."""

import hashlib
import inspect
import io
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path

import numpy as np

from netwright._version import __version__
from netwright.artifacts import write_file
from netwright.export import numpy_kernels
from netwright.export.functions import OF_ONE, OF_TWO
from netwright.export.program import Program, Rows, Shape, Step

_TEMPLATE = '''\
"""A network that needs NumPy and nothing else. Written by netwright {version}.

Beside this file lies <its name>-{digest}.npz, which holds the weights: move both together.

>>> outputs = run(inputs)   # inputs [n, {inputs}], outputs [n, {outputs}], float32
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

INPUT_SHAPE = {input_shape}
OUTPUT_SHAPE = {output_shape}
# Names of the outputs, where they have names.
LABELS = {labels}
_DIGEST = "{digest}"


def _read_weights():
    path = Path(__file__)
    path = path.with_name(f"{{path.stem}}-{{_DIGEST}}.npz")
    if hashlib.sha256(path.read_bytes()).hexdigest()[:{digits}] != _DIGEST:
        raise ValueError(f"{{path}} is damaged, expected it as it was exported. Export the network again.")
    with np.load(path, allow_pickle=False) as file:
        return {{name: file[name] for name in file.files}}


W = _read_weights()
{kernels}

def run(x):
    """Outputs [n, {outputs}] for inputs [n, {inputs}]."""
    x = np.asarray(x, dtype=np.float32)
    if x.shape[1:] != INPUT_SHAPE:
        raise ValueError(f"x is {{list(x.shape)}}, expected [n, {inputs}].")
    n = len(x)
{steps}
    return {result}
'''
_DIGITS = 12


def numpy_module(program: Program, labels: Sequence[str] = ()) -> tuple[str, bytes]:
    """A program as the text of a module and its weights as .npz; the text names the weights by their digest.

    Args:
        program: What is written.
        labels: Names of the outputs; they are data, whatever stands in them.
    """
    file = io.BytesIO()
    np.savez(file, **dict(program.constants))  # type: ignore[arg-type]
    weights = file.getvalue()
    steps = [f"    {step.output} = {PRINTERS[step.kind](program, step)}" for step in program.steps]
    text = _TEMPLATE.format(
        version=__version__,
        digest=hashlib.sha256(weights).hexdigest()[:_DIGITS],
        digits=_DIGITS,
        inputs=", ".join(map(str, program.input_shape)),
        outputs=", ".join(map(str, program.output_shape)) or "-",
        input_shape=repr(program.input_shape),
        output_shape=repr(program.output_shape),
        labels=ascii(tuple(map(str, labels))),
        kernels=_kernels("\n".join(steps)),
        steps="\n".join(steps),
        result=program.result,
    )
    return text, weights


def write_numpy(text: str, weights: bytes, path: Path) -> list[Path]:
    """Write a module and its weights: a kill at any moment leaves the whole old pair or the whole new one.

    The text names its weights by their digest, so that they lie beside older ones until it takes the old text's place.

    Raises:
        ArtifactError: If a file cannot be written; the pair that stood there before is kept.
    """
    before = weights_beside(path)
    beside = path.with_name(f"{path.stem}-{hashlib.sha256(weights).hexdigest()[:_DIGITS]}.npz")
    write_file(beside, weights)
    try:
        write_file(path, text.encode())
    except BaseException:
        if beside != before:
            with suppress(OSError):
                beside.unlink()
        raise
    if before not in (None, beside):
        with suppress(OSError):
            before.unlink()
    return [path, beside]


def load_numpy(text: str, weights: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """`run` of a module that is not on disk."""
    with np.load(io.BytesIO(weights), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    # The text is this module's own; of the user it holds numbers and the labels, in quotes.
    own = text.replace("\nW = _read_weights()\n", "\n")
    assert own != text
    names = {"W": arrays, "__file__": "", "__name__": "netwright_exported"}
    exec(compile(own, "<exported>", "exec"), names)
    run: Callable[[np.ndarray], np.ndarray] = names["run"]  # type: ignore[assignment]
    return run


def weights_beside(path: Path) -> Path | None:
    """The weights that an exported module names; None if there is none of ours."""
    try:
        head = path.read_text(errors="replace")[:4000]
    except OSError:
        return None
    found = re.search(rf'^_DIGEST = "([0-9a-f]{{{_DIGITS}}})"$', head, re.MULTILINE)
    return path.with_name(f"{path.stem}-{found[1]}.npz") if found else None


def _kernels(body: str) -> str:
    """The kernels that a body calls, and those that they call, without annotations."""
    named = [n for n in numpy_kernels.__all__ if n != "NEEDS" and re.search(rf"\b{n}\(", body)]
    needed = {each for name in named for each in (name, *numpy_kernels.NEEDS.get(name, ()))}
    texts = [
        inspect.getsource(getattr(numpy_kernels, name))
        for name in numpy_kernels.__all__
        if name in needed
    ]
    return "".join(f"\n\n{text}" for text in texts)


def _name(each: str | float) -> str:
    if isinstance(each, float):
        return repr(each) if isfinite(each) else f"np.{each}".replace("np.-", "-np.")
    return f'W["{each}"]' if each.startswith("w_") else each


def _names(step: Step) -> list[str]:
    return [_name(each) for each in step.inputs]


def _sizes(shape: Shape) -> str:
    spelled = [
        ("n" if size.times == 1 else f"{size.times} * n") if isinstance(size, Rows) else str(size)
        for size in shape
    ]
    return f"({', '.join(spelled)},)" if len(spelled) == 1 else f"({', '.join(spelled)})"


def _linear(program: Program, step: Step) -> str:
    x, weight, *bias = _names(step)
    return f"{x} @ {weight}.T" + (f" + {bias[0]}" if bias else "")


def _convolve(program: Program, step: Step) -> str:
    x, weight, *bias = _names(step)
    told = [step.options[name] for name in ("stride", "padding", "dilation", "groups")]
    return f"convolve({x}, {weight}, {bias[0] if bias else None}, {', '.join(map(repr, told))})"


def _group_norm(program: Program, step: Step) -> str:
    x, *rest = _names(step)
    return f"group_norm({', '.join([x, repr(step.options['groups']), repr(step.options['eps']), *rest])})"


def _layer_norm(program: Program, step: Step) -> str:
    x, *rest = _names(step)
    return f"layer_norm({', '.join([x, repr(step.options['axes']), repr(step.options['eps']), *rest])})"


def _map(program: Program, step: Step) -> str:
    settings = {n: _name(value) for n, value in step.options.items() if n != "function"}
    return OF_ONE[step.options["function"]].numpy.format(x=_names(step)[0], **settings)


def _combine(program: Program, step: Step) -> str:
    a, b = _names(step)
    return OF_TWO[step.options["function"]].numpy.format(a=a, b=b)


def _softmax(program: Program, step: Step) -> str:
    kernel = "log_softmax" if step.options["log"] else "softmax"
    return f"{kernel}({_names(step)[0]}, {step.options['axis']})"


def _reduce(program: Program, step: Step) -> str:
    (x,), function = _names(step), step.options["function"]
    axes = repr(tuple(range(*step.options["axes"])))
    return f"logsumexp({x}, {axes})" if function == "logsumexp" else f"{x}.{function}(axis={axes})"


def _matmul(program: Program, step: Step) -> str:
    return " @ ".join(_names(step))


def _reshape(program: Program, step: Step) -> str:
    return f"{_names(step)[0]}.reshape({_sizes(program.shapes[step.output])})"


def _permute(program: Program, step: Step) -> str:
    return f"{_names(step)[0]}.transpose({step.options['axes']!r})"


def _slice(program: Program, step: Step) -> str:
    axis, start, stride = (step.options[name] for name in ("axis", "start", "step"))
    size = program.shapes[step.output][axis]
    assert isinstance(size, int)
    by = f":{stride}" if stride != 1 else ""
    return f"{_names(step)[0]}[{':, ' * axis}{start}:{start + (size - 1) * stride + 1}{by}]"


def _join(program: Program, step: Step) -> str:
    return f"np.concatenate([{', '.join(_names(step))}], axis={step.options['axis']})"


def _expand(program: Program, step: Step) -> str:
    return f"np.broadcast_to({_names(step)[0]}, {_sizes(program.shapes[step.output])})"


def _pool(program: Program, step: Step) -> str:
    told = [step.options[name] for name in ("function", "kernel", "stride", "padding")]
    return f"pool({_names(step)[0]}, {', '.join(map(repr, told))})"


def _adaptive_pool(program: Program, step: Step) -> str:
    height, width = program.shapes[step.output][2:]
    return f"adaptive_pool({_names(step)[0]}, {step.options['function']!r}, {height}, {width})"


def _take(program: Program, step: Step) -> str:
    return f"{_names(step)[0]}[{list(step.options['places'])}]"


def _recur(program: Program, step: Step) -> str:
    names = _names(step)
    states = 2 if step.options["cell"] == "lstm" else 1
    start = ", ".join(names[1 : 1 + states])
    told = [names[0], repr(step.options["cell"]), repr(step.options["backwards"]), f"({start},)"]
    return f"recur({', '.join([*told, *names[1 + states :]])})"


PRINTERS: dict[str, Callable[[Program, Step], str]] = {
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

__all__ = ["PRINTERS", "load_numpy", "numpy_module", "weights_beside", "write_numpy"]
