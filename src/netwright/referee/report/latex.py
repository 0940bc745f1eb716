r"""A report's tables as LaTeX, to be read by `\input`; they need the package booktabs."""

from netwright.referee.report.document import Document, Table

ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "–": "--",
    # A bracket after the end of a row would be read as its spacing.
    "[": "{[}", "]": "{]}",
}  # fmt: skip


def latex(document: Document) -> str:
    """All tables that a page shows unasked."""
    shown = [
        latex_table(block)
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Table) and not block.is_folded
    ]
    return "% \\usepackage{booktabs}\n" + "\n".join(shown)


def latex_table(table: Table) -> str:
    """One table in a float of its own."""
    letters = "".join("r" if column.kind == "number" else "l" for column in table.columns)
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in table.label)
    head = " & ".join(_safe(column.title) for column in table.columns)
    rows = "\n".join(f"{' & '.join(_cell(cell) for cell in row)} \\\\" for row in table.rows)
    return (
        "\\begin{table}\n\\centering\\footnotesize\n"
        f"\\caption{{{_safe(table.caption)}}}\n\\label{{tab:{label}}}\n\\begin{{tabular}}{{{letters}}}\n"
        f"\\toprule\n{head} \\\\\n\\midrule\n{rows}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _cell(words: str) -> str:
    """A cell; a number's minus is a minus and no hyphen."""
    safe = _safe(words)
    for before in ("", "{[}", ", "):
        for digit in "0123456789":
            safe = safe.replace(f"{before}-{digit}", f"{before}$-${digit}") if before else safe
    return f"$-${safe[1:]}" if safe[:1] == "-" and safe[1:2].isdigit() else safe


def _safe(words: str) -> str:
    return "".join(ESCAPES.get(letter, letter) for letter in " ".join(words.split()))
