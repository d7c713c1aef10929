"""The two sides of a comparison: runs of ours or of an import, or a published table without runs.

Shapes: N seeds, M games.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis import aggregates, bootstrap, spread
from analysis.aggregates import Scales
from analysis.contenders import Contender
from analysis.protocols import Protocol
from analysis.references import tables
from analysis.spread import Spread

METRICS = ("iqm", "mean", "median")  # The first decides.
DOUBT = 1.25  # How much larger than ours an unpublished variance is taken to be.


@dataclass(frozen=True)
class Side:
    """Human-normalised scores of one side, games in order."""

    name: str
    window: str | None  # None: not stated.
    frames: int
    protocol: Protocol  # Without frames and window.
    games: tuple[str, ...]  # M
    runs: np.ndarray | None  # (N, M), each column's scores first, then NaN; None of a table
    means: np.ndarray  # (M,)
    deviations: np.ndarray  # (M,) over seeds (n - 1); NaN where nobody knows
    seeds: np.ndarray  # (M,); 0 where nobody knows
    source: str
    notes: tuple[str, ...]
    commits: tuple[str, ...] = ()  # That made them, or that read an import.

    def stated(self) -> Protocol:
        """Returns the whole protocol."""
        return {**self.protocol, "frames": self.frames, "window": self.window}

    def on(self, games: Sequence[str]) -> "Side":
        """Returns the same with some of its games only, in another order."""
        place = [self.games.index(game) for game in games]
        return replace(
            self,
            games=tuple(games),
            runs=None if self.runs is None else self.runs[:, place],
            means=self.means[place],
            deviations=self.deviations[place],
            seeds=self.seeds[place],
        )


def of_contender(found: Contender, scales: Scales) -> Side:
    """Returns runs as a side, without the games that have no score or no scale."""
    rows = aggregates.normalise(found.scores, scales).dropna(subset=["normalised"])
    wide = rows.pivot(index="seed", columns="game", values="normalised").sort_index(axis=1)
    packed, counts = bootstrap.pack(wide.to_numpy(float))
    runs = packed[: counts.max(initial=0)]
    deviations = np.array([_deviation(column) for column in runs.T])
    source = f"imported as {found.name}" if found.imported else f"runs of {found.name}"
    if found.commits and not found.imported:
        source += f", commit {', '.join(commit[:10] for commit in found.commits)}"
    gaps = found.gaps()
    notes = (f"seeds with a score in {found.window}: {', '.join(gaps)}",) if gaps else ()
    return Side(
        found.name, found.window, found.frames, found.protocol, tuple(map(str, wide.columns)),
        runs, np.nanmean(runs, 0) if runs.size else np.empty(0), deviations, counts, source, notes,
        found.commits,
    )  # fmt: skip


def _deviation(column: np.ndarray) -> float:
    there = column[np.isfinite(column)]
    return float(np.std(there, ddof=1)) if len(there) > 1 else math.nan


def of_published(suite: str, frames: int, name: str, scales: Scales) -> Side:
    """Returns a published table as a side.

    Args:
        suite: One of `tables.SUITES`.
        frames: Budget of its runs.
        name: Of the method.
        scales: Random and human score of each game.

    Raises:
        ValueError: There is no such method; the message names the nearest.
    """
    method, held = tables.method(suite, name), tables.published(suite, name)
    pairs = np.array([scales[each.game] for each in held], float)
    size = pairs[:, 1] - pairs[:, 0]
    spreads = [math.nan if each.spread is None else each.spread for each in held]
    stated = method.protocol
    flags = dict.fromkeys(flag for each in held for flag in each.flags)
    notes = [f"{flag}: {tables.reasons()[flag]}" for flag in flags]
    if len(held) < method.games:
        notes.append(f"{method.games - len(held)} of its {method.games} games are not known")
    return Side(
        name=method.name,
        window=method.window,
        frames=frames,
        protocol=stated.model_dump(exclude={"words", "scales"}),
        games=tuple(each.game for each in held),
        runs=None,
        means=(np.array([each.score for each in held]) - pairs[:, 0]) / size,
        deviations=np.array(spreads) / np.abs(size),
        seeds=np.array([each.seeds or 0 for each in held]),
        source=method.source,
        notes=tuple(notes),
    )


def completed(theirs: Side, ours: Side) -> tuple[Side, list[str]]:
    """Fills in what a published table does not state, from ours, and says so.

    A mean without a spread is no certain number: runs there are taken to vary as ours do, and their
    variance a quarter larger. Ours alone is too small too often: where runs have a long tail, it is
    smallest when they are worst, and 7.2% instead of 5% of verdicts at the margin were wrong.

    Args:
        theirs: A table.
        ours: Of the same games; where one's deviation is unknown too, its other games' is taken.
    """
    said = []
    unknown = ~np.isfinite(theirs.deviations)
    taken = math.sqrt(DOUBT) * spread.from_peers(ours.deviations)
    deviations = np.where(unknown, taken, theirs.deviations)
    if unknown.any():
        which = "any game" if unknown.all() else ", ".join(np.array(theirs.games)[unknown])
        said.append(f"no spread is published for {which}: that of {ours.name}, enlarged, is taken")
    seeds = np.where(theirs.seeds > 0, theirs.seeds, np.maximum(ours.seeds, 1))
    if (theirs.seeds == 0).any():
        said.append(f"no number of seeds is published: taken to be that of {ours.name}")
    return replace(theirs, deviations=deviations, seeds=seeds), said


def spreads(ours: Side, theirs: Side, rng: np.random.Generator) -> tuple[Spread, Spread]:
    """Returns both sides' spreads of METRICS, by one definition."""
    if not by_means(ours, theirs):
        return spread.of_runs(of_runs, ours.runs, rng), spread.of_runs(of_runs, theirs.runs, rng)
    return _of_either(ours, rng), _of_either(theirs, rng)


def by_means(ours: Side, theirs: Side) -> bool:
    """Tells whether both IQMs are those of games' means, and not of all runs.

    They are where a side has no runs: the two differ (DreamerV3 on Atari 100k: 0.46 of runs, 0.54
    of means). They are too where games have unequal numbers of seeds, because a game with more of
    them would weigh more, on one side only.
    """
    return any(side.runs is None or len(set(side.seeds.tolist())) > 1 for side in (ours, theirs))


def _of_either(side: Side, rng: np.random.Generator) -> Spread:
    if side.runs is not None:
        return spread.of_runs(of_runs_by_game, side.runs, rng)
    return spread.of_means(of_means, side.means, side.deviations, side.seeds, rng)


def of_runs(scores: np.ndarray) -> np.ndarray:
    """Returns METRICS of runs, (..., N, M) -> (..., 3)."""
    names = list(aggregates.METRICS)
    return aggregates.estimate(scores)[..., [names.index(name) for name in METRICS]]


def of_runs_by_game(scores: np.ndarray) -> np.ndarray:
    """Returns METRICS of the games' means, (..., N, M) -> (..., 3)."""
    return of_means(aggregates.game_means(scores))


def of_means(means: np.ndarray) -> np.ndarray:
    """Returns METRICS of games' means, (..., M) -> (..., 3)."""
    iqm = aggregates.iqm(means[..., None, :])
    return np.stack([iqm, means.mean(-1), np.median(means, -1)], -1)
