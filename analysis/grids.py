"""Grids: tables of text for the terminal, for a paper, for other programs."""

import csv
import io
import re
from collections.abc import Sequence
from typing import Literal, get_args

Form = Literal["table", "csv", "md", "latex"]
FORMS: tuple[str, ...] = get_args(Form)
NONE = "-"  # Not stated, or nothing to say.
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {"<": r"\textless{}", ">": r"\textgreater{}"}
SPECIAL |= {sign: rf"\{sign}" for sign in "&%$#_{}"}

Grid = list[list[str]]  # The first row is the head; an empty cell is "not stated".


def render(grid: Grid, form: str) -> str:
    """Returns a grid as aligned columns, CSV, Markdown or LaTeX (booktabs), ending in a newline."""
    if form == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(grid)
        return text.getvalue()
    cells = [[cell or NONE for cell in row] for row in grid]
    if form == "md":
        lines = [cells[0], ["---"] * len(cells[0]), *cells[1:]]
        return "".join(f"| {' | '.join(row)} |\n" for row in lines)
    if form == "latex":
        return _latex(cells)
    cells[0] = [cell.upper() for cell in cells[0]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [map(str.ljust, row, widths) for row in cells]
    return "".join(f"{'  '.join(row).rstrip()}\n" for row in padded)


def _latex(cells: Grid) -> str:
    numeric = [all(_is_number(cell) for cell in column) for column in zip(*cells[1:], strict=True)]
    columns = "".join("r" if right else "l" for right in numeric) or "l" * len(cells[0])
    head, *rows = [" & ".join(map(escape, row)) + r" \\" for row in cells]
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _is_number(text: str) -> bool:
    return text == NONE or re.fullmatch(r"[+−-]?[\d,]*\.?\d+%?", text) is not None


def escape(text: str) -> str:
    """Returns text as LaTeX prints it."""
    return "".join(SPECIAL.get(sign, sign) for sign in text).replace("−", "$-$")


def span(counts: Sequence[int]) -> str:
    """Returns '5', or '1-5' where numbers differ, and nothing of nothing."""
    low, high = min(counts, default=0), max(counts, default=0)
    return "" if not counts else str(low) if low == high else f"{low}-{high}"
