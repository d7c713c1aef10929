"""Ours against what was published, or against another commit of ours: `reverie compare`."""

import math
from dataclasses import dataclass

import numpy as np

from analysis import bootstrap, by_game, decision, evidence, pairing, protocols, sides, spread
from analysis.by_game import Row
from analysis.decision import Verdict
from analysis.pairing import Kind, Place, Wish
from analysis.protocols import Protocol, Unlike
from analysis.references import baselines
from analysis.sides import Side
from analysis.spread import Spread


@dataclass(frozen=True)
class Weighed:
    """What the numbers of two sides say."""

    filled: Side  # Theirs, with what was not published.
    said: list[str]  # What was filled in.
    spreads: tuple[Spread, Spread, Spread]  # Ours, theirs, difference; of METRICS.
    decided: decision.Difference  # Of the first of METRICS.


@dataclass(frozen=True)
class Comparison:
    """What came out."""

    wish: Wish
    suite: str
    ours: Side
    theirs: Side  # What was not published filled in.
    kind: Kind  # Of theirs.
    label: str  # That tells theirs from others of the kind.
    verdict: Verdict
    spreads: tuple[Spread, Spread, Spread]  # Ours, theirs, difference; of METRICS.
    decided: decision.Difference  # Of the first of METRICS.
    rows: list[Row]
    stated: tuple[Protocol, Protocol]  # Ours, theirs.
    unlike: list[Unlike]  # Allowed ones.
    unknown: list[str]  # Fields that one side does not state.
    every: list[str]  # Games of the suite that can be normalised.
    notes: list[str]

    @property
    def opponent(self) -> str:
        """Returns what theirs is, for a reader."""
        if self.kind == "against":
            return f"{self.theirs.name} of {self.wish.against}"
        return self.label

    @property
    def complete(self) -> bool:
        """Tells whether both sides have a score in every game."""
        return len(self.ours.games) == len(self.every)

    @property
    def code(self) -> int:
        """Returns the exit code: 0 reproduced or better, 1 not reproduced, 3 inconclusive."""
        return {"not reproduced": 1, "inconclusive": 3}.get(self.verdict.word, 0)


def main(place: Place, wish: Wish) -> Comparison:
    """Compares.

    Args:
        place: Where ours has scores.
        wish: What with what.

    Raises:
        ValueError: A name is nobody's, the protocols are unlike, no game is common to both, or the
            suite's scores have no common scale.
    """
    refuse(place, wish)
    suite, scales = place.suite, baselines.scales(place.suite.games, wish.human)
    ours, other = pairing.both(place, wish, scales)
    theirs = other.side
    stated = (ours.stated(), theirs.stated())
    unlike, unknown = protocols.compare(*stated)
    protocols.refuse(unlike, wish.allow)
    games, notes = pairing.common(suite, ours, theirs)
    ours, theirs = ours.on(games), theirs.on(games)
    rng = bootstrap.generator(wish.seed, suite.name, ours.name, theirs.name, "compare")
    weighed = weigh(ours, theirs, rng)
    rows = by_game.rows(ours, theirs, weighed.filled, scales)
    return Comparison(
        wish=wish,
        suite=suite.name,
        ours=ours,
        theirs=weighed.filled,
        kind=other.kind,
        label=other.label,
        verdict=decision.decide(weighed.decided, wish.margin),
        spreads=weighed.spreads,
        decided=weighed.decided,
        rows=rows,
        stated=stated,
        unlike=unlike,
        unknown=unknown,
        every=evidence.normalisable(suite),
        notes=[*by_game.unlike(rows), *notes, *weighed.said, *ours.notes, *theirs.notes],
    )


def weigh(ours: Side, theirs: Side, rng: np.random.Generator) -> Weighed:
    """Returns both sides' metrics and their difference, with how far each may be from the truth.

    Args:
        ours: Runs.
        theirs: Of the same games, as runs or as they were published.
        rng: Drawn from.
    """
    filled, said = sides.completed(theirs, ours)
    taken = np.isnan(theirs.deviations) & (theirs.runs is None)
    first, second = sides.spreads(ours, filled, rng)
    wide = spread.cautious(first, second)
    spreads = (first, second, spread.difference(*wide, taken))
    return Weighed(filled, said, spreads, decision.of(*wide, 0, taken))


def refuse(place: Place, wish: Wish) -> None:
    """Refuses what cannot be compared with anything.

    Raises:
        ValueError: The suite's scores have no common scale, or the margin is none.
    """
    if why := evidence.unscaled(place.suite):
        raise ValueError(why)
    if not 0 < wish.margin < math.inf:
        raise ValueError(f"--margin: saw {wish.margin:g}; allowed are numbers above 0")
