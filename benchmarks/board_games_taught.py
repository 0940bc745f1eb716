"""Policies for board games of rules that were never met, taught by a player that knows its rule, on eight times as many rules.

    python benchmarks/board_games_taught.py train --folder runs/boards-taught
    python benchmarks/board_games_taught.py chance --folder runs/boards-taught
    python benchmarks/board_games_taught.py minimax --folder runs/boards-taught
    python benchmarks/board_games_taught.py teacher --folder runs/boards-taught

Trainings go on where they were stopped; those that are done are not repeated. Settings were chosen on validation rules.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import netwright as nw
from netwright.apps.control.match import Player, written_player
from netwright.architectures import Architecture
from netwright.conditions import Condition, ExampleSet
from netwright.environments import ConnectDirections, ConnectK
from netwright.environments.board_foresight import Foresight
from netwright.learners.catalogue import make_learner
from netwright.objectives import Imitation
from netwright.objectives.base import Predict
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control, EpisodeBatch
from netwright.training import Checkpoints
from netwright.writer import Writer

sys.path.insert(0, str(Path(__file__).parent))
from board_games import minimax_rows, rules_of
from records import Row, write_rows

STEPS = 3_000
SETTINGS: dict[str, Any] = {
    "tasks": 64, "learning_rate": 3e-3, "warm_up": 20, "weight_decay": 0.0, "average": 0.98,
    "validate_every": STEPS, "validation_tasks": 50, "checkpoint_every": 1_000, "progress": False,
}  # fmt: skip
# Per rule of a few; per rule of a hundred and more.
GAMES, FEWER_GAMES = 400, 100
COMMAND = "python benchmarks/board_games_taught.py {}"


@dataclass(frozen=True)
class Recipe:
    """How a writer came to be.

    Args:
        kind: Name in `LEARNERS`.
        family: Which rules it was trained on.
        hidden: Widths of the hidden layers of policies.
    """

    kind: str = "hypernetwork"
    family: str = "connect-directions"
    hidden: tuple[int, ...] = (96, 96)

    @property
    def child(self) -> Architecture:
        """A policy."""
        return nw.architectures.mlp(inputs=50, hidden=self.hidden, outputs=25, activation="relu")


RECIPES = {
    "taught-hypernetwork": Recipe(),
    "taught-film": Recipe("film"),
    "taught-concat": Recipe("concat"),
    # What the larger family is worth: without it.
    "taught-hypernetwork-138-rules": Recipe(family="connect-k"),
    "taught-film-138-rules": Recipe("film", family="connect-k"),
}
RUNS = (
    ("taught-hypernetwork", 0), ("taught-hypernetwork", 1), ("taught-film", 0), ("taught-concat", 0),
    ("taught-hypernetwork", 2), ("taught-hypernetwork-138-rules", 0), ("taught-hypernetwork-138-rules", 1),
    ("taught-hypernetwork-138-rules", 2), ("taught-film-138-rules", 0),
)  # fmt: skip


def writer_of(folder: Path, name: str, seed: int) -> tuple[Writer, float]:
    """What writes policies, and CPU-seconds of its training; trained unless it is in the folder."""
    recipe = RECIPES[name]
    family = Control(recipe.family, training_episodes=16)
    writer = make_learner(recipe.kind, family, child=recipe.child, seed=seed).writer
    assert writer is not None
    game = family.environment
    assert isinstance(game, ConnectK)
    place = folder / f"{name}-{seed}"
    result = nw.train(
        writer,
        family,
        folder=place,
        resume=place.exists() and bool(Checkpoints(place).steps()),
        objective=Imitation(Foresight(game), updates=12, parts=3, led=0.0),
        steps=STEPS,
        seed=seed,
        **SETTINGS,
    )
    return writer, result.cpu_seconds


def done(folder: Path) -> dict[str, dict[int, tuple[Writer, float]]]:
    """What was trained to its end, by recipe, by seed."""
    found: dict[str, dict[int, tuple[Writer, float]]] = {}
    for name, seed in RUNS:
        place = folder / f"{name}-{seed}"
        if place.exists() and Checkpoints(place).steps()[-1:] == [STEPS]:
            found.setdefault(name, {})[seed] = writer_of(folder, name, seed)
    return found


@torch.no_grad()
def params_for(writer: Writer, name: str, rules: Tensor) -> dict[str, Tensor]:
    """Params of the policies that are written for rules [R, P], of `connect-k` or of the larger family."""
    missing = len(Control(RECIPES[name].family).environment.quantities) - rules.shape[1]
    # In the larger family rules of the smaller one are those in which nothing is left out or joined besides.
    told = torch.cat([rules.new_zeros(len(rules), missing), rules], dim=1)
    return dict(writer.eval()(Condition(context=told)))


def games_for(rules: Tensor) -> int:
    """How many are played under each of some rules."""
    return GAMES if len(rules) < 100 else FEWER_GAMES


def points(game: ConnectK, rules: Tensor, policy: Predict, skill: float) -> dict[str, Tensor]:
    """Shares of games that are won and drawn, and points of 100 (a draw is half of one), each [R]."""
    games = games_for(rules)
    start = game.start(stream(0, "games"), len(rules), games)
    start[..., -2] = skill
    query = ExampleSet.of(start, start.new_zeros(len(rules), games, 1))
    batch = EpisodeBatch(Condition(context=rules), query, rules, game)
    earned = roll_out(policy, batch).rewards.sum(dim=2)
    won, drawn = (earned > 0).float().mean(dim=1), (earned == 0).float().mean(dim=1)
    return {"won": won, "drawn": drawn, "points": 100 * (won + drawn / 2)}


def chance(folder: Path) -> list[Row]:
    """Against players that move at random, and that look one move ahead, on the rules of `connect-k` and on those of the larger family."""
    rows = []
    larger = Control("connect-directions").machines(stream(0, "rules"), 10_000, "test")
    sets = {
        "random": (ConnectK(), rules_of("test"), 0.0),
        "looking-ahead": (ConnectK(), rules_of("test"), 1.0),
        "random-train": (ConnectK(), rules_of("train"), 0.0),
        "random-validation": (ConnectK(), rules_of("validation"), 0.0),
        "directions": (ConnectDirections(), larger.unique(dim=0), 0.0),
    }
    for name, runs in done(folder).items():
        for label, (game, rules, skill) in sets.items():
            if isinstance(game, ConnectDirections) and RECIPES[name].family == "connect-k":
                continue
            rows.append(_chance_row(name, runs, label, game, rules, skill))
    return rows


def _chance_row(
    name: str, runs: dict[int, tuple[Writer, float]], label: str, game: ConnectK, rules: Tensor, skill: float
) -> Row:  # fmt: skip
    four = game.of(rules)["line"][:, 0] > 3.5
    own: list[dict[str, float]] = []
    size = 0
    for writer, _ in runs.values():
        params = params_for(writer, name, rules)
        size = sum(v[0].numel() for v in params.values())
        found = points(game, rules, _policy(writer, params), skill)
        rolled = {n: v.roll(1, dims=0) for n, v in params.items()}
        other = points(game, rules, _policy(writer, rolled), skill)
        by_rule = found["points"]
        own.append({
            "points": float(by_rule.mean()), "won": 100 * float(found["won"].mean()),
            "drawn": 100 * float(found["drawn"].mean()), "shuffled": float(other["points"].mean()),
            "three": float(by_rule[~four].mean()), "four": float(by_rule[four].mean()),
        })  # fmt: skip
        if label == "random":
            print(name, "points by rule:", ", ".join(f"{v:.0f}" for v in by_rule), flush=True)
    mean = {key: np.mean([each[key] for each in own]) for key in own[0]}
    met = "" if label.endswith("train") else "that were never trained on "
    note = (
        f"points in 100 games, a draw counted half; {len(rules)} rules {met}x {games_for(rules)} games; won {mean['won']:.1f}, drawn {mean['drawn']:.1f}; "
        f"policies of other rules {mean['shuffled']:.1f}; lines of three {mean['three']:.1f}, of four {mean['four']:.1f}; policies of {RECIPES[name].child.parameters:,} numbers, of which {size:,} are written"
    )
    cpu = sum(spent for _, spent in runs.values()) if label == "random" else 0.0
    return _row(f"board-games-{name}-{label}", [e["points"] for e in own], "points of 100", "chance", note, list(runs), cpu)  # fmt: skip


def _policy(writer: Writer, params: dict[str, Tensor]) -> Predict:
    return lambda seen: writer.child(params, seen)


def minimax(folder: Path) -> list[Row]:
    """Against the best play where it is known, and against a few moves of foresight elsewhere; moves that lose nothing."""

    def player_of(writer: Writer, name: str) -> Callable[[Tensor], Player]:
        return lambda rules: written_player(writer, params_for(writer, name, rules))

    rows = []
    for name in ("taught-hypernetwork", "taught-hypernetwork-138-rules"):
        runs = done(folder).get(name, {})
        if runs:
            players = {seed: player_of(writer, name) for seed, (writer, _) in runs.items()}
            rows += minimax_rows(name, players, lambda **cells: _row(what="minimax", **cells))
    return rows


def teacher(folder: Path) -> list[Row]:
    """The player that teaches, which is told the rule and computes what moves are worth."""
    game, rules = ConnectK(), rules_of("test")
    player = Foresight(game)
    told = player(Condition(context=rules))
    rows = []
    for label, skill in (("random", 0.0), ("looking-ahead", 1.0)):
        found = points(game, rules, lambda seen: player.child(told, seen), skill)
        note = f"the player that taught, which knows the rule; {len(rules)} rules x {GAMES} games"
        rows.append(_row(f"board-games-teacher-{label}", [float(found["points"].mean())], "points of 100", "teacher", note, [0], 0.0))  # fmt: skip
    return rows


def _row(
    name: str, values: list[float], unit: str, what: str, note: str, seeds: list[int], cpu: float
) -> Row:
    """Mean over seeds, with the smallest and the largest as its ends."""
    each = ", ".join(f"{v:.4g}" for v in values)
    return Row(
        name, float(np.mean(values)), float(min(values)), float(max(values)), unit, True, len(values), seeds,
        cpu, COMMAND.format(f"{what} --folder runs/boards-taught"), f"{note}; seeds: {each}",
    )  # fmt: skip


def train(folder: Path) -> list[Row]:
    """Train all there is to train."""
    for name, seed in RUNS:
        _, spent = writer_of(folder, name, seed)
        print(name, seed, f"{spent:.0f} CPU-seconds", flush=True)
    return []


def main() -> None:
    """Parse, measure, write."""
    measures: dict[str, Callable[[Path], list[Row]]] = {
        "train": train, "chance": chance, "minimax": minimax, "teacher": teacher,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=list(measures))
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if rows := measures[args.what](args.folder):
        write_rows("board_games", rows)


if __name__ == "__main__":
    main()
