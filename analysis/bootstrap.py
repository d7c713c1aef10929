"""Stratified bootstrap over seeds, vectorised, from an explicit generator.

One game is one stratum: its seeds are drawn again with replacement among themselves. Missing
runs (NaN) are allowed: each game keeps its own number of seeds. A stratum of a single seed has
nothing to draw from, so where all are such there is no interval: NaN, never one of zero width.

Source: Agarwal et al. 2021, arXiv:2108.13264, section 4; google-research/rliable.
Shapes: N seeds, M games, R resamples, B bins.
"""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

LEVEL = 0.95
PERCENTS = (50 * (1 - LEVEL), 50 * (1 + LEVEL))
BLOCK = 500  # resamples held in memory at once; small enough for the cache

Metric = Callable[[np.ndarray], np.ndarray]


def entropy(seed: int, *names: str) -> list[int]:
    """Returns seed words that depend on names alone, so that neighbours change nothing."""
    text = "\0".join([str(seed), *names])
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), "<u4").tolist()


def generator(seed: int, *names: str) -> np.random.Generator:
    """Returns the generator that belongs to a seed and some names, such as an agent's."""
    return np.random.default_rng(entropy(seed, *names))


def interval(
    metric: Metric, scores: np.ndarray, rng: np.random.Generator, resamples: int
) -> np.ndarray:
    """Returns the percentile interval of metrics of a score matrix.

    Args:
        metric: Maps (..., N, M) to (..., K); must skip NaN.
        scores: (N, M), NaN where a run is missing; each game has at least one score.
        rng: Drawn from, in order of resamples.
        resamples: R.

    Returns:
        (2, K), lower and upper ends; NaN where no game has two seeds.
    """
    draws = np.concatenate([metric(block) for block in resample(scores, rng, resamples)])
    if np.isfinite(scores).sum(0).max(initial=0) < 2:
        return np.full((2, draws.shape[-1]), np.nan)
    return np.percentile(draws, PERCENTS, axis=0)


def resample(scores: np.ndarray, rng: np.random.Generator, resamples: int) -> Iterator[np.ndarray]:
    """Yields blocks (R, N, M) of resampled scores; column m holds its n finite ones first.

    Raises:
        ValueError: A game has no score at all.
    """
    packed, counts = pack(scores)
    refuse_empty(counts)
    games = packed.shape[1]
    absent = np.arange(len(packed))[:, None] >= counts
    for start in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - start)
        seeds = (rng.random((size, *packed.shape)) * counts).astype(np.intp)
        # Flat positions: taking along an axis is twice as slow.
        drawn = packed.ravel().take(seeds * games + np.arange(games))
        drawn[:, absent] = np.nan
        yield drawn


def refuse_empty(counts: np.ndarray) -> None:
    """Refuses a game without any score, which has nothing to be drawn from.

    Raises:
        ValueError: One of the counts is 0.
    """
    if not counts.all():
        raise ValueError(f"No score in column(s) {np.flatnonzero(counts == 0).tolist()}.")


def pack(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moves the finite scores of each column to its top, in order; returns their numbers too."""
    missing = ~np.isfinite(scores)
    order = np.argsort(missing, axis=0, kind="stable")
    return np.take_along_axis(scores, order, axis=0), (~missing).sum(0)


def mean_interval(values: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    """Returns the percentile interval of the mean over seeds, in each column alike.

    Seeds are drawn whole: one draw stands for all bins of a curve, which keeps a seed's bins
    together. A resample without a score in some bin is left out of that bin.

    Args:
        values: (N, B), NaN where a seed has none.
        rng: Drawn from once.
        resamples: R.

    Returns:
        (2, B); NaN where fewer than two seeds have a value.
    """
    n = len(values)
    there = np.isfinite(values)
    if n < 2:
        return np.full((2, values.shape[1]), np.nan)
    times = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    with np.errstate(invalid="ignore"):
        means = _product(times, np.where(there, values, 0)) / _product(times, there)
    ends = np.full((2, values.shape[1]), np.nan)
    enough = there.sum(0) >= 2
    if enough.any():
        ends[:, enough] = np.nanpercentile(means[:, enough], PERCENTS, axis=0)
    return ends


def _product(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    # Not a BLAS product: its last digit may depend on the number of threads.
    return np.einsum("rn,nb->rb", times, values.astype(float))
