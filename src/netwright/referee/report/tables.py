"""Tables of a report, from its numbers."""

from collections.abc import Iterable

from netwright.evaluation.statistics import Interval
from netwright.referee.report.across import Across
from netwright.referee.report.document import Column, Table
from netwright.referee.report.learner import Choice, Failure
from netwright.referee.report.notation import (
    NOTHING,
    bytes_text,
    column_text,
    interval_text,
    number_text,
    options_text,
    p_text,
    share_text,
)
from netwright.referee.report.sentences import control_sentence, counted
from netwright.referee.report.setting import CORRECTION, LEVEL, LearnerSummary, SettingSummary

LEARNER = Column("learner", "name")


def main_table(setting: SettingSummary) -> Table:
    """Every learner: how good, beside the reference, at what cost."""
    unit = f" ({setting.unit})" if setting.unit else ""
    better = "higher is better" if setting.higher_is_better else "lower is better"
    over = "over both" if setting.seeds > 1 else "over episodes alone: of these networks"
    return Table(
        label=f"main-{setting.name}",
        caption=(
            f"{setting.name}: {setting.metric}{unit}, {better}. Means over {counted(setting.seeds, 'seed')} and "
            f"{counted(setting.episodes, 'test episode')}, {share_text(LEVEL)} intervals {over}. Differences are learner less "
            f"{setting.reference}, intervals and p corrected for {counted(setting.comparisons, 'comparison')} "
            f"({CORRECTION.title()}); d_z: mean of paired differences over their spread; rank: mean over seeds and episodes, "
            "1 is best. The verdict is the row's learner's."
        ),
        columns=(
            LEARNER,
            Column(setting.metric),
            Column(f"less {setting.reference}"),
            Column("p"),
            Column("d_z"),
            Column("rank"),
            Column("verdict", "verdict"),
            Column("deployed"),
            Column("adapt, ms"),
            Column("training, CPU seconds"),
        ),
        rows=tuple(_main_row(row) for row in setting.ranked),
    )


def verdict_matrix(settings: Iterable[SettingSummary]) -> Table:
    """Verdicts of every learner in every setting."""
    settings = tuple(settings)
    others = [row.learner for row in settings[0].rows if row.learner != settings[0].reference]
    return Table(
        label="verdicts",
        caption=f"Verdict of each learner against {settings[0].reference}, corrected within each setting.",
        columns=(LEARNER, *(Column(setting.name, "verdict") for setting in settings)),
        rows=tuple((name, *(s[name].verdict.outcome for s in settings)) for name in others),
    )


def robust_table(setting: SettingSummary) -> Table:
    """Interquartile mean and probability of improvement."""
    return Table(
        label=f"robust-{setting.name}",
        caption=(
            f"{setting.name}: interquartile mean over all seeds and episodes; how likely a seed of the learner beats one of "
            f"{setting.reference} by its mean. {share_text(LEVEL)} bootstrap intervals, not corrected and, with "
            f"{counted(setting.seeds, 'seed')}, too narrow: verdicts do not rest on them."
        ),
        columns=(LEARNER, Column("interquartile mean"), Column("probability of improvement")),
        rows=tuple(
            (r.learner, interval_text(r.interquartile_mean), _share(r.improvement))
            for r in setting.ranked
        ),
    )


def aggregate_table(across: Across, settings: int) -> Table:
    """The same over all settings."""
    return Table(
        label="aggregate",
        caption=(
            f"Over {settings} settings: interquartile mean of the means of all seeds and settings, and how likely a seed beats "
            f"one of the reference in a random setting; {share_text(LEVEL)} intervals over runs, not corrected. Settings are "
            "weighted by the scale of their metric."
        ),
        columns=(LEARNER, Column("interquartile mean"), Column("probability of improvement")),
        rows=tuple(
            (a.learner, interval_text(a.interquartile_mean), _share(a.improvement))
            for a in across.aggregates
        ),
    )


def rank_table(across: Across) -> Table:
    """Mean ranks over settings."""
    found = across.critical
    assert found is not None
    return Table(
        label="ranks",
        caption=(
            f"Mean ranks over {found.test.families} settings, 1 is best. Two learners differ if their ranks are further apart "
            f"than {number_text(found.difference)} (Nemenyi, {share_text(found.level)} for all pairs together)."
        ),
        columns=(LEARNER, Column("mean rank")),
        rows=tuple(
            (name, f"{rank:.2f}") for name, rank in zip(found.learners, found.ranks, strict=True)
        ),
    )


def support_table(setting: SettingSummary) -> Table:
    """The metric by number of support examples."""
    shots = sorted({point.shots for row in setting.rows for point in row.by_support})
    means = {r.learner: {p.shots: p.value.mean for p in r.by_support} for r in setting.rows}
    write = column_text([value for values in means.values() for value in values.values()])
    rows = [
        (learner, *(write(values.get(number)) for number in shots))
        for learner, values in means.items()
        if values
    ]
    return Table(
        label=f"support-{setting.name}",
        caption=f"{setting.name}: {setting.metric} by number of support examples, means over seeds; no verdicts.",
        columns=(LEARNER, *(Column(str(number)) for number in shots)),
        rows=tuple(rows),
    )


def cost_table(setting: SettingSummary) -> Table:
    """Everything that was counted."""
    finds_out = any(row.cost.trial_steps for row in setting.rows)
    trial = " Steps of trial are acted in each new task before it is scored." if finds_out else ""
    return Table(
        label=f"cost-{setting.name}",
        caption=(
            f"{setting.name}: what it takes, means over seeds. CPU-milliseconds for one new task alone and per task when 64 "
            f"are adapted to at once; predicting the queries of one task.{trial}"
        ),
        columns=(
            LEARNER,
            *((Column("trial, steps"),) if finds_out else ()),
            Column("adapt, ms"),
            Column("of 64, ms"),
            Column("predict, ms"),
            Column("training steps"),
            Column("training tasks"),
            Column("training, CPU seconds"),
            Column("memory, MB"),
            Column("trained numbers"),
            Column("deployed numbers"),
            Column("deployed"),
        ),
        rows=tuple(_cost_row(row, finds_out) for row in setting.rows if row.seeds),
    )


def control_table(setting: SettingSummary) -> Table:
    """What is left when each network is made from another task's condition."""
    rows = []
    for row in setting.ranked:
        control = row.control
        cells = (
            (interval_text(control.shuffled), interval_text(control.gain)) if control else (NOTHING,) * 2
        )  # fmt: skip
        rows.append((row.learner, interval_text(row.mean), *cells, control_sentence(setting, row)))
    return Table(
        label=f"control-{setting.name}",
        caption=(
            f"{setting.name}: {setting.metric} with the right condition and with that of another task. What the condition is "
            f"worth is positive where it helps; {share_text(LEVEL)} intervals, not corrected."
        ),
        columns=(
            LEARNER,
            Column("right condition"),
            Column("shuffled"),
            Column("worth"),
            Column("so", "text"),
        ),
        rows=tuple(rows),
    )


def calibration_table(setting: SettingSummary) -> Table:
    """Calibration error and Brier score."""
    found = [(r.learner, r.calibration) for r in setting.rows if r.calibration is not None]
    ece, brier = column_text([c.ece for _, c in found]), column_text([c.brier for _, c in found])
    return Table(
        label=f"calibration-{setting.name}",
        caption=(
            f"{setting.name}: expected calibration error and Brier score (summed over classes), both better when lower; means "
            "over seeds."
        ),
        columns=(LEARNER, Column("calibration error"), Column("Brier score")),
        rows=tuple((learner, ece(c.ece), brier(c.brier)) for learner, c in found),
    )


def failure_table(failures: Iterable[Failure]) -> Table:
    """Contestants of which nothing can be said."""
    return Table(
        label="failures",
        caption="What failed. A learner with a failed seed gets no verdict: without that seed it would look better than it is.",
        columns=(LEARNER, Column("setting", "text"), Column("seed"), Column("error", "text")),
        rows=tuple((f.learner, f.setting, str(f.seed), f.error) for f in failures),
    )


def choice_table(choices: Iterable[Choice]) -> Table:
    """What was chosen on validation tasks, and from how many."""
    return Table(
        label="choices",
        caption="What was chosen, on validation tasks alone, and from how many candidates.",
        columns=(
            LEARNER,
            Column("setting", "text"),
            Column("seed"),
            Column("candidates"),
            Column("chosen", "text"),
        ),
        rows=tuple(
            (c.learner, c.setting, str(c.seed), str(len(c.tried)), options_text(c.chosen or {}))
            for c in choices
        ),
    )


def tried_table(choices: Iterable[Choice]) -> Table:
    """Every candidate with its score on validation tasks."""
    return Table(
        label="tried",
        caption="All that was tried on validation tasks.",
        columns=(
            LEARNER,
            Column("setting", "text"),
            Column("seed"),
            Column("candidate", "text"),
            Column("validation"),
        ),
        rows=tuple(
            (c.learner, c.setting, str(c.seed), options_text(_without(one)), _value(one))
            for c in choices
            for one in c.tried
        ),
        is_folded=True,
    )


def _main_row(row: LearnerSummary) -> tuple[str, ...]:
    verdict = row.verdict.outcome
    return (
        row.learner,
        interval_text(row.mean),
        interval_text(row.difference),
        p_text(row.p_value),
        NOTHING if row.effects is None else f"{row.effects.cohens_dz:.2f}",
        NOTHING if row.rank is None else f"{row.rank:.2f}",
        f"{verdict}: {row.verdict.reason}" if row.verdict.reason else verdict,
        bytes_text(row.cost.deployed_bytes),
        number_text(row.cost.adapt_ms),
        number_text(row.cost.train_cpu_seconds),
    )


def _cost_row(row: LearnerSummary, finds_out: bool) -> tuple[str, ...]:
    cost = row.cost
    return (
        row.learner,
        *((number_text(cost.trial_steps),) if finds_out else ()),
        number_text(cost.adapt_ms),
        number_text(cost.adapt_ms_of_64),
        number_text(cost.predict_ms),
        number_text(cost.train_steps),
        number_text(cost.train_tasks),
        number_text(cost.train_cpu_seconds),
        number_text(cost.peak_memory_mb),
        number_text(cost.trained_parameters),
        number_text(cost.deployed_parameters),
        bytes_text(cost.deployed_bytes),
    )


def _share(found: Interval | None) -> str:
    return NOTHING if found is None else f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _without(candidate: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in candidate.items() if name != "validation"}


def _value(candidate: dict[str, object]) -> str:
    value = candidate.get("validation")
    return number_text(value, 4) if isinstance(value, int | float) else NOTHING
