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
    filled, said = sides.completed(theirs, ours)
    taken = np.isnan(theirs.deviations) & (theirs.runs is None)
    rng = bootstrap.generator(wish.seed, suite.name, ours.name, theirs.name, "compare")
    first, second = sides.spreads(ours, filled, rng)
    wide = spread.cautious(first, second)
    decided = decision.of(*wide, 0, taken)
    rows = by_game.rows(ours, theirs, filled, scales)
    return Comparison(
        wish=wish,
        suite=suite.name,
        ours=ours,
        theirs=filled,
        kind=other.kind,
        label=other.label,
        verdict=decision.decide(decided, wish.margin),
        spreads=(first, second, spread.difference(*wide, taken)),
        decided=decided,
        rows=rows,
        stated=stated,
        unlike=unlike,
        unknown=unknown,
        every=evidence.normalisable(suite),
        notes=[*by_game.unlike(rows), *notes, *said, *ours.notes, *theirs.notes],
    )


def refuse(place: Place, wish: Wish) -> None:
    """Refuses what cannot be compared with anything.

    Raises:
        ValueError: The suite's scores have no common scale, or the margin is none.
    """
    if why := evidence.unscaled(place.suite):
        raise ValueError(why)
    if not 0 < wish.margin < math.inf:
        raise ValueError(f"--margin: saw {wish.margin:g}; allowed are numbers above 0")
