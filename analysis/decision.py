"""The verdict on a difference: reproduced, not reproduced, better, or inconclusive.

A margin says which difference does not matter, before anything is looked at.

    reproduced      the 90% interval of the difference lies within the margin: two one-sided tests
                    of 5% each, so a difference at the margin passes one time in twenty at most
    not reproduced  the 95% interval lies below the margin
    better          the 95% interval lies above it
    inconclusive    anything else, with the number of seeds that would probably tell

"Significantly different" is no verdict: with many seeds every difference is, and with few none.

Source: Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics 15(6) (two one-sided tests).
"""

import bisect
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.spread import Spread, quantile

Word = Literal["reproduced", "not reproduced", "better", "inconclusive"]

MARGIN = 0.10  # Of human-normalised score.
WITHIN, BEYOND = 0.90, 0.95  # Levels of the intervals.
POWER = 0.80  # With which seeds are planned.
MOST = 1_000  # Seeds; more is no plan.


@dataclass(frozen=True)
class Verdict:
    """What a difference says."""

    word: Word
    reason: str
    needed: int | None  # More seeds of ours that would probably tell; None where none would.


@dataclass(frozen=True)
class Difference:
    """Ours less theirs, of one metric, with what its variance is made of."""

    estimate: float
    ours: float  # Variance of our estimate; NaN if it is not known.
    theirs: float
    freedom: float
    seeds: int  # Of ours: the fewest of any game.

    @property
    def error(self) -> float:
        """Returns the standard error."""
        return math.sqrt(self.ours + self.theirs)

    def interval(self, level: float = BEYOND) -> tuple[float, float]:
        """Returns lower and upper end; NaN without an error."""
        half = _reach(level, self.freedom) * self.error
        return self.estimate - half, self.estimate + half


def of(first: Spread, second: Spread, both: Spread, index: int, seeds: int) -> Difference:
    """Returns the difference of one metric.

    Args:
        first: Ours.
        second: Theirs.
        both: Their difference.
        index: Of the metric.
        seeds: Of ours, in the game that has the fewest.
    """
    found = (both.estimate, first.variance, second.variance, both.freedom)
    return Difference(*(float(each[index]) for each in found), seeds)


def decide(difference: Difference, margin: float) -> Verdict:
    """Returns the verdict on a difference.

    Args:
        difference: Ours less theirs.
        margin: Which difference does not matter, above 0.
    """
    inner, outer = difference.interval(WITHIN), difference.interval(BEYOND)
    if math.isnan(outer[0]):
        return _alone(difference)
    if -margin < inner[0] and inner[1] < margin:
        return Verdict(
            "reproduced", f"the 90% interval {_ends(inner)} is within {_within(margin)}", 0
        )
    if outer[1] < -margin:
        return Verdict("not reproduced", f"the 95% interval {_ends(outer)} is below -{margin:g}", 0)
    if outer[0] > margin:
        return Verdict("better", f"the 95% interval {_ends(outer)} is above {margin:g}", 0)
    return Verdict("inconclusive", _open(difference, outer, margin), needed(difference, margin))


def _alone(difference: Difference) -> Verdict:
    if math.isnan(difference.ours):
        return Verdict("inconclusive", "there is no interval with one seed of ours", 1)
    return Verdict("inconclusive", "there is no interval with one seed of theirs", None)


def needed(difference: Difference, margin: float) -> int | None:
    """Returns how many more seeds of ours would settle it, if the difference is as estimated.

    None where no number up to MOST would: their uncertainty alone is too wide, or the difference
    too close to the margin.
    """
    found = enough(difference, margin, POWER, difference.seeds + 1)
    return None if found is None else found - difference.seeds


def enough(difference: Difference, margin: float, power: float, least: int = 2) -> int | None:
    """Returns the fewest seeds of ours that give a verdict with some probability; None if none do.

    Args:
        difference: Ours less theirs, with the variances of the seeds at hand.
        margin: Which difference does not matter.
        power: The probability.
        least: Where to begin.
    """
    numbers = range(least, MOST + 1)  # More seeds never lower the chance.
    found = bisect.bisect_left(numbers, True, key=lambda n: chance(difference, margin, n) >= power)
    return numbers[found] if found < len(numbers) else None


def chance(difference: Difference, margin: float, seeds: int) -> float:
    """Returns the probability of a verdict with so many seeds of ours.

    The verdict is "reproduced" if the difference is as estimated and that is within the margin,
    "not reproduced" or "better" beyond it.
    """
    part = difference.ours * difference.seeds / seeds
    error = math.sqrt(part + difference.theirs)
    freedom = difference.freedom * seeds / difference.seeds
    size = abs(difference.estimate)
    if error == 0:
        return 1.0
    if size >= margin:
        return _normal((size - margin) / error - _reach(BEYOND, freedom))
    reach = _reach(WITHIN, freedom)
    sides = _normal((margin - size) / error - reach) + _normal((margin + size) / error - reach)
    return max(0.0, sides - 1)


def _reach(level: float, freedom: float) -> float:
    return float(quantile(level, np.array([freedom]))[0])


def _normal(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2))


def _open(difference: Difference, outer: tuple[float, float], margin: float) -> str:
    said = f"the 95% interval {_ends(outer)} reaches across "
    low, high = outer[0] < -margin < outer[1], outer[0] < margin < outer[1]
    edge = _within(margin) if low and high else f"{-margin if low else margin:g}"
    sure = "worse" if outer[1] < 0 else "better" if outer[0] > 0 else ""
    return said + edge + (f": {sure}, but by how much is open" if sure else "")


def _ends(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"


def _within(margin: float) -> str:
    return f"-{margin:g} to {margin:g}"
