"""Evidence: a suite with its collected tables, and what figures and report say of them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import brought, curves, files
from analysis.imported.store import Facts
from suites import games, windows
from suites.suite import Suite

COLLECTED = ("scores", "coverage", "curves")
AGGREGATED = ("aggregates", "profiles", "games")
SEED = 0  # of every bootstrap; with it, each number of a report comes out the same again


@dataclass(frozen=True)
class Evidence:
    """The tables of `results/<suite>/`, one attribute a file."""

    suite: Suite
    scores: pd.DataFrame
    coverage: pd.DataFrame
    curves: pd.DataFrame
    aggregates: pd.DataFrame
    profiles: pd.DataFrame
    games: pd.DataFrame
    imports: dict[str, Facts]  # By label: what is known of each import in the tables.

    @property
    def agents(self) -> list[str]:
        """Returns all labels: our own that are expected, sorted, then the imports'."""
        return [*self.own, *sorted(self.imports)]

    @property
    def own(self) -> list[str]:
        """Returns the labels of our own agents that are expected, sorted."""
        return sorted(brought.ours(self.coverage)["agent"].unique())

    def expected(self, game: str, agent: str) -> int:
        """Returns how many seeds an agent should have in a game."""
        if agent not in self.imports:
            return len(self.suite.seeds)
        return len(self.imports[agent].seeds.get(game, ()))

    def game_curves(self) -> dict[str, list[curves.Curve]]:
        """Returns the curves of each game, in the suite's order of games."""
        count, frames = curves.bins(self.suite), self.suite.frames
        order = {agent: place for place, agent in enumerate(self.agents)}
        every = {
            game: list(curves.of_game(self.curves, game, count, frames, SEED))
            for game in self.suite.games
        }
        return {
            game: sorted(ones, key=lambda one: order[one.agent]) for game, ones in every.items()
        }

    def begun_curves(self) -> dict[str, list[curves.Curve]]:
        """Returns the curves of the games that have any."""
        return {game: ones for game, ones in self.game_curves().items() if ones}


def read(suite: Suite, results: Path) -> Evidence:
    """Reads the tables of a suite.

    Raises:
        ValueError: One of them is not there yet, or an import in them is gone.
    """
    names = (*COLLECTED, *AGGREGATED)
    paths = {name: results / suite.name / f"{name}.csv" for name in names}
    if gone := [str(path) for path in paths.values() if not path.is_file()]:
        raise ValueError(f"not there: {', '.join(gone)}; collect and aggregate come first.")
    held = {name: files.read_table(path) for name, path in paths.items()}
    return Evidence(suite, **held, imports=brought.facts(suite, held["coverage"], results))


def scales(suite: Suite) -> dict[str, tuple[float | None, float | None]]:
    """Returns random and human score of each game of the suite."""
    found = {name: games.load(name) for name in suite.games}
    return {name: (game.random, game.human) for name, game in found.items()}


def normalisable(suite: Suite) -> list[str]:
    """Returns the games whose scores can be normalised; none where the suite wants raw ones."""
    if suite.score.normalize == "none":
        return []
    return [name for name, scale in scales(suite).items() if None not in scale]


def not_normalised(suite: Suite) -> str:
    """Says which games the aggregates leave out for want of a scale; empty where none is."""
    if suite.score.normalize == "none":
        return "This suite reports raw scores: returns of different games have no common scale."
    without = [name for name in suite.games if name not in normalisable(suite)]
    if not without:
        return ""
    return f"Left out of all aggregates, for want of a human score: {', '.join(without)}."


def unscaled(suite: Suite) -> str:
    """Says why a suite has no aggregates at all; empty where it has."""
    if normalisable(suite):
        return ""
    return f"suite {suite.name} has no human-normalised aggregates: {not_normalised(suite)}"


def window_words(suite: Suite) -> str:
    """Says which episodes make a score."""
    window = windows.parse(suite.score.window)
    return f"{window.name} ({window.words(suite.frames)})"


def curve_words(found: Evidence) -> str:
    """Says what a learning curve shows."""
    return words_of_curves(found.suite, found.curves)


def words_of_curves(suite: Suite, table: pd.DataFrame) -> str:
    """Says what the learning curves of a table show."""
    bins, frames = curves.bins(suite), suite.frames
    width = frames / bins
    said = (
        f"Line: mean over seeds of the unclipped return of training episodes, in {bins} bins of "
        f"{width:,.0f} frames. Band: 95% bootstrap interval of that mean over seeds"
    )
    runs = table.groupby(["game", "agent"])["seed"].nunique()
    few = " (with two seeds, their range; with one, none)" if len(runs) and runs.min() < 3 else ""
    return f"{said}{few}."


def interval_words(found: Evidence, resamples: int) -> str:
    """Says what an interval of an aggregate or a profile shows."""
    alone = set(found.aggregates["engine"]) == {"none"}
    how = "no interval with one seed" if alone else "as rliable defines it"
    return f"Intervals: 95% stratified bootstrap over seeds, {resamples:,} resamples ({how})."


def score_words(suite: Suite) -> str:
    """Says on which episodes a figure of scores rests."""
    return f"Suite {suite.name}. Score window: {window_words(suite)}."
