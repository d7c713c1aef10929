"""The per-game table: random, human, and each agent's score with its interval and seeds."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from analysis import bootstrap
from analysis.aggregates import Scales

RESAMPLES = 10_000
COLUMNS = [
    "suite", "game", "random", "human", "agent", "score", "low", "high", "seeds", "runs",
    "episodes", "window", "evaluation", "evaluation_episodes", "policy",
]  # fmt: skip


def per_game(
    suite: str, scores: pd.DataFrame, scales: Scales, games: Sequence[str], seed: int
) -> pd.DataFrame:
    """Returns one row for each game and agent that has a receipt there.

    Args:
        suite: Name, for the rows.
        scores: As of `scores.table`.
        scales: Random and human score of each game.
        games: The suite's games, in its order.
        seed: Of the bootstrap.

    Returns:
        Mean over seeds and its 95% bootstrap interval (NaN with fewer than two seeds); `seeds`
        is how many had an episode in the window, `runs` how many finished.
    """
    rows = []
    for game in games:
        for agent, part in scores[scores["game"] == game].groupby("agent"):
            random, human = scales[game]
            names = {"suite": suite, "game": game, "agent": agent}
            scale = {"random": random, "human": human}
            rows.append(names | scale | _cell(part.sort_values("seed"), seed, [str(agent), game]))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"random": float, "human": float})


def _cell(part: pd.DataFrame, seed: int, names: Sequence[str]) -> dict[str, object]:
    values = part["score"].dropna().to_numpy(float)
    rng = bootstrap.generator(seed, *names, "score")
    low, high = bootstrap.mean_interval(values[:, None], rng, RESAMPLES)[:, 0]
    judged = part["evaluation"].dropna()
    return {
        "score": math.fsum(values) / len(values) if len(values) else np.nan,
        "low": low,
        "high": high,
        "seeds": len(values),
        "runs": len(part),
        "episodes": int(part["episodes"].sum()),
        "window": part["window"].iloc[0],
        "evaluation": judged.mean() if len(judged) else np.nan,
        "evaluation_episodes": int(part["evaluation_episodes"].sum()),
        "policy": part["policy"].iloc[0],
    }


def number(value: float | None, like: float | None = None) -> str:
    """Writes a score: three digits or more that mean something, thousands set off.

    Args:
        value: What to write; None or NaN gives a dash.
        like: A number whose precision to take, so that an interval matches its estimate.
    """
    if value is None or math.isnan(value):
        return "–"
    size = abs(value if like is None or math.isnan(like) else like)
    digits = 0 if size >= 1000 else 1 if size >= 10 else 2
    text = f"{value:,.{digits}f}".replace("-", "−")
    return text[1:] if text.strip("−0.,") == "" and text.startswith("−") else text


def places(values: Iterable[float | None]) -> int:
    """Returns with how many decimals normalised scores are written: two, more if all are small.

    Returns:
        Enough for two digits of the largest: 0.0121 and 0.0068 are 0.012 and 0.007, not 0.01 twice.
    """
    sizes = [abs(each) for each in values if each is not None and math.isfinite(each)]
    largest = max(sizes, default=0.0)
    return 2 if largest == 0 else min(6, max(2, 1 - math.floor(math.log10(largest))))


def normalised(value: float | None, decimals: int = 2) -> str:
    """Writes a normalised score; None or NaN gives a dash."""
    if value is None or math.isnan(value):
        return "–"
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")  # No −0.
