"""Probability of improvement: how often a run of one agent beats a run of another on a game.

For each game the fraction of all pairs of runs in which the first is better, ties counted half
(Mann and Whitney's U over the number of pairs); then the mean over games. 0.5 is no difference.
rliable defines it and takes minutes for 50,000 resamples of a pair; here all pairs are compared
once, and a resample only looks results up.

Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.3; google-research/rliable.
Shapes: N and K seeds, M games, R resamples.
"""

import numpy as np

from analysis import bootstrap


def probability(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the probability of improvement of (N, M) over (K, M) scores, NaN where missing.

    Raises:
        ValueError: A game has no score of one of them.
    """
    wins, n, k = _wins(first, second)
    return float((wins.sum((0, 1)) / (n * k)).mean())


def interval(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator, resamples: int
) -> np.ndarray:
    """Returns the 95% interval (2,); NaN where no game has two seeds of either.

    Each agent's seeds are drawn again by themselves, within each game.

    Args:
        first: (N, M), NaN where a run is missing.
        second: (K, M), of the same games.
        rng: Drawn from, in order of resamples.
        resamples: R.

    Raises:
        ValueError: A game has no score of one of them.
    """
    wins, n, k = _wins(first, second)
    draws = [
        _drawn(wins, n, k, rng, min(bootstrap.BLOCK, resamples - start))
        for start in range(0, resamples, bootstrap.BLOCK)
    ]
    if max(n.max(), k.max()) < 2:
        return np.full(2, np.nan)
    return np.percentile(np.concatenate(draws), bootstrap.PERCENTS)


def _wins(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (N, K, M) wins, 0 where a run is missing, and the numbers of seeds (M,)."""
    (mine, n), (theirs, k) = bootstrap.pack(first), bootstrap.pack(second)
    bootstrap.refuse_empty(n)
    bootstrap.refuse_empty(k)
    left, right = mine[:, None], theirs[None]
    return (left > right) + 0.5 * (left == right), n, k


def _drawn(
    wins: np.ndarray, n: np.ndarray, k: np.ndarray, rng: np.random.Generator, size: int
) -> np.ndarray:
    most_n, most_k, games = wins.shape
    mine = (rng.random((size, most_n, games)) * n).astype(np.intp)
    theirs = (rng.random((size, most_k, games)) * k).astype(np.intp)
    place = (mine[:, :, None] * most_k + theirs[:, None]) * games + np.arange(games)
    found = wins.ravel().take(place)
    if n.min() < most_n or k.min() < most_k:  # Rows beyond a game's own seeds were drawn in vain.
        found *= (np.arange(most_n)[:, None, None] < n) & (np.arange(most_k)[:, None] < k)
    return (found.sum((1, 2)) / (n * k)).mean(-1)
