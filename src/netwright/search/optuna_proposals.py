"""Proposals of Optuna's samplers."""

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from netwright.architectures import (
    ARCHITECTURES,
    Architecture,
    Choice,
    Limits,
    LogUniform,
    OneOf,
    SearchSpace,
)
from netwright.architectures.options import DEPTH
from netwright.errors import MissingExtraError, RunError
from netwright.rng import derive_seed, stream
from netwright.search.proposals import Allows, Proposals
from netwright.search.tried import Tried

# How often a sampler is asked until something new within the limits is among it; then there is a draw. More would make
# TPE slow, whose cost grows with all that it was told.
_ASKS = 5
# Stands for the score of what is beyond the limits, or did not come to one.
_WORST = -1e9


class OptunaProposals(Proposals):
    """What a sampler of Optuna proposes; it is told of what it proposed beyond the limits, and learns from that.

    Raises:
        MissingExtraError: If Optuna is not installed.
    """

    directions: ClassVar[tuple[str, ...]] = ("maximize",)

    def __init__(
        self, space: SearchSpace, limits: Limits, *, seed: int, allows: Allows = lambda _: True
    ) -> None:
        super().__init__(space, limits, seed=seed, allows=allows)
        self.optuna = _optuna()
        with warnings.catch_warnings():
            # Constraints and some options of samplers may still change.
            warnings.simplefilter("ignore", self.optuna.exceptions.ExperimentalWarning)
            # Optuna 5 is told of each trial's constraint, earlier ones ask for it.
            tells = hasattr(self.optuna.trial.Trial, "set_constraint")
            options = {} if tells else {"constraints_func": _excess_of}
            sampler = self.sampler(derive_seed(seed, "optuna") % 2**32, options)
        self.study = self.optuna.create_study(sampler=sampler, directions=list(self.directions))
        kind = ARCHITECTURES[space.family]
        is_layered = bool(kind.per_layer) and kind.per_layer[0] in space.choices
        self.layered = kind.per_layer if is_layered else ()
        self._asked: Any = None

    @abstractmethod
    def sampler(self, seed: int, options: dict[str, Any]) -> Any:
        """The sampler, all its chance decided by a seed.

        Args:
            seed: Of its chance.
            options: That every sampler takes.
        """

    def values(self, merit: float, architecture: Architecture | None) -> list[float]:
        """What the study is told of one, by direction."""
        return [merit]

    def propose(self, tried: Sequence[Tried]) -> Architecture | None:
        """What the sampler proposes when it is told of what was tried."""
        if self._asked is not None:
            last = tried[-1]
            merit = last.merit[0] if last.value is not None else _WORST
            self._tell(self._asked, merit, last.architecture, 0.0)
            self._asked = None
        if not tried:
            first = self.drawn(stream(self.seed, "optuna"), tried)
            return None if first is None else self._enqueued(first)
        known = {each.architecture: each for each in tried}
        for _ in range(_ASKS):
            trial = self.study.ask()
            found = self._member(self._suggested(trial))
            if found is not None and self.fits(found, tried):
                self._asked = trial
                return found
            again = known.get(found) if found is not None else None
            is_known = again is not None and again.value is not None
            merit = again.merit[0] if again is not None and is_known else _WORST
            self._tell(trial, merit, found, 0.0 if is_known else self._excess(found))
        other = self.drawn(stream(self.seed, "optuna", len(tried)), tried)
        return None if other is None else self._enqueued(other)

    def _enqueued(self, architecture: Architecture) -> Architecture:
        """The sampler learns of one that it did not propose."""
        self.study.enqueue_trial(self._params(architecture))
        self._asked = self.study.ask()
        self._suggested(self._asked)
        return architecture

    def _tell(
        self, trial: Any, merit: float, architecture: Architecture | None, excess: float
    ) -> None:
        if hasattr(trial, "set_constraint"):
            trial.set_constraint("limits", excess)
        trial.set_user_attr("excess", excess)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self.optuna.exceptions.ExperimentalWarning)
            self.study.tell(trial, self.values(merit, architecture))

    def _excess(self, architecture: Architecture | None) -> float:
        """How many times over the limits it is; positive for what may not be."""
        if architecture is None:
            return 1.0
        limits = vars(self.limits).items()
        over: list[float] = [
            getattr(architecture.cost, n) / most - 1 for n, most in limits if most is not None
        ]
        return max([1e-3, *over])

    def _suggested(self, trial: Any) -> dict[str, Any]:
        """Options, layer by layer where there are layers."""
        choices, found = self.space.choices, {}
        depth = _suggest(trial, DEPTH, choices[DEPTH]) if self.layered else 0
        for name, choice in choices.items():
            if name in self.layered:
                found[name] = [_suggest(trial, f"{name}-{i}", choice) for i in range(depth)]
            elif not (self.layered and name == DEPTH):
                found[name] = _suggest(trial, name, choice)
        return found

    def _params(self, architecture: Architecture) -> dict[str, Any]:
        """The inverse of `_suggested`."""
        found, options = {}, vars(architecture)
        for name in self.space.choices:
            if self.layered and name == DEPTH:
                found[DEPTH] = len(options[self.layered[0]])
            elif name in self.layered:
                found.update({f"{name}-{i}": v for i, v in enumerate(options[name])})
            else:
                found[name] = options[name]
        return found

    def _member(self, options: Mapping[str, Any]) -> Architecture | None:
        kind = ARCHITECTURES[self.space.family]
        plain = {n: tuple(v) if isinstance(v, list) else v for n, v in options.items()}
        try:
            found = kind(**kind.repaired({**self.space.fixed, **plain}))
        except RunError:
            return None
        return found if found in self.space else None


class Tpe(OptunaProposals):
    """Tree-structured Parzen estimators: one density of good options, one of others.

    References:
        Watanabe, Tree-structured Parzen estimator, arXiv:2304.11127.
    """

    def sampler(self, seed: int, options: dict[str, Any]) -> Any:
        """Over all options at once, those of layers in groups of what comes together."""
        return self.optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, **options)


class Nsga2(OptunaProposals):
    """NSGA-II: a population that spreads along the front of score and bytes.

    References:
        Deb et al., A fast and elitist multiobjective genetic algorithm: NSGA-II, IEEE TEC 6 (2002).
        Lu et al., NSGA-Net, arXiv:1810.03522.
    """

    directions = ("maximize", "minimize")

    def sampler(self, seed: int, options: dict[str, Any]) -> Any:
        """Generations of twenty."""
        return self.optuna.samplers.NSGAIISampler(population_size=20, seed=seed, **options)

    def values(self, merit: float, architecture: Architecture | None) -> list[float]:
        """The score, and bytes."""
        return [merit, float(architecture.cost.bytes) if architecture is not None else 1e12]


def _excess_of(trial: Any) -> list[float]:
    return [trial.user_attrs["excess"]]


def _suggest(trial: Any, name: str, choice: Choice) -> Any:
    if isinstance(choice, OneOf):
        return trial.suggest_categorical(name, list(choice.values))
    low, high = choice.values[0], choice.values[-1]
    return trial.suggest_int(name, low, high, log=isinstance(choice, LogUniform))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("optuna", "hpo", "A search by TPE or NSGA-II") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


__all__ = ["Nsga2", "OptunaProposals", "Tpe"]
