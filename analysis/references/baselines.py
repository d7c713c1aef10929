"""Random and human scores: the table of suites/games.csv, and other tables that papers used.

normalised = (score - random) / (human - random), so the table decides the number: with 0.0 for
random play in Video Pinball DreamerV3's mean over 57 games falls from 3381 to 2326 percent. Only
one table may be used in a comparison.
"""

import functools
from collections.abc import Iterable
from typing import Literal

from analysis.references.tables import rows
from suites import games as facts
from suites.records import Record, build, nearest

STANDARD = "standard"  # suites/games.csv

Pair = tuple[float | None, float | None]


class Other(Record):
    """One row of baselines.csv: a score that a table has instead of the standard one."""

    table: str
    game: str
    which: Literal["random", "human"]
    value: float
    partial: bool  # No other game of the table is known.
    flag: str  # Why it differs: a key of flags.csv, or empty.
    used_by: str
    source: str


@functools.cache
def others() -> tuple[Other, ...]:
    """Returns every score that differs from suites/games.csv, by table."""
    return tuple(
        build(
            Other,
            row | {"value": float(row["value"]), "partial": row["partial"] == "yes"},
            f"baselines.csv, {row['table']}, {row['game']}",
        )
        for row in rows("baselines.csv")
    )


def tables() -> list[str]:
    """Returns the names of the tables, the standard one first."""
    return [STANDARD, *dict.fromkeys(each.table for each in others())]


def scales(games: Iterable[str], alternative: str = STANDARD) -> dict[str, Pair]:
    """Returns the (random, human) score of each game, None where there is none.

    Args:
        games: names of games.
        alternative: a table of `tables()`.

    Raises:
        ValueError: there is no such game or table, or no score of it is known for a game.
    """
    held = [each for each in others() if each.table == alternative]
    if alternative not in tables():
        raise ValueError(
            f"unknown table of random and human scores {alternative!r}; allowed are "
            f"{', '.join(tables())}{nearest(alternative, tables())}"
        )
    own = {(each.game, each.which): each.value for each in held}
    found = {}
    for name in games:
        if any(each.partial for each in held) and (name, "human") not in own:
            known = ", ".join(sorted({each.game for each in held}))
            raise ValueError(f"the table {alternative!r} is known for {known} only, not for {name}")
        game = facts.load(name)
        found[name] = (
            own.get((name, "random"), game.random),
            own.get((name, "human"), game.human),
        )
    return found


@functools.cache
def records() -> dict[str, float]:
    """Returns the world record of each game that has one, points."""
    return {row["game"]: float(row["record"]) for row in rows("records.csv")}
