"""Each kind of table: one frame with every number, and the cells that are printed of it.

In each comparison the best entry is marked, and so is every other whose difference from it may be
nothing: the 95% interval of that difference, Student's t with Welch's or Satterthwaite's degrees of
freedom, reaches 0. Where one of both has a single seed or no published spread nobody knows, and
there is no mark. The intervals are not corrected for the number of comparisons.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import aggregates, bootstrap, by_game, canvas, spread, summaries, tables
from analysis.grids import span
from analysis.imported.curves import listed
from analysis.paper import numbers
from analysis.paper.material import Material
from analysis.paper.text import bracket
from analysis.paper.typeset import Cell, Typeset
from analysis.references import baselines
from analysis.sides import Side
from analysis.spread import Spread

RULE = (
    "Bold: best; {within}: the 95% interval of the difference from the best (Student's t, each "
    "comparison by itself) reaches 0. Without a second seed or a published spread nobody knows."
)
BEST, WITHIN = "best", "within"
LOW_IS_BEST = ("optimality_gap",)


@dataclass(frozen=True)
class Table:
    """A table, and what is to be said of it."""

    frame: pd.DataFrame  # Every number, a row each.
    typeset: Typeset
    games: list[str]


def games(of: Material) -> Table:
    """Returns the mean score of every contender in every game, in points."""
    plain = dict.fromkeys(of.games, (0.0, 1.0))
    entries = [*of.sides(plain), *([] if of.published is None else [_points(of)])]
    rows = []
    for game in of.games:
        there = [side.on([game]) for side in entries if game in side.games]
        if there:
            rows += _rows(game, there, of)
    if not rows:
        raise ValueError(f"{', '.join(of.names)} have no score in {of.windows()}")
    frame = pd.DataFrame(rows)
    names = [side.name for side in entries]
    body = [_game(part, str(game), names) for game, part in frame.groupby("game", sort=False)]
    seeds = {name: canvas.seeds(canvas.span(part["seeds"].tolist()))
             for name, part in frame.groupby("agent", sort=False)}  # fmt: skip
    told = ", ".join(f"{name} {seeds[name]}" for name in names if name in seeds)
    said = [f"Suite {of.suite.name}: mean score over seeds, in points ({told}).", of.windows()]
    caption = " ".join([*said, RULE, *of.remarks()])
    head = ["Game", "Random", "Human", *names]
    return Table(frame, Typeset(head, body, caption), list(dict.fromkeys(frame["game"])))


def _points(of: Material) -> Side:
    """Returns the published side in points."""
    held = of.published
    assert held is not None
    held = held.on([game for game in held.games if game in of.games])
    low, high = np.array([of.scales[game] for game in held.games], float).reshape(-1, 2).T
    size = high - low
    return replace(held, means=low + held.means * size, deviations=held.deviations * np.abs(size))


def _rows(game: str, there: Sequence[Side], of: Material) -> list[dict[str, object]]:
    means = [float(side.means[0]) for side in there]
    first = there[int(np.argmax(means))]
    random, human = of.scales[game]
    found = []
    for side, mean in zip(there, means, strict=True):
        half = math.nan
        if _known(side):
            count = side.seeds[0]
            reach = spread.quantile(bootstrap.LEVEL, np.array([count - 1.0]))[0]
            half = float(reach * side.deviations[0] / math.sqrt(count))
        mark = BEST if mean == max(means) else WITHIN if _alike(first, side) else ""
        found.append({
            "game": game, "random": random, "human": human, "agent": side.name, "score": mean,
            "low": mean - half, "high": mean + half, "seeds": int(side.seeds[0]), "mark": mark,
        })  # fmt: skip
    return found


def _known(side: Side) -> bool:
    return bool(np.isfinite(side.deviations[0]) and side.seeds[0] > 1)


def _alike(best: Side, other: Side) -> bool:
    """Says whether the interval of the difference of two sides of one game reaches 0."""
    if not (_known(best) and _known(other)):
        return False
    errors, freedom = by_game.welch(best, other)
    half = spread.quantile(bootstrap.LEVEL, freedom) * errors
    return bool(best.means[0] - other.means[0] <= half[0])


def _game(part: pd.DataFrame, game: str, names: Sequence[str]) -> list[Cell]:
    first, by_name = part.iloc[0], part.set_index("agent")
    scale = [Cell(tables.number(first[which]), "") for which in ("random", "human")]
    rows = [by_name.loc[name] if name in by_name.index else None for name in names]
    scores = [Cell("–", "") if row is None else Cell(tables.number(row["score"]), str(row["mark"]))
              for row in rows]  # fmt: skip
    return [Cell(canvas.title(game), ""), *scale, *scores]


def aggregated(of: Material) -> Table:
    """Returns the aggregates of every contender, on the games that all have."""
    entries = of.sides()
    if of.published is not None:
        entries.append(of.published)
    shared = [game for game in of.scaled if all(game in side.games for side in entries)]
    if not shared:
        who = ", ".join(side.name for side in entries)
        raise ValueError(f"{who} have no game in common with a score")
    entries = [side.on(shared) for side in entries]
    names, metric = aggregates.whole(shared, of.scales, baselines.records())
    found = [_spread(side, metric, of) for side in entries]
    frame = pd.DataFrame(
        row for place, name in enumerate(names) for row in _metric(name, place, entries, found)
    )
    frame = _bootstrapped(frame, of, shared).assign(games=len(shared))
    estimates = dict(tuple(frame.groupby("metric")["estimate"]))
    decimals = {
        name: 0 if name == "superhuman" else tables.places(estimates[name]) for name in names
    }
    body = [[Cell(side.name, ""), *_cells(frame[frame["agent"] == side.name], decimals)]
            for side in entries]  # fmt: skip
    seeds = ", ".join(f"{side.name} {_count(side)}" for side in entries)
    left = [canvas.title(game) for game in of.scaled if game not in shared]
    said = [
        f"Suite {of.suite.name}: human-normalised aggregates over "
        f"{canvas.counted(len(shared), 'game')} ({seeds}).", of.windows(),
        f"Brackets: 95% stratified bootstrap over seeds, {of.wish.resamples:,} resamples.", RULE,
        *([f"Left out, as not every entry has them: {listed(left, 6)}."] if left else []),
        *of.remarks(),
    ]  # fmt: skip
    head = ["Agent", *names.values()]
    return Table(frame, Typeset(head, body, " ".join(said)), shared)


def _count(side: Side) -> str:
    counts = [int(n) for n in side.seeds if n]
    return canvas.seeds(canvas.span(counts)) if counts else "seeds not stated"


def _spread(side: Side, metric: Callable[[np.ndarray], np.ndarray], of: Material) -> Spread:
    """Returns aggregates with their uncertainty; of a published table those that its means have."""
    rng = bootstrap.generator(of.wish.seed, of.suite.name, side.name, "table")
    if side.runs is not None:
        return spread.of_runs(metric, side.runs, rng)

    def of_means(means: np.ndarray) -> np.ndarray:
        values = metric(means[..., None, :])
        values[..., [list(aggregates.METRICS).index(n) for n in ("iqm", "optimality_gap")]] = np.nan
        return values

    if np.isfinite(side.deviations).all() and (side.seeds > 1).all():
        return spread.of_means(of_means, side.means, side.deviations, side.seeds, rng)
    estimate = of_means(side.means)
    return spread.unknown(estimate, side.seeds)


def _metric(
    name: str, place: int, entries: Sequence[Side], found: Sequence[Spread]
) -> list[dict[str, object]]:
    sign = -1 if name in LOW_IS_BEST else 1
    values = np.array([sign * each.estimate[place] for each in found])
    best = int(np.nanargmax(values))
    rows = []
    for side, one, value in zip(entries, found, values, strict=True):
        reach = spread.difference(found[best], one).interval()[:, place]
        within = bool(reach[0] <= 0 <= reach[1])  # False of NaN.
        mark = BEST if value == values[best] else WITHIN if within else ""
        rows.append({
            "agent": side.name, "metric": name, "estimate": one.estimate[place],
            "low": np.nan, "high": np.nan, "seeds": _count(side), "mark": mark,
        })  # fmt: skip
    return rows


def _bootstrapped(frame: pd.DataFrame, of: Material, shared: Sequence[str]) -> pd.DataFrame:
    """Puts in the intervals that `reverie aggregate` prints, of these games."""
    asked = of.wish
    wish = summaries.Wish(asked.window, asked.human, "bootstrap", asked.resamples, asked.seed)
    parts = [replace(one, scores=one.scores[one.scores["game"].isin(shared)]) for one in of.found]
    table = summaries.summary(of.suite, parts, wish).set_index(["agent", "metric"])
    keys = list(zip(frame["agent"], frame["metric"], strict=True))
    ends = {end: [table[end].get(key, np.nan) for key in keys] for end in ("low", "high")}
    return frame.assign(**ends)


def _cells(part: pd.DataFrame, decimals: Mapping[str, int]) -> list[Cell]:
    rows = part.set_index("metric")
    return [_cell(rows.loc[name], count) for name, count in decimals.items()]


def _cell(row: pd.Series, decimals: int) -> Cell:
    text = tables.normalised(row["estimate"], decimals)
    return Cell(text, str(row["mark"]), bracket(row["low"], row["high"], decimals).strip())


def improvement(of: Material) -> Table:
    """Returns the probability that a run of X is better than one of Y, for every pair."""
    found, rows, body = numbers.chances(of), [], []
    for i, name in enumerate(found.names):
        cells = []
        for j, over in enumerate(found.names):
            value, (low, high) = found.values[i, j], found.ends[:, i, j]
            if i != j:
                rows.append({"agent": name, "over": over, "probability": value, "low": low,
                             "high": high, "games": len(found.games)})  # fmt: skip
            cells.append(_chance(value, low, high))
        body.append([Cell(name, ""), *cells])
    head = ["X over Y", *found.names]
    return Table(pd.DataFrame(rows), Typeset(head, body, " ".join(found.said)), found.games)


def _chance(value: float, low: float, high: float) -> Cell:
    if math.isnan(value):
        return Cell("", "")
    mark = BEST if low > 0.5 or high < 0.5 else ""  # Bold; False of NaN.
    return Cell(f"{value:.2f}", mark, bracket(low, high, 2).strip())


def efficiency(of: Material) -> Table:
    """Returns the area below each contender's IQM against frames, and where that ends."""
    areas, body = numbers.areas(of), []
    frame = pd.DataFrame([{
        "agent": one.agent, "area": one.area, "low": one.ends[0], "high": one.ends[1],
        "first": one.within[0], "last": one.within[1], "final": one.iqm[-1],
        "final_low": one.low[-1], "final_high": one.high[-1], "seeds": span(one.seeds),
        "games": len(areas.games),
    } for one in areas.found])  # fmt: skip
    for row in frame.itertuples(index=False):
        area, final = (row.area, row.low, row.high), (row.final, row.final_low, row.final_high)
        body.append(
            [
                Cell(row.agent, ""),
                _level(*area),
                _level(*final),
                Cell(row.seeds.replace("-", "–"), ""),
            ]
        )
    head = ["Agent", "Area", "IQM of the last bin", "Seeds"]
    return Table(frame, Typeset(head, body, " ".join(areas.said)), areas.games)


def _level(value: float, low: float, high: float) -> Cell:
    text = tables.normalised(value, 3)
    return Cell(text, "", bracket(low, high, 3).strip())


KINDS: dict[str, Callable[[Material], Table]] = {
    "games": games,
    "aggregates": aggregated,
    "improvement": improvement,
    "efficiency": efficiency,
}
