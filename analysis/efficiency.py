"""Sample efficiency: the IQM of human-normalised returns against frames, and the area below it.

Runs are binned over the suite's budget as learning curves are: a bin in which no episode of a run
ended repeats the one before, up to where the run has come. Each bin's IQM is over all runs that
have a value there, of the games that every agent has. A curve begins with the first bin in which
each game has a run, as before that it would be of other games. The area is the mean over the bins
that all agents have, so that areas are of the same frames.

Intervals: seeds are drawn again within each game, a seed with all its bins, as the bins of one run
are alike.

Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.3 (sample-efficiency curves).
Shapes: N seeds, M games, B bins, R resamples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import aggregates, bootstrap
from analysis.aggregates import Scales

RESAMPLES = 2_000
CELLS = 500_000  # numbers of all runs and bins that are held at once


@dataclass(frozen=True)
class Efficiency:
    """One agent's curve and the area below it."""

    agent: str
    frames: np.ndarray  # (B,), middle of each bin
    iqm: np.ndarray  # (B,), NaN before every game has a run
    low: np.ndarray  # (B,), NaN too where no game has two seeds
    high: np.ndarray
    seeds: tuple[int, ...]  # (M,)
    area: float  # Mean over the bins of `within`; NaN where there is none
    ends: tuple[float, float]  # Its 95% interval; NaN where no game has two seeds
    within: tuple[int, int]  # First and last frame of the bins that all agents have


def cubes(table: pd.DataFrame, scales: Scales, count: int) -> tuple[dict[str, np.ndarray], list]:
    """Returns the normalised curves of every agent over the games that all have.

    Args:
        table: As of `curves.table`.
        scales: Random and human score of each game; games without are left out.
        count: B.

    Returns:
        Agent -> (N, M, B), a game's runs first, NaN where there is no value; the M games, sorted.
    """
    rows = aggregates.normalise(table.rename(columns={"return": "score"}), scales)
    rows = rows.dropna(subset=["normalised"])
    by_agent = {str(agent): set(part["game"]) for agent, part in rows.groupby("agent", sort=False)}
    games = sorted(set.intersection(*by_agent.values())) if by_agent else []
    if not games:
        return {}, []
    parts = {agent: rows[rows["agent"] == agent] for agent in by_agent}
    return {agent: _cube(part, games, count) for agent, part in parts.items()}, games


def _cube(rows: pd.DataFrame, games: list[str], count: int) -> np.ndarray:
    columns = []
    for game in games:
        wide = rows[rows["game"] == game].pivot(index="seed", columns="bin", values="normalised")
        columns.append(wide.sort_index().reindex(columns=range(count)).to_numpy(float))
    cube = np.full((max(map(len, columns)), len(games), count), np.nan)
    for place, column in enumerate(columns):
        cube[: len(column), place] = column
    return cube


def of(found: Mapping[str, np.ndarray], frames: int, suite: str, seed: int) -> list[Efficiency]:
    """Returns the curve of each agent.

    Args:
        found: Agent -> (N, M, B), as of `cubes`.
        frames: Budget.
        suite: Name, for the generator.
        seed: Of the bootstrap.
    """
    whole = {agent: np.isfinite(cube).any(0).all(0) for agent, cube in found.items()}
    shared = np.logical_and.reduce(list(whole.values()))
    rngs = {agent: bootstrap.generator(seed, suite, agent, "efficiency") for agent in found}
    return [
        _one(agent, cube, whole[agent], shared, frames, rngs[agent])
        for agent, cube in found.items()
    ]


def _one(
    agent: str,
    cube: np.ndarray,
    whole: np.ndarray,
    shared: np.ndarray,
    frames: int,
    rng: np.random.Generator,
) -> Efficiency:
    bins = cube.shape[-1]
    counts = np.isfinite(cube).any(-1).sum(0)
    estimate = np.where(whole, iqm(cube), np.nan)
    ends, area_ends = np.full((2, bins), np.nan), np.full(2, np.nan)
    if counts.max() > 1:
        draws = resampled(cube, counts, rng, RESAMPLES)
        ends[:, whole] = np.nanpercentile(draws[:, whole], bootstrap.PERCENTS, axis=0)
        if shared.any():
            means = np.nanmean(draws[:, shared], 1)
            area_ends = np.percentile(means, bootstrap.PERCENTS)
    seen, width = np.flatnonzero(shared), frames / bins
    return Efficiency(
        agent=agent,
        frames=(np.arange(bins) + 0.5) * width,
        iqm=estimate,
        low=ends[0],
        high=ends[1],
        seeds=tuple(counts.tolist()),
        area=float(estimate[shared].mean()) if shared.any() else np.nan,
        ends=(float(area_ends[0]), float(area_ends[1])),
        within=(round(seen[0] * width), round((seen[-1] + 1) * width)) if len(seen) else (0, 0),
    )


def iqm(cubes: np.ndarray) -> np.ndarray:
    """Returns the IQM of each bin, (..., N, M, B) -> (..., B); NaN where there is no run.

    The mean of all runs together after int(n / 4) are cut at each end, as `aggregates.estimate`.
    """
    flat = np.moveaxis(cubes, -1, -3)
    flat = np.sort(flat.reshape(*flat.shape[:-2], -1), -1)  # NaN last
    count = (~np.isnan(flat)).sum(-1, keepdims=True)
    cut, rank = count // 4, np.arange(flat.shape[-1])
    kept = (rank >= cut) & (rank < count - cut)
    total, number = np.where(kept, flat, 0).sum(-1), kept.sum(-1)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


def resampled(
    cube: np.ndarray, counts: np.ndarray, rng: np.random.Generator, resamples: int
) -> np.ndarray:
    """Returns the IQM of each bin with seeds drawn again, (R, B).

    Args:
        cube: (N, M, B), a game's runs first.
        counts: (M,), how many it has.
        rng: Drawn from, in order of resamples.
        resamples: R.
    """
    bootstrap.refuse_empty(counts)
    most, games = cube.shape[:2]
    absent = np.arange(most)[:, None] >= counts
    size = max(1, CELLS // cube.size)
    parts = []
    for start in range(0, resamples, size):
        number = min(size, resamples - start)
        seeds = (rng.random((number, most, games)) * counts).astype(np.intp)
        drawn = cube[seeds, np.arange(games)]
        drawn[:, absent] = np.nan
        parts.append(iqm(drawn))
    return np.concatenate(parts)
