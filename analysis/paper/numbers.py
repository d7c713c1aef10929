"""What the kinds `improvement` and `efficiency` show, as figures and as tables."""

import itertools
from dataclasses import dataclass

import numpy as np

from analysis import aggregates, bootstrap, canvas, curves, efficiency, improvement
from analysis.efficiency import Efficiency
from analysis.imported.curves import listed
from analysis.paper.material import Material


@dataclass(frozen=True)
class Chances:
    """Probability that a run of one contender is better than one of another."""

    names: list[str]  # K
    values: np.ndarray  # (K, K), of the row over the column; NaN on the diagonal
    ends: np.ndarray  # (2, K, K), 95% interval
    games: list[str]
    said: list[str]  # What is to be said of them, a sentence each.


@dataclass(frozen=True)
class Areas:
    """Sample efficiency of every contender."""

    found: list[Efficiency]
    games: list[str]
    said: list[str]


def chances(of: Material) -> Chances:
    """Returns the probability of improvement of every pair.

    Raises:
        ValueError: There are no two contenders with a score in one game.
    """
    # Within a game only: points will do, and games without a human score too.
    table = of.scores(of.games)
    found, games, left = aggregates.matrices(table.assign(normalised=table["score"]))
    names = [name for name in of.names if name in found]
    if len(names) < 2 or not games:
        raise ValueError(f"{', '.join(of.names)} have no game in common with a score")
    values, ends = np.full((len(names),) * 2, np.nan), np.full((2, *(len(names),) * 2), np.nan)
    for j, i in itertools.combinations(range(len(names)), 2):
        pair = (found[names[i]], found[names[j]])
        rng = bootstrap.generator(of.wish.seed, of.suite.name, names[i], names[j], "improvement")
        values[i, j] = improvement.probability(*pair)
        ends[:, i, j] = improvement.interval(*pair, rng, of.wish.resamples)
        values[j, i], ends[:, j, i] = 1 - values[i, j], 1 - ends[::-1, i, j]
    counts = {name: (~np.isnan(found[name])).sum(0) for name in names}
    seeds = {name: canvas.seeds(canvas.span(n.tolist())) for name, n in counts.items()}
    said = [
        f"Suite {of.suite.name}, {canvas.counted(len(games), 'game')}; "
        + ", ".join(f"{name} {count}" for name, count in seeds.items()) + ".",
        "Probability that a run of X is better than one of Y in a game, mean over games.",
        of.windows(),
        f"95% stratified bootstrap interval, {of.wish.resamples:,} resamples; bold where that "
        "leaves out 0.5.",
    ]  # fmt: skip
    if alone := [name for name in names if counts[name].max() < 2]:
        said.append(f"One seed, so that intervals are too narrow: {', '.join(alone)}.")
    return Chances(names, values, ends, games, [*said, *without(left), *of.remarks()])


def areas(of: Material) -> Areas:
    """Returns the IQM against frames and the area below it.

    Raises:
        ValueError: The contenders have no game in common.
    """
    table, count = of.curves(), curves.bins(of.suite)
    cubes, games = efficiency.cubes(table[table["game"].isin(of.scaled)], of.scales, count)
    if not games:
        raise ValueError(f"{', '.join(of.names)} have no game in common with an episode")
    found = efficiency.of(cubes, of.suite.frames, of.suite.name, of.wish.seed)
    low, high = found[0].within
    over = f"frames {low:,} to {high:,}" if high else "no bin that all have"
    left = [g for g in of.scaled if g not in games and g in set(table["game"])]
    said = [
        f"Suite {of.suite.name}, {canvas.counted(len(games), 'game')}.",
        f"IQM of the human-normalised returns of all runs, in {count} bins of "
        f"{of.suite.frames / count:,.0f} frames; a bin without an episode repeats the one before.",
        f"Area: mean over {over}.",
        f"Intervals: 95% bootstrap over seeds, drawn whole, {efficiency.RESAMPLES:,} resamples.",
        *without(left),
        *single([one.agent for one in found if max(one.seeds) < 2]),
    ]
    return Areas(found, games, [*said, *of.remarks(curves_only=True)])


def without(games: list[str]) -> list[str]:
    """Says which games were left out, if any were."""
    told = listed([canvas.title(game) for game in games], 6)
    return [f"Left out, as not every agent has them: {told}."] if games else []


def single(names: list[str]) -> list[str]:
    """Says of whom there is one seed, if there is anyone."""
    return [f"One seed, no band: {', '.join(names)}."] if names else []
