"""Aggregates of some contenders, as `reverie aggregate` prints them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import aggregates, contenders, evidence, grids
from analysis.aggregates import Engine
from analysis.contenders import Contender
from analysis.references import baselines
from suites.suite import Suite

HEAD = ["agent", "metric", "estimate", "low", "high", "seeds", "games", "window"]
DIGITS = 4  # Behind the point: 0.01 of a percent.


@dataclass(frozen=True)
class Wish:
    """How the aggregates are wanted."""

    window: str | None  # None: each contender's own.
    human: str  # Table of random and human scores.
    engine: Engine
    resamples: int
    seed: int


def main(
    suite: Suite, names: Sequence[str], results: Path, runs: Path, wish: Wish, form: str
) -> tuple[str, list[str]]:
    """Returns the text and the notes that belong to it.

    Args:
        suite: Where they have scores.
        names: Of imports, or labels of agents.
        results: Folder of all suites' results.
        runs: Folder of all run folders.
        wish: Window, human table, engine.
        form: One of grids.FORMS.

    Raises:
        ValueError: A name is nobody's, or the suite's scores have no common scale.
    """
    if why := evidence.unscaled(suite):
        raise ValueError(why)
    found = contenders.load(suite, names, results, runs, wish.window)
    table = summary(suite, found, wish)
    grid = [HEAD, *([_text(row[name]) for name in HEAD] for row in table.to_dict("records"))]
    return grids.render(grid, form), notes(suite, found, table, wish)


def summary(suite: Suite, found: Sequence[Contender], wish: Wish) -> pd.DataFrame:
    """Returns one row for each contender and metric, in the order of both."""
    scores = contenders.joined(found)
    used = scores[scores["game"].isin(evidence.normalisable(suite))]
    scales = baselines.scales(suite.games, wish.human)
    table = aggregates.table(
        suite.name, used, scales, wish.seed, wish.resamples, baselines.records(), wish.engine
    )
    order = {each.name: place for place, each in enumerate(found)}
    return table.sort_values("agent", key=lambda names: names.map(order), kind="stable")


def notes(suite: Suite, found: Sequence[Contender], table: pd.DataFrame, wish: Wish) -> list[str]:
    """Says what a reader must know of these numbers, a line each."""
    said = []
    if len({each.window for each in found}) > 1:
        told = ", ".join(f"{each.name} {each.window}" for each in found)
        said.append(f"the windows differ: {told}")
    for each in found:
        if gaps := each.gaps():
            runs = len(each.scores)
            lack = int(each.scores["score"].isna().sum())
            said.append(
                f"{each.name}: {lack} of {runs} runs have no score in {each.window}; seeds with "
                f"one: {', '.join(gaps)}"
            )
    for agent, rows in table.groupby("agent", sort=False):
        if text := rows["note"].iloc[0]:
            said.append(f"{agent}: {text}")
    absent = [each.name for each in found if each.name not in set(table["agent"])]
    said += [f"{name}: no score at all in its window" for name in absent]
    if wish.human != baselines.STANDARD:
        said.append(f"random and human scores: table {wish.human}")
    if why := evidence.not_normalised(suite):
        said.append(why)
    return said


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.{DIGITS}f}"
    return str(value)
