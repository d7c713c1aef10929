"""Games: names, ids per backend, action sets, random and human scores, with their sources.

The facts are in games.csv, one row a game. Random and human scores exist for the 57 games of the
literature; elsewhere they are empty, and a normalised score leaves such a game out.

Source: google-deepmind/dqn_zoo dqn_zoo/atari_data.py, the same numbers as danijar/dreamerv3
scores/baselines.yaml; ids and action sets from ale-py 0.12.1 and envpool 1.2.5.
"""

import csv
import functools
from pathlib import Path

from suites.records import Record, build, nearest

TABLE = Path(__file__).with_name("games.csv")
COUNTS, SCORES = ("min_actions", "legal_actions"), ("random", "human")


class Game(Record):
    """One row of games.csv."""

    name: str  # As in suites, paths and figures.
    rom: str  # Of ale-py; empty for a game that is not Atari.
    envpool_id: str  # Empty where envpool does not have the game.
    min_actions: int  # Actions that the game uses.
    legal_actions: int  # Actions of the "full" set.
    random: float | None  # Score of uniformly random play.
    human: float | None  # Score of a professional tester.
    source: str
    notes: str


def load(name: str) -> Game:
    """Returns a game.

    Raises:
        ValueError: there is no such game; the message names the nearest.
    """
    game = table().get(name)
    if game is None:
        raise ValueError(unknown(name))
    return game


def names() -> list[str]:
    """Returns the names of all games, sorted."""
    return sorted(table())


@functools.cache
def table() -> dict[str, Game]:
    """Returns every row of games.csv by name."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = [
            build(Game, _typed(row), f"{TABLE.name}, {row['name']}") for row in csv.DictReader(file)
        ]
    return {game.name: game for game in rows}


def unknown(name: str) -> str:
    """Returns the message that refuses a name that is no game's."""
    bare = name.removeprefix("ALE/").removesuffix("-v5")
    said = nearest(bare, table()) or nearest(name, [game.envpool_id for game in table().values()])
    examples = ", ".join(names()[:3])
    return (
        f"unknown game {name!r}; allowed are the {len(table())} names in the first column of "
        f"suites/{TABLE.name} ({examples}, ...){said}"
    )


def _typed(row: dict[str, str]) -> dict[str, str | int | float | None]:
    counts = {key: int(row[key]) for key in COUNTS}
    return row | counts | {key: float(row[key]) if row[key] else None for key in SCORES}
