"""Programs as one file of C99 that needs nothing but `math.h`."""

import hashlib
from collections.abc import Sequence
from math import prod

import numpy as np

from netwright._version import __version__
from netwright.export.c_kernels import KERNELS, NEEDS
from netwright.export.c_memory import plan_memory
from netwright.export.c_steps import Printer, number, scratch_of
from netwright.export.program import Program

_TEMPLATE = """\
/* A network as C99. Written by netwright {version}.
   {weights} weights; {inputs} inputs [{input_shape}], {outputs} outputs [{output_shape}], {work} numbers of working memory.
   x and y must not overlap. Working memory lies on the stack: where that is small, compile with -DNETWRIGHT_STORAGE=static, and make one call at
   a time. */
{opening}#include <math.h>
#include <stddef.h>

#define NETWRIGHT_INPUTS {inputs}
#define NETWRIGHT_OUTPUTS {outputs}
#ifndef NETWRIGHT_STORAGE
#define NETWRIGHT_STORAGE
#endif

{arrays}

{kernels}
{label}
/* x: {inputs} numbers in the order of [{input_shape}]; y: room for {outputs}. */
{linkage}void netwright_outputs(const float *x, float *y)
{{
{body}
}}
{closing}"""
_LABEL = """\
{texts}/* The name of an output; NULL if it has none. */
{linkage}const char *netwright_label(int output)
{{
    static const char *const labels[] = {{{names}}};
    return output >= 0 && output < {count} ? labels[output] : NULL;
}}

"""
_LONGEST = 4000
# With a digest: a second network must not be taken for the first one, included again.
_GUARD = "NETWRIGHT_{}_H"


def c_source(program: Program, labels: Sequence[str] = (), *, header: bool = False) -> str:
    """A program for one row as C: `void netwright_outputs(const float *x, float *y)`.

    Args:
        program: What is written.
        labels: Names of the outputs, for `const char *netwright_label(int output)`; they are data, whatever stands in
            them.
        header: Whether it is to be included: everything in it is then `static inline`.
    """
    memory = plan_memory(program, scratch_of(program))
    printer = Printer(program, memory)
    lines = printer.lines()
    linkage = "static inline " if header else ""
    room = f"    NETWRIGHT_STORAGE float work[{memory.size}];\n" if memory.size else ""
    spelled = [text_in_c(label) for label in labels]
    # C99 promises no more than 4095 characters in a literal; an array may have as many as it likes.
    texts = "".join(
        f"static const unsigned char netwright_text{i}[] = {{{', '.join(str(b) for b in _bytes_of(labels[i]))}, 0}};\n"
        for i, text in enumerate(spelled)
        if len(text) > _LONGEST
    )
    names = ", ".join(
        text if len(text) <= _LONGEST else f"(const char *)netwright_text{i}"
        for i, text in enumerate(spelled)
    )
    digest = hashlib.sha256(b"".join(v.tobytes() for v in program.constants.values()))
    guard = _GUARD.format(digest.hexdigest()[:12].upper())
    kernels = [
        n for n in KERNELS if n in {m for k in printer.kernels for m in (k, *NEEDS.get(k, ()))}
    ]
    return _TEMPLATE.format(
        version=__version__,
        weights=program.size,
        inputs=prod(program.input_shape),
        input_shape=" x ".join(map(str, program.input_shape)) or "1",
        outputs=prod(program.output_shape),
        output_shape=" x ".join(map(str, program.output_shape)) or "1",
        work=memory.size,
        opening=f"#ifndef {guard}\n#define {guard}\n\n" if header else "",
        arrays="\n".join(array_in_c(name, value) for name, value in program.constants.items()),
        kernels="\n".join(KERNELS[name] for name in kernels),
        label=_LABEL.format(linkage=linkage, texts=texts, names=names, count=len(labels))
        if labels
        else "",
        linkage=linkage,
        body=room + "\n".join(f"    {line}" for line in lines),
        closing=f"\n#endif /* {guard} */\n" if header else "",
    )


def array_in_c(name: str, values: np.ndarray) -> str:
    """Values as a constant array of C.

    Args:
        name: An identifier.
        values: Of any shape.
    """
    spelled = [number(value) for value in values.ravel().tolist()]
    lines = [", ".join(spelled[i : i + 8]) for i in range(0, len(spelled), 8)]
    joined = ",\n    ".join(lines)
    return f"static const float {name}[] = {{\n    {joined}\n}};"


def text_in_c(text: str) -> str:
    """A text as a literal of C: whatever is no plain letter, digit or space is spelled by its number."""
    plain = frozenset(b" -_.,:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in _bytes_of(text)) + '"'


def _bytes_of(text: str) -> list[int]:
    return list(text.encode("utf-8", "replace"))


__all__ = ["array_in_c", "c_source", "text_in_c"]
