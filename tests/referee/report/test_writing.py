"""Files, sentences, Markdown, LaTeX, and the command."""

import json
import re

import pytest
from comparisons import LEARNERS, changed, write_comparison

from netwright.evaluation.statistics import Interval
from netwright.referee.report import read_comparison, summarise, write_report
from netwright.referee.report.document import Column, Table
from netwright.referee.report.latex import latex_table
from netwright.referee.report.markdown import markdown_table
from netwright.referee.report.notation import interval_text
from netwright.referee.report.sentences import headline, overtaking_sentences, verdict_sentence

HARD = "a|b_c & 50 % of $x^2$ #1 {y} ~\\ <i>[z]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_comparison(tmp_path_factory.mktemp("writing") / "glyphs-comparison")


@pytest.fixture(scope="module")
def summary(folder):
    return summarise(read_comparison(folder))


def sentence(summary, learner):
    setting = summary.settings[0]
    return verdict_sentence(setting, setting[learner])


def test_the_winner_is_the_subject_and_the_amount_positive(summary):
    setting = summary.settings[0]
    for learner, (winner, loser) in {
        "maml-10": ("hypernetwork", "maml-10"),
        "protonet-wide": ("protonet-wide", "hypernetwork"),
    }.items():
        found = setting[learner].difference
        ends = sorted((abs(found.low), abs(found.high)))
        amount = interval_text(Interval(abs(found.value), *ends, found.level, ""))
        expected = (
            f"{winner} beats {loser}: accuracy higher by {amount}, corrected for 5 comparisons."
        )
        assert sentence(summary, learner) == expected


def test_a_tie_is_no_equality(summary):
    words = sentence(summary, "hypernetwork+5")
    assert words.startswith("hypernetwork+5 and hypernetwork tie: difference of accuracy ")
    assert words.endswith("not shown to differ, which is not shown to be equal.")


def test_an_error_is_lower_by_an_amount(tmp_path):
    folder = write_comparison(tmp_path / "c", error=True)
    words = sentence(summarise(read_comparison(folder)), "maml-10")
    assert re.fullmatch(r"hypernetwork beats maml-10: error lower by 0\.\d+ \[0\.\d+, 0\.\d+\], corrected.*", words)  # fmt: skip


def test_one_seed_is_no_claim_in_words(tmp_path):
    found = summarise(read_comparison(write_comparison(tmp_path / "c", seeds=(0,))))
    words = sentence(found, "maml-10")
    assert words.startswith("maml-10 against hypernetwork: no claim, one seed (seen: difference of")


def test_the_headline_counts_from_the_references_side(summary):
    assert headline(summary) == (
        "hypernetwork, the reference, in 5 comparisons (1 setting): 3 wins, 1 tie, 1 loss."
    )


def test_where_a_learner_overtakes_is_said(tmp_path):
    curves = {"hypernetwork": [0.5, 0.6, 0.7], "maml-10": [0.4, 0.5, 0.8], "joint+tune": [0.6, 0.5, 0.6],
              "hypernetwork+5": [0.6, 0.5, 0.8], "protonet-wide": [0.6, 0.7, 0.8], "neighbours": [0.1, 0.2, 0.3]}  # fmt: skip

    def change(result):
        values = zip((1, 2, 10), curves[result["learner"]], strict=True)
        return {**result, "by_support": [{"shots": s, "value": v} for s, v in values]}

    found = summarise(read_comparison(write_comparison(tmp_path / "c", change=change)))
    assert overtaking_sentences(found.settings[0]) == [
        "maml-10 overtakes hypernetwork between 2 and 10 examples.",
        "hypernetwork+5 is ahead of hypernetwork at 1, 10 examples, not at the others.",
        "joint+tune falls behind hypernetwork between 1 and 2 examples.",
        "Ahead of hypernetwork at every number of examples: protonet-wide.",
        "Ahead of hypernetwork at no number of examples: neighbours.",
    ]


def test_a_mean_that_rounds_to_nothing_has_no_sign():
    assert interval_text(Interval(-0.0001, -0.05, 0.05, 0.95, "")) == "0.000 [-0.050, 0.050]"
    assert (
        interval_text(Interval(2.5e-11, 2.4e-11, 2.6e-11, 0.95, ""))
        == "2.50e-11 [2.40e-11, 2.60e-11]"
    )


def test_markdown_shows_what_a_cell_holds():
    table = Table(
        "t", "Caption", (Column("who", "name"), Column("x")), ((HARD, "1"), ("two\nlines", "2"))
    )
    lines = markdown_table(table).splitlines()
    assert lines[2:4] == ["| who | x |", "| --- | ---: |"]
    for line in lines[2:]:
        assert len(re.findall(r"(?<!\\)\|", line)) == 3
    assert re.sub(r"\\(.)", r"\1", lines[4]) == f"| {HARD} | 1 |"


def test_latex_escapes_what_is_special_to_it():
    columns = (Column("who", "name"), Column("x"))
    words = latex_table(Table("t_1", HARD, columns, ((HARD, "-0.5 [-0.7, -0.3]"), ("[a]", "–"))))
    plain = words.replace("\\textbackslash{}", "").replace("\\\\", "")
    assert plain.count("{") == plain.count("}")
    row = next(line for line in words.splitlines() if line.startswith("a|b"))
    assert row == (
        r"a|b\_c \& 50 \% of \$x\textasciicircum{}2\$ \#1 \{y\} \textasciitilde{}\textbackslash{} \textless{}i\textgreater{}{[}z{]}"
        r" & $-$0.5 {[}$-$0.7, $-$0.3{]} \\"
    )
    assert "\\label{tab:t-1}" in words
    # After the end of a row a bracket would be its spacing.
    assert "\n{[}a{]} & -- \\\\" in words


def test_a_report_is_four_files_and_the_same_bytes_again(folder):
    written = write_report(folder)
    files = (written.page, written.markdown, written.latex, written.numbers)
    first = [path.read_bytes() for path in files]
    assert [path.name for path in files] == [
        "report.html",
        "report.md",
        "report.tex",
        "summary.json",
    ]
    write_report(folder)
    assert [path.read_bytes() for path in files] == first


def test_markdown_and_latex_hold_the_numbers_of_the_page(folder):
    written = write_report(folder)
    row = written.summary.settings[0]["maml-10"]
    number = interval_text(row.mean)
    for path in (written.page, written.markdown, written.latex):
        text = re.sub(r"[{}\\$]", "", path.read_text())
        assert number in text
        assert "Do networks written in one pass" in text or path == written.latex


def test_the_command_says_verdicts_and_where_the_page_is(run, folder, tmp_path):
    code, out, err = run("report", folder, "--out", tmp_path / "page.html")
    assert (code, err) == (0, "")
    assert "hypernetwork beats maml-10: accuracy higher by" in out
    assert "protonet-wide beats hypernetwork: accuracy higher by" in out
    assert f"page: {tmp_path / 'page.html'}" in out
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_json_is_the_summary(run, folder):
    code, out, _ = run("report", folder, "--json")
    assert code == 0
    assert json.loads(out) == json.loads((folder / "summary.json").read_text())


def test_a_mistake_is_one_line(run, tmp_path):
    code, out, err = run("report", tmp_path)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("netwright: ")


def test_unfinished_is_refused_unless_asked_for(run, tmp_path):
    def change(result):
        return None if (result["learner"], result["seed"]) == ("maml-10", 2) else result

    folder = write_comparison(
        tmp_path / "c", learners=dict(list(LEARNERS.items())[:3]), change=change
    )
    code, _, err = run("report", folder)
    assert code == 1
    assert "maml-10 with seed 2" in err
    code, out, _ = run("report", folder, "--unfinished")
    assert code == 0
    assert "maml-10 against hypernetwork: no claim, seed 2 missing." in out
    assert "Unfinished: 1 results are missing" in (folder / "report.md").read_text()


def test_results_of_several_machines_bring_a_note(tmp_path):
    folder = write_comparison(tmp_path / "c", change=changed("maml-10", 0, machine="another"))
    assert "several machines or versions" in write_report(folder).markdown.read_text()
