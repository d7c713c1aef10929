"""Aggregates of published tables: computed from their games, and as their papers print them.

Where both exist they are held against each other, which finds slips in either.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from analysis.references import tables
from analysis.references.baselines import STANDARD, scales
from suites.records import Record, build

Metric = Literal["mean", "median", "iqm", "superhuman"]


class Aggregate(Record):
    """Human-normalised aggregates of a method's per-game scores; 1.0 is the human."""

    games: int
    missing: int  # Games of the source's table that are not known here.
    mean: float
    median: float
    iqm: float  # Of the games' means, int(n / 4) cut at each end; papers cut runs.
    superhuman: int  # Games at or above the human score.
    scales: str


class Check(Record):
    """One printed aggregate and ours."""

    suite: str
    method: str
    metric: Metric
    ours: float
    printed: float
    difference: float  # ours - printed
    digits: int  # That are printed, behind the point.
    comparable: bool  # Every game is known, and the definitions are the same.
    agrees: bool  # To the last printed digit.
    scales: str
    note: str
    source: str


def aggregate(suite: str, name: str, alternative: str = STANDARD) -> Aggregate:
    """Returns the aggregates of a method's default scores, over the games that it has.

    Args:
        suite: one of `tables.SUITES`.
        name: of a method.
        alternative: table of random and human scores.

    Raises:
        ValueError: there is no such suite, method or table; the message names the nearest.
    """
    of, held = tables.method(suite, name), tables.published(suite, name)
    pairs = scales([each.game for each in held], alternative)
    found = [_normalised(each.score, pairs[each.game]) for each in held]
    return Aggregate(
        games=len(found),
        missing=of.games - len(found),
        mean=math.fsum(found) / len(found),
        median=statistics.median(found),
        iqm=_trimmed(found),
        superhuman=sum(value >= 1 for value in found),
        scales=alternative,
    )


def check(suite: str) -> list[Check]:
    """Returns every printed aggregate of a suite with ours, by method.

    Raises:
        ValueError: nothing is published for such a suite.
    """
    known = {each.name for each in tables.methods(suite)}
    held = [row for row in tables.rows("printed.csv") if row["suite"] == suite]
    assert {row["method"] for row in held} <= known
    return [_check(row) for row in held]


def _check(row: dict[str, str]) -> Check:
    found = aggregate(row["suite"], row["method"], row["scales"])
    ours, printed = float(getattr(found, row["metric"])), float(row["printed"])
    digits = len(row["printed"].partition(".")[2])
    facts = {
        "ours": ours,
        "printed": printed,
        "difference": ours - printed,
        "digits": digits,
        "comparable": found.missing == 0 and row["metric"] != "iqm",
        "agrees": abs(ours - printed) <= 0.5 * 10**-digits + 1e-9,
    }
    return build(Check, row | facts, f"printed.csv, {row['method']}, {row['metric']}")


def _normalised(score: float, pair: tuple[float | None, float | None]) -> float:
    low, high = pair
    assert low is not None and high is not None, "published games have both"
    return (score - low) / (high - low)


def _trimmed(values: Sequence[float]) -> float:
    cut = len(values) // 4
    kept = sorted(values)[cut : len(values) - cut]
    return math.fsum(kept) / len(kept)
