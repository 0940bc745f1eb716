"""Architectures proposed, written in one pass, ranked under a budget.

`METHODS` turns the names in commands into classes.
"""

from netwright.search.design import METHODS, Design, design
from netwright.search.held_out import Folds, given_rows, support_in_turn
from netwright.search.latency import latency_ms
from netwright.search.optuna_proposals import Nsga2, OptunaProposals, Tpe
from netwright.search.pareto import front_of
from netwright.search.picture import draw
from netwright.search.polish import polished
from netwright.search.proposals import Evolution, Proposals, Random
from netwright.search.tried import COSTS, Tried

__all__ = [
    "COSTS",
    "METHODS",
    "Design",
    "Evolution",
    "Folds",
    "Nsga2",
    "OptunaProposals",
    "Proposals",
    "Random",
    "Tpe",
    "Tried",
    "design",
    "draw",
    "front_of",
    "given_rows",
    "latency_ms",
    "polished",
    "support_in_turn",
]
