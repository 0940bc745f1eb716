"""A grid with coloured things: some are to be collected, some to be avoided, and keys may be turned round."""

from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.environments.base import Environment, Quantity

SIDE = 6
COLOURS = ("red", "green", "blue", "yellow")
_STEP_COST = 0.02
# Up, down, left, right.
_MOVES = ((0, 1), (0, -1), (-1, 0), (1, 0))
_COLLECT = ("collect", "gather", "pick up", "take")
_AVOID = ("avoid", "stay away from", "never touch", "keep off")
_IGNORE = ("ignore", "do not mind")


class GridWorld(Environment):
    """Collect things of some colours, avoid those of others, on a grid of 6 x 6; what counts is said in the rules.

    One thing of each colour lies somewhere. A rule gives each colour 1 (collect: worth 1), -1 (avoid: costs 1) or 0; keys may be
    inverted (up is down, left is right) or turned (up is right, ...). A step costs 0.02 until all that is to be
    collected is. What a policy sees is where things lie relative to it, and how far the walls are.

    Actions are discrete, as one-hot: up, down, left, right.
    """

    quantities = (
        *(
            Quantity(colour, -1.0, 1.0, 1.0 if colour == "red" else 0.0, "level")
            for colour in COLOURS
        ),
        Quantity("inverted", 0.0, 1.0, 0.0, "switch"),
        Quantity("turned", 0.0, 1.0, 0.0, "switch"),
    )
    # Place of the player, places of the things, and which of them are still there.
    states, observations, actions = 2 + 3 * len(COLOURS), 2 + 3 * len(COLOURS), 4
    steps, hold, seconds = 30, 1, 0.3
    discrete = True
    # A policy without memory that always presses the likeliest key goes round in circles.
    temperature = 0.5
    hashed = 6

    def start(self, rng: np.random.Generator, tasks: int, episodes: int) -> Tensor:
        """Player and things on places of their own."""
        things = 1 + len(COLOURS)
        places = rng.random((tasks, episodes, SIDE * SIDE)).argsort(axis=-1)[..., :things]
        at = np.stack([places % SIDE, places // SIDE], axis=-1).reshape(tasks, episodes, -1)
        there = np.ones((tasks, episodes, len(COLOURS)))
        return torch.from_numpy(np.concatenate([at, there], axis=-1).astype(np.float32))

    def allows(self, machine: Tensor) -> Tensor:
        """Something is to be collected."""
        return (machine[:, : len(COLOURS)] > 0.5).any(dim=1)

    def step(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """One field in the direction of the key, or nowhere at a wall; what lies there is taken."""
        moved, touched = self._moved(state, action, machine)
        there = state[..., 2 + 2 * len(COLOURS) :] * (1 - touched)
        after = torch.cat([moved, state[..., 2 : 2 + 2 * len(COLOURS)], there], dim=-1)
        # Once all is collected nothing moves.
        return torch.where(self.is_good(state, machine).unsqueeze(-1), state, after)

    def reward(self, state: Tensor, action: Tensor, machine: Tensor) -> Tensor:
        """What is taken is worth by its colour; a step costs."""
        _, touched = self._moved(state, action, machine)
        worth = (touched * machine[:, None, : len(COLOURS)]).sum(dim=-1) - _STEP_COST
        return worth * (~self.is_good(state, machine)).to(state.dtype)

    def observe(self, state: Tensor, machine: Tensor) -> Tensor:
        """Where the player is, where each thing is from there, and whether it is still there."""
        player = state[..., :2]
        count = len(COLOURS)
        places = state[..., 2 : 2 + 2 * count].unflatten(-1, (count, 2))
        there = state[..., 2 + 2 * count :]
        away = (places - player.unsqueeze(-2)) * there.unsqueeze(-1) / 2
        return torch.cat([player / (SIDE - 1) * 2 - 1, away.flatten(-2), there], dim=-1)

    def is_good(self, state: Tensor, machine: Tensor) -> Tensor:
        """All that is to be collected is."""
        wanted = (machine[:, None, : len(COLOURS)] > 0.5).to(state.dtype)
        return (state[..., 2 + 2 * len(COLOURS) :] * wanted).sum(dim=-1) == 0

    def describe(self, machine: Tensor, rng: np.random.Generator) -> str:
        """A rule [P] in words, chosen at random."""
        parts = []
        for value, words in ((1, _COLLECT), (-1, _AVOID), (0, _IGNORE)):
            colours = [
                c for c, v in zip(COLOURS, machine.tolist(), strict=False) if round(v) == value
            ]
            if colours and (value or rng.random() < 0.3):
                order = [colours[i] for i in rng.permutation(len(colours))]
                parts.append(f"{words[rng.integers(len(words))]} {' and '.join(order)}")
        keys = ["inverted"] * (machine[-2] > 0.5) + ["turned"] * (machine[-1] > 0.5)
        if keys:
            parts.append(f"keys are {' and '.join(keys)}")
        return ", ".join(parts[i] for i in rng.permutation(len(parts)))

    def best(self, state: Tensor, machine: Tensor) -> float:
        """The largest return from one state [S] under one rule [P], by search over places and what is taken.

        Things to be avoided may be stepped on at their cost.
        """
        count = len(COLOURS)
        worth = [round(v) for v in machine[:count].tolist()]
        places = [tuple(map(int, state[2 + 2 * i : 4 + 2 * i].tolist())) for i in range(count)]
        first = tuple(int(v) for v in state[:2].tolist())
        wanted = frozenset(i for i in range(count) if worth[i] > 0)
        there = frozenset(i for i in range(count) if state[2 + 2 * count + i] > 0.5)
        # Layer by layer: the best sum of worths with which a place and a remainder can be reached in so many steps.
        layer: dict[tuple[tuple[int, ...], frozenset[int]], float] = {(first, there): 0.0}
        best = 0.0 if not wanted & there else -_STEP_COST * self.steps
        for step in range(self.steps):
            following: dict[tuple[tuple[int, ...], frozenset[int]], float] = {}
            for (place, left), earned in layer.items():
                if not wanted & left:
                    continue
                for dx, dy in _MOVES:
                    to = (
                        min(SIDE - 1, max(0, place[0] + dx)),
                        min(SIDE - 1, max(0, place[1] + dy)),
                    )
                    taken = {i for i in left if places[i] == to}
                    rest = left - taken
                    now = earned + sum(worth[i] for i in taken)
                    key = (to, rest)
                    if now > following.get(key, -np.inf):
                        following[key] = now
            for (_, left), earned in following.items():
                spent = _STEP_COST * (step + 1 if not wanted & left else self.steps)
                best = max(best, earned - spent)
            layer = following
        return best

    def rules(self) -> Tensor:
        """All rules that are allowed, [R, P]."""
        levels = product((-1.0, 0.0, 1.0), repeat=len(COLOURS))
        found = torch.tensor(
            [[*level, a, b] for level in levels for a in (0.0, 1.0) for b in (0.0, 1.0)]
        )
        return found[self.allows(found)]

    def _moved(self, state: Tensor, action: Tensor, machine: Tensor) -> tuple[Tensor, Tensor]:
        """Where the player comes to, [T, N, 2], and which things it takes, [T, N, 4]."""
        m = self.of(machine)
        moves = torch.tensor(_MOVES, dtype=state.dtype, device=state.device)
        pressed = F.one_hot(action.argmax(dim=-1), len(_MOVES)).to(state.dtype) @ moves
        dx, dy = pressed.unbind(-1)
        turned = m["turned"] > 0.5
        dx, dy = torch.where(turned, dy, dx), torch.where(turned, dx, dy)
        sign = 1 - 2 * m["inverted"]
        moved = (state[..., :2] + torch.stack([dx * sign, dy * sign], dim=-1)).clamp(0, SIDE - 1)
        count = len(COLOURS)
        places = state[..., 2 : 2 + 2 * count].unflatten(-1, (count, 2))
        there = state[..., 2 + 2 * count :]
        touched = (places == moved.unsqueeze(-2)).all(dim=-1).to(state.dtype) * there
        return moved, touched
