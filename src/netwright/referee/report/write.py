"""A comparison folder's report as files."""

import json
from dataclasses import dataclass
from pathlib import Path

from netwright.artifacts import write_file
from netwright.referee.report.folder import read_comparison
from netwright.referee.report.latex import latex
from netwright.referee.report.markdown import markdown
from netwright.referee.report.page import page
from netwright.referee.report.sections import report_document
from netwright.referee.report.summary import Summary, summarise


@dataclass(frozen=True)
class WrittenReport:
    """What was found, and where it lies.

    Args:
        summary: The numbers.
        page: The HTML file.
        markdown: All but the drawings.
        latex: The tables.
        numbers: `summary.json`.
    """

    summary: Summary
    page: Path
    markdown: Path
    latex: Path
    numbers: Path


def write_report(
    folder: Path, *, out: Path | None = None, unfinished: bool = False
) -> WrittenReport:
    """Read a comparison and write its report; the same results give the same bytes.

    Args:
        folder: What `netwright compare` made.
        out: The HTML file; by default `report.html` in the folder. The others stand in the folder.
        unfinished: Whether results may be missing.

    Raises:
        ArtifactError: If results are missing, damaged or do not belong together, or a file cannot be written.
        MissingExtraError: If SciPy is not installed.
    """
    summary = summarise(read_comparison(folder, unfinished=unfinished))
    document = report_document(summary)
    written = WrittenReport(
        summary,
        page=out or folder / "report.html",
        markdown=folder / "report.md",
        latex=folder / "report.tex",
        numbers=folder / "summary.json",
    )
    numbers = json.dumps(summary.to_json(), indent=2, allow_nan=False) + "\n"
    write_file(written.numbers, numbers.encode())
    write_file(written.markdown, markdown(document).encode())
    write_file(written.latex, latex(document).encode())
    write_file(written.page, page(document).encode())
    return written
