"""Policies written for board games of rules that were never met: against chance, minimax, and each other.

    python benchmarks/board_games.py train --folder runs/boards
    python benchmarks/board_games.py chance --folder runs/boards
    python benchmarks/board_games.py minimax --folder runs/boards
    python benchmarks/board_games.py written --folder runs/boards

Trainings go on where they were stopped; those that are done are not repeated. Settings were chosen on validation rules.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import netwright as nw
from netwright.apps.control.match import (
    Player,
    minimax_player,
    play_match,
    random_player,
    written_player,
)
from netwright.conditions import Condition, ExampleSet
from netwright.environments import ConnectK
from netwright.environments.board_search import Search, bits_of
from netwright.environments.boards import CELLS
from netwright.objectives import PolicyGradient
from netwright.objectives.rollout import roll_out
from netwright.rng import stream
from netwright.tasks import Control, EpisodeBatch
from netwright.training import Checkpoints
from netwright.writer import Writer

sys.path.insert(0, str(Path(__file__).parent))
from control import SETTINGS as CONTROL_SETTINGS
from control import trained
from records import Row, write_rows

STEPS, MORE_STEPS = 4_800, 9_600
# Kind of learner, what it reads, seed.
RUNS = (
    ("hypernetwork", "context", 0), ("joint", "context", 0), ("film", "context", 0),
    ("hypernetwork", "context", 1), ("concat", "context", 0), ("hypernetwork", "description", 0),
    ("hypernetwork", "context", 2),
)  # fmt: skip
# What writes scales and shifts of shared weights carries over best to other rules: it goes on for longer.
LONGER = ("film-longer", "context", 0)
SETTINGS: dict[str, Any] = {
    "hidden": (48,), "tasks": 64, "learning_rate": 2e-3, "validate_every": 1_200, "checkpoint_every": 1_200,
}  # fmt: skip
GAMES = 400
DEPTH = 4
COMMAND = "python benchmarks/board_games.py {}"


def writer_of(folder: Path, kind: str, source: str, seed: int) -> tuple[Writer, float]:
    """What writes policies, and CPU-seconds of its training, against opponents that look ahead to some extent."""
    family = Control("connect-k-looking-ahead", sources=(source,), training_episodes=16)  # type: ignore[arg-type]
    objective = {"discount": 0.99}
    if kind == LONGER[0]:
        # Goes on from where the short training ended, and is the same network.
        start, spent = writer_of(folder, "film", source, seed)
        place = folder / source / f"{kind}-{seed}"
        result = nw.train(
            start,
            family,
            folder=place,
            resume=place.exists() and bool(Checkpoints(place).steps()),
            objective=PolicyGradient(**objective, spread=(0.4, 0.1)),
            steps=MORE_STEPS,
            seed=seed + 1_000,
            **{**CONTROL_SETTINGS, **{n: v for n, v in SETTINGS.items() if n != "hidden"}},
        )
        return start, spent + result.cpu_seconds
    return trained(folder / source, family, seed, STEPS, kind=kind, objective=objective, **SETTINGS)


def done(folder: Path) -> dict[tuple[str, str], dict[int, tuple[Writer, float]]]:
    """What was trained to its end, by kind and source, by seed."""
    found: dict[tuple[str, str], dict[int, tuple[Writer, float]]] = {}
    for kind, source, seed in (*RUNS, LONGER):
        place = folder / source / f"{kind}-{seed}"
        steps = MORE_STEPS if kind == LONGER[0] else STEPS
        if place.exists() and Checkpoints(place).steps()[-1:] == [steps]:
            run = writer_of(folder, kind, source, seed)
            found.setdefault((kind, source), {})[seed] = run
    return found


def rules_of(split: str) -> Tensor:
    """Every rule of a split once, [R, P]."""
    machine = Control("connect-k").machines(stream(0, "rules"), 4_000, split)  # type: ignore[arg-type]
    return machine.unique(dim=0)


@torch.no_grad()
def params_for(writer: Writer, source: str, rules: Tensor) -> dict[str, Tensor]:
    """Params of the policies that are written for some rules."""
    family = Control("connect-k", sources=(source,))  # type: ignore[arg-type]
    writer.eval()
    return dict(writer(family.condition(rules, stream(0, "told"))))


def against_chance(
    writer: Writer, params: dict[str, Tensor], rules: Tensor, skill: float
) -> dict[str, Tensor]:
    """Shares of games that are won, drawn, and points (a draw is half of one), each [R]."""
    environment = ConnectK()
    start = environment.start(stream(0, "games"), len(rules), GAMES)
    start[..., -2] = skill
    query = ExampleSet.of(start, start.new_zeros(len(rules), GAMES, 1))
    batch = EpisodeBatch(Condition(context=rules), query, rules, environment)
    earned = roll_out(lambda x: writer.child(params, x), batch).rewards.sum(dim=2)
    won, drawn = (earned > 0).float().mean(dim=1), (earned == 0).float().mean(dim=1)
    return {"won": won, "drawn": drawn, "points": won + drawn / 2}


def chance(folder: Path) -> list[Row]:
    """Points against players that move at random, and against those that look one move ahead; other rules' policies beside."""
    rules, rows = rules_of("test"), []
    four = rules[:, 2] > 3.5
    best = {i: best_against_chance(rule) for i, rule in enumerate(rules) if is_small(rule)}
    for (kind, source), runs in done(folder).items():
        cpu = sum(spent for _, spent in runs.values())
        label = {"context": kind, "description": f"{kind}-from-sentences"}[source]
        for opponent, skill in (("random", 0.0), ("looking-ahead", 1.0)):
            points, won, drawn, shuffled = [], [], [], []
            of_best: list[float] = []
            by_line: list[tuple[float, float]] = []
            for writer, _ in runs.values():
                params = params_for(writer, source, rules)
                own = against_chance(writer, params, rules, skill)
                rolled = {name: value.roll(1, dims=0) for name, value in params.items()}
                other = against_chance(writer, rolled, rules, skill)
                points.append(100 * float(own["points"].mean()))
                won.append(100 * float(own["won"].mean()))
                drawn.append(100 * float(own["drawn"].mean()))
                shuffled.append(100 * float(other["points"].mean()))
                of_best.append(100 * float(np.mean([float(own["points"][i]) / v for i, v in best.items()])))  # fmt: skip
                by_line.append(
                    (
                        100 * float(own["points"][~four].mean()),
                        100 * float(own["points"][four].mean()),
                    )
                )
                each = ", ".join(f"{100 * float(v):.0f}" for v in own["points"])
                print(label, opponent, f"points by rule: {each}", flush=True)
            note = (
                f"points in 100 games, a draw counted half; {len(rules)} unseen rules x {GAMES} games; won {np.mean(won):.1f}, drawn "
                f"{np.mean(drawn):.1f}; policies of other rules {np.mean(shuffled):.1f}; lines of three {np.mean([a for a, _ in by_line]):.1f}, "
                f"of four {np.mean([b for _, b in by_line]):.1f}"
            )
            if skill == 0:
                note += f"; of the most that can be had against chance on the {len(best)} smallest boards {np.mean(of_best):.1f} %"
            rows.append(row(f"board-games-{label}-{opponent}", points, "points of 100", "chance", note, list(runs), cpu))  # fmt: skip
    for kind in ("hypernetwork", "film", "concat", LONGER[0]):
        runs = done(folder).get((kind, "context"), {})
        for split in ("train", "validation") if runs else ():
            own = rules_of(split)
            values = []
            for writer, _ in runs.values():
                found = against_chance(writer, params_for(writer, "context", own), own, 0.0)
                values.append(100 * float(found["points"].mean()))
            note = f"the same on the {len(own)} rules of {split}"
            rows.append(row(f"board-games-{kind}-random-{split}", values, "points of 100", "chance", note, list(runs), 0.0))  # fmt: skip
    return rows


def is_small(rule: Tensor) -> bool:
    """Whether all positions of a game can be looked at."""
    return float(rule[0] * rule[1]) <= 12


def is_solved(rule: Tensor) -> bool:
    """Whether `Search` sees to the end of a game within seconds."""
    width, height, line, _, gravity, misere, _ = (round(v) for v in rule.tolist())
    return width * height <= (20 if gravity else 12) or (line == 3 and not misere)


def best_against_chance(rule: Tensor) -> float:
    """The most points per game that can be had against a player that moves at random, who opens half of the games."""
    search, known = Search(rule), {}

    def moves(taken: int) -> list[int]:
        return list(search._moves(taken))

    def mine(own: int, other: int) -> float:
        if (own, other) not in known:
            found = [0.5] if not moves(own | other) else []
            for cell in moves(own | other):
                ends = search.completes(own, cell)
                found.append(float(not search.misere) if ends else theirs(own | 1 << cell, other))
            known[own, other] = max(found)
        return known[own, other]

    def theirs(own: int, other: int) -> float:
        found = [0.5] if not moves(own | other) else []
        for cell in moves(own | other):
            ends = search.completes(other, cell)
            found.append(float(search.misere) if ends else mine(own, other | 1 << cell))
        return sum(found) / len(found)

    return (mine(0, 0) + theirs(0, 0)) / 2


def minimax(folder: Path) -> list[Row]:
    """Against the best play where it is known, and against a few moves of foresight elsewhere; moves that lose nothing."""
    rows = []
    for (kind, source), runs in done(folder).items():
        if source == "description" or kind == "concat":
            continue
        players = {seed: partial(player_of, writer, source) for seed, (writer, _) in runs.items()}
        rows += minimax_rows(kind, players, partial(row, what="minimax"))
    return rows


def minimax_rows(
    label: str, players: Mapping[int, Callable[[Tensor], Player]], make_row: Callable[..., Row]
) -> list[Row]:
    """Three rows about players of the unseen rules, by seed: each says who plays under some rules."""
    rules = rules_of("test")
    solved = [is_solved(rule) for rule in rules]
    searches = [Search(rule, None if s else DEPTH) for rule, s in zip(rules, solved, strict=True)]
    exact = torch.tensor(solved)
    worth = torch.tensor([float(Search(r).value(0, 0)) if s else 0.0 for r, s in zip(rules, solved, strict=True)])  # fmt: skip
    kept, points, wise, wise_chance = [], [], [], []
    for seed, player_for in players.items():
        player, best = player_for(rules), minimax_player(searches, seed)
        first = play_match(rules, player, best, games=10, drawn=0)
        second = -play_match(rules, best, player, games=10, drawn=0)
        # Nobody gets more than a position is worth against the best play.
        sides = ((first, worth), (second, -worth))
        # Of a position that is lost nothing can be lost any more.
        holds = [
            own[exact & (value > -1)] >= value[exact & (value > -1), None] for own, value in sides
        ]
        kept.append(100 * float(torch.cat(holds).float().mean()))
        both = torch.cat([first, second], dim=1)
        points.append(100 * float((both[~exact] + 1).mean() / 2))
        own, by_luck = wise_moves(rules[exact], [s for s, e in zip(searches, solved, strict=True) if e], player_for(rules[exact]), seed)  # fmt: skip
        wise.append(own)
        wise_chance.append(by_luck)
        print("minimax", label, seed, kept[-1], points[-1], wise[-1], wise_chance[-1], flush=True)
    count, seeds = int(exact.sum()), list(players)
    return [
        make_row(name=f"board-games-{label}-minimax-value-kept", values=kept, unit="% of games", note=f"got what the game is worth, a win or a draw, against best play; {count} unseen rules that are solved, sides that can hold something x 10 games", seeds=seeds, cpu=0.0),
        make_row(name=f"board-games-{label}-minimax-depth-{DEPTH}", values=points, unit="points of 100", note=f"against minimax {DEPTH} moves deep; the {len(rules) - count} other unseen rules x 20 games", seeds=seeds, cpu=0.0),
        make_row(name=f"board-games-{label}-best-moves", values=wise, unit="% of moves", note=f"moves that keep what the position is worth, where some do not, in games against chance on the {count} rules; moves at random {np.mean(wise_chance):.1f}", seeds=seeds, cpu=0.0),
    ]  # fmt: skip


def player_of(writer: Writer, source: str, rules: Tensor) -> Player:
    """Who plays by the policies that are written for some rules."""
    return written_player(writer, params_for(writer, source, rules))


def wise_moves(rules: Tensor, searches: list[Search], player: Player, seed: int) -> tuple[float, float]:  # fmt: skip
    """Share of a player's moves that keep the value of a position in which some moves do not; the same of moves at random."""
    found: list[float] = []
    by_luck: list[float] = []

    def noting(seen: Tensor, legal: Tensor) -> Tensor:
        logits = player(seen, legal)
        chosen = logits.masked_fill(~legal, -torch.inf).argmax(dim=-1)
        for t, n in legal.any(dim=-1).nonzero().tolist():
            mine, theirs = (bits_of(part) for part in seen[t, n].split(CELLS))
            best = searches[t].best(mine, theirs)
            if len(best) < int(legal[t, n].sum()):
                found.append(float(int(chosen[t, n]) in best))
                by_luck.append(len(best) / int(legal[t, n].sum()))
        return logits

    play_match(rules, noting, random_player(seed), games=10, drawn=0, seed=seed)
    play_match(rules, random_player(seed + 1), noting, games=10, drawn=0, seed=seed)
    return 100 * float(np.mean(found)), 100 * float(np.mean(by_luck))


def written(folder: Path) -> list[Row]:
    """Written policies against each other: other seeds', other rules', other kinds'."""
    rules, runs = rules_of("test"), done(folder)
    players = {
        (kind, seed): player_of(writer, source, rules)
        for (kind, source), own in runs.items()
        for seed, (writer, _) in own.items()
        if source == "context"
    }
    rows = []
    for kind, source in runs:
        if source != "context":
            continue
        values, seeds = [], []
        for (own, seed), player in players.items():
            others = [p for (k, s), p in players.items() if k == kind and (k, s) != (own, seed)]
            if own == "hypernetwork" and others:
                values.append(float(np.mean([_points(rules, player, other) for other in others])))
                seeds.append(seed)
        if values:
            rows.append(_between(kind, values, seeds, len(rules)))
    values = []
    for seed, (writer, _) in runs["hypernetwork", "context"].items():
        # The policy of another rule, on this rule's board.
        other = player_of(writer, "context", rules.roll(1, dims=0))
        values.append(_points(rules, players["hypernetwork", seed], other))
    return [*rows, _between("other-rules", values, list(range(len(values))), len(rules))]


def _between(opponent: str, values: list[float], seeds: list[int], rules: int) -> Row:
    note = f"the hypernetwork's policies against those of {opponent}; {rules} unseen rules x 2 x 100 games, the first two stones at random"
    return row(f"board-games-written-against-{opponent}", values, "points of 100", "written", note, seeds, 0.0)  # fmt: skip


def _points(rules: Tensor, player: Player, other: Player) -> float:
    first = play_match(rules, player, other, games=100, seed=1)
    second = -play_match(rules, other, player, games=100, seed=2)
    return 100 * float((torch.cat([first, second], dim=1) + 1).mean() / 2)


def row(
    name: str, values: list[float], unit: str, what: str, note: str, seeds: list[int], cpu: float
) -> Row:
    """Mean over seeds, with the smallest and the largest as its ends."""
    each = ", ".join(f"{v:.4g}" for v in values)
    return Row(
        name, float(np.mean(values)), float(min(values)), float(max(values)), unit, True, len(values), seeds,
        cpu, COMMAND.format(f"{what} --folder runs/boards"), f"{note}; seeds: {each}",
    )  # fmt: skip


def train(folder: Path) -> list[Row]:
    """Train all there is to train."""
    for kind, source, seed in (*RUNS, LONGER):
        _, spent = writer_of(folder, kind, source, seed)
        print(kind, source, seed, f"{spent:.0f} CPU-seconds", flush=True)
    return []


def main() -> None:
    """Parse, measure, write."""
    measures: dict[str, Callable[[Path], list[Row]]] = {
        "train": train, "chance": chance, "minimax": minimax, "written": written,
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
