"""What a machine looks like, in lines and discs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from math import cos, floor, sin

import torch

from netwright.environments import ENVIRONMENTS, ConnectDirections, ConnectK, MujocoEnvironment
from netwright.environments.boards import CELLS, SIDE

INK, ACCENT, FAINT = "#1b1f24", "#1f5fbf", "#c9ced6"


@dataclass(frozen=True)
class Line:
    """From (x, y) to (u, v), in metres."""

    x: float
    y: float
    u: float
    v: float
    width: float
    colour: str = INK


@dataclass(frozen=True)
class Disc:
    """Around (x, y), in metres."""

    x: float
    y: float
    radius: float
    colour: str = INK


Shape = Line | Disc
Numbers = Mapping[str, float]


def pendulum(s: list[float], m: Numbers) -> list[Shape]:
    x, y = m["length"] * sin(s[0]), m["length"] * cos(s[0])
    return [Line(0, 0, x, y, 0.12, ACCENT), Disc(0, 0, 0.07), Disc(x, y, 0.06 + 0.08 * m["mass"])]


def cart_pole(s: list[float], m: Numbers) -> list[Shape]:
    x, angle = s[0], s[2]
    u, v = x + 2 * m["length"] * sin(angle), 2 * m["length"] * cos(angle)
    half = 0.15 + 0.1 * m["cart"]
    return [
        Line(-2.4, 0, 2.4, 0, 0.02, FAINT),
        Line(x - half, 0, x + half, 0, 0.2),
        Line(x, 0.05, u, v + 0.05, 0.08, ACCENT),
    ]


def acrobot(s: list[float], m: Numbers) -> list[Shape]:
    x, y = m["length"] * sin(s[0]), -m["length"] * cos(s[0])
    u, v = x + sin(s[0] + s[1]), y - cos(s[0] + s[1])
    return [
        Line(-2.2, 1, 2.2, 1, 0.02, FAINT),
        Line(0, 0, x, y, 0.1, ACCENT),
        Line(x, y, u, v, 0.1),
        Disc(0, 0, 0.06),
    ]


def mountain_car(s: list[float], m: Numbers) -> list[Shape]:
    def height(x: float) -> float:
        return 0.45 * sin(3 * x)

    places = [-1.2 + 1.8 * i / 40 for i in range(41)]
    hill: list[Shape] = [Line(a, height(a), b, height(b), 0.02, FAINT) for a, b in pairwise(places)]
    flag = m["flag"]
    pole = Line(flag, height(flag), flag, height(flag) + 0.25, 0.02, INK)
    return [*hill, pole, Disc(s[0], height(s[0]) + 0.05, 0.05, ACCENT)]


def quadrotor(s: list[float], m: Numbers) -> list[Shape]:
    x, z, tilt = s[:3]
    a = 1.2 * m["arm"]
    left, right = (x - a * cos(tilt), z - a * sin(tilt)), (x + a * cos(tilt), z + a * sin(tilt))
    up = (-0.12 * sin(tilt), 0.12 * cos(tilt))
    rotors: list[Shape] = []
    for px, pz in (left, right):
        rx, rz = px + up[0], pz + up[1]
        span = (0.18 * cos(tilt), 0.18 * sin(tilt))
        rotors.append(Line(px, pz, rx, rz, 0.03))
        rotors.append(Line(rx - span[0], rz - span[1], rx + span[0], rz + span[1], 0.04, ACCENT))
    return [Disc(0, 0, 0.08, FAINT), Line(*left, *right, 0.07), *rotors]


def reacher(s: list[float], m: Numbers) -> list[Shape]:
    x, y = m["upper"] * cos(s[0]), m["upper"] * sin(s[0])
    u, v = x + m["lower"] * cos(s[0] + s[1]), y + m["lower"] * sin(s[0] + s[1])
    reach = 0.75 * (m["upper"] + m["lower"])
    return [
        Disc(reach * cos(m["goal"]), reach * sin(m["goal"]), 0.08, FAINT),
        Line(0, 0, x, y, 0.06, ACCENT),
        Line(x, y, u, v, 0.05),
        Disc(u, v, 0.03 + 0.05 * m["payload"]),
    ]


_COLOURS = {"red": "#c8372d", "green": "#2e8540", "blue": "#2f6fd0", "yellow": "#d9a400"}


def grid_world(s: list[float], m: Numbers) -> list[Shape]:
    lines: list[Shape] = []
    for i in range(7):
        at = i - 0.5
        lines += [Line(at, -0.5, at, 5.5, 0.02, FAINT), Line(-0.5, at, 5.5, at, 0.02, FAINT)]
    for i, (name, colour) in enumerate(_COLOURS.items()):
        if s[10 + i] > 0.5:
            x, y = s[2 + 2 * i : 4 + 2 * i]
            lines.append(Disc(x, y, 0.3, colour))
            # What is to be avoided is crossed out, what is to be collected has a dot.
            if m[name] < -0.5:
                lines.append(Line(x - 0.3, y - 0.3, x + 0.3, y + 0.3, 0.08))
            elif m[name] > 0.5:
                lines.append(Disc(x, y, 0.1, "#ffffff"))
    return [*lines, Disc(s[0], s[1], 0.2)]


def connect_k(s: list[float], m: Numbers, game: type[ConnectK] = ConnectK) -> list[Shape]:
    width, height = round(m["width"]), round(m["height"])
    right, top = width - 0.5, height - 0.5
    shapes: list[Shape] = [Line(i - 0.5, -0.5, i - 0.5, top, 0.03, FAINT) for i in range(width + 1)]
    shapes += [Line(-0.5, i - 0.5, right, i - 0.5, 0.03, FAINT) for i in range(height + 1)]
    # Edges that are joined have a colour of their own.
    ends = ACCENT if m.get("ends_joined", 0.0) > 0.5 else INK
    shapes += [Line(-0.5, y, right, y, 0.06, ends) for y in (-0.5, top)]
    shapes += [
        Line(x, -0.5, x, top, 0.06, ACCENT if m["joined"] > 0.5 else INK) for x in (-0.5, right)
    ]
    for stones, colour in ((s[:CELLS], ACCENT), (s[CELLS : 2 * CELLS], INK)):
        own = {cell for cell, there in enumerate(stones) if there > 0.5}
        shapes += [Disc(cell % SIDE, cell // SIDE, 0.36, colour) for cell in sorted(own)]
        # Complete lines are marked.
        complete = {cell for line in game().lines(m) if own.issuperset(line) for cell in line}
        shapes += [Disc(cell % SIDE, cell // SIDE, 0.12, "#ffffff") for cell in sorted(complete)]
    return shapes


def runner(name: str) -> Callable[[list[float], Numbers], list[Shape]]:
    """What draws a machine of MuJoCo from the side, seen from beside it; posts on the ground stand a metre apart."""

    def draw(s: list[float], m: Numbers) -> list[Shape]:
        environment = _of_mujoco(name)
        limbs = environment.limbs(torch.tensor(s), torch.tensor([*m.values()]))
        at, posts = s[0], range(floor(s[0]) - 2, floor(s[0]) + 4)
        ground: list[Shape] = [Line(-2, 0, 2, 0, 0.02, FAINT)]
        ground += [Line(post - at, -0.12, post - at, 0, 0.02, FAINT) for post in posts]
        # The trunk comes first, limbs are hung on it.
        body = [
            Line(x - at, z, u - at, v, width, INK if i else ACCENT)
            for i, (x, z, u, v, width) in enumerate(limbs)
        ]
        return [*ground, *body[1:], body[0]]

    return draw


@cache
def _of_mujoco(name: str) -> MujocoEnvironment:
    environment = ENVIRONMENTS[name]()
    assert isinstance(environment, MujocoEnvironment)
    return environment


# By environment: what draws it, and the part of the world that is shown: left, right, bottom, top.
SKETCHES: dict[
    str,
    tuple[Callable[[list[float], Numbers], list[Shape]], tuple[float, float, float, float]],
] = {
    "acrobot": (acrobot, (-2.4, 2.4, -2.4, 2.4)),
    "cart-pole": (cart_pole, (-2.6, 2.6, -1.8, 1.8)),
    "cart-pole-swing-up": (cart_pole, (-2.6, 2.6, -1.8, 1.8)),
    "connect-directions": (partial(connect_k, game=ConnectDirections), (-0.8, 4.8, -0.8, 4.8)),
    "connect-directions-looking-ahead": (
        partial(connect_k, game=ConnectDirections),
        (-0.8, 4.8, -0.8, 4.8),
    ),
    "connect-k": (connect_k, (-0.8, 4.8, -0.8, 4.8)),
    "connect-k-looking-ahead": (connect_k, (-0.8, 4.8, -0.8, 4.8)),
    "grid-world": (grid_world, (-0.8, 5.8, -0.8, 5.8)),
    "half-cheetah": (runner("half-cheetah"), (-1.6, 1.6, -0.3, 1.7)),
    "hopper": (runner("hopper"), (-1.3, 1.3, -0.3, 1.8)),
    "mountain-car": (mountain_car, (-1.25, 0.65, -0.6, 0.9)),
    "pendulum": (pendulum, (-1.6, 1.6, -1.6, 1.6)),
    "quadrotor": (quadrotor, (-2.2, 2.2, -2.2, 2.2)),
    "reacher": (reacher, (-1.3, 1.3, -1.3, 1.3)),
    "walker": (runner("walker"), (-1.3, 1.3, -0.3, 1.8)),
}

__all__ = ["ACCENT", "FAINT", "INK", "SKETCHES", "Disc", "Line"]
