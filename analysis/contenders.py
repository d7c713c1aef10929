"""Contenders: whatever has scores in a suite, one table for all of them.

A name is an import's (`reverie import --as NAME`) or the label of an agent of our own. Every score
has the window that made it: an import's published one, a suite's, or the one that was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import cells, scores
from analysis.imported import store
from analysis.imported.store import Protocol
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
    suite: Suite, names: Sequence[str], results: Path, runs: Path, window: str | None
) -> list[Contender]:
    """Returns contenders, in order.

    Args:
        suite: Where they have scores.
        names: Of imports, or labels of agents.
        results: Folder of all suites' results, imports among them.
        runs: Folder of all run folders.
        window: Name of one for all; None for each one's own.

    Raises:
        ValueError: A name is nobody's, or its episodes are not there to be scored anew.
    """
    if window is not None:
        windows.parse(window)
    return [_load(suite, name, results, runs, window) for name in dict.fromkeys(names)]


def known(suite: Suite, results: Path, runs: Path) -> list[str]:
    """Returns the names that have anything in a suite, our own agents first."""
    return [*cells.found_agents(suite, results, runs), *store.names(results, suite.name)]


def _load(suite: Suite, name: str, results: Path, runs: Path, window: str | None) -> Contender:
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
    return _of_runs(suite, name, finished, results, runs, window)


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
    return Contender(facts.name, True, chosen, facts.budget, facts.protocol, table, commits)


def _of_runs(
    suite: Suite,
    name: str,
    finished: Sequence[cells.Cell],
    results: Path,
    runs: Path,
    window: str | None,
) -> Contender:
    table = scores.table(finished, results, runs)
    scores.refuse_mixtures(table, suite)
    chosen = window or suite.score.window
    if chosen != suite.score.window:
        found = [_again(suite, cell, runs, windows.parse(chosen)) for cell in finished]
        table = table.assign(
            score=[score.value for score in found],
            episodes=[score.episodes for score in found],
            window=chosen,
        )
    commits = tuple(sorted({str(commit) for commit in table["commit"] if commit}))
    protocol = of_suite(suite, chosen)
    return Contender(name, False, chosen, suite.frames, protocol, table[COLUMNS], commits)


def _again(suite: Suite, cell: cells.Cell, runs: Path, window: windows.Window) -> windows.Score:
    """Scores a run in another window than its suite's.

    Raises:
        ValueError: Its episodes are not there.
    """
    folder = cell.folder(runs)
    if not (folder / "episodes.jsonl").is_file():
        raise ValueError(
            f"{folder / 'episodes.jsonl'} is not there, so {cell} has its score in the window "
            f"{suite.score.window} only; {window.name} cannot be had"
        )
    return scores.of_folder(folder, window, suite.frames)


def of_suite(suite: Suite, window: str) -> Protocol:
    """Returns the protocol of a suite's runs, scored in a window."""
    kind = "evaluation" if windows.parse(window).kind == "evaluation" else "training"
    task = suite.task
    return Protocol(sticky=task.sticky, actions=task.actions, episodes=kind, task=suite.task_digest)


def joined(contenders: Sequence[Contender]) -> pd.DataFrame:
    """Returns the scores of all, one under the other."""
    parts = [each.scores for each in contenders if len(each.scores)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
