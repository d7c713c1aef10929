"""A comparison as text: the verdict first, then what it rests on."""

import math

from analysis import sides
from analysis.aggregates import METRICS as NAMES
from analysis.by_game import SURE, Row, marked
from analysis.comparison import Comparison
from analysis.grids import Grid, render
from analysis.imported.curves import counted
from analysis.sides import METRICS
from analysis.tables import number


def text(found: Comparison, form: str) -> str:
    """Returns the whole comparison; csv and latex are the bare table of games.

    Args:
        found: It.
        form: One of grids.FORMS.
    """
    if form in ("csv", "latex"):
        return render(games(found, form == "csv"), form)
    parts = [head(found), render(aggregates(found), form), render(games(found, False), form)]
    if said := about(found):
        parts.append("".join(f"  {line}\n" for line in said))
    return "\n".join(parts)


def head(found: Comparison) -> str:
    """Returns the verdict in two lines."""
    ours, theirs = found.ours, found.theirs
    needs = f"; {found.verdict.remedy}" if found.verdict.remedy else ""
    iqm = " of games' means" if sides.by_means(ours, theirs) else ""
    part = "" if found.complete else f" on {len(ours.games)} games of {len(found.every)}"
    return (
        f"{found.suite}: {ours.name} against {found.opponent}{part}: "
        f"{found.verdict.word.upper()}\n"
        f"difference of IQMs{iqm}: {found.verdict.reason}{needs}\n"
    )


def aggregates(found: Comparison) -> Grid:
    """Returns both sides' aggregates and their difference, with 95% intervals."""
    rows = [["metric", "ours", "interval", "theirs", "interval", "difference", "interval"]]
    for index, metric in enumerate(METRICS):
        cells = [NAMES[metric]]
        for each in found.spreads:
            low, high = each.interval()[:, index]
            cells += [f"{each.estimate[index]:.3f}", _ends(low, high)]
        rows.append(cells)
    return rows


def games(found: Comparison, bare: bool) -> Grid:
    """Returns the table of games; bare numbers for other programs."""
    head = ["game", "ours", "low", "high", "seeds", "theirs", "spread", "their seeds"]
    return [
        [*head, "difference", "standardised", "p"],
        *(_bare(row) if bare else _row(row) for row in found.rows),
    ]


def _row(row: Row) -> list[str]:
    scores = [number(row.ours), number(row.low, row.ours), number(row.high, row.ours)]
    theirs = [number(row.published), number(row.spread, row.published)]
    counts = ["" if not n else str(n) for n in (row.seeds, row.published_seeds)]
    sure = "" if math.isnan(row.p) else marked(row.p)
    z = "" if math.isnan(row.standardised) else f"{row.standardised:+.1f}"
    return [row.game, *scores, counts[0], *theirs, counts[1], f"{row.difference:+.3f}", z, sure]


def _bare(row: Row) -> list[str]:
    values = [row.ours, row.low, row.high, row.seeds, row.published, row.spread]
    values += [row.published_seeds or math.nan, row.difference, row.standardised, row.p]
    return [row.game, *("" if math.isnan(value) else f"{value:.8g}" for value in values)]


def about(found: Comparison) -> list[str]:
    """Returns what else must be known, a line each."""
    ours, theirs = found.ours, found.theirs
    said = [
        f"ours: {ours.source}; window {ours.window}",
        f"theirs: {theirs.source}; window {theirs.window or 'not stated'}",
        f"margin {found.wish.margin:g} of human-normalised score; "
        f"{counted(len(ours.games), 'game')}; human table {found.wish.human}; "
        f"p: Holm's over all games, * below {SURE:g}",
    ]
    said += [f"allowed to differ: {each}" for each in found.unlike]
    if found.unknown:
        said.append(f"not stated by both: {', '.join(found.unknown)}")
    return said + found.notes


def _ends(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]"
