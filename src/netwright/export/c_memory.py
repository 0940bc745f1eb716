"""Where in one array the values of a program lie: those that are not alive together share their places."""

from dataclasses import dataclass
from math import prod

from netwright.export.program import Program, Step, fixed

# Kinds whose output is what they read, under another shape.
_VIEWS = ("reshape",)


@dataclass(frozen=True)
class Memory:
    """Places of values.

    Args:
        places: By name, where in the array each value begins that has a place of its own.
        scratch: By name of what a step makes, where what it needs beside begins.
        size: Numbers of the array.
        root: By name, the value whose numbers it shows; itself, for most.
    """

    places: dict[str, int]
    scratch: dict[str, int]
    size: int
    root: dict[str, str]


def plan_memory(program: Program, scratch: dict[str, int]) -> Memory:
    """Give each value a place for as long as it is read; the answer goes to the caller's own array.

    Args:
        program: For one row.
        scratch: Numbers that a step needs beside what it makes, by the name of that.
    """
    root = {name: name for name in (*program.constants, "x")}
    last: dict[str, int] = {}
    for i, step in enumerate(program.steps):
        root[step.output] = root[str(step.inputs[0])] if step.kind in _VIEWS else step.output
        for each in step.inputs:
            if isinstance(each, str):
                last[root[each]] = i
    last[root[program.result]] = len(program.steps)
    places: dict[str, int] = {}
    beside: dict[str, int] = {}
    taken: list[tuple[int, int, str]] = []
    most = 0
    for i, step in enumerate(program.steps):
        if step.kind in _VIEWS:
            continue
        if step.output != root[program.result]:
            place = _reused(step, i, root, last, places, program)
            if place is None:
                place = _free(taken, _count(program, step.output))
            else:
                taken = [each for each in taken if each[0] != place]
            places[step.output] = place
            taken.append((place, place + _count(program, step.output), step.output))
        if step.output in scratch:
            beside[step.output] = _free(taken, scratch[step.output])
            most = max(most, beside[step.output] + scratch[step.output])
        most = max([most, *(end for _, end, _ in taken)])
        taken = [each for each in taken if last.get(each[2], -1) > i]
    return Memory(places, beside, most, root)


def _reused(
    step: Step,
    i: int,
    root: dict[str, str],
    last: dict[str, int],
    places: dict[str, int],
    program: Program,
) -> int | None:
    """The place of an input that dies here and is changed number by number."""
    if step.kind not in ("map", "combine"):
        return None
    for each in step.inputs:
        if isinstance(each, str) and root[each] in places and last[root[each]] == i:
            same = fixed(program.shapes[each]) == fixed(program.shapes[step.output])
            if same and _count(program, root[each]) == _count(program, step.output):
                return places[root[each]]
    return None


def _free(taken: list[tuple[int, int, str]], size: int) -> int:
    """Where so many numbers fit first."""
    start = 0
    for begin, end, _ in sorted(taken):
        if start + size <= begin:
            break
        start = max(start, end)
    return start


def _count(program: Program, name: str) -> int:
    return prod(fixed(program.shapes[name]))


__all__ = ["Memory", "plan_memory"]
