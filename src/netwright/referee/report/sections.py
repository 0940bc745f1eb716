"""The sections of a report, in the order in which a reader asks."""

import json
from collections.abc import Callable, Iterator, Sequence

from netwright.referee.report import figures, tables
from netwright.referee.report.document import (
    Block,
    Bullets,
    Column,
    Document,
    Heading,
    Listing,
    Paragraph,
    Section,
    Table,
)
from netwright.referee.report.notation import NOTHING, options_text, share_text
from netwright.referee.report.rank_figure import rank_figure
from netwright.referee.report.sentences import (
    headline,
    named_in,
    overtaking_sentences,
    tally_sentence,
    verdict_sentence,
)
from netwright.referee.report.setting import CORRECTION, LEVEL, LearnerSummary, SettingSummary
from netwright.referee.report.summary import Summary, provenance

Part = Callable[[SettingSummary], Iterator[Block]]


def report_document(summary: Summary) -> Document:
    """The whole report."""
    design = summary.comparison.design
    return Document(
        title=design.name,
        subtitle=design.question or "A comparison of learners on the same test episodes.",
        sections=(
            Section("verdicts", "Question and verdicts", tuple(_verdicts(summary))),
            Section("results", "Results", _results(summary)),
            Section("ranks", "Ranks across settings", tuple(_ranks(summary))),
            Section("robust", "Interquartile mean, probability of improvement", tuple(_robust(summary))),
            Section("curves", "Learning curves", tuple(b for s in summary.settings for b in _curves(s))),
            Section("size", "Size", tuple(b for s in summary.settings for b in _size(s))),
            Section("support", "Support size", _each(summary, _support)),
            Section("cost", "Cost of a new task", _each(summary, _cost)),
            Section("control", "Shuffled conditions", _each(summary, _control)),
            Section("calibration", "Calibration", _each(summary, _calibration)),
            Section("failures", "What failed", tuple(_failures(summary))),
            Section("tried", "What was tried on validation tasks", tuple(_tried(summary))),
            Section("provenance", "How to get it again", tuple(_provenance(summary))),
        ),
    )  # fmt: skip


def _each(summary: Summary, part: Part) -> tuple[Block, ...]:
    """The part of every setting, each under its name if there are several."""
    blocks: list[Block] = []
    for setting in summary.settings:
        if len(summary.settings) > 1:
            blocks.append(Heading(setting.name))
        blocks += part(setting)
    return tuple(blocks)


def _verdicts(summary: Summary) -> Iterator[Block]:
    comparison, design = summary.comparison, summary.comparison.design
    if comparison.missing:
        yield Paragraph(
            f"Unfinished: {len(comparison.missing)} results are missing; learners that lack one get no verdict."
        )
    yield Paragraph(headline(summary))
    if len(design.seeds) == 1:
        yield Paragraph(
            "One seed says something of these networks and nothing of how they are made: no claim."
        )
    others = [name for name in design.learners if name != design.reference]
    for number, hypothesis in enumerate(design.hypotheses, 1):
        yield Paragraph(f"Hypothesis {number}: {hypothesis}")
        named = named_in(hypothesis, others, design.reference)
        yield Bullets(
            tuple(_qualified(summary, sentence) for sentence in _sentences(summary, named))
            or ("It names no learner word for word; the verdicts below are what bears on it.",)
        )
    if len(summary.settings) == 1:
        yield Paragraph("Verdicts:")
        yield Bullets(tuple(sentence for _, sentence in _sentences(summary, others)))
        return
    yield Paragraph("Over all settings; the sentences of each setting stand with its results:")
    yield Bullets(
        tuple(tally_sentence(tally, design.reference) for tally in summary.across.tallies)
    )
    yield tables.verdict_matrix(summary.settings)


def _sentences(summary: Summary, learners: Sequence[str]) -> Iterator[tuple[str, str]]:
    for setting in summary.settings:
        for name in learners:
            yield setting.name, verdict_sentence(setting, setting[name])


def _qualified(summary: Summary, sentence: tuple[str, str]) -> str:
    setting, words = sentence
    return words if len(summary.settings) == 1 else f"{setting}: {words}"


def _results(summary: Summary) -> tuple[Block, ...]:
    if len(summary.settings) == 1:
        return (tables.main_table(summary.settings[0]),)
    return _each(summary, _results_of)


def _results_of(setting: SettingSummary) -> Iterator[Block]:
    others = [row for row in setting.rows if row.learner != setting.reference]
    yield tables.main_table(setting)
    yield Bullets(tuple(verdict_sentence(setting, row) for row in others))


def _ranks(summary: Summary) -> Iterator[Block]:
    across = summary.across
    if across.critical is None:
        yield Paragraph(across.why_no_ranks)
        return
    numbers = {name: i for i, name in enumerate(summary.comparison.design.learners)}
    yield rank_figure(across.critical, numbers)
    yield tables.rank_table(across)
    if across.left_out:
        yield Paragraph(
            f"Left out, as they did not finish everywhere: {', '.join(across.left_out)}."
        )
    if across.critical.test.families < 5:
        yield Paragraph(
            f"{across.critical.test.families} settings are few: only large differences of ranks can show."
        )


def _robust(summary: Summary) -> Iterator[Block]:
    if summary.across.aggregates:
        yield tables.aggregate_table(summary.across, len(summary.settings))
    for setting in summary.settings:
        yield tables.robust_table(setting)


def _curves(setting: SettingSummary) -> Iterator[Block]:
    found = [f for f in (figures.step_curves(setting), figures.cpu_curves(setting)) if f]
    if not found:
        yield Paragraph(f"{setting.name}: no learner recorded a curve.")
    yield from found


def _size(setting: SettingSummary) -> Iterator[Block]:
    missing = Paragraph(f"{setting.name}: no learner has both a mean and a size.")
    yield figures.pareto_figure(setting) or missing


def _support(setting: SettingSummary) -> Iterator[Block]:
    figure = figures.support_curves(setting)
    if figure is None:
        yield Paragraph("Other numbers of support examples were not tried.")
        return
    yield figure
    if overtaking := overtaking_sentences(setting):
        yield Paragraph("By means over seeds, without a claim:")
        yield Bullets(tuple(overtaking))
    yield tables.support_table(setting)


def _cost(setting: SettingSummary) -> Iterator[Block]:
    def adapt(row: LearnerSummary) -> float | None:
        return row.cost.adapt_ms

    def adapt_of_64(row: LearnerSummary) -> float | None:
        return row.cost.adapt_ms_of_64

    def predict(row: LearnerSummary) -> float | None:
        return row.cost.predict_ms

    for title, cost in (
        ("CPU-ms to adapt to one new task", adapt),
        ("CPU-ms per new task, 64 at once", adapt_of_64),
        ("CPU-ms to predict one task's queries", predict),
    ):
        if figure := figures.cost_bars(setting, title, cost):
            yield figure
    yield tables.cost_table(setting)


def _control(setting: SettingSummary) -> Iterator[Block]:
    yield tables.control_table(setting)


def _calibration(setting: SettingSummary) -> Iterator[Block]:
    figure = figures.reliability_figure(setting)
    table = tables.calibration_table(setting)
    if not table.rows:
        yield Paragraph("Not measured: it needs classes with probabilities.")
        return
    if figure:
        yield figure
    yield table


def _failures(summary: Summary) -> Iterator[Block]:
    failures = [f for s in summary.settings for row in s.rows for f in row.failures]
    if failures:
        yield tables.failure_table(failures)
    if missing := summary.comparison.missing:
        yield Bullets(tuple(f"{name} in {setting}: seed {seed} is missing." for setting, name, seed in missing))  # fmt: skip
    if not failures and not missing:
        yield Paragraph("Nothing: every learner finished with every seed.")


def _tried(summary: Summary) -> Iterator[Block]:
    choices = [c for s in summary.settings for row in s.rows for c in row.choices]
    if not choices:
        yield Paragraph("Nothing was chosen.")
        return
    yield tables.choice_table(choices)
    if any(choice.tried for choice in choices):
        yield tables.tried_table(choices)


def _provenance(summary: Summary) -> Iterator[Block]:
    comparison, design = summary.comparison, summary.comparison.design
    facts = [
        ("experiment (sha256 of experiment.yaml)", comparison.experiment_hash),
        ("seeds", ", ".join(map(str, design.seeds))),
        ("budget", options_text(design.budget or {})),
        ("stopping rule", design.stopping_rule or NOTHING),
        ("statistics", f"{share_text(LEVEL)}, {CORRECTION.title()} within each setting; t intervals over seeds and episodes"),
    ]  # fmt: skip
    facts += [(f"{s.name}: {name}", options_text(value)) for s in summary.settings for name, value in s.record.items() if value]  # fmt: skip
    facts += [(f"{s.name}: test episodes", s.fingerprint or NOTHING) for s in summary.settings]
    found = provenance(comparison)
    facts += [("machine", machine) for machine in found["machines"]]
    facts += [("versions", ", ".join(f"{k} {v}" for k, v in one.items())) for one in found["versions"]]  # fmt: skip
    columns = (Column("what", "name"), Column("value", "text"))
    yield Table("provenance", "What decided these results.", columns, tuple(facts))
    if len(found["machines"]) > 1 or len(found["versions"]) > 1:
        yield Paragraph(
            "Results come from several machines or versions: CPU times cannot be compared between them."
        )
    again = f"netwright compare {comparison.name}/experiment.yaml --folder {comparison.name}-again"
    yield Listing("The same comparison again, and this page", f"{again}\nnetwright report {comparison.name}")  # fmt: skip
    runs = [r for r in comparison.results.values() if r.run]
    if runs:
        rows = tuple((r.learner, r.setting, str(r.seed), r.run) for r in runs)
        kinds = (
            tables.LEARNER,
            Column("setting", "text"),
            Column("seed"),
            Column("digest", "text"),
        )
        yield Table("runs", "Run records.", kinds, rows, is_folded=True)
    if comparison.plan is not None:
        plan = json.dumps(comparison.plan, indent=2)
        yield Listing("Plan, made before training", plan, is_folded=True)
