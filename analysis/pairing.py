"""Which two sides a comparison is of: ours, and a published table, an import or another commit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from analysis import cells, contenders, evidence, sides
from analysis.aggregates import Scales
from analysis.contenders import Contender
from analysis.imported import store
from analysis.references import baselines, tables
from analysis.sides import Side
from suites import load
from suites.records import digest, nearest
from suites.suite import Suite

Kind = Literal["published", "import", "against"]
ROWS = ("human", "random", "record")  # Of the tables, that no method scored.
COMMON = ("last_100_episodes", "last_point", "evaluation")  # Windows that most runs have.


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
class Place:
    """Where everything is."""

    suite: Suite
    results: Path  # Of all suites, imports among them.
    runs: Path

    def load(self, name: str, window: str | None) -> Contender:
        """Returns runs as they were made, of ours or of an import."""
        (found,) = contenders.load(
            self.suite, [name], self.results, self.runs, window, as_made=True
        )
        return found

    def at(self, results: Path, agent: str) -> "Place":
        """Returns the same of other results, with all the seeds of an agent there."""
        paths = (results / self.suite.name / agent).glob("*/*.json")
        seeds = {int(path.stem) for path in paths if path.stem.isdigit()}
        suite = self.suite.model_copy(update={"seeds": tuple(sorted(seeds))})
        return Place(suite if seeds else self.suite, results, results.parent / "runs")


@dataclass(frozen=True)
class Theirs:
    """The other side."""

    side: Side
    kind: Kind
    label: str  # That tells it from others of its kind, for a file's name.


def both(place: Place, wish: Wish, scales: Scales) -> tuple[Side, Theirs]:
    """Returns our side and theirs, in one window where that can be had.

    Raises:
        ValueError: A name is nobody's, or a side has no score in the window.
    """
    agent = _agent(place, wish)
    theirs = other(place, wish, agent, scales)
    mine = place.load(agent, wish.window or theirs.side.window)
    return _side("ours", place, mine, scales), theirs


def other(place: Place, wish: Wish, agent: str, scales: Scales) -> Theirs:
    """Returns the other side, in the window asked for or its own.

    Args:
        place: Where ours are.
        wish: What with what.
        agent: Ours.
        scales: Random and human score of each game.

    Raises:
        ValueError: A name is nobody's, or ours; or it has no score in the window.
    """
    if wish.against is not None:
        if wish.against.resolve() == place.results.resolve():
            raise ValueError(f"--against: {wish.against} is where ours are: nothing to compare")
        there = place.at(wish.against, agent)
        side = _side("theirs", there, there.load(agent, wish.window), scales)
        return Theirs(side, "against", digest(str(wish.against.resolve()))[:8])
    assert wish.published is not None, "the command line asks for one of both"
    name, _, suite = wish.published.partition("@")
    if not suite and name in store.names(place.results, place.suite.name):
        if name == agent:
            raise ValueError(f"--published: {name} is what stands for ours: nothing to compare")
        side = _side("theirs", place, place.load(name, wish.window), scales)
        return Theirs(side, "import", name)
    if name in ROWS:
        raise ValueError(
            f"--published: {name} is a row of the tables, without runs, seeds or spread: nothing "
            "was tried there that could be reproduced. Allowed are imports and methods "
            f"(`reverie references {suite or place.suite.name}`); `reverie aggregate` says how "
            "far from random (0) and human (1) ours are"
        )
    side = of_published(place.suite, name, suite or place.suite.name, scales)
    table = tables.method(suite or place.suite.name, name).protocol.scales
    if table not in (None, wish.human):
        said = f"its own aggregates rest on another table of random and human scores: {table}"
        side = replace(side, notes=(*side.notes, said))
    return Theirs(side, "published", f"{side.name}@{suite}" if suite else side.name)


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
    return sides.of_published(place, load(place).frames, name, every)


def unbegun(place: Place, wish: Wish) -> str | None:
    """Returns the name of ours if no run of it has finished; None if one has, or nobody knows."""
    name = _chosen(place, wish)
    if name is None and not cells.found_agents(place.suite, place.results, place.runs):
        name = _method(wish)
    if not name:
        return None
    imported = name in store.names(place.results, place.suite.name)
    done = (place.results / place.suite.name / name).glob("*/*.json")
    return None if imported or any(path.stem.isdigit() for path in done) else name


def _agent(place: Place, wish: Wish) -> str:
    if (name := _chosen(place, wish)) is not None:
        return name
    found = cells.found_agents(place.suite, place.results, place.runs)
    raise ValueError(
        f"--agent: which of ours? {place.results / place.suite.name} has "
        f"{', '.join(found) or 'none'}"
    )


def _chosen(place: Place, wish: Wish) -> str | None:
    """Returns the agent asked for, the one that is called as the method, or the only one."""
    if wish.agent is not None:
        return wish.agent
    found = cells.found_agents(place.suite, place.results, place.runs)
    if _method(wish) in found:
        return _method(wish)
    return found[0] if len(found) == 1 else None


def _method(wish: Wish) -> str:
    return (wish.published or "").partition("@")[0]


def _side(whose: str, place: Place, found: Contender, scales: Scales) -> Side:
    """Returns runs as a side.

    Raises:
        ValueError: No run has a score in the window; it names those where one has.
    """
    if found.scores["score"].notna().any():
        return sides.of_contender(found, scales)
    windows = dict.fromkeys((place.suite.score.window, *COMMON))
    scored = [said for window in windows if (said := _scored(place, found.name, window))]
    todo = f"There are scores in {', '.join(scored)}: --window takes one for both sides"
    raise ValueError(
        f"{whose} ({found.name}, {place.results / place.suite.name}) has no score in the window "
        f"{found.window}: no episode of its {len(found.scores)} runs is in it. "
        + (todo if scored else f"Neither is one in {', '.join(windows)}")
    )


def _scored(place: Place, name: str, window: str) -> str:
    try:
        scores = place.load(name, window).scores["score"]
    except ValueError:  # Its episodes are not there.
        return ""
    there = int(scores.notna().sum())
    return f"{window} ({there} of {len(scores)} runs)" if there else ""


def common(suite: Suite, ours: Side, theirs: Side) -> tuple[list[str], list[str]]:
    """Returns the games that both have, in the suite's order, and what is to be said of the rest.

    Raises:
        ValueError: There is none.
    """
    for side in (ours, theirs):
        if not side.games:
            raise ValueError(
                f"{side.name} has no score in the window {side.window or '(not stated)'}; --window "
                "takes another"
            )
    scaled = evidence.normalisable(suite)
    games = [game for game in scaled if game in ours.games and game in theirs.games]
    if not games:
        raise ValueError(
            f"{ours.name} and {theirs.name} have no game in common with a score: ours "
            f"{', '.join(ours.games)}; theirs {', '.join(theirs.games)}"
        )
    return games, [*_lacking("ours", ours, scaled), *_lacking("theirs", theirs, scaled)]


def _lacking(whose: str, side: Side, scaled: Sequence[str]) -> list[str]:
    gone = [game for game in scaled if game not in side.games]
    said = f"{whose} ({side.name}): no score in {', '.join(gone)}: left out of everything"
    return [said] if gone else []
