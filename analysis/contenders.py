"""Contenders: whatever has scores in a suite, one table for all of them.

A name is an import's (`reverie import --as NAME`) or the label of an agent of our own. Every score
has the window that made it: an import's published one, a suite's, or the one that was asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import cells, protocols, provenance, scores
from analysis.imported import store
from analysis.protocols import Protocol
from suites import windows
from suites.records import nearest
from suites.suite import Suite

COLUMNS = ["agent", "game", "seed", "score", "window", "episodes"]


@dataclass(frozen=True)
class Contender:
    """One of those that are compared."""

    name: str
    imported: bool
    window: str
    frames: int  # Budget of a run.
    protocol: Protocol
    scores: pd.DataFrame  # COLUMNS, a row for each run; score NaN where the window is empty
    commits: tuple[str, ...]  # That our runs were made with, or an import was read with; sorted.

    def seeds(self) -> dict[str, tuple[int, int]]:
        """Returns how many runs of each game have a score, and how many there are."""
        found = self.scores.groupby("game")["score"]
        there, all_ = found.count(), found.size()
        return {str(game): (int(there[game]), int(all_[game])) for game in there.index}

    def gaps(self) -> list[str]:
        """Returns the games of which runs lack a score: `up_n_down 1 of 5`."""
        return [
            f"{game} {there} of {runs}" for game, (there, runs) in self.seeds().items()
            if there < runs
        ]  # fmt: skip


def load(
    suite: Suite,
    names: Sequence[str],
    results: Path,
    runs: Path,
    window: str | None,
    as_made: bool = False,
) -> list[Contender]:
    """Returns contenders, in order.

    Args:
        suite: Where they have scores.
        names: Of imports, or labels of agents.
        results: Folder of all suites' results, imports among them.
        runs: Folder of all run folders.
        window: Name of one for all; None for each one's own.
        as_made: Whether task, budget and window of our runs may be others than the suite's file
            says today; the contender's are those that the runs were made with.

    Raises:
        ValueError: A name is nobody's, its episodes are not there to be scored anew, or its runs
            do not measure the same.
    """
    if window is not None:
        windows.parse(window)
    return [_load(suite, name, results, runs, window, as_made) for name in dict.fromkeys(names)]


def known(suite: Suite, results: Path, runs: Path) -> list[str]:
    """Returns the names that have anything in a suite, our own agents first."""
    return [*cells.found_agents(suite, results, runs), *store.names(results, suite.name)]


def _load(
    suite: Suite, name: str, results: Path, runs: Path, window: str | None, as_made: bool
) -> Contender:
    if name in store.names(results, suite.name):
        if name in cells.found_agents(suite, results, runs):
            raise ValueError(
                f"{name!r} is an agent of ours in {suite.name} and the name of an import: import "
                "that under another name"
            )
        return of_import(store.read(store.folder(results, suite.name, name)), window)
    every = cells.expected(suite, [name])
    finished = [cell for cell in every if cell.receipt(results).is_file()]
    if not finished:
        there = known(suite, results, runs)
        raise ValueError(
            f"{name!r} has no finished run and is no import in {results / suite.name}; there are: "
            f"{', '.join(there) or 'none'}{nearest(name, there)}"
        )
    table = scores.table(finished, results, runs)
    if not as_made:
        scores.refuse_mixtures(table, suite)
    chosen = window or str(table["window"][0])
    if window is not None:
        table = _again(table, runs, windows.parse(window))
    scores.refuse_mixtures(table, None, f"{name} in {results / suite.name}")
    return _of_runs(suite, name, table, finished, runs, chosen)


def of_import(found: store.Import, window: str | None = None) -> Contender:
    """Returns an import as a contender.

    Args:
        found: It.
        window: That scores it; its own for None.
    """
    facts, chosen = found.facts, window or found.facts.window
    rows = [
        (facts.name, game, seed, score.value, chosen, score.episodes)
        for (game, seed), score in sorted(found.scores(chosen).items())
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    commits = (facts.commit,) if facts.commit else ()
    protocol = facts.protocol.model_dump()
    return Contender(facts.name, True, chosen, facts.budget, protocol, table, commits)


def _of_runs(
    suite: Suite,
    name: str,
    table: pd.DataFrame,
    finished: Sequence[cells.Cell],
    runs: Path,
    window: str,
) -> Contender:
    first = table.iloc[0]  # They are all alike.
    digest, frames = str(first["task_hash"]), int(first["frames"])
    protocol = protocols.of_task(_task(suite, digest, finished, runs), digest, window)
    commits = tuple(sorted({str(commit) for commit in table["commit"] if commit}))
    return Contender(name, False, window, frames, protocol, table[COLUMNS], commits)


def _again(table: pd.DataFrame, runs: Path, window: windows.Window) -> pd.DataFrame:
    """Returns scores in another window than that of the receipts.

    Raises:
        ValueError: Episodes of a run are not there.
    """
    found = []
    for row in table.itertuples(index=False):
        cell = cells.Cell(row.suite, row.agent, row.game, row.seed)
        folder = cell.folder(runs)
        if row.window == window.name:
            found.append((row.score, row.episodes))
            continue
        if not (folder / "episodes.jsonl").is_file():
            raise ValueError(
                f"{folder / 'episodes.jsonl'} is not there, so {cell} has its score in the window "
                f"{row.window} only; {window.name} cannot be had"
            )
        score = scores.of_folder(folder, window, row.frames)
        found.append((score.value, score.episodes))
    values, episodes = zip(*found, strict=True)
    return table.assign(score=values, episodes=episodes, window=window.name)


def _task(
    suite: Suite, digest: str, finished: Sequence[cells.Cell], runs: Path
) -> Mapping[str, Any]:
    """Returns the task that runs were made with; empty where nobody knows more than its hash."""
    if digest == suite.task_digest:
        return suite.task.model_dump(mode="json")
    origins, _ = provenance.read(finished, runs)
    told = (each.config for each in origins if each.config.get("task_hash") == digest)
    return next((each["task"] for each in told if isinstance(each.get("task"), dict)), {})


def joined(contenders: Sequence[Contender]) -> pd.DataFrame:
    """Returns the scores of all, one under the other."""
    parts = [each.scores for each in contenders if len(each.scores)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
