"""The report's sections on results: summary, aggregates, curves, profile, table of games."""

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt

from analysis import aggregates, coverage, evidence, figures, page, palette, tables
from analysis.evidence import Evidence
from analysis.page import Markup

PANEL = (3.4, 2.35)  # inches; drawn as wide as a phone, its text is as large as a note's


def summary(found: Evidence, warnings: Sequence[str]) -> list[Markup]:
    """Returns the head: title, how complete the sweep is, warnings, the facts of the protocol."""
    suite = found.suite
    done = int(found.coverage["status"].isin(coverage.SCORED).sum())
    return [
        page.element("h1", f"{suite.title}"),
        page.element("p", f"Suite {suite.name}. Source: {suite.source}.", cls="soft"),
        _banner(found, done),
        *[_note(text) for text in warnings],
        page.facts(
            [
                ("Runs with a receipt", f"{done} of {len(found.coverage)}"),
                ("Agents", ", ".join(found.agents)),
                ("Games and seeds", f"{len(suite.games)} games, seeds {_list(suite.seeds)}"),
                ("Budget of a run", f"{suite.frames:,} frames"),
                ("Score window", evidence.window_words(suite)),
                ("Task", page.element("code", suite.task_digest)),
            ]
        ),
    ]


def _banner(found: Evidence, done: int) -> Markup:
    total = len(found.coverage)
    if done == total:
        return page.element(
            "div",
            page.element("p", f"Complete: all {total} runs have finished."),
            cls="banner good",
        )
    counts = found.coverage["status"].value_counts()
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
    for agent, part in found.aggregates.groupby("agent"):
        cells = part.set_index("metric").loc[list(aggregates.METRICS)]
        first = cells.iloc[0]
        behind = figures.behind(first["games"], first["seeds"])
        ends = zip(cells["estimate"], cells["low"], cells["high"], strict=True)
        rows.append([named(str(agent)), *[_ranged(*each) for each in ends], behind, first["note"]])
    with figures.theme(figures.PAGE_INK):
        drawn = [_metric(found.aggregates, metric) for metric in aggregates.METRICS]
    head = ["Agent", *aggregates.METRICS.values(), "Rests on", "Note"]
    return page.section(
        "aggregates",
        "Aggregates of human-normalised scores",
        page.element("p", "0 is random play, 1 the human tester; never clipped. In brackets and "
                     "as bars: the interval. A hollow mark has none."),
        page.table(head, rows, "text"),
        page.element("div", *drawn, cls="panels four"),
        _small(
            f"{evidence.score_words(found.suite)} "
            f"{evidence.interval_words(found, aggregates.RESAMPLES)} {why}"
        ),
    )  # fmt: skip


_NONE_YET = "No run has a score in the score window yet."


def _metric(table: pd.DataFrame, metric: str) -> Markup:
    agents = table["agent"].nunique()
    figure, ax = plt.subplots(figsize=(2.9, 0.8 + 0.34 * agents), layout="constrained")
    figures.draw_interval(ax, table, metric)
    return Markup(figures.svg(figure, f"{aggregates.METRICS[metric]} of each agent"))


def _ranged(value: float, low: float, high: float) -> Markup:
    ends = "no interval" if math.isnan(low) else f"[{_two(low)}, {_two(high)}]"
    return Markup(_two(value) + page.element("span", ends, cls="range"))


def _two(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # Adding 0 turns -0 into 0.


def named(agent: str) -> Markup:
    """Returns an agent's label beside a sample of its line."""
    return Markup(_sample(agent) + page.escape(agent))


def _sample(agent: str) -> Markup:
    look = palette.look(agent)
    dash = {"-": "", "--": "7 4", ":": "2 3", "-.": "8 3 2 3"}.get(str(look.dash), "6 2 2 2")
    line = page.element(
        "path", d="M0 5H34", stroke=look.color, fill="none", **{"stroke-width": "2.5"},
        stroke_dasharray=dash,
    )  # fmt: skip
    style = "width:34px;height:10px;margin-right:6px"
    return page.element("svg", line, viewBox="0 0 34 10", aria_hidden="true", style=style)


def _legend(agents: Sequence[str]) -> Markup:
    return page.element("ul", *[page.element("li", named(a)) for a in agents], cls="legend")


def _small(text: str) -> Markup:
    return page.element("p", text.strip(), cls="note")


def curves(found: Evidence) -> Markup:
    """Returns a panel of learning curves for each game."""
    scale = evidence.scales(found.suite)
    shown, drawn = found.begun_curves(), []
    with figures.theme(figures.PAGE_INK):
        for game, ones in shown.items():
            figure, ax = plt.subplots(figsize=PANEL, layout="constrained")
            figures.draw_curves(ax, game, ones, scale[game])
            ax.set(xlabel="Frames", ylabel="Return (points)")
            told = [f"{one.agent}, {figures.seeds(str(one.runs))}" for one in ones]
            drawn.append(Markup(figures.svg(figure, f"{figures.title(game)}: {'; '.join(told)}")))
    unfinished = found.coverage[~found.coverage["status"].isin(coverage.SCORED)]
    started = int((unfinished["frame"] > 0).sum())
    more = f" {started} unfinished runs are drawn as far as they came." if started else ""
    absent = len(found.suite.games) - len(shown)
    more += f" {figures.counted(absent, 'game')} without any run: no panel." if absent else ""
    text = f"{evidence.curve_words(found)} n is the number of seeds.{more} {_THIN}"
    return page.section(
        "curves", "Learning curves", _legend(found.agents),
        page.element("div", *drawn, cls="panels"), _small(text),
    )  # fmt: skip


_THIN = "Thin where only some of the seeds have a value. Dotted: random and human, where in range."


def profile(found: Evidence) -> Markup:
    """Returns the performance profile; nothing where there are no normalised scores."""
    if found.profiles.empty:
        return Markup("")
    with figures.theme(figures.PAGE_INK):
        figure, ax = plt.subplots(figsize=(4.2, 2.7), layout="constrained")
        figures.draw_profile(ax, found.profiles)
        drawn = Markup(figures.svg(figure, "Fraction of runs above each normalised score"))
    words = (
        "Of all runs, the fraction with a human-normalised score above τ; higher is better. Band: "
        f"95% stratified bootstrap, {aggregates.PROFILE_RESAMPLES:,} resamples; none with one seed."
    )
    return page.section(
        "profile", "Performance profile", _legend(list(dict.fromkeys(found.aggregates["agent"]))),
        page.element("figure", drawn, cls="single"),
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
    known = {(row.game, row.agent): row for row in found.games.itertuples()}
    scale = evidence.scales(found.suite)
    rows = [
        [
            figures.title(game),
            *map(tables.number, scale[game]),
            *[_score(known.get((game, agent)), column, found) for agent in found.agents],
        ]
        for game in found.suite.games
    ]
    return page.table(["Game", "Random", "Human", *map(named, found.agents)], rows)


def _score(row: object, column: str, found: Evidence) -> Markup:
    value = getattr(row, column, math.nan)
    if row is None or math.isnan(value):
        behind = "" if row is None else f"0 of {len(found.suite.seeds)} seeds"
        return Markup("–" + page.element("span", behind, cls="n"))
    said = tables.number(value)
    if column == "evaluation":
        episodes = f"{row.evaluation_episodes} episodes"
        return Markup(said + page.element("span", episodes, cls="n"))
    ends = f"[{tables.number(row.low, value)}, {tables.number(row.high, value)}]"
    behind = f"{row.seeds}/{len(found.suite.seeds)} seeds, {row.episodes} ep."
    return Markup(
        said
        + page.element("span", "one seed" if math.isnan(row.low) else ends, cls="range")
        + page.element("span", behind, cls="n")
    )
