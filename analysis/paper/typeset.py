"""Words and tables as LaTeX, Markdown and CSV."""

from collections.abc import Iterator
from typing import NamedTuple

from analysis.grids import escape, render


def figure(name: str, caption: str, wide: bool) -> str:
    r"""Returns a LaTeX figure that includes `name`.pdf with its caption, for \input.

    Args:
        name: File without its kind.
        caption: Plain text.
        wide: Whether it goes over both columns.
    """
    star, width = ("*", r"\textwidth") if wide else ("", r"\columnwidth")
    lines = [
        rf"\begin{{figure{star}}}",
        r"  \centering",
        rf"  \includegraphics[width={width}]{{{name}}}",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{fig:{name}}}",
        rf"\end{{figure{star}}}",
    ]
    return "\n".join(lines) + "\n"


class Cell(NamedTuple):
    """A cell of a table."""

    text: str
    mark: str  # best, within, or nothing
    small: str = ""  # Behind it, in small print.


class Typeset(NamedTuple):
    """A table as it is printed."""

    head: list[str]
    body: list[list[Cell]]
    caption: str  # With {within} where it says how those entries look.


def latex(table: Typeset, name: str) -> str:
    r"""Returns a LaTeX table (booktabs) over both columns of a page, for \input."""
    looks = {"best": r"\textbf{%s}", "within": r"\underline{%s}", "": "%s"}

    def lines_of(row: list[Cell]) -> Iterator[str]:
        """Yields one line, and one below for the small print: side by side is wider than a page."""
        yield " & ".join(looks[one.mark] % escape(one.text) for one in row) + r" \\"
        if any(one.small for one in row):
            small = (rf"\scriptsize {escape(one.small)}" if one.small else "" for one in row)
            yield " & ".join(small) + r" \\[2pt]"

    rows = [line for row in table.body for line in lines_of(row)]
    lines = [
        r"\begin{table*}",
        r"  \centering\small\setlength{\tabcolsep}{4pt}",
        rf"  \caption{{{escape(table.caption.format(within='underlined'))}}}",
        rf"  \label{{tab:{name}}}",
        r"  \par\smallskip",
        rf"  \begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}",
        r"    \toprule",
        f"    {' & '.join(map(escape, table.head))}" + r" \\",
        r"    \midrule",
        *(f"    {row}" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def markdown(table: Typeset) -> str:
    """Returns a Markdown table with its caption below."""
    looks = {"best": "**%s**", "within": "*%s*", "": "%s"}
    rows = [
        [f"{looks[one.mark] % one.text} {one.small}".strip() for one in row] for row in table.body
    ]
    caption = table.caption.format(within="italic")
    return f"{render([table.head, *rows], 'md')}\n{caption}\n"
