"""The referee's report: from a comparison folder to a page, tables and numbers, losses as clear as wins."""

from netwright.referee.report.folder import ComparisonFolder, Design, read_comparison
from netwright.referee.report.results import Cost, Result, read_result
from netwright.referee.report.setting import LearnerSummary, SettingSummary, Verdict
from netwright.referee.report.summary import Summary, summarise
from netwright.referee.report.write import WrittenReport, write_report

__all__ = [
    "ComparisonFolder",
    "Cost",
    "Design",
    "LearnerSummary",
    "Result",
    "SettingSummary",
    "Summary",
    "Verdict",
    "WrittenReport",
    "read_comparison",
    "read_result",
    "summarise",
    "write_report",
]
