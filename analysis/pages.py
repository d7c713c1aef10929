"""The report's part on single games: for each a chart of every seed, verdicts, runs, where from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import brought, coverage, figures, judged, page, sections, tables
from analysis.charts import Chart
from analysis.evidence import Evidence
from analysis.judged import Kept
from analysis.page import Markup
from analysis.provenance import Origin

ANCHOR, HEADING = "each", "Game by game"
HEAD = [
    "Agent", "Seed", "Score", "Episodes", "Evaluation", "Came to", "Hours", "Commit", "Config",
    "View", "Attempts", "Ran on",
]  # fmt: skip
TABLE = ["Agent", "Mean over seeds", "Human-normalised"]


def section(
    found: Evidence,
    charts: Mapping[str, Chart],
    kept: list[Kept],
    origins: Sequence[Origin],
    videos: frozenset[str],
) -> Markup:
    """Returns a part for each game, closed until it is asked for.

    Args:
        found: The tables.
        charts: Of the games that have a curve.
        kept: Verdicts.
        origins: Of our runs.
        videos: The games that have some in the page.
    """
    whence = {(o.cell.agent, o.cell.game, o.cell.seed): o for o in origins}
    scores = dict(tuple(found.scores.groupby("game")))
    standing = dict(tuple(found.coverage.groupby("game")))
    none = found.scores.iloc[:0], found.coverage.iloc[:0]
    parts = []
    for game in found.suite.games:
        rows = scores.get(game, none[0]), standing.get(game, none[1])
        inside = [
            page.element("div", _drawn(charts.get(game)), _means(found, game), cls="both"),
            _verdicts(kept, game),
            _runs(*rows, whence),
            _video(game) if game in videos else "",
        ]
        head = page.element("summary", page.element("b", figures.title(game)), " ", _done(rows[1]))
        body = page.element("div", *inside, id=f"game-{game}")
        told = f"{game} {figures.title(game)}".lower()
        parts.append(page.element("details", head, body, cls="game", data_game=told))
    words = "A thin line a seed, and their mean; then verdicts, scores, and what made them."
    return page.section(ANCHOR, HEADING, page.element("p", words), page.element("p", id="tools"),
                        *parts)  # fmt: skip


def _done(rows: pd.DataFrame) -> Markup:
    own, other = brought.ours(rows), brought.theirs(rows)
    done = int(own["status"].isin(coverage.SCORED).sum())
    said = [f"{done} of {figures.counted(len(own), 'run')}"] if len(own) else []
    if len(other):
        scored = int((other["status"] == brought.SCORED).sum())
        said.append(f"{scored} of {len(other)} imported")
    return page.element("span", ", ".join(said) or "no run", cls="soft")


def _drawn(chart: Chart | None) -> Markup:
    if chart is None:
        return page.element("p", "No run has come to the end of an episode.", cls="note")
    return page.element("figure", chart.svg(), cls="chart")


def _means(found: Evidence, game: str) -> Markup:
    held = found.games[found.games["game"] == game].set_index("agent")
    rows = []
    for agent in found.agents:
        if agent in held.index:
            row = held.loc[agent]
            size = row["human"] - row["random"]
            scaled = (row["score"] - row["random"]) / size
            rows.append([
                sections.named(agent), sections.scored(row, found.expected(game, agent)),
                "–" if math.isnan(scaled) else f"{scaled:.2f}".replace("-", "−"),
            ])  # fmt: skip
    return page.table(TABLE, rows, "agents") if rows else page.element("p", "No score yet.")


def _verdicts(kept: list[Kept], game: str) -> Markup:
    rows = judged.of_game(kept, game)
    if not rows:
        return Markup("")
    head = ["Verdict", "Ours", "Theirs", "Difference", "In standard errors", "p (Holm)"]
    return page.table(head, rows)


def _runs(scores: pd.DataFrame, standing: pd.DataFrame, whence: Mapping[Any, Origin]) -> Markup:
    held = {(row.agent, row.seed): row for row in scores.itertuples()}
    rows = [
        [
            row.agent,
            str(row.seed),
            *_scored(row, held.get((row.agent, row.seed))),
            *_made(held.get((row.agent, row.seed)), whence.get((row.agent, row.game, row.seed))),
        ]
        for row in standing.itertuples()
    ]
    return page.table(HEAD, rows, "runs") if rows else Markup("")


def _scored(row: Any, score: Any) -> list[object]:
    if score is None or math.isnan(score.score):
        said: list[object] = [page.element("span", row.status, cls=f"state {row.status}"), "0"]
    else:
        said = [tables.number(score.score), f"{score.episodes:,}"]
    evaluated = tables.number(score.evaluation) if score is not None else "–"
    return [*said, evaluated, f"{row.frame:,}"]


def _made(score: Any, origin: Origin | None) -> list[object]:
    if origin is None:
        hours = "–" if score is None or math.isnan(score.seconds) else f"{score.seconds / 3600:.2f}"
        commit = "–" if score is None else score.commit[:10] or "–"
        return [hours, commit, *(["–"] * 4)]
    attempts = origin.attempts
    ends = ", ".join(str(each.get("reason") or "killed or going on") for each in attempts)
    commit = score.commit if score is not None else origin.commit
    changed = " with changes" if (score.dirty if score is not None else origin.dirty) else ""
    known = {key: getattr(score, key, None) or origin.config.get(key, "–") for key in
             ("hash", "view_hash")}  # fmt: skip
    return [
        f"{score.seconds / 3600:.2f}" if score is not None else "–",
        Markup(page.element("code", commit[:10] or "–") + page.escape(changed)),
        page.element("code", str(known["hash"])[:8]),
        page.element("code", str(known["view_hash"])[:8]),
        f"{len(attempts)} ({ends})" if attempts else "–",
        origin.setting or "–",
    ]


def _video(game: str) -> Markup:
    link = page.element("a", "What the models imagine here", href=f"#worlds-{game}")
    return page.element("p", link)
