"""Aggregates of human-normalised scores over games, with 95% intervals.

normalised = (score - random) / (human - random), never clipped: 0 is random play, 1 the human.
Games without a human score have no such number and are left out, by name.

rliable defines them and is the reference: tests hold our engine (`bootstrap`) against it, and
`engine="rliable"` computes with it. Ours takes a fraction of the time, is reproducible to the last
digit, and knows games with unequal seeds, where rliable lets NaN through. rliable ignores its own
`random_state` and draws from NumPy's global generator, which is seeded for the call and put back
after it. The engine stands in each row.

Source: Agarwal et al. 2021, arXiv:2108.13264; google-research/rliable 1.2.0.
Shapes: N seeds, M games, T thresholds, R resamples.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from analysis import bootstrap

RESAMPLES = 10_000
PROFILE_RESAMPLES = 2_000  # rliable's own default for profiles
METRICS = {
    "median": "Median",
    "mean": "Mean",
    "iqm": "IQM",
    "optimality_gap": "Optimality gap",
}
EXTRAS = {"record_mean": "Record mean (capped)", "superhuman": "Superhuman games"}
COLUMNS = [
    "suite", "agent", "metric", "estimate", "low", "high", "games", "runs", "seeds", "window",
    "engine", "resamples", "note",
]  # fmt: skip
PROFILE_COLUMNS = ["suite", "agent", "tau", "fraction", "low", "high"]

Engine = Literal["bootstrap", "rliable"]
Scales = Mapping[str, tuple[float | None, float | None]]  # game -> (random, human) score


def normalise(scores: pd.DataFrame, scales: Scales) -> pd.DataFrame:
    """Adds the column `normalised`, NaN for a game without a random or human score."""
    pairs = [scales[game] for game in scores["game"]]
    low = np.array([np.nan if pair[0] is None else pair[0] for pair in pairs], float)
    high = np.array([np.nan if pair[1] is None else pair[1] for pair in pairs], float)
    return scores.assign(normalised=(scores["score"].to_numpy(float) - low) / (high - low))


def matrices(normalised: pd.DataFrame) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """Returns score matrices of all agents over the same games.

    Agents are compared on the games where each of them has a score; an agent with no score at
    all does not take part, as it would empty the set.

    Args:
        normalised: Rows with agent, game, seed, normalised.

    Returns:
        (N, M) scores for each agent, NaN where a run has none, rows in order of seeds; the M
        games, sorted; and the games left out for want of some agent, sorted.
    """
    there = normalised.dropna(subset=["normalised"])
    if there.empty:
        return {}, [], []
    wide = there.pivot(index=["agent", "seed"], columns="game", values="normalised")
    counts = wide.groupby("agent").count()
    common = sorted(counts.columns[(counts > 0).all()])
    left = sorted(set(counts.columns) - set(common))
    blocks = {agent: wide.loc[agent, common].sort_index() for agent in sorted(counts.index)}
    return {a: _packed(b.to_numpy(float)) for a, b in blocks.items()}, common, left


def _packed(block: np.ndarray) -> np.ndarray:
    # A seed number means nothing across games: three of games' seeds make one full row.
    packed, counts = bootstrap.pack(block)
    return packed[: counts.max(initial=0)]


def estimate(scores: np.ndarray) -> np.ndarray:
    """Returns median, mean, IQM and optimality gap, in the order of METRICS.

    Median and mean are taken over the games' mean scores; the IQM is the mean of all runs
    together after int(n / 4) are cut at each end; the gap is 1 - mean over games and seeds of
    min(score, 1). With unequal seeds a game with more of them weighs more in the IQM only.

    Args:
        scores: (..., N, M), NaN where a run is missing; each game has one score at least.

    Returns:
        (..., 4).
    """
    games = game_means(scores)
    gap = 1 - game_means(np.minimum(scores, 1)).mean(-1)
    return np.stack([np.median(games, -1), games.mean(-1), iqm(scores), gap], -1)


def game_means(scores: np.ndarray) -> np.ndarray:
    """Returns the mean of each game's runs, (..., N, M) -> (..., M); NaN is left out."""
    there = ~np.isnan(scores)
    return np.where(there, scores, 0).sum(-2) / there.sum(-2)


def iqm(scores: np.ndarray) -> np.ndarray:
    """Returns the interquartile mean of all runs together, (..., N, M) -> (...)."""
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), -1)  # NaN last
    count = int((~np.isnan(flat[(0,) * (flat.ndim - 1)])).sum())  # A bootstrap keeps it.
    cut = count // 4
    return flat[..., cut : count - cut].mean(-1)


@contextlib.contextmanager
def global_generator(words: Sequence[int]) -> Iterator[None]:
    """Seeds NumPy's global generator for a library that draws from it, and puts it back."""
    state = np.random.get_state()
    np.random.seed(np.asarray(words, np.uint32))
    try:
        yield
    finally:
        np.random.set_state(state)


def rliable_interval(
    metric: Callable[[np.ndarray], np.ndarray],
    scores: np.ndarray,
    words: Sequence[int],
    resamples: int,
) -> np.ndarray:
    """Returns rliable's stratified-bootstrap interval of metrics of (N, M) scores: (2, K).

    Raises:
        ValueError: A score is NaN, which rliable would pass on into every aggregate.
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} of {scores.size} scores are NaN.")
    from rliable import library

    with global_generator(words):
        _, ends = library.get_interval_estimates(
            {"agent": scores}, metric, reps=resamples, confidence_interval_size=bootstrap.LEVEL
        )
    return np.asarray(ends["agent"])


def interval(
    metric: Callable[[np.ndarray], np.ndarray],
    scores: np.ndarray,
    resamples: int,
    seed: int,
    names: Sequence[str],
    engine: Engine = "bootstrap",
) -> tuple[np.ndarray, Engine | Literal["none"]]:
    """Returns the 95% interval (2, K) and the engine that made it.

    A game with one seed only adds no spread; with one seed in every game there is no interval.

    Raises:
        ValueError: rliable shall compute, and a score is missing.
    """
    words = bootstrap.entropy(seed, *names)
    if len(scores) < 2:
        return np.full((2, len(metric(scores))), np.nan), "none"
    if engine == "rliable":
        return rliable_interval(metric, scores, words, resamples), engine
    rng = np.random.default_rng(words)
    return bootstrap.interval(metric, scores, rng, resamples), engine


def table(
    suite: str,
    scores: pd.DataFrame,
    scales: Scales,
    seed: int,
    resamples: int,
    records: Mapping[str, float] | None = None,
    engine: Engine = "bootstrap",
) -> pd.DataFrame:
    """Returns one row for each agent and metric.

    Args:
        suite: Name, for the rows.
        scores: Rows with agent, game, seed, score, window; score NaN where there is none.
        scales: Random and human score of each game.
        seed: Of the bootstrap.
        resamples: R.
        records: World records of games; with them, EXTRAS follow METRICS.
        engine: That makes the intervals.
    """
    found, games, left = matrices(normalise(scores, scales))
    names, metric = (METRICS, estimate) if records is None else whole(games, scales, records)
    rows = []
    for agent, matrix in found.items() if games else ():
        ends, by = interval(metric, matrix, resamples, seed, [suite, agent], engine)
        counts = np.isfinite(matrix).sum(0)
        facts = {
            "suite": suite,
            "agent": agent,
            "games": len(games),
            "runs": int(counts.sum()),
            "seeds": _span(counts),
            "window": _only(scores.loc[scores["agent"] == agent, "window"]),
            "engine": by,
            "resamples": 0 if by == "none" else resamples,
            "note": note(counts, left),
        }
        values = zip(names, metric(matrix), *ends, strict=True)
        rows += [
            facts | {"metric": m, "estimate": e, "low": lo, "high": hi} for m, e, lo, hi in values
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def whole(
    games: Sequence[str], scales: Scales, records: Mapping[str, float]
) -> tuple[dict[str, str], Callable[[np.ndarray], np.ndarray]]:
    """Returns the names of METRICS and EXTRAS, and the function of scores that computes them.

    The capped record mean is the mean over games of min(mean score, record), on the scale where 0
    is random play and 1 the world record; games without a record are left out of it. Superhuman
    are the games whose mean score is the human's or above.

    Args:
        games: M, in the order of the columns.
        scales: Random and human score of each game.
        records: World records of games.

    Source: Toromanoff et al. 2019, arXiv:1908.04683; Hafner et al. 2021, arXiv:2010.02193.
    """
    known = np.array([game in records for game in games])
    low, high = np.array([scales[game] for game in games], float).reshape(-1, 2).T
    best = np.array([records.get(game, np.nan) for game in games])
    ratio = ((high - low) / (best - low))[known]

    def metric(scores: np.ndarray) -> np.ndarray:
        means = game_means(scores)
        capped = np.minimum(means[..., known] * ratio, 1)
        record = capped.mean(-1) if known.any() else np.full(means.shape[:-1], np.nan)
        extras = np.stack([record, (means >= 1).sum(-1)], -1)
        return np.concatenate([estimate(scores), extras], -1)

    return METRICS | EXTRAS, metric


def note(counts: np.ndarray, left: Sequence[str]) -> str:
    """Says what a reader must know before trusting an interval.

    Args:
        counts: (M,), seeds of each game.
        left: Games left out because some agent has no score there.
    """
    notes = []
    if counts.max() < 2:
        notes.append("one seed: no interval")
    elif counts.min() < 2:
        notes.append(f"{(counts < 2).sum()} of {len(counts)} games have one seed: too narrow")
    elif counts.min() < 5:
        notes.append("few seeds: the interval is too narrow")
    if len(counts) == 1:
        notes.append("one game: not an aggregate")
    if left:
        notes.append(f"without {', '.join(left)}: not every agent has a score")
    return "; ".join(notes)


def profile(
    suite: str,
    scores: pd.DataFrame,
    scales: Scales,
    seed: int,
    resamples: int,
) -> pd.DataFrame:
    """Returns performance profiles: the fraction of runs above each normalised score.

    Source: Agarwal et al. 2021, section 4.3 (score distributions).
    """
    found, games, _ = matrices(normalise(scores, scales))
    rows = []
    taus = thresholds(list(found.values())) if games else np.empty(0)

    def above(block: np.ndarray) -> np.ndarray:
        return _above(block, taus)

    for agent, matrix in found.items() if games else ():
        ends, _ = interval(above, matrix, resamples, seed, [suite, agent, "profile"])
        part = {"tau": taus, "fraction": above(matrix), "low": ends[0], "high": ends[1]}
        rows.append(pd.DataFrame(part).assign(suite=suite, agent=agent))
    return pd.concat(rows)[PROFILE_COLUMNS] if rows else pd.DataFrame(columns=PROFILE_COLUMNS)


def thresholds(found: Sequence[np.ndarray]) -> np.ndarray:
    """Returns 201 thresholds (T,) over the scores seen, up to 8 times the human.

    From 0, or from just below the worst score where an agent played worse than random.
    """
    scores = np.concatenate([matrix[np.isfinite(matrix)] for matrix in found])
    low = 0.0 if scores.min() >= 0 else float(np.floor(scores.min() * 10) / 10) - 0.05
    high = min(8.0, max(1.0, float(np.ceil(scores.max() * 10) / 10)))
    return np.linspace(low, high, 201)


def _above(scores: np.ndarray, taus: np.ndarray) -> np.ndarray:
    # Sorted once: a comparison with every threshold would hold (R, N, M, T) numbers.
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), -1)
    count = (~np.isnan(flat)).sum(-1, keepdims=True)
    ranks = [np.searchsorted(row, taus, "right") for row in flat.reshape(-1, flat.shape[-1])]
    return 1 - np.reshape(ranks, (*flat.shape[:-1], len(taus))) / count


def _span(counts: np.ndarray) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low}-{high}"


def _only(values: pd.Series) -> str:
    names = values.unique()
    assert len(names) == 1, f"scores of windows {list(names)} were pooled"
    return str(names[0])
