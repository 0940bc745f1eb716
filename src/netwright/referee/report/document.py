"""What a report consists of, before it is HTML, Markdown or LaTeX."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["name", "text", "number", "verdict"]


@dataclass(frozen=True)
class Paragraph:
    """One paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Heading:
    """Begins a part of a section."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A heading, and what stands below it: `name` heads its row."""

    title: str
    kind: Kind = "number"


@dataclass(frozen=True)
class Table:
    """Rows of plain text under a caption.

    Args:
        label: Short and unique, for references.
        caption: What is shown, and how to read it.
        columns: From left to right.
        rows: As many cells as columns.
        is_folded: Whether a page shows it on request only.
    """

    label: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    is_folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Args:
        title: What is shown.
        svg: Finished markup.
        caption: How to read it.
        legend: Learners that are marked in it, by number and name.
    """

    title: str
    svg: str
    caption: str
    legend: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Listing:
    """Text to be shown letter by letter, such as a command."""

    title: str
    text: str
    is_folded: bool = False


Block = Paragraph | Heading | Bullets | Table | Figure | Listing


@dataclass(frozen=True)
class Section:
    """One question that a report answers."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report: its title, a line below, sections in order."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
