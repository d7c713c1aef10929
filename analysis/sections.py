"""The report's sections on results: summary, aggregates, curves, profile, table of games."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import aggregates, brought, charts, coverage, evidence, figures, page, palette, tables
from analysis.charts import Chart
from analysis.evidence import Evidence
from analysis.page import Markup

DASHES = {"-": "none", "--": "7 4", ":": "2 3", "-.": "8 3 2 3"}  # Of lines, as SVG has them.


def title(found: Evidence) -> list[Markup]:
    """Returns the head: what the report is of."""
    suite = found.suite
    return [
        page.element("h1", f"{suite.title}"),
        page.element("p", f"Suite {suite.name}. Source: {suite.source}.", cls="soft"),
    ]


def summary(found: Evidence, warnings: Sequence[str]) -> list[Markup]:
    """Returns how complete the sweep is, warnings, the facts of the protocol."""
    suite = found.suite
    own = brought.ours(found.coverage)
    done = int(own["status"].isin(coverage.SCORED).sum())
    count = figures.counted(len(suite.games), "game")
    others = [("Imported", ", ".join(found.imports))] if found.imports else []
    return [
        _banner(own, done),
        *[_note(text) for text in warnings],
        page.facts(
            [
                ("Runs with a receipt", f"{done} of {len(own)}"),
                ("Agents", ", ".join(found.own) or "none of ours"),
                *others,
                ("Games and seeds", f"{count}, seeds {_list(suite.seeds)}"),
                ("Budget of a run", f"{suite.frames:,} frames"),
                ("Score window", evidence.window_words(suite)),
                ("Task", page.element("code", suite.task_digest)),
            ]
        ),
    ]


def _banner(own: pd.DataFrame, done: int) -> Markup:
    total = len(own)
    if not total:
        text = page.element("p", "No run of ours: everything here is imported.")
        return page.element("div", text, cls="banner")
    if done == total:
        return page.element(
            "div",
            page.element("p", f"Complete: all {total} runs have finished."),
            cls="banner good",
        )
    counts = own["status"].value_counts()
    told = ", ".join(f"{counts[name]} {name}" for name in coverage.STATUSES if name in counts)
    link = page.element("a", "what is missing and why", href="#coverage")
    text = page.element(
        "p",
        page.element("strong", f"Partial: {done} of {total} runs. "),
        f"{told}. See ",
        link,
        ".",
    )
    return page.element("div", text, cls="banner")


def _note(text: str) -> Markup:
    return page.element("div", page.element("p", text), cls="banner bad")


def _list(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def aggregate(found: Evidence) -> Markup:
    """Returns the table and figure of aggregates, or why there are none."""
    why = evidence.not_normalised(found.suite)
    if found.aggregates.empty:
        return page.section("aggregates", "Aggregates", page.element("p", why or _NONE_YET))
    rows = []
    by_metric = dict(tuple(found.aggregates.groupby("metric")["estimate"]))
    decimals = [tables.places(by_metric[metric]) for metric in aggregates.METRICS]
    by_agent = dict(tuple(found.aggregates.groupby("agent")))
    for agent, part in ((each, by_agent[each]) for each in found.agents if each in by_agent):
        cells = part.set_index("metric").loc[list(aggregates.METRICS)]
        first = cells.iloc[0]
        behind = figures.behind(first["games"], first["seeds"])
        ends = (cells["estimate"], cells["low"], cells["high"])
        rows.append([named(agent), *map(ranged, *ends, decimals), behind, first["note"]])
    drawn = [_metric(found, metric) for metric in aggregates.METRICS]
    head = ["Agent", *aggregates.METRICS.values(), "Rests on", "Note"]
    return page.section(
        "aggregates",
        "Aggregates of human-normalised scores",
        page.element("p", "0 is random play, 1 the human tester; never clipped. In brackets and "
                     "as bars: the interval. A hollow mark has none."),
        page.table(head, rows, "text agents"),
        page.element("div", *drawn, cls="panels two"),
        _small("Imports are aggregated by themselves, in their own windows, over the games that "
               "ours are compared on where they have a score there.") if found.imports else "",
        _small(
            f"{evidence.score_words(found.suite)} "
            f"{evidence.interval_words(found, aggregates.RESAMPLES)} {why}"
        ),
    )  # fmt: skip


_NONE_YET = "No run has a score in the score window yet."


def _metric(found: Evidence, metric: str) -> Markup:
    held = found.aggregates[found.aggregates["metric"] == metric].set_index("agent")
    rows = [
        (place, agent, *map(float, held.loc[agent, ["estimate", "low", "high"]]))
        for place, agent in enumerate(found.agents) if agent in held.index
    ]  # fmt: skip
    better = "lower" if metric == "optimality_gap" else "higher"
    name = aggregates.METRICS[metric]
    text = page.element("figcaption", page.element("b", name), f" ({better} is better)")
    drawn = charts.intervals(rows, f"{name} of each agent")
    return page.element("figure", text, drawn, cls="chart")


def ranged(value: float | None, low: float | None, high: float | None, decimals: int) -> Markup:
    """Returns an estimate with its interval below it."""
    known = low is not None and not math.isnan(low)
    ends = f"[{tables.normalised(low, decimals)}, {tables.normalised(high, decimals)}]"
    below = page.element("span", ends if known else "no interval", cls="range")
    return Markup(tables.normalised(value, decimals) + below)


def named(agent: str) -> Markup:
    """Returns an agent's label beside a sample of its line."""
    return Markup(_sample(agent) + page.escape(agent))


def _sample(agent: str) -> Markup:
    look = palette.look(agent)
    line = page.element(
        "path", d="M0 5H34", stroke=look.color, fill="none", **{"stroke-width": "2.5"},
        stroke_dasharray=_dash(look),
    )  # fmt: skip
    style = "width:34px;height:10px;margin-right:6px"
    return page.element("svg", line, viewBox="0 0 34 10", aria_hidden="true", style=style)


def legend(agents: Sequence[str]) -> Markup:
    """Returns all agents with their lines; a script makes buttons of them, to hide and show."""
    items = [page.element("li", named(agent), cls=f"a{n}") for n, agent in enumerate(agents)]
    return page.element("ul", *items, cls="legend", id="agents")


def colours(agents: Sequence[str]) -> Markup:
    """Returns the style of each agent's class: colour, dash, and what hides it."""
    said = []
    for place, agent in enumerate(agents):
        look = palette.look(agent)
        said.append(
            f".a{place}{{--c:{look.color};--d:{_dash(look)}}}"
            f".no{place} svg .a{place}{{display:none}}"
            f".no{place} #agents .a{place}{{opacity:.4}}"
        )
    return page.element("style", Markup("\n".join(said)))


def _dash(look: palette.Look) -> str:
    return DASHES.get(str(look.dash), "9 3 2 3")


def _small(text: str) -> Markup:
    return page.element("p", text.strip(), cls="note")


def curves(found: Evidence, drawn: Mapping[str, Chart]) -> Markup:
    """Returns a panel of learning curves for each game."""
    own = brought.ours(found.coverage)
    unfinished = own[~own["status"].isin(coverage.SCORED)]
    started = int((unfinished["frame"] > 0).sum())
    more = f" {started} unfinished runs are drawn as far as they came." if started else ""
    absent = len(found.suite.games) - len(drawn)
    more += f" {figures.counted(absent, 'game')} without any run: no panel." if absent else ""
    text = f"{evidence.curve_words(found)} n is the number of seeds.{more} {_THIN}"
    if found.imports:
        text += " Imports: whatever points their source has, in the same bins."
    panels = [_panel(game, chart) for game, chart in drawn.items()]
    return page.section(
        "curves", "Learning curves", page.element("div", *panels, cls="panels"), _small(text)
    )


def _panel(game: str, chart: Chart) -> Markup:
    seeds = figures.span([line.runs for line in chart.lines])
    link = page.element("a", figures.title(game), href=f"#game-{game}")
    text = page.element("figcaption", page.element("b", link), f" n = {seeds}")
    return page.element("figure", text, chart.svg(), cls="chart")


_THIN = (
    "Thin where only some of the seeds have a value. Dotted: random and human, where in range. "
    "Return against frames."
)


def profile(found: Evidence, drawn: Chart | None) -> Markup:
    """Returns the performance profile; nothing where there are no normalised scores."""
    if drawn is None:
        return Markup("")
    words = (
        "Of all runs, the fraction with a human-normalised score above τ; higher is better. Band: "
        f"95% stratified bootstrap, {aggregates.PROFILE_RESAMPLES:,} resamples; none with one seed."
    )
    axes = page.element("figcaption", "Fraction of runs above a human-normalised score")
    return page.section(
        "profile", "Performance profile",
        page.element("figure", axes, drawn.svg(), cls="chart single"),
        _small(f"{words} {evidence.score_words(found.suite)}"),
    )  # fmt: skip


def games(found: Evidence) -> Markup:
    """Returns the per-game tables: scores in the window and, where there are any, evaluations."""
    parts = [
        _small(
            f"Score window: {evidence.window_words(found.suite)}. Mean over seeds, its 95% "
            "bootstrap interval, seeds with a score / seeds expected, and episodes (ep.) in all."
        ),
        _per_game(found, "score"),
    ]
    if found.games["evaluation"].notna().any():
        policy = found.suite.evaluation.policy
        text = f"Last evaluation, on separate environments, {policy} policy: mean over seeds."
        parts += [page.element("h3", "Evaluation"), _small(text), _per_game(found, "evaluation")]
    return page.section("games", "Score by game", *parts)


def _per_game(found: Evidence, column: str) -> Markup:
    agents = found.agents if column == "score" else found.own
    known = {(row.game, row.agent): row for row in found.games.itertuples()}
    scale = evidence.scales(found.suite)
    rows = [
        [
            page.element("a", figures.title(game), href=f"#game-{game}"),
            *map(tables.number, scale[game]),
            *[
                _score(known.get((game, agent)), column, found.expected(game, agent))
                for agent in agents
            ],
        ]
        for game in found.suite.games
    ]
    return page.table(["Game", "Random", "Human", *map(named, agents)], rows)


def _score(row: Any, column: str, expected: int) -> Markup:
    value = getattr(row, column, math.nan)
    if column == "evaluation" and not math.isnan(value):
        episodes = f"{row.evaluation_episodes} episodes"
        return Markup(tables.number(value) + page.element("span", episodes, cls="n"))
    if row is None or math.isnan(value):
        behind = "" if row is None else f"0 of {expected} seeds"
        return Markup("–" + page.element("span", behind, cls="n"))
    return scored(row, expected)


def scored(row: Any, expected: int) -> Markup:
    """Returns a game's score of an agent, with its interval, seeds and episodes."""
    value = row.score
    ends = f"[{tables.number(row.low, value)}, {tables.number(row.high, value)}]"
    few = int(row.seeds) < expected
    behind = f"{row.seeds}{' of ' if few else '/'}{expected} seeds, {row.episodes:,} ep."
    return Markup(
        tables.number(value)
        + page.element("span", "one seed" if math.isnan(row.low) else ends, cls="range")
        + page.element("span", behind, cls="n few" if few else "n")
    )
