"""Published methods and their per-game scores, read from this folder's CSV files.

methods.csv holds what a source states of a method as a whole, <suite>.csv its scores, one default
a game, alternatives.csv what other sources print for the same cell, flags.csv why a figure is
doubtful or unlike the rest. None always means "not stated", never zero.
"""

import csv
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from suites import windows
from suites.records import Record, build, nearest

FOLDER = Path(__file__).parent
SUITES = ("atari100k", "atari57")  # Those that something was published for.


def _window(name: str) -> str:
    windows.parse(name)
    return name


Window = Annotated[str, AfterValidator(_window)]  # A name of suites/windows.py.
Flags = tuple[str, ...]  # Keys of flags.csv.


class Protocol(Record):
    """What a source states of how its scores came about."""

    sticky: Annotated[float, Field(ge=0, lt=1)] | None  # As in suites/task.py.
    actions: Literal["minimal", "full"] | None  # As in suites/task.py.
    episodes: Literal["training", "evaluation"] | None  # Which episodes were scored.
    frame_skip: PositiveInt | None  # These three as in suites/task.py.
    noops: tuple[NonNegativeInt, NonNegativeInt] | None
    cap: PositiveInt | None
    scales: str | None  # Table of random and human scores; `baselines.tables` has their names.
    words: str  # What else is stated, and the paper.


class Method(Record):
    """One row of methods.csv."""

    suite: str
    name: str  # As on the command line.
    title: str  # As in figures.
    window: Window | None
    window_words: str  # As the source says it; empty where it does not.
    protocol: Protocol
    seeds: PositiveInt | None  # None also where games have different numbers of them.
    games: PositiveInt  # How many games the source's table has.
    source: str  # Where the figures were read.
    flags: Flags  # Of all its scores.


class Published(Record):
    """One published score."""

    suite: str
    method: str
    game: str
    score: float  # Mean over seeds, points.
    spread: NonNegativeFloat | None  # Standard deviation over seeds (n - 1).
    seeds: PositiveInt | None
    window: Window | None
    window_words: str
    protocol: Protocol
    source: str
    flags: Flags  # Of the method and of this score.
    default: bool  # One a method and game, the one in aggregates; the others are alternatives.


def methods(suite: str) -> list[Method]:
    """Returns the methods with scores published for a suite, by name.

    Raises:
        ValueError: nothing is published for such a suite; the message names the nearest.
    """
    return list(_methods(_known(suite)).values())


def method(suite: str, name: str) -> Method:
    """Returns one method, by its name or title.

    Raises:
        ValueError: there is no such suite or method; the message names the nearest.
    """
    found = _methods(_known(suite))
    titles = {each.title: each for each in found.values()}
    if name in found or name in titles:
        return found.get(name) or titles[name]
    raise ValueError(
        f"no scores of a method {name!r} are known for {suite}; `reverie references {suite}` lists "
        f"the {len(found)} there are{nearest(name, found) or nearest(name, titles)}"
    )


def published(suite: str, name: str, alternatives: bool = False) -> list[Published]:
    """Returns a method's scores, by game.

    Args:
        suite: one of SUITES.
        name: of a method, or its title.
        alternatives: also what other sources print for the same game, after the default.

    Raises:
        ValueError: there is no such suite or method; the message names the nearest.
    """
    wanted = method(suite, name).name
    return [each for each in _scores(suite)[wanted] if each.default or alternatives]


@functools.cache
def reasons() -> dict[str, str]:
    """Returns what each flag says."""
    return {row["flag"]: row["text"] for row in rows("flags.csv")}


def rows(file: str) -> Iterator[dict[str, str]]:
    """Yields the rows of one of this folder's files, without the comments at its head."""
    with (FOLDER / file).open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(line for line in lines if not line.startswith("#"))


def _known(suite: str) -> str:
    if suite not in SUITES:
        raise ValueError(
            f"no scores are known for a suite {suite!r}; allowed are {', '.join(SUITES)}"
            f"{nearest(suite, SUITES)}"
        )
    return suite


@functools.cache
def _methods(suite: str) -> dict[str, Method]:
    return {row["name"]: _method(row) for row in rows("methods.csv") if row["suite"] == suite}


def _method(row: dict[str, str]) -> Method:
    protocol = {
        "sticky": _number(row["sticky"]),
        "actions": row["actions"] or None,
        "episodes": row["episodes"] or None,
        "frame_skip": _count(row["frame_skip"]),
        "noops": [int(end) for end in row["noops"].split("-")] if row["noops"] else None,
        "cap": _count(row["cap"]),
        "scales": row["scales"] or None,
        "words": row["notes"],
    }
    facts: dict[str, Any] = {
        "protocol": protocol,
        "window": row["window"] or None,
        "seeds": _count(row["seeds"]),
        "games": int(row["games"]),
        "flags": row["flags"].split(),
    }
    kept = {key: row[key] for key in ("suite", "name", "title", "window_words", "source")}
    return build(Method, kept | facts, f"methods.csv, {row['suite']}, {row['name']}")


@functools.cache
def _scores(suite: str) -> dict[str, list[Published]]:
    """Returns all scores of a suite by method, each default before its alternatives."""
    of_suite = _methods(suite)
    found: dict[str, list[Published]] = {name: [] for name in of_suite}
    for row in rows(f"{suite}.csv"):
        found[row["method"]].append(_score(of_suite[row["method"]], row, True))
    for row in rows("alternatives.csv"):
        if row["suite"] == suite:
            found[row["method"]].append(_score(of_suite[row["method"]], row, False))
    return {name: sorted(part, key=lambda each: each.game) for name, part in found.items()}


def _score(of: Method, row: dict[str, str], default: bool) -> Published:
    own = row.get("window_words", "")
    return Published(
        suite=of.suite,
        method=of.name,
        game=row["game"],
        score=float(row["score"]),
        spread=_number(row["spread"]),
        # Another source says nothing of seeds unless it does.
        seeds=_count(row["seeds"]) or (of.seeds if default else None),
        window=None if own else of.window,
        window_words=own or of.window_words,
        protocol=of.protocol,
        source=row["source"] or of.source,
        flags=(*row["flags"].split(), *of.flags),
        default=default,
    )


def _number(text: str) -> float | None:
    return float(text) if text else None


def _count(text: str) -> int | None:
    return int(text) if text else None
