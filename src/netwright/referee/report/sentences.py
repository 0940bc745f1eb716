"""What may be claimed, in plain words, made from numbers by rules."""

import re
from collections.abc import Sequence

from netwright.evaluation.statistics import Interval
from netwright.referee.report.across import Tally
from netwright.referee.report.notation import interval_text, number_text
from netwright.referee.report.setting import LearnerSummary, SettingSummary
from netwright.referee.report.summary import Summary


def verdict_sentence(setting: SettingSummary, row: LearnerSummary) -> str:
    """What may be said of one learner against the reference; the winner is the subject."""
    learner, reference = row.learner, setting.reference
    if row.verdict.outcome == "no claim" or row.difference is None:
        seen = f" (seen: {_difference(setting, row.difference)})" if row.difference else ""
        return f"{learner} against {reference}: no claim, {row.verdict.reason}{seen}."
    corrected = _corrected(setting)
    if row.verdict.outcome == "tie":
        return (
            f"{learner} and {reference} tie: {_difference(setting, row.difference)}, {corrected}; not shown to differ, "
            "which is not shown to be equal."
        )
    winner, loser = (learner, reference) if row.verdict.outcome == "win" else (reference, learner)
    return f"{winner} beats {loser}: {_by(setting, row, winner)}, {corrected}."


def tally_sentence(tally: Tally, reference: str) -> str:
    """What became of one learner over all settings."""
    counts = _counts(tally.wins, tally.ties, tally.losses, tally.no_claims)
    return f"{tally.learner} against {reference}: {counts}."


def headline(summary: Summary) -> str:
    """The whole in one sentence, as the reference fares."""
    tallies = summary.across.tallies
    reference = summary.comparison.design.reference
    # A win of another learner is the reference's loss.
    wins, ties, losses, none = (
        sum(getattr(tally, name) for tally in tallies)
        for name in ("losses", "ties", "wins", "no_claims")
    )
    total = wins + ties + losses + none
    where = f"{counted(total, 'comparison')} ({counted(len(summary.settings), 'setting')})"
    return f"{reference}, the reference, in {where}: {_counts(wins, ties, losses, none)}."


def named_in(hypothesis: str, learners: Sequence[str], reference: str) -> list[str]:
    """Learners other than the reference that a hypothesis names word for word.

    >>> named_in("The hypernetwork beats maml-10.", ["hypernetwork", "maml", "maml-10"], "hypernetwork")
    ['maml-10']
    """
    return [
        name
        for name in learners
        if name != reference and re.search(rf"(?<![\w+-]){re.escape(name)}(?![\w+-])", hypothesis)
    ]


def overtaking_sentences(setting: SettingSummary) -> list[str]:
    """From how many support examples on learners are ahead of the reference, by means over seeds."""
    own = {point.shots: point.value.mean for point in setting[setting.reference].by_support}
    sign = 1 if setting.higher_is_better else -1
    always, never, sentences = [], [], []
    for row in setting.rows:
        ahead = [
            (point.shots, sign * (point.value.mean - own[point.shots]) > 0)
            for point in row.by_support
            if point.shots in own
        ]
        if row.learner == setting.reference or not ahead:
            continue
        if all(is_ahead for _, is_ahead in ahead):
            always.append(row.learner)
        elif not any(is_ahead for _, is_ahead in ahead):
            never.append(row.learner)
        else:
            sentences.append(_overtaking(row.learner, setting.reference, ahead))
    reference = setting.reference
    if always:
        sentences.append(f"Ahead of {reference} at every number of examples: {', '.join(always)}.")
    if never:
        sentences.append(f"Ahead of {reference} at no number of examples: {', '.join(never)}.")
    return sentences


def control_sentence(setting: SettingSummary, row: LearnerSummary) -> str:
    """Whether the condition is shown to matter."""
    if row.control is None:
        return "not measured"
    if row.control.gain is None:
        return "other episodes: not tested"
    if row.control.gain.low > 0:
        return "the condition helps"
    return "the condition hurts" if row.control.gain.high < 0 else "not shown to matter"


def counted(count: int, word: str) -> str:
    """A number of things.

    >>> counted(1, "loss"), counted(3, "loss"), counted(0, "seed")
    ('1 loss', '3 losses', '0 seeds')
    """
    plural = {"loss": "losses"}.get(word, f"{word}s")
    return f"{count} {word if count == 1 else plural}"


def _overtaking(learner: str, reference: str, ahead: list[tuple[int, bool]]) -> str:
    shots = [number for number, _ in ahead]
    changes = [i for i in range(1, len(ahead)) if ahead[i][1] != ahead[i - 1][1]]
    if len(changes) > 1:
        where = ", ".join(str(number) for number, is_ahead in ahead if is_ahead)
        return f"{learner} is ahead of {reference} at {where} examples, not at the others."
    before, after = shots[changes[0] - 1], shots[changes[0]]
    if ahead[-1][1]:
        return f"{learner} overtakes {reference} between {before} and {after} examples."
    return f"{learner} falls behind {reference} between {before} and {after} examples."


def _by(setting: SettingSummary, row: LearnerSummary, winner: str) -> str:
    """How much better the winner is, as a positive amount with its interval."""
    assert row.difference is not None
    found = row.difference
    is_flipped = found.value < 0
    amount = Interval(abs(found.value), found.low, found.high, found.level, found.method)
    if is_flipped:
        amount = Interval(-found.value, -found.high, -found.low, found.level, found.method)
    word = "higher" if setting.higher_is_better else "lower"
    return f"{setting.metric} {word} by {interval_text(amount)}"


def _difference(setting: SettingSummary, difference: Interval) -> str:
    return f"difference of {setting.metric} {interval_text(difference)}"


def _corrected(setting: SettingSummary) -> str:
    if setting.comparisons == 1:
        return "one comparison"
    return f"corrected for {number_text(setting.comparisons)} comparisons"


def _counts(wins: int, ties: int, losses: int, no_claims: int) -> str:
    counts = [counted(wins, "win"), counted(ties, "tie"), counted(losses, "loss")]
    return ", ".join([*counts, f"{no_claims} without a claim"] if no_claims else counts)
