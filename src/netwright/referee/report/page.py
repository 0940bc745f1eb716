"""A report as one HTML file that loads nothing from anywhere."""

import html
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from netwright.referee.report.document import (
    Block,
    Bullets,
    Column,
    Document,
    Figure,
    Heading,
    Listing,
    Paragraph,
    Section,
    Table,
)
from netwright.referee.report.svg import mark

# Symbols beside words: a verdict never depends on colour, and no outcome stands out from the others.
SYMBOLS = {"win": "▲", "loss": "▼", "tie": "=", "no claim": "○", "reference": "•"}
# A name of more letters may be broken.
LONG = 16
STYLE = Path(__file__).with_name("page.css")


def page(document: Document) -> str:
    """The HTML of a report.

    Everything in it is escaped but the drawings, which have escaped what they show.
    """
    links = "".join(
        f'<li><a href="#{section.key}">{_safe(section.title)}</a></li>'
        for section in document.sections
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Whatever a file might smuggle in: nothing is loaded, and no script runs.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_safe(document.title)}: report</title>\n<style>\n{STYLE.read_text()}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">To the content</a>\n'
        f'<header>\n<h1>{_safe(document.title)}</h1>\n<p class="question">{_safe(document.subtitle)}</p>\n</header>\n'
        f'<nav aria-label="Sections">\n<ul>{links}</ul>\n</nav>\n<main id="content">\n'
        f"{''.join(map(_section, document.sections))}</main>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    blocks = []
    for is_figure, group in groupby(section.blocks, lambda block: isinstance(block, Figure)):
        inner = "".join(map(_block, group))
        blocks.append(f'<div class="figures">\n{inner}</div>\n' if is_figure else inner)
    title = f'<h2 id="{section.key}">{_safe(section.title)}</h2>'
    return f'<section aria-labelledby="{section.key}">\n{title}\n{"".join(blocks)}</section>\n'


def _block(block: Block) -> str:
    match block:
        case Paragraph(words):
            return f"<p>{_safe(words)}</p>\n"
        case Heading(words):
            return f"<h3>{_safe(words)}</h3>\n"
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{_safe(item)}</li>' for item in items)}</ul>\n"
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)
        case Listing(title, words, is_folded):
            shown = f'<pre tabindex="0" aria-label="{_safe(title)}">{_safe(words)}</pre>'
            return _folded(title, shown) if is_folded else f"<p>{_safe(title)}:</p>\n{shown}\n"


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col" class="{column.kind}">{_safe(column.title)}</th>'
        for column in table.columns
    )
    rows = "".join(f"<tr>{_row(row, table.columns)}</tr>\n" for row in table.rows)
    # The box scrolls, not the page; with a tab stop, so that a keyboard can scroll it too.
    whole = (
        f'<div class="scroll" role="region" aria-label="{_safe(table.caption)}" tabindex="0">\n<table>\n'
        f"<caption>{_safe(table.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
        "</div>\n"
    )
    return _folded(table.caption, whole) if table.is_folded else whole


def _row(cells: Sequence[str], columns: Sequence[Column]) -> str:
    return "".join(
        f'<th scope="row" class="name{" long" if len(cell) > LONG else ""}">{_safe(cell)}</th>'
        if column.kind == "name"
        else f'<td class="{column.kind}">{_verdict(cell) if column.kind == "verdict" else _safe(cell)}</td>'
        for cell, column in zip(cells, columns, strict=True)
    )


def _verdict(words: str) -> str:
    outcome = words.partition(":")[0]
    symbol = SYMBOLS[outcome]
    kind = outcome.replace(" ", "-")
    return f'<span class="outcome {kind}"><span aria-hidden="true">{symbol}</span> {_safe(words)}</span>'


def _figure(figure: Figure) -> str:
    entries = "".join(
        f'<li><svg aria-hidden="true" viewBox="0 0 16 12" width="16" height="12">{mark(number, (8, 6))}</svg> {_safe(name)}</li>'
        for number, name in figure.legend
    )
    legend = f'<ul class="legend">{entries}</ul>' if entries else ""
    words = f"<strong>{_safe(figure.title)}.</strong> {_safe(figure.caption)}"
    return f"<figure>\n{figure.svg}\n{legend}<figcaption>{words}</figcaption>\n</figure>\n"


def _folded(title: str, inner: str) -> str:
    return f"<details>\n<summary>{_safe(title)}</summary>\n{inner}\n</details>\n"


def _safe(words: str) -> str:
    return html.escape(words, quote=True)
