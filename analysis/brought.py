"""Imports in the tables of a suite: rows beside our own, under a label that no agent can have.

An import called `ppo` is `ppo (imported)` in every table, figure and page: labels of agents have no
spaces, so the two can neither be confused nor pooled. scores.csv, coverage.csv and curves.csv hold
such rows after ours, each scored in the import's own window.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import aggregates, contenders, coverage, curves, palette, protocols, scores
from analysis.cells import Cell
from analysis.imported import store
from analysis.imported.store import Facts, Import
from analysis.protocols import Unlike
from suites import windows
from suites.suite import Suite

MARK = palette.IMPORTED
SCORED, GAP = "imported", "gap"  # Of coverage.STATUSES.


class Tables(NamedTuple):
    """Rows of scores.csv, coverage.csv and curves.csv."""

    scores: pd.DataFrame
    coverage: pd.DataFrame
    curves: pd.DataFrame


def label(name: str) -> str:
    """Returns the label of an import."""
    return name + MARK


def is_label(agent: str) -> bool:
    """Says whether a label is an import's."""
    return agent.endswith(MARK)


def ours(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of our own runs."""
    return table[~_imported(table)]


def theirs(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of imports."""
    return table[_imported(table)]


def _imported(table: pd.DataFrame) -> pd.Series:
    return table["agent"].map(is_label).astype(bool)


def tables(suite: Suite, names: Sequence[str], results: Path) -> Tables:
    """Returns the rows of some imports.

    Raises:
        ValueError: One of them is damaged.
    """
    found = [store.read(store.folder(results, suite.name, name)) for name in sorted(names)]
    lines = [line for each in found for line in _lines(suite, each)]
    drawn = [part for each in found for part in _curves(suite, each)]
    return Tables(
        pd.DataFrame(lines, columns=scores.COLUMNS),
        pd.DataFrame(lines, columns=coverage.COLUMNS),
        pd.concat(drawn) if drawn else pd.DataFrame(columns=curves.COLUMNS),
    )


def _lines(suite: Suite, found: Import) -> list[dict[str, object]]:
    """Returns a line for each run: what the columns of scores and of coverage want to know."""
    facts, points = found.facts, found.points
    table = contenders.of_import(found).scores
    window = f"{facts.window} ({windows.parse(facts.window).words(facts.budget)})"
    lines: list[dict[str, object]] = []
    for row in table[table["game"].isin(suite.games)].to_dict("records"):
        frames, returns = points[row["game"], row["seed"]]
        there = bool(np.isfinite(row["score"]))
        lines.append(row | {
            "suite": suite.name, "agent": label(facts.name), "frames": facts.budget,
            "evaluation": np.nan, "evaluation_episodes": 0, "policy": "", "seconds": np.nan,
            "hash": "", "task_hash": "", "view_hash": "", "commit": "", "dirty": False, "note": "",
            "status": SCORED if there else GAP,
            "frame": int(frames[np.isfinite(returns)].max(initial=0)),
            "reason": "" if there else f"no point of the source is in {window}",
        })  # fmt: skip
    return lines


def _curves(suite: Suite, found: Import) -> list[pd.DataFrame]:
    parts = []
    for (game, seed), (frames, returns) in sorted(found.points.items()):
        if game in suite.games and np.isfinite(returns).any():
            cell = Cell(suite.name, label(found.facts.name), game, seed)
            parts.append(curves.of_run(suite, cell, frames, returns))
    return parts


def facts(suite: Suite, coverage: pd.DataFrame, results: Path) -> dict[str, Facts]:
    """Returns what import.json says of each import in a table, by label.

    Raises:
        ValueError: It is gone since the table was made.
    """
    labels = sorted(set(theirs(coverage)["agent"]))
    places = {each: store.folder(results, suite.name, each.removesuffix(MARK)) for each in labels}
    return {each: store.facts(place) for each, place in places.items()}


def unlike(suite: Suite, found: Facts) -> tuple[list[Unlike], list[str]]:
    """Returns what an import does otherwise than the suite, and the fields it does not state."""
    other = {"window": found.window, "frames": found.budget, **found.protocol.model_dump()}
    return protocols.compare(protocols.of_suite(suite, suite.score.window), other)


def beside(table: pd.DataFrame, every: Sequence[str]) -> list[tuple[pd.DataFrame, list[str]]]:
    """Returns what is aggregated together: our own agents, then each import by itself.

    Ours are compared over the games where each of them has a score, as without imports, so no
    import ever moves a number of ours. An import is taken over those of these games that it has
    (without any run of ours, over all its games).

    Args:
        table: Rows of scores.csv.
        every: The games that have a scale.

    Returns:
        Rows, and the games that are lacking there.
    """
    used = table[table["game"].isin(every)]
    mine = ours(used)
    there = mine.dropna(subset=["score"])
    _, common, _ = aggregates.matrices(there.assign(normalised=there["score"]))
    parts = [(mine, [])] if len(there) else []
    for _, rows in theirs(used).groupby("agent"):
        has = set(rows.dropna(subset=["score"])["game"])
        base = common or [game for game in every if game in has]
        kept = rows[rows["game"].isin(base)]
        if has & set(base):
            lacking = [game for game in (common or every) if game not in has]
            parts.append((kept, lacking))
    return parts


def note(said: str, lacking: Sequence[str]) -> str:
    """Returns the note of an import's aggregates, with the games that it lacks."""
    few = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
    return "; ".join(
        filter(None, [said, f"no score in {few}: other games than ours" if few else ""])
    )
