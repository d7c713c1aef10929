"""The report's sections on where results come from: coverage, protocol, provenance."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis import brought, coverage, evidence, figures, page
from analysis.evidence import Evidence
from analysis.imported.store import Facts
from analysis.page import Markup
from analysis.provenance import Origin, Setting
from suites import windows
from suites.suite import Suite


def covered(found: Evidence) -> Markup:
    """Returns how many seeds of each cell are there, and why the others are not."""
    table = found.coverage
    there = table[table["status"].isin([*coverage.SCORED, brought.SCORED])]
    counts = there.groupby(["game", "agent"]).size().to_dict()
    rows = [
        [figures.title(game), *[_seeds(found, counts, game, agent) for agent in found.agents]]
        for game in found.suite.games
    ]
    own, other = brought.ours(table), brought.theirs(table)
    parts = [page.table(["Finished runs, seeds with a score", *found.agents], rows)]
    parts += _listed(own[own["status"] != "finished"], "run", "without a score, and why")
    gaps = other[other["status"] != brought.SCORED]
    parts += _listed(gaps, "imported run", "without a point in the score window")
    return page.section("coverage", "Coverage", *parts)


def _seeds(found: Evidence, counts: dict[tuple[str, str], int], game: str, agent: str) -> Markup:
    there, expected = counts.get((game, agent), 0), found.expected(game, agent)
    if not expected:
        return page.element("span", "not imported", cls="soft")
    return page.element("span", f"{there} of {expected}", cls="few" if there < expected else "full")


def _listed(missing: pd.DataFrame, thing: str, what: str) -> list[Markup]:
    if missing.empty:
        return []
    lines = [
        [
            f"{row.agent}/{row.game}/{row.seed}",
            page.element("span", row.status, cls=f"state {row.status}"),
            f"{row.frame:,} of {row.frames:,} frames",
            row.reason,
        ]
        for row in missing.itertuples()
    ]
    return [
        page.element("h3", f"{figures.counted(len(missing), thing)} {what}"),
        page.table(["Run", "Status", "Came to", "Reason"], lines, "text reasons"),
        page.facts([(name, coverage.STATUSES[name]) for name in missing["status"].unique()]),
    ]


def imports(found: Evidence) -> Markup:
    """Returns where imports come from, and what they did otherwise than the suite."""
    if not found.imports:
        return Markup("")
    rows = []
    for label, facts in found.imports.items():
        unlike, unknown = brought.unlike(found.suite, facts)
        window = f"{facts.window}: {windows.parse(facts.window).words(facts.budget)}"
        other = [page.element("strong", f"{each.name}: ours {each.ours}, theirs {each.theirs}. ")
                 for each in unlike]  # fmt: skip
        silent = f"Not stated: {', '.join(unknown)}." if unknown else ""
        rows.append([
            label, f"{facts.source.name} ({facts.format})", facts.method, window, _stated(facts),
            Markup("".join(other) + page.escape(silent)) or "nothing that is stated",
            ". ".join(facts.notes) or "–",
        ])  # fmt: skip
    head = ["Import", "Source", "Method", "Score window", "Protocol", "Unlike ours", "Notes"]
    text = page.element(
        "p", "Scores of others, brought in with ", page.element("code", "reverie import"),
        ". Each is scored in its own window and never pooled with our runs, whatever it is called.",
    )  # fmt: skip
    return page.section("imports", "Imports", text, page.table(head, rows, "text sources"))


def _stated(facts: Facts) -> str:
    told = facts.protocol.model_dump()
    said = [f"{name} {_plain(value)}" for name, value in told.items() if value is not None]
    return f"{facts.budget:,} frames; {', '.join(said) or 'not stated'}; points are {facts.kind}"


def protocol(found: Evidence, origins: Sequence[Origin]) -> Markup:
    """Returns the task, which all runs share, and the view of each agent, which may differ."""
    suite = found.suite
    task = _flat(suite.task.model_dump(mode="json"))
    judged = suite.evaluation
    points = ", ".join(f"{at:.0%}" for at in judged.at)
    scoring = [
        ("Evaluation", f"{judged.episodes} episodes, {judged.policy}, at {points} of the budget"
         if judged.episodes else "none"),
        ("Score window", evidence.window_words(suite)),
        ("Normalisation", _normalisation(suite)),
    ]  # fmt: skip
    views = {o.cell.agent: o.config["view"] for o in reversed(origins) if "view" in o.config}
    parts = [page.element("h3", "Task: the suite's, the same for every run"), page.facts(task)]
    parts += [page.element("h3", "Score"), page.facts(scoring)]
    if views:
        keys = sorted({key for view in views.values() for key in view})
        rows = [[agent, *[_plain(view.get(k)) for k in keys]] for agent, view in
                sorted(views.items())]  # fmt: skip
        parts.append(page.element("h3", "View: each agent's own"))
        parts.append(page.table(["Agent", *[k.replace("_", " ") for k in keys]], rows, "text"))
    return page.section("protocol", "Protocol", *parts)


def _normalisation(suite: Suite) -> str:
    formula = "" if suite.score.normalize == "none" else "(score − random) / (human − random). "
    return formula + evidence.not_normalised(suite)


def _flat(tree: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    pairs = []
    for key, value in tree.items():
        name = f"{above}{key.replace('_', ' ')}"
        pairs += _flat(value, f"{name}: ") if isinstance(value, dict) else [(name, _plain(value))]
    return pairs


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "–")


def sources(found: Evidence, origins: Sequence[Origin], settings: Sequence[Setting]) -> Markup:
    """Returns what made each run: commit, configuration, packages, machine, attempts."""
    receipts = list(brought.ours(found.scores).itertuples())
    commits = sorted({f"{r.commit[:12]}{' with changes' if r.dirty else ''}" for r in
                      receipts})  # fmt: skip
    parts = [
        page.element("p", f"Commits: {', '.join(commits) or 'none'}. Bootstrap seed: "
                     f"{evidence.SEED}. Every interval comes out the same again. What made each "
                     f"of {figures.counted(len(origins), 'run')} stands with its game."),
        *[_setting(setting) for setting in settings],
    ]  # fmt: skip
    return page.section("provenance", "Provenance", *parts)


def _setting(setting: Setting) -> Markup:
    machine = [(key.replace("_", " "), _plain(value)) for key, value in setting.machine.items()]
    packages = [
        page.element("li", f"{name} {version}") for name, version in setting.packages.items()
    ]
    return page.details(
        f"{setting.name}: Python {setting.python}, {len(packages)} packages, "
        f"{setting.machine.get('cpu', 'unknown machine')}",
        page.facts(machine),
        page.element("ul", *packages, cls="packages"),
    )
