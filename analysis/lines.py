"""The charts of a report, from the tables of its suite, and the numbers that they embed."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis import evidence, figures
from analysis.charts import BOX, Chart, Line
from analysis.curves import Curve
from analysis.evidence import Evidence

Levels = list[tuple[str, float]]


def of_games(found: Evidence) -> tuple[dict[str, Chart], dict[str, Chart]]:
    """Returns two charts of each game that has a curve: means with intervals, and every seed."""
    means, seeds = {}, {}
    scale = evidence.scales(found.suite)
    by_game = dict(tuple(found.curves.groupby("game")))
    for game, ones in found.begun_curves().items():
        rows, levels = by_game[game], _levels(scale[game])
        told = [f"{one.agent}, {figures.seeds(str(one.runs))}" for one in ones]
        words = f"{figures.title(game)}: {'; '.join(told)}"
        plain = [_line(found, one, np.empty((0, len(one.frames)))) for one in ones]
        means[game] = _chart(found, game, words, plain, levels)
        each = [_line(found, one, _seeds(rows, one), bare=True) for one in ones]
        seeds[game] = _chart(found, f"{game}/seeds", f"Every seed of {words}", each, levels)
    return means, seeds


def _levels(scale: tuple[float | None, float | None]) -> Levels:
    named = zip(("random", "human"), scale, strict=True)
    return [(name, value) for name, value in named if value is not None]


def _chart(found: Evidence, key: str, words: str, lines: Sequence[Line], levels: Levels) -> Chart:
    end = (0.0, float(found.suite.frames))
    return Chart(key, words, lines, end, levels, False, figures.short)


def _line(found: Evidence, one: Curve, each: np.ndarray, bare: bool = False) -> Line:
    """Returns a curve as a line; `bare` without its interval."""
    nothing = np.full(len(one.frames), np.nan)
    return Line(
        agent=found.agents.index(one.agent),
        name=one.agent,
        x=one.frames,
        mean=one.mean,
        low=nothing if bare else one.low,
        high=nothing if bare else one.high,
        whole=one.seeds == one.runs,
        each=each,
        runs=one.runs,
    )


def _seeds(rows: pd.DataFrame, one: Curve) -> np.ndarray:
    wide = rows[rows["agent"] == one.agent].pivot(index="seed", columns="bin", values="return")
    return wide.sort_index().reindex(columns=range(len(one.frames))).to_numpy(float)


def of_profiles(found: Evidence) -> Chart | None:
    """Returns the performance profiles; None where there are no normalised scores."""
    if found.profiles.empty:
        return None
    lines = []
    for agent, rows in found.profiles.groupby("agent"):
        x, mean, low, high = rows[["tau", "fraction", "low", "high"]].to_numpy(float).T
        lines.append(Line(
            agent=found.agents.index(str(agent)), name=str(agent), x=x, mean=mean, low=low,
            high=high, whole=np.full(len(x), True), each=np.empty((0, len(x))), runs=1,
        ))  # fmt: skip
    lines.sort(key=lambda line: line.agent)
    end = (min(float(line.x[0]) for line in lines), max(float(line.x[-1]) for line in lines))
    words = "Fraction of runs above each normalised score"
    return Chart("profile", words, lines, end, [], True, lambda value: f"{value:g}")


def numbers(agents: Sequence[str], charts: Mapping[str, Chart]) -> str:
    """Returns JSON of everything that a pointer can ask for, fit to stand in a page."""
    drawn = {key: each.numbers() for key, each in charts.items()}
    told = {"agents": list(agents), "box": BOX, "charts": drawn}
    return json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
