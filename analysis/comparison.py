"""Ours against what was published, or against another commit of ours: `reverie compare`."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import suites
from analysis import (
    bootstrap,
    by_game,
    cells,
    contenders,
    decision,
    evidence,
    files,
    protocols,
    sides,
    spread,
)
from analysis.aggregates import Scales
from analysis.by_game import Row
from analysis.decision import Verdict
from analysis.grids import Grid
from analysis.imported import store
from analysis.protocols import Unlike
from analysis.references import baselines, tables
from analysis.sides import METRICS, Side
from analysis.spread import Spread
from suites.records import nearest
from suites.suite import Suite


@dataclass(frozen=True)
class Wish:
    """What is to be compared, and how."""

    agent: str | None  # None: the one that there is, or that is called as the method.
    published: str | None  # Name of an import or a method; METHOD@SUITE for another suite's.
    against: Path | None  # Results of another commit, instead.
    window: str | None  # None: the published one, else the suite's.
    allow: tuple[str, ...]  # Differences of protocol that are taken.
    human: str  # Table of random and human scores.
    margin: float
    seed: int  # Of the bootstrap.


@dataclass(frozen=True)
class Comparison:
    """What came out."""

    suite: str
    ours: Side
    theirs: Side  # What was not published filled in.
    verdict: Verdict
    margin: float
    spreads: tuple[Spread, Spread, Spread]  # Ours, theirs, difference; of METRICS.
    decided: decision.Difference  # Of the first of METRICS.
    rows: list[Row]
    unlike: list[Unlike]  # Allowed ones.
    unknown: list[str]  # Fields that one side does not state.
    human: str
    every: list[str]  # Games of the suite that can be normalised.
    notes: list[str]

    @property
    def complete(self) -> bool:
        """Tells whether both sides have a score in every game."""
        return len(self.ours.games) == len(self.every)

    @property
    def code(self) -> int:
        """Returns the exit code: 0 reproduced or better, 1 not reproduced, 3 inconclusive."""
        return {"not reproduced": 1, "inconclusive": 3}.get(self.verdict.word, 0)

    def record(self) -> dict[str, Any]:
        """Returns everything as plain values, for a file; an unknown number is None."""
        names = ("ours", "theirs", "difference")
        metrics = {
            metric: {
                name: _numbers(each, index)
                for name, each in zip(names, self.spreads, strict=True)
            }
            for index, metric in enumerate(METRICS)
        }  # fmt: skip
        told = {
            "suite": self.suite, "ours": self.ours.name, "theirs": self.theirs.name,
            "verdict": self.verdict.word, "reason": self.verdict.reason,
            "more_seeds": self.verdict.needed, "metric": METRICS[0], "margin": self.margin,
            "window": {"ours": self.ours.window, "theirs": self.theirs.window},
            "allowed": [asdict(each) for each in self.unlike], "not_stated": self.unknown,
            "human": self.human, "games": list(self.ours.games), "metrics": metrics,
            "by_game": [_plain(asdict(row)) for row in self.rows],
            "sources": {"ours": self.ours.source, "theirs": self.theirs.source},
            "notes": self.notes,
        }  # fmt: skip
        return told


def main(suite: Suite, wish: Wish, results: Path, runs: Path) -> Comparison:
    """Compares.

    Args:
        suite: Where ours has scores.
        wish: What with what.
        results: Folder of all suites' results.
        runs: Folder of all run folders.

    Raises:
        ValueError: A name is nobody's, the protocols are unlike, no game is common to both, or the
            suite's scores have no common scale.
    """
    if why := evidence.unscaled(suite):
        raise ValueError(why)
    if not 0 < wish.margin < math.inf:
        raise ValueError(f"--margin: saw {wish.margin:g}; allowed are numbers above 0")
    scales = baselines.scales(suite.games, wish.human)
    ours, theirs = both(suite, wish, results, runs, scales)
    unlike, unknown = protocols.compare(ours, theirs)
    protocols.refuse(unlike, wish.allow)
    games, notes = common(suite, ours, theirs)
    ours, theirs = ours.on(games), theirs.on(games)
    filled, said = sides.completed(theirs, ours)
    rng = bootstrap.generator(wish.seed, suite.name, ours.name, theirs.name, "compare")
    first, second = sides.spreads(ours, filled, rng)
    difference = spread.difference(first, second)
    decided = decision.of(first, second, difference, 0, max(1, int(ours.seeds.min())))
    return Comparison(
        suite=suite.name,
        ours=ours,
        theirs=filled,
        verdict=decision.decide(decided, wish.margin),
        margin=wish.margin,
        spreads=(first, second, difference),
        decided=decided,
        rows=by_game.rows(ours, theirs, filled, scales),
        unlike=unlike,
        unknown=unknown,
        human=wish.human,
        every=evidence.normalisable(suite),
        notes=[*notes, *said, *ours.notes, *theirs.notes],
    )


def both(suite: Suite, wish: Wish, results: Path, runs: Path, scales: Scales) -> tuple[Side, Side]:
    """Returns our side and theirs, in one window where that can be had."""
    if wish.against is not None:
        if wish.against.resolve() == results.resolve():
            raise ValueError(f"--against: {wish.against} is where ours are: nothing to compare")
        agent = _agent(suite, wish.agent, None, results, runs)
        places = [(results, runs), (wish.against, wish.against.parent / "runs")]
        found = [contenders.load(suite, [agent], *each, wish.window)[0] for each in places]
        mine, other = (sides.of_contender(each, scales) for each in found)
        return mine, other
    assert wish.published is not None, "the command line asks for one of both"
    name, _, place = wish.published.partition("@")
    agent = _agent(suite, wish.agent, name, results, runs)
    if not place and name in store.names(results, suite.name):
        if name == agent:
            raise ValueError(f"--published: {name} is what stands for ours: nothing to compare")
        (found,) = contenders.load(suite, [name], results, runs, wish.window)
        theirs = sides.of_contender(found, scales)
    else:
        theirs = of_published(suite, name, place or suite.name, scales)
    window = wish.window or theirs.window
    (mine,) = contenders.load(suite, [agent], results, runs, window)
    return sides.of_contender(mine, scales), theirs


def of_published(suite: Suite, name: str, place: str, scales: Scales) -> Side:
    """Returns what was published of a method for a suite, to stand beside another suite.

    Args:
        suite: Where ours has scores.
        name: Of the method.
        place: Suite that it was published for.
        scales: Random and human score of each game of ours.

    Raises:
        ValueError: Nothing is published there, or not of such a method.
    """
    if place not in tables.SUITES:
        known = ", ".join(tables.SUITES)
        raise ValueError(
            f"{name!r} is no import of {suite.name}, and nothing is published for {place}: allowed "
            f"are the names of imports, and METHOD@SUITE of {known}{nearest(place, tables.SUITES)}"
        )
    every = scales | baselines.scales(
        [each.game for each in tables.published(place, name) if each.game not in scales]
    )
    return sides.of_published(place, suites.load(place).frames, name, every)


def _agent(suite: Suite, asked: str | None, like: str | None, results: Path, runs: Path) -> str:
    if asked is not None:
        return asked
    found = cells.found_agents(suite, results, runs)
    if like in found:
        return str(like)
    if len(found) == 1:
        return found[0]
    raise ValueError(
        f"--agent: which of ours? {results / suite.name} has {', '.join(found) or 'none'}"
    )


def common(suite: Suite, ours: Side, theirs: Side) -> tuple[list[str], list[str]]:
    """Returns the games that both have, in the suite's order, and what is to be said of the rest.

    Raises:
        ValueError: There is none.
    """
    scaled = evidence.normalisable(suite)
    games = [game for game in scaled if game in ours.games and game in theirs.games]
    if not games:
        raise ValueError(
            f"{ours.name} and {theirs.name} have no game in common with a score: ours "
            f"{', '.join(ours.games) or 'none'}; theirs {', '.join(theirs.games) or 'none'}"
        )
    lacking = [
        (f"{who} ({side.name})", [game for game in scaled if game not in side.games])
        for who, side in (("ours", ours), ("theirs", theirs))
    ]
    return games, [
        f"{name}: no score in {', '.join(gone)}: left out of everything"
        for name, gone in lacking if gone
    ]  # fmt: skip


def keep(found: Comparison, results: Path) -> Path:
    """Writes a comparison beside the results of its suite, and returns the file's path."""
    name = f"{found.ours.name}~{found.theirs.name}.json"
    path = results / found.suite / "verdicts" / name.replace("/", "_")
    try:
        files.write(path, json.dumps(found.record(), indent=2) + "\n")
    except OSError as error:
        raise ValueError(f"the verdict cannot be kept: {error}") from error
    return path


def _numbers(found: Spread, index: int) -> dict[str, float | None]:
    low, high = found.interval()[:, index]
    told = {"estimate": found.estimate[index], "low": low, "high": high}
    return _plain({key: float(value) for key, value in told.items()})


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    def plain(value: object) -> object:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {key: plain(value) for key, value in told.items()}


def plan(found: Comparison, margins: Sequence[float]) -> Grid:
    """Returns how many seeds of ours a margin needs, if there is no difference.

    Args:
        found: A comparison, whose variances are taken; where ours has one seed, theirs.
        margins: Which differences shall not matter.
    """
    decided = found.decided
    one = decided.theirs * float(found.theirs.seeds.min())  # Of a single seed.
    alike = replace(decided, estimate=0.0)
    if math.isnan(decided.ours):
        alike = replace(alike, ours=one / decided.seeds, freedom=float(len(found.ours.games)))
    rows = [["margin", "now", "seeds for 80%", "seeds for 90%"]]
    for margin in margins:
        if math.isnan(alike.error):
            rows.append([f"{margin:g}", *["not known"] * 3])
            continue
        now = decision.chance(alike, margin, alike.seeds)
        wanted = [decision.enough(alike, margin, power) for power in (0.8, 0.9)]
        seeds = ["none would do" if n is None else str(n) for n in wanted]
        rows.append([f"{margin:g}", f"{now:.0%}", *seeds])
    return rows
