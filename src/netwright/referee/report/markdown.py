"""A report as Markdown: all but its drawings."""

import re
from collections.abc import Iterable

from netwright.referee.report.document import (
    Block,
    Bullets,
    Document,
    Figure,
    Heading,
    Listing,
    Paragraph,
    Table,
)

# What would start a tag, an entity, a link, emphasis, code or a cell.
SPECIAL = re.compile(r"([\\`*_\[\]<>|&#])")


def markdown(document: Document) -> str:
    """The Markdown of a report."""
    parts = [f"# {_safe(document.title)}", _safe(document.subtitle)]
    for section in document.sections:
        parts.append(f"## {_safe(section.title)}")
        parts += [_block(block) for block in section.blocks if not isinstance(block, Figure)]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """One table with its caption."""
    head = [column.title for column in table.columns]
    rule = ["---" if column.kind != "number" else "---:" for column in table.columns]
    lines = [_line(map(_safe, head)), _line(rule), *(_line(map(_safe, row)) for row in table.rows)]
    return f"{_safe(table.caption)}\n\n" + "\n".join(lines)


def _block(block: Block) -> str:
    match block:
        case Paragraph(words):
            return _safe(words)
        case Heading(words):
            return f"### {_safe(words)}"
        case Bullets(items):
            return "\n".join(f"- {_safe(item)}" for item in items)
        case Listing(title, words, _):
            return f"{_safe(title)}:\n\n" + "\n".join(f"    {line}" for line in words.splitlines())
        case Table():
            return markdown_table(block)
        case Figure(title=title):
            return _safe(title)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _safe(words: str) -> str:
    """Text that shows as it is, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(words.split()))
