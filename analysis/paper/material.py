"""What a figure or table is made of: contenders, games, scales, curves, and words about them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from analysis import contenders, curves, evidence, files, pairing, protocols, sides
from analysis.aggregates import Scales
from analysis.cells import Cell
from analysis.contenders import Contender
from analysis.figures import NOTHING, Published
from analysis.imported import store
from analysis.imported.curves import listed
from analysis.references import baselines, tables
from analysis.sides import Side
from suites import windows
from suites.records import nearest
from suites.suite import Suite

FIELDS = ("frames", "episodes", "sticky", "actions")  # of a protocol, that figures remark on


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    agents: tuple[str, ...]  # Labels or names of imports.
    games: tuple[str, ...]  # None of them: all of the suite.
    window: str | None  # None: each contender's own.
    published: str | None  # METHOD, or METHOD@SUITE.
    human: str  # Table of random and human scores.
    resamples: int
    seed: int  # Of every bootstrap.
    bare: bool  # Without the words below.


@dataclass(frozen=True)
class Material:
    """Who takes part, and where."""

    suite: Suite
    wish: Wish
    found: list[Contender]  # In the order asked for, with the scores of `games` only.
    imports: dict[str, store.Import]
    games: tuple[str, ...]  # Asked for, in order.
    scales: Scales
    published: Side | None
    results: Path
    runs: Path

    @property
    def names(self) -> list[str]:
        """Returns the names of the contenders."""
        return [each.name for each in self.found]

    @property
    def scaled(self) -> list[str]:
        """Returns the games that have a human score.

        Raises:
            ValueError: None has, or the suite wants raw scores.
        """
        if why := evidence.unscaled(self.suite):
            raise ValueError(why)
        known = evidence.normalisable(self.suite)
        if not (games := [game for game in self.games if game in known]):
            raise ValueError(f"no human score is known for {', '.join(self.games)}")
        return games

    def scores(self, games: Sequence[str]) -> pd.DataFrame:
        """Returns the scores of all contenders in some games."""
        table = contenders.joined(self.found)
        return table[table["game"].isin(games)]

    def curves(self) -> pd.DataFrame:
        """Returns the curves of all contenders, as of `curves.table`, contenders in order."""
        parts = [self._curves(each) for each in self.found]
        parts = [part for part in parts if len(part)]
        return pd.concat(parts) if parts else pd.DataFrame(columns=curves.COLUMNS)

    def _curves(self, of: Contender) -> pd.DataFrame:
        rows = of.scores[["game", "seed"]].itertuples(index=False)
        cells = [Cell(self.suite.name, of.name, str(row.game), int(row.seed)) for row in rows]
        if of.name in self.imports:
            return _imported(self.suite, cells, self.imports[of.name])
        there = [cell for cell in cells if (cell.folder(self.runs) / "episodes.jsonl").is_file()]
        parts = [curves.table(self.suite, there, self.runs), self._kept({*cells} - {*there})]
        parts = [part for part in parts if len(part)]
        return pd.concat(parts) if parts else pd.DataFrame(columns=curves.COLUMNS)

    def _kept(self, cells: set[Cell]) -> pd.DataFrame:
        """Returns what `collect` kept of runs whose folders are gone."""
        path = self.results / self.suite.name / "curves.csv"
        if not cells or not path.is_file():
            return pd.DataFrame(columns=curves.COLUMNS)
        table = files.read_table(path)
        keys = zip(table["suite"], table["agent"], table["game"], table["seed"], strict=True)
        return table[[Cell(*key) in cells for key in keys]]

    def sides(self, scales: Scales | None = None) -> list[Side]:
        """Returns the contenders as sides, games without score or scale left out."""
        return [sides.of_contender(each, scales or self.scales) for each in self.found]

    def beside(self) -> Published:
        """Returns the published scores in points, to be drawn beside curves."""
        if self.published is None:
            return NOTHING
        pairs = [self.scales[game] for game in self.published.games]
        values = zip(self.published.games, self.published.means.tolist(), pairs, strict=True)
        points = {g: low + mean * (high - low) for g, mean, (low, high) in values}
        return Published(self.published.name, points)

    def below(self, caption: str) -> str:
        """Returns what stands below a figure: nothing if it was asked for bare."""
        return "" if self.wish.bare else caption

    def windows(self) -> str:
        """Says which episodes make the scores."""
        names = {each.window for each in self.found}
        if len(names) == 1:
            window = windows.parse(names.pop())
            return f"Score window: {window.name} ({window.words(self.suite.frames)})."
        told = ", ".join(f"{each.name} {each.window}" for each in self.found)
        return f"The score windows differ: {told}."

    def remarks(self, curves_only: bool = False) -> list[str]:
        """Says what is missing, and what is not alike, a sentence each.

        Args:
            curves_only: Whether nothing is shown of scores, nor of their windows.
        """
        said = [] if curves_only else [
            f"{each.name}: seeds with a score in {listed(gaps, 5)}."
            for each in self.found if (gaps := each.gaps())
        ]  # fmt: skip
        fields = FIELDS if curves_only or self.published is None else (*FIELDS, "window")
        if unlike := [each for field in fields if (each := self._unlike(field))]:
            said.append(f"Unlike protocols: {'; '.join(unlike)}.")
        if self.wish.human != baselines.STANDARD:
            said.append(f"Random and human scores: table {self.wish.human}.")
        return said

    def _unlike(self, field: str) -> str:
        """Says how a field of the protocols differs; nothing where it does not, as stated."""
        said = {each.name: value for each in self.found if (value := _stated(each, field))}
        theirs = None if self.published is None else _stated(self.published, field)
        if len({*said.values(), *([theirs] if theirs else [])}) < 2:
            return ""
        alike = len(set(said.values())) == 1
        ours = [next(iter(said.values()))] if alike else [f"{n} {v}" for n, v in said.items()]
        return f"{field} " + ", ".join([*ours, *([f"published {theirs}"] if theirs else [])])


def load(suite: Suite, wish: Wish, results: Path, runs: Path) -> Material:
    """Returns what was asked for.

    Args:
        suite: Where the contenders have scores.
        wish: Who, and which games.
        results: Folder of all suites' results.
        runs: Folder of all run folders.

    Raises:
        ValueError: A name is nobody's, or a contender has nothing in these games.
    """
    games = _games(suite, wish.games)
    scales = baselines.scales(suite.games, wish.human)
    there = store.names(results, suite.name)
    imports = {name: store.read(store.folder(results, suite.name, name))
               for name in wish.agents if name in there}  # fmt: skip
    found = []
    for one in contenders.load(suite, wish.agents, results, runs, wish.window):
        mine = one.scores[one.scores["game"].isin(games)].reset_index(drop=True)
        if mine.empty:
            raise ValueError(f"{one.name} has no run of {', '.join(games)}")
        found.append(replace(one, scores=mine))
    published = None if wish.published is None else _published(suite, wish.published, scales)
    return Material(suite, wish, found, imports, games, scales, published, results, runs)


def _games(suite: Suite, asked: Sequence[str]) -> tuple[str, ...]:
    for name in asked:
        if name not in suite.games:
            raise ValueError(
                f"--games: saw {name!r}; {suite.name} has {', '.join(suite.games)}"
                f"{nearest(name, suite.games)}"
            )
    return tuple(dict.fromkeys(asked)) or suite.games


def _published(suite: Suite, asked: str, scales: Scales) -> Side:
    name, _, place = asked.partition("@")
    side = pairing.of_published(suite, name, place or suite.name, scales)
    side = side.on([game for game in side.games if game in suite.games])
    title = tables.method(place or suite.name, name).title
    return replace(side, name=f"published {title}")


def _stated(each: Contender | Side, field: str) -> str | None:
    """Returns what a contender or a table states of a field; None where it does not."""
    value = getattr(each, field) if hasattr(each, field) else each.protocol.get(field)
    return None if value is None else protocols.words(value)


def _imported(suite: Suite, cells: Sequence[Cell], found: store.Import) -> pd.DataFrame:
    """Returns the curves of an import; points without a value are left out."""
    parts = [
        curves.of_run(suite, cell, *found.points[cell.game, cell.seed]) for cell in sorted(cells)
    ]
    return pd.concat(parts)
