"""Two sides game by game: means, their difference, and which of them is more than chance.

Welch's t for each game; p values are Holm's, so that the probability of a single false alarm among
all games stays at 5%.

Source: Welch 1947, Biometrika 34; Holm 1979, Scandinavian Journal of Statistics 6(2).
Shapes: M games.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis import bootstrap
from analysis.aggregates import Scales
from analysis.imported.curves import listed
from analysis.sides import Side
from analysis.spread import quantile

SURE = 0.05  # Holm's p below which a game is marked.


@dataclass(frozen=True)
class Row:
    """One game. Scores in points; the difference is human-normalised, ours less theirs."""

    game: str
    ours: float
    low: float  # 95% interval of our mean; NaN with one seed
    high: float
    seeds: int
    published: float
    spread: float  # Standard deviation over seeds, points; NaN where nobody knows
    published_seeds: int  # 0 where nobody knows
    difference: float
    standardised: float  # In its standard errors; NaN where there is none
    p: float  # Holm's; NaN where there is no standard error


def unlike(rows: Sequence[Row]) -> list[str]:
    """Says which games differ beyond chance: an aggregate within its margin may hide them."""
    found = [row.game for row in rows if row.p < SURE]
    if not found:
        return []
    verb = "differs" if len(found) == 1 else "differ"
    return [f"{len(found)} of {len(rows)} games {verb} beyond chance: {listed(found, 8)}"]


def marked(p: float) -> str:
    """Writes a p value, with a star where it is beyond chance."""
    return ("<0.001" if p < 0.001 else f"{p:.3f}") + "*" * (p < SURE)


def rows(ours: Side, theirs: Side, filled: Side, scales: Scales) -> list[Row]:
    """Returns one row for each game.

    Args:
        ours: Of the same games as theirs.
        theirs: As published.
        filled: The same with what is taken for what is not published.
        scales: Random and human score of each game.
    """
    errors, freedom = welch(ours, filled)
    difference = ours.means - theirs.means
    freedom = np.where(
        np.isfinite(theirs.deviations), freedom, ours.seeds - 1
    )  # One spread, twice.
    with np.errstate(divide="ignore", invalid="ignore"):
        standardised = difference / errors  # Infinite where no run differs from its peers,
    standardised[(errors == 0) & (difference == 0)] = 0.0  # and 0 where none does from any.
    chances = holm(_two_sided(standardised, freedom))
    half = quantile(bootstrap.LEVEL, ours.seeds - 1) * ours.deviations / np.sqrt(ours.seeds)
    found = []
    for i, game in enumerate(ours.games):
        low, high = (float(value) for value in scales[game])  # type: ignore[arg-type]
        size = high - low

        def points(value: float, low: float = low, size: float = size) -> float:
            return low + value * size

        found.append(
            Row(
                game=game,
                ours=points(ours.means[i]),
                low=points(ours.means[i] - half[i]),
                high=points(ours.means[i] + half[i]),
                seeds=int(ours.seeds[i]),
                published=points(theirs.means[i]),
                spread=float(theirs.deviations[i] * size),
                published_seeds=int(theirs.seeds[i]),
                difference=float(difference[i]),
                standardised=float(standardised[i]),
                p=float(chances[i]),
            )
        )
    return found


def welch(ours: Side, theirs: Side) -> tuple[np.ndarray, np.ndarray]:
    """Returns standard errors of the games' differences and their degrees of freedom, (M,)."""
    mine, other = ours.deviations**2 / ours.seeds, theirs.deviations**2 / theirs.seeds
    both = mine + other
    with np.errstate(divide="ignore", invalid="ignore"):
        below = mine**2 / (ours.seeds - 1)
        # One published seed with a spread taken from ours knows as much as ours.
        below = below + other**2 / np.where(theirs.seeds > 1, theirs.seeds - 1, ours.seeds - 1)
        return np.sqrt(both), np.where(below > 0, both**2 / below, 1.0)


def _two_sided(standardised: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    from scipy import stats

    return 2 * stats.t.sf(np.abs(standardised), freedom)


def holm(chances: np.ndarray) -> np.ndarray:
    """Returns p values that may be read together, (M,); NaN stays and is not counted."""
    found = np.full(len(chances), np.nan)
    there = np.flatnonzero(np.isfinite(chances))
    order = there[np.argsort(chances[there], kind="stable")]
    scaled = chances[order] * np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(scaled), 1) if len(order) else scaled
    return found
