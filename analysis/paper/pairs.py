"""Kinds of figures that set sides against each other: differences by game, and a ladder."""

import itertools

import numpy as np

from analysis import bootstrap, by_game, figures, pairing, sides, spread
from analysis.canvas import seeds
from analysis.grids import span
from analysis.paper import charts
from analysis.paper.charts import Bars, Rung
from analysis.paper.drawn import Drawn
from analysis.paper.material import Material
from analysis.sides import Side

CORRECTED = "Intervals: 95%, Student's t, so that they hold with few seeds."


def differences(of: Material) -> Drawn:
    """Draws the first contender less the second, or less what was published, game by game.

    Raises:
        ValueError: There are not two sides, or they have no game in common.
    """
    given = [*of.sides(), *([] if of.published is None else [of.published])]
    if len(given) != 2:
        raise ValueError(
            f"differences are of two: saw {', '.join(side.name for side in given)}; allowed are "
            "--agents A,B or --agents A --published METHOD"
        )
    wanted = of.scaled
    games, notes = pairing.common(of.suite, *given)
    games = [game for game in games if game in wanted]
    ours, theirs = (side.on(games) for side in given)
    filled, said = sides.completed(theirs, ours)
    errors, freedom = by_game.welch(ours, filled)
    values = ours.means - theirs.means
    half = spread.quantile(bootstrap.LEVEL, freedom) * errors
    order = np.argsort(-values, kind="stable")
    bars = Bars(
        ours.name, theirs.name, tuple(games[i] for i in order), values[order],
        (values - half)[order], (values + half)[order],
    )  # fmt: skip
    told = {side.name: f"{side.name} ({_seeds(side)})" for side in (ours, theirs)}
    kept = [note for note in notes if not of.wish.games]  # Games that nobody asked for.
    caption = " ".join([
        f"Suite {of.suite.name}, "
        f"{figures.counted(len(games), 'game')}: {ours.name} less {theirs.name}, "
        f"human-normalised; the scale is linear up to {charts.LINEAR:g}, then logarithmic.",
        of.windows(), f"Lines: {CORRECTED[11:]}",
        *(f"{each[0].upper()}{each[1:]}." for each in [*kept, *said]), *of.remarks(),
    ])  # fmt: skip
    numbers = dict(zip(bars.games, bars.values.tolist(), strict=True))
    figure = charts.differences(bars, told, of.below(caption))
    return Drawn(figure, caption, list(bars.games), {"difference": numbers})


def _seeds(side: Side) -> str:
    counts = [int(n) for n in side.seeds if n]
    return seeds(span(counts).replace("-", "–")) if counts else "seeds not stated"


def ladder(of: Material) -> Drawn:
    """Draws the IQM of each contender, and what each adds to the one named before it.

    Raises:
        ValueError: They have no game in common.
    """
    given = of.sides()
    games = [game for game in of.scaled if all(game in side.games for side in given)]
    if not games:
        raise ValueError(f"{', '.join(of.names)} have no game in common with a score")
    given = [side.on(games) for side in given]
    found = []
    for side in given:
        assert side.runs is not None
        rng = bootstrap.generator(of.wish.seed, of.suite.name, side.name, "ladder")
        found.append(spread.of_runs(sides.of_runs, side.runs, rng))
    steps = [spread.difference(b, a) for a, b in itertools.pairwise(found)]
    added = [None, *map(_first, steps)]
    rungs = [
        Rung(side.name, span(side.seeds.tolist()).replace("-", "–"), _first(one), more)
        for side, one, more in zip(given, found, added, strict=True)
    ]
    where = figures.title(games[0]) if len(games) == 1 else f"{len(games)} games"
    caption = " ".join([
        f"Suite {of.suite.name}, {where}: IQM of human-normalised scores of all runs.",
        of.windows(), CORRECTED, "Hollow: one seed, no interval." * any(
            np.isnan(one.level[1]) for one in rungs), *of.remarks(),
    ])  # fmt: skip
    numbers = {one.agent: {"level": one.level, "added": one.added} for one in rungs}
    return Drawn(charts.ladder(rungs, "IQM", of.below(caption)), caption, games, {"rungs": numbers})


def _first(found: spread.Spread) -> tuple[float, float, float]:
    low, high = found.interval()[:, 0]
    return float(found.estimate[0]), float(low), float(high)
