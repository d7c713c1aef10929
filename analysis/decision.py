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

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis import spread
from analysis.spread import Spread

Word = Literal["reproduced", "not reproduced", "better", "inconclusive"]

MARGIN = 0.10  # Of human-normalised score.
WITHIN, BEYOND = 0.90, 0.95  # Levels of the intervals.
POWER = 0.80  # With which seeds are planned.
MOST = 1_000  # Seeds; more is no plan.
TRIED = np.unique(np.geomspace(1, MOST, 400).round()).astype(int)  # All of the few, 2% apart later.


@dataclass(frozen=True)
class Verdict:
    """What a difference says."""

    word: Word
    reason: str
    needed: int | None  # More seeds of ours in every game that would probably tell, if any would.
    remedy: str = ""  # The same in words, where the word is inconclusive.


@dataclass(frozen=True)
class Difference:
    """Ours less theirs, of one metric, with what each of M games adds to its variance."""

    estimate: float
    ours: np.ndarray  # (M,), part of the variance of our estimate; NaN if it is not known.
    theirs: np.ndarray  # (M,), of theirs.
    seeds: np.ndarray  # (M,), of ours.
    their_seeds: np.ndarray  # (M,)
    taken: np.ndarray  # (M,), where nobody knows their deviation, and ours is taken for it.

    def at(self, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns standard error and degrees of freedom with other seeds of ours, both (...,).

        Theirs stay: only our part shrinks, a game's by its own number of seeds. Where theirs is
        taken from ours it is known better with more of ours, and no smaller.

        Args:
            seeds: (..., M); infinite for as many as one likes.
        """
        ours = self.ours * (self.seeds / seeds)
        both = ours + np.where(self.taken, self.theirs, 0.0)
        alone = np.broadcast_to(np.where(self.taken, 0.0, self.theirs), both.shape)
        shares = np.concatenate([both, alone], -1)
        known = np.concatenate([seeds, np.broadcast_to(self.their_seeds, both.shape)], -1)
        found = spread.freedom(shares[..., None], known)[..., 0]
        return np.sqrt(shares.sum(-1)), found

    def interval(self, level: float = BEYOND) -> tuple[float, float]:
        """Returns lower and upper end; NaN without an error."""
        error, freedom = self.at(self.seeds)
        half = float(spread.quantile(level, freedom) * error)
        return self.estimate - half, self.estimate + half


def of(first: Spread, second: Spread, index: int, taken: np.ndarray | None = None) -> Difference:
    """Returns the difference of one metric.

    Args:
        first: Ours.
        second: Theirs.
        index: Of the metric.
        taken: As of `spread.difference`.
    """
    return Difference(
        float(first.estimate[index] - second.estimate[index]),
        first.shares[:, index],
        second.shares[:, index],
        first.seeds,
        second.seeds,
        np.zeros(len(first.seeds), bool) if taken is None else taken,
    )


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
        sure = _sure(outer)
        but = f"; {sure} beyond doubt, by less than that" if sure else ""
        said = f"the 90% interval {_ends(inner)} is within {_within(margin)}{but}"
        return Verdict("reproduced", said, 0)
    if outer[1] < -margin:
        return Verdict("not reproduced", f"the 95% interval {_ends(outer)} is below -{margin:g}", 0)
    if outer[0] > margin:
        return Verdict("better", f"the 95% interval {_ends(outer)} is above {margin:g}", 0)
    reason, (needed, remedy) = _open(difference, outer, margin), more(difference, margin)
    return Verdict("inconclusive", reason, needed, remedy)


def _alone(difference: Difference) -> Verdict:
    why = "there is no interval with one seed of "
    if np.isnan(difference.ours).any():
        return Verdict("inconclusive", f"{why}ours", 1, "needs at least 1 more seed")
    return Verdict("inconclusive", f"{why}theirs", None, "no number of our seeds would tell")


def more(difference: Difference, margin: float) -> tuple[int | None, str]:
    """Returns how many more seeds of ours in every game would settle it, and that in words.

    It is taken that the difference is as estimated; None where MOST would not do.
    """
    needed = _first(difference, margin, POWER, difference.seeds + TRIED[:, None])
    if needed is not None:
        found = int(TRIED[needed])
        every = " in every game" if len(set(difference.seeds.tolist())) > 1 else ""
        return found, f"needs about {found} more seed{'s' * (found > 1)}{every}"
    if bool(chance(difference, margin, _endless(difference)) >= POWER):
        return None, f"needs more than {MOST:,} more seeds"
    alone = (
        f"theirs alone leave -+{least(difference, BEYOND):.3f} around {difference.estimate:+.3f}"
    )
    return None, f"no number of our seeds would tell: {alone}"


def least(difference: Difference, level: float) -> float:
    """Returns how far an interval reaches to each side with as many seeds of ours as one likes."""
    error, freedom = difference.at(_endless(difference))
    return float(spread.quantile(level, freedom) * error)


def enough(difference: Difference, margin: float, power: float) -> int | None:
    """Returns the fewest seeds of ours, alike in every game, that give a verdict; None if none do.

    Args:
        difference: Ours less theirs, with the variances of the seeds at hand.
        margin: Which difference does not matter.
        power: The probability of a verdict.
    """
    wanted = TRIED[1:]  # One seed has no interval.
    every = np.broadcast_to(wanted[:, None], (len(wanted), len(difference.seeds)))
    found = _first(difference, margin, power, every)
    return None if found is None else int(wanted[found])


def _first(difference: Difference, margin: float, power: float, seeds: np.ndarray) -> int | None:
    there = np.flatnonzero(chance(difference, margin, seeds) >= power)
    return int(there[0]) if len(there) else None


def _endless(difference: Difference) -> np.ndarray:
    return np.full(len(difference.seeds), np.inf)


def chance(difference: Difference, margin: float, seeds: np.ndarray) -> np.ndarray:
    """Returns the probability of a verdict with other numbers of seeds of ours, (...,).

    The verdict is "reproduced" if the difference is as estimated and that is within the margin,
    "not reproduced" or "better" beyond it.

    Args:
        difference: Ours less theirs.
        margin: Which difference does not matter.
        seeds: (..., M).
    """
    from scipy.stats import norm

    error, freedom = difference.at(seeds)
    size = abs(difference.estimate)
    with np.errstate(divide="ignore", invalid="ignore"):  # An error of 0 is settled.
        if size >= margin:
            found = norm.cdf((size - margin) / error - spread.quantile(BEYOND, freedom))
        else:
            reach = spread.quantile(WITHIN, freedom)
            ends = ((margin - size) / error - reach, (margin + size) / error - reach)
            found = np.maximum(0.0, norm.cdf(ends[0]) + norm.cdf(ends[1]) - 1)
    return np.where(error == 0, float(size != margin), found)


def _open(difference: Difference, outer: tuple[float, float], margin: float) -> str:
    said = f"the 95% interval {_ends(outer)} reaches across "
    low, high = outer[0] < -margin < outer[1], outer[0] < margin < outer[1]
    edge = _within(margin) if low and high else f"{-margin if low else margin:g}"
    sure = _sure(outer)
    return said + edge + (f": {sure}, but by how much is open" if sure else "")


def _sure(outer: tuple[float, float]) -> str:
    return "worse" if outer[1] < 0 else "better" if outer[0] > 0 else ""


def _ends(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"


def _within(margin: float) -> str:
    return f"-{margin:g} to {margin:g}"
