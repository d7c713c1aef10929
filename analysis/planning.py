"""How many seeds of ours a margin needs: from runs of both sides, or before anything was run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis import bootstrap, comparison, decision, evidence, pairing, protocols, sides, spread
from analysis.comparison import Comparison
from analysis.grids import Grid, render, span
from analysis.pairing import Place, Wish
from analysis.references import baselines
from analysis.sides import Side
from suites.suite import Suite

MARGINS = (0.02, 0.05, 0.1, 0.2)
POWERS = (0.8, 0.9)
HEAD = ["margin", "now", *(f"seeds for {power:.0%}" for power in POWERS)]


@dataclass(frozen=True)
class Plan:
    """How many seeds are needed, if there is no difference."""

    title: str
    grid: Grid
    notes: tuple[str, ...]

    def text(self, form: str) -> str:
        """Returns it as text; csv and latex are the bare grid.

        Args:
            form: One of grids.FORMS.
        """
        grid = render(self.grid, form)
        if form in ("csv", "latex"):
            return grid
        more = "".join(f"  {note}\n" for note in self.notes)
        return f"{self.title}\n\n{grid}" + (f"\n{more}" if more else "")


def of(found: Comparison) -> Plan:
    """Returns the plan of a comparison.

    Args:
        found: Whose variances are taken; where ours has one seed in every game, theirs.
    """
    decided = replace(found.decided, estimate=0.0)
    if np.isnan(decided.ours).any():
        single = decided.theirs * decided.their_seeds / decided.seeds
        decided = replace(decided, ours=single)
    now = span(found.ours.seeds.tolist())
    return Plan(
        f"Seeds of {found.ours.name} with which `reproduced` is found, if there is no difference "
        f"(now: {now}):",
        grid(decided, [*MARGINS, found.wish.margin]),
        _least(decided),
    )


def alone(place: Place, wish: Wish, name: str) -> Plan:
    """Returns a plan for an agent of which no run has finished.

    Args:
        place: Where it will have scores.
        wish: What it is to be compared with.
        name: Of the agent.

    Raises:
        ValueError: There is nobody to compare with, the suite's protocol is unlike theirs, or
            nothing is known of how their runs vary.
    """
    comparison.refuse(place, wish)
    scales = baselines.scales(place.suite.games, wish.human)
    theirs = pairing.other(place, wish, name, scales).side
    protocols.refuse(_unlike(place.suite, theirs, wish), wish.allow)
    games = [game for game in evidence.normalisable(place.suite) if game in theirs.games]
    if not games:
        raise ValueError(f"{theirs.name} has no score in a game of {place.suite.name}")
    filled, notes = _filled(theirs.on(games))
    rng = bootstrap.generator(wish.seed, place.suite.name, theirs.name, "plan")
    one, _ = sides.spreads(filled, filled, rng)
    decided = decision.of(one, one, 0)
    rows = grid(decided, [*MARGINS, wish.margin])
    return Plan(
        f"{place.suite.name}: no run of {name} has finished. Seeds with which `reproduced` against "
        f"{theirs.name} would be found,\nif there is no difference and its runs vary as theirs do "
        f"({span(filled.seeds.tolist())} seeds, {len(games)} games):",
        [[margin, *seeds] for margin, _, *seeds in rows],
        (
            f"theirs: {theirs.source}; window {theirs.window or 'not stated'}",
            *notes,
            *_least(decided),
        ),
    )


def _least(decided: decision.Difference) -> tuple[str, ...]:
    reach = decision.least(decided, decision.WITHIN)
    said = f"theirs alone leave the 90% interval at -+{reach:.3f}, however many seeds ours has"
    return () if np.isnan(reach) else (said,)


def _unlike(suite: Suite, theirs: Side, wish: Wish) -> list[protocols.Unlike]:
    window = wish.window or theirs.window or suite.score.window
    return protocols.compare(protocols.of_suite(suite, window), theirs.stated())[0]


def _filled(theirs: Side) -> tuple[Side, list[str]]:
    """Fills in what a table does not state, from its other games.

    Raises:
        ValueError: It states no spread at all.
    """
    unknown = np.isnan(theirs.deviations)
    if unknown.all():
        raise ValueError(
            f"no spread of {theirs.name} is known, so nothing says how much its runs vary: run two "
            "seeds of ours first"
        )
    notes = []
    if unknown.any():
        names = ", ".join(np.array(theirs.games)[unknown])
        notes.append(f"no spread is known for {names}: taken to be as the other games'")
    if (theirs.seeds == 0).any():
        notes.append("no number of seeds is published: taken to be 1, the worst that it could be")
    filled = spread.from_peers(theirs.deviations)
    return replace(theirs, deviations=filled, seeds=np.maximum(theirs.seeds, 1)), notes


def grid(difference: decision.Difference, margins: Sequence[float]) -> Grid:
    """Returns a row for each margin.

    Args:
        difference: Of 0, with the variances of the seeds at hand.
        margins: Which differences shall not matter.
    """
    rows = [list(HEAD)]
    for margin in sorted(set(margins)):
        if np.isnan(difference.at(difference.seeds)[0]):
            rows.append([f"{margin:g}", *["not known"] * 3])
            continue
        now = float(decision.chance(difference, margin, difference.seeds))
        wanted = [decision.enough(difference, margin, power) for power in POWERS]
        seeds = ["none would do" if n is None else str(n) for n in wanted]
        rows.append([f"{margin:g}", f"{now:.0%}", *seeds])
    return rows
