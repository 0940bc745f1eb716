"""Numbers as C spells them."""

import numpy as np


def array_in_c(name: str, values: np.ndarray) -> str:
    """Values as a constant array of C."""
    numbers = [f"{value:.9g}" for value in values.ravel().tolist()]
    # `1f` is no number in C, `1.0f` is.
    spelled = [(n if any(mark in n for mark in ".e") else n + ".0") + "f" for n in numbers]
    lines = [", ".join(spelled[i : i + 8]) for i in range(0, len(spelled), 8)]
    joined = ",\n    ".join(lines)
    return f"static const float {name.replace('.', '_')}[] = {{\n    {joined}\n}};"


__all__ = ["array_in_c"]
