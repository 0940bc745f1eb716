"""`netwright report`."""

from pathlib import Path

from netwright.cli.output import print_json
from netwright.referee.report import write_report
from netwright.referee.report.sentences import headline, verdict_sentence


def run_report(folder: Path, *, out: Path | None, unfinished: bool, as_json: bool) -> None:
    """Write the report of a comparison, and say its verdicts."""
    written = write_report(folder, out=out, unfinished=unfinished)
    if as_json:
        print_json(written.summary.to_json())
        return
    print(headline(written.summary))
    for setting in written.summary.settings:
        print(f"\n{setting.name}")
        for row in setting.rows:
            if row.learner != setting.reference:
                print(f"  {verdict_sentence(setting, row)}")
    print(f"\npage: {written.page}")
    print(f"tables and numbers: {written.markdown}, {written.latex.name}, {written.numbers.name}")
