"""Each kind of figure, from who takes part to the drawing and the words below it."""

import pandas as pd

from analysis import (
    aggregates,
    curves,
    evidence,
    figures,
    summaries,
)
from analysis.canvas import seeds
from analysis.curves import Curve
from analysis.grids import span
from analysis.imported.curves import listed
from analysis.paper import charts, numbers, pairs
from analysis.paper.drawn import Drawn, Kind
from analysis.paper.material import Material


def _curves(of: Material) -> Drawn:
    table = of.curves()
    found = {game: ones for game in of.games if (ones := _of_game(of, table, game))}
    if not found:
        raise ValueError(f"no run of {', '.join(of.names)} has an episode")
    said = [
        f"Suite {of.suite.name}.",
        evidence.words_of_curves(of.suite, table),
        *_lines(of, found),
    ]
    if absent := [figures.title(game) for game in of.games if game not in found]:
        said.append(f"No run, no panel: {listed(absent, 6)}.")
    for name, one in of.imports.items():
        said.append(f"{name} is imported ({one.facts.kind}).")
    several = {one.agent for ones in found.values() for one in ones if one.runs > 1}
    said += numbers.single([name for name in of.names if name not in several])
    caption = " ".join([*said, *of.remarks(curves_only=True)])
    figure = figures.curves(found, of.scales, of.below(caption), of.beside())
    return Drawn(figure, caption, list(found), {})


def _of_game(of: Material, table: pd.DataFrame, game: str) -> list[Curve]:
    count = curves.bins(of.suite)
    found = curves.of_game(table, game, count, of.suite.frames, of.wish.seed)
    return sorted(found, key=lambda one: of.names.index(one.agent))


def _lines(of: Material, found: dict[str, list[Curve]]) -> list[str]:
    if of.published is None:
        return []
    held = of.published
    counts = [int(n) for n, game in zip(held.seeds, held.games, strict=True) if n and game in found]
    told = seeds(span(counts).replace("-", "–")) if counts else "seeds not stated"
    lacking = [figures.title(game) for game in found if game not in held.games]
    gone = f" It has no {listed(lacking, 6)}." if lacking else ""
    window = held.window or "window not stated"
    return [f"Dash-dotted: {held.name}, {told}, {window}.{gone}"]


def _intervals(of: Material) -> Drawn:
    table = _summary(of)
    games, caption = _in_all(of), _score_words(of, of.wish.resamples, table)
    figure = figures.intervals(table, of.below(caption))
    keep = ["agent", "metric", "estimate", "low", "high"]
    rows = table[table["metric"].isin(list(aggregates.METRICS))][keep].to_dict("records")
    return Drawn(figure, caption, games, {"aggregates": rows})


def _summary(of: Material) -> pd.DataFrame:
    asked = of.wish
    wish = summaries.Wish(asked.window, asked.human, "bootstrap", asked.resamples, asked.seed)
    scaled = set(of.scaled)
    found = [each for each in of.found if scaled & set(each.scores["game"])]
    return _some(summaries.summary(of.suite, found, wish), of)


def _some(table: pd.DataFrame, of: Material) -> pd.DataFrame:
    if table.empty:
        raise ValueError(f"{', '.join(of.names)} have no game in common with a score")
    return table


def _in_all(of: Material) -> list[str]:
    """Returns the games in which every contender has a score that can be normalised."""
    found = of.scores(of.scaled)
    return aggregates.matrices(aggregates.normalise(found, of.scales))[1]


def _score_words(of: Material, resamples: int, table: pd.DataFrame) -> str:
    notes: dict[str, list[str]] = {}
    for agent, note in table.drop_duplicates("agent")[["agent", "note"]].itertuples(index=False):
        for one in filter(None, note.split("; ")):
            notes.setdefault(one, []).append(agent)
    every = len(set(table["agent"]))
    told = [f"{one[0].upper()}{one[1:]}." if len(who) == every else f"{', '.join(who)}: {one}."
            for one, who in notes.items()]  # fmt: skip
    how = f"Intervals: 95% stratified bootstrap over seeds, {resamples:,} resamples."
    return " ".join([f"Suite {of.suite.name}.", of.windows(), how, *told, *of.remarks()])


def _profiles(of: Material) -> Drawn:
    table, games = _summary(of), _in_all(of)
    used, count = of.scores(of.scaled), aggregates.PROFILE_RESAMPLES
    found = aggregates.profile(of.suite.name, used, of.scales, of.wish.seed, count)
    caption = _score_words(of, count, table).replace("Intervals:", "Bands:")
    return Drawn(figures.profiles(found, table, of.below(caption)), caption, games, {})


def _efficiency(of: Material) -> Drawn:
    areas = numbers.areas(of)
    caption = " ".join(areas.said)
    told = {"area": {one.agent: {"estimate": one.area, "low": one.ends[0], "high": one.ends[1],
                                 "frames": list(one.within)} for one in areas.found}}  # fmt: skip
    return Drawn(charts.efficiency(areas.found, of.below(caption)), caption, areas.games, told)


def _improvement(of: Material) -> Drawn:
    found = numbers.chances(of)
    caption, names = " ".join(found.said), found.names
    every = {f"{a} over {b}": found.values[i, j] for i, a in enumerate(names)
             for j, b in enumerate(names) if i != j}  # fmt: skip
    figure = charts.improvement(names, found.values, found.ends, of.below(caption))
    return Drawn(figure, caption, found.games, {"probability": every})


KINDS = {
    "curves": Kind(_curves, 1, True),
    "grid": Kind(_curves, 1, True),
    "intervals": Kind(_intervals, 1, False),
    "profiles": Kind(_profiles, 1, False),
    "efficiency": Kind(_efficiency, 1, False),
    "improvement": Kind(_improvement, 2, False),
    "differences": Kind(pairs.differences, 1, True),
    "ladder": Kind(pairs.ladder, 2, False),
}
