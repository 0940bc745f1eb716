"""All numbers of a comparison, and `summary.json`."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel

from netwright.referee.report.across import Across, summarise_across
from netwright.referee.report.folder import ComparisonFolder
from netwright.referee.report.setting import (
    CORRECTION,
    LEVEL,
    SettingSummary,
    summarise_setting,
)

FORMAT = 1


@dataclass(frozen=True)
class Summary:
    """A comparison in numbers.

    Args:
        comparison: What it was made from.
        settings: Each for itself.
        across: All together.
    """

    comparison: ComparisonFolder
    settings: tuple[SettingSummary, ...]
    across: Across

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `summary.json` holds them; what is not finite is None."""
        design = self.comparison.design
        plain: dict[str, Any] = _plain(
            {
                "format": FORMAT,
                "name": design.name,
                "question": design.question,
                "hypotheses": design.hypotheses,
                "metric": design.metric,
                "reference": design.reference,
                "seeds": design.seeds,
                "level": LEVEL,
                "correction": CORRECTION,
                "experiment_hash": self.comparison.experiment_hash,
                "missing": self.comparison.missing,
                "settings": [asdict(setting) for setting in self.settings],
                "across": asdict(self.across),
                **provenance(self.comparison),
            }
        )
        return plain


def summarise(comparison: ComparisonFolder) -> Summary:
    """Every number of the report.

    Args:
        comparison: What was read from its folder.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    settings = tuple(summarise_setting(comparison, name) for name in comparison.design.settings)
    return Summary(comparison, settings, summarise_across(comparison, settings))


def provenance(comparison: ComparisonFolder) -> dict[str, list[Any]]:
    """Versions and machines of the results, each once: more than one of either is worth a note."""
    results = comparison.results.values()
    versions = [dict(pairs) for pairs in sorted({tuple(sorted((r.versions or {}).items())) for r in results})]  # fmt: skip
    machines = sorted({result.machine for result in results if result.machine})
    return {"versions": [one for one in versions if one], "machines": machines}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
