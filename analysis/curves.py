"""Learning curves: training episodes binned in frames, one curve for each run.

A bin holds the mean return of the episodes that ended in it. A bin in which none ended repeats
the one before, up to where the run has come; before the first episode there is nothing. Where
the score window is the last of K bins, each of them is one bin of the curve or several.

Source: bins as in danijar/dreamerv3 plot.py; the figure is the results.png of system 000.
Shapes: N seeds, B bins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import bootstrap, files
from analysis.cells import Cell
from suites import windows
from suites.suite import Suite

BINS = 40  # at least
RESAMPLES = 2_000
COLUMNS = ["suite", "agent", "game", "seed", "bin", "frame", "return", "episodes"]


@dataclass(frozen=True)
class Curve:
    """One agent in one game: mean over seeds, its interval, and the seeds behind each bin."""

    agent: str
    frames: np.ndarray  # (B,), middle of each bin
    mean: np.ndarray  # (B,), points; NaN where no seed has a value
    low: np.ndarray  # (B,), NaN where fewer than two seeds have one
    high: np.ndarray
    seeds: np.ndarray  # (B,), seeds with a value
    runs: int  # N


def bins(suite: Suite) -> int:
    """Returns how many bins a curve of this suite has."""
    window = windows.parse(suite.score.window)
    count = max(1, window.count) if window.kind == "bins" else 1
    return count * -(-BINS // count)


def table(suite: Suite, cells: Sequence[Cell], runs: Path) -> pd.DataFrame:
    """Returns one row for each run and bin that the run has reached.

    Raises:
        ValueError: A line of episodes.jsonl is not JSON.
    """
    parts = [_run(suite, cell, runs) for cell in sorted(cells)]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def _run(suite: Suite, cell: Cell, runs: Path) -> pd.DataFrame:
    lines = files.read_lines(cell.folder(runs) / "episodes.jsonl")
    last = files.last_line(cell.folder(runs) / "metrics.jsonl") or {"frame": 0}
    whole = [line for line in lines if line["end"] != "cut"]
    ended = np.array([line["frame"] for line in whole], float)
    returns = np.array([line["return"] for line in whole], float)
    reached = max(ended.max(initial=0), min(last["frame"], suite.frames))
    return of_run(suite, cell, ended, returns, reached)


def of_run(
    suite: Suite,
    cell: Cell,
    ended: np.ndarray,
    returns: np.ndarray,
    reached: float | None = None,
) -> pd.DataFrame:
    """Returns the rows of one run, from its episodes.

    Args:
        suite: Whose budget is cut into bins.
        cell: Which run.
        ended: (E,), frame at which each episode ended.
        returns: (E,), points; those that are NaN are left out.
        reached: Frame that the run has come to; by default, that of its last value.

    Returns:
        A row for each bin with a value.
    """
    there = np.isfinite(returns)
    ended, returns, count = ended[there].astype(float), returns[there], bins(suite)
    reached = ended.max(initial=0) if reached is None else reached
    mean, episodes = binned(ended, returns, suite.frames, count, reached)
    seen = np.flatnonzero(np.isfinite(mean))
    return pd.DataFrame(
        {
            **asdict(cell),
            "bin": seen,
            "frame": (seen + 0.5) * suite.frames / count,
            "return": mean[seen],
            "episodes": episodes[seen],
        }
    )


def binned(
    ended: np.ndarray, returns: np.ndarray, frames: int, count: int, reached: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bins one run's episodes.

    Args:
        ended: (E,), frame at which each episode ended.
        returns: (E,), points.
        frames: Budget; bin b holds ends in [b, b + 1) * frames / count, the last one its end too.
        count: B.
        reached: Frame that the run has come to; later bins stay empty.

    Returns:
        (B,) means, NaN before the first episode and beyond `reached`; (B,) numbers of episodes.
    """
    index = np.minimum(ended * count // frames, count - 1).astype(int)
    episodes = np.bincount(index, minlength=count)
    sums = np.bincount(index, weights=returns, minlength=count)
    mean = np.divide(sums, episodes, out=np.full(count, np.nan), where=episodes > 0)
    mean = pd.Series(mean).ffill().to_numpy(copy=True)
    mean[int(min(reached * count // frames, count - 1)) + 1 :] = np.nan
    return mean, episodes


def of_game(table: pd.DataFrame, game: str, count: int, frames: int, seed: int) -> Iterator[Curve]:
    """Yields the curve of each agent in a game, agents sorted.

    Args:
        table: As of `table`.
        game: Which.
        count: B.
        frames: Budget.
        seed: Of the bootstrap.
    """
    middles = (np.arange(count) + 0.5) * frames / count
    for agent, rows in table[table["game"] == game].groupby("agent"):
        wide = rows.pivot(index="seed", columns="bin", values="return").sort_index()
        values = wide.reindex(columns=range(count)).to_numpy(float)
        rng = bootstrap.generator(seed, str(agent), game, "curve")
        low, high = bootstrap.mean_interval(values, rng, RESAMPLES)
        seeds = np.isfinite(values).sum(0)
        mean = np.divide(np.nansum(values, 0), seeds, out=np.full(count, np.nan), where=seeds > 0)
        yield Curve(str(agent), middles, mean, low, high, seeds, len(values))
