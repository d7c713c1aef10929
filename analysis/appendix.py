"""The report's sections on where results come from: coverage, protocol, provenance."""

from collections.abc import Sequence
from typing import Any

from analysis import coverage, evidence, figures, page
from analysis.evidence import Evidence
from analysis.page import Markup
from analysis.provenance import Origin, Setting
from suites.suite import Suite


def covered(found: Evidence) -> Markup:
    """Returns how many seeds of each cell are there, and why the others are not."""
    table = found.coverage
    scored = table[table["status"].isin(coverage.SCORED)].groupby(["game", "agent"]).size()
    total = len(found.suite.seeds)
    rows = [
        [figures.title(game), *[f"{scored.get((game, a), 0)} of {total}" for a in found.agents]]
        for game in found.suite.games
    ]
    parts = [page.table(["Finished runs", *found.agents], rows)]
    missing = table[table["status"] != "finished"]
    if len(missing):
        lines = [
            [
                f"{row.agent}/{row.game}/{row.seed}",
                page.element("span", row.status, cls=f"state {row.status}"),
                f"{row.frame:,} of {row.frames:,} frames",
                row.reason,
            ]
            for row in missing.itertuples()
        ]
        parts.append(
            page.element("h3", f"{figures.counted(len(missing), 'run')} without a score, and why")
        )
        parts.append(page.table(["Run", "Status", "Came to", "Reason"], lines, "text reasons"))
        words = [(name, coverage.STATUSES[name]) for name in missing["status"].unique()]
        parts.append(page.facts(words))
    return page.section("coverage", "Coverage", *parts)


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
    head = ["Run", "Commit", "Config", "View", "Frames", "Hours", "Attempts", "Ran on"]
    receipts = {(r.agent, r.game, r.seed): r for r in found.scores.itertuples()}
    rows = [_run(o, receipts.get((o.cell.agent, o.cell.game, o.cell.seed))) for o in origins]
    commits = sorted({f"{r.commit[:12]}{' with changes' if r.dirty else ''}" for r in
                      receipts.values()})  # fmt: skip
    parts = [
        page.element("p", f"Commits: {', '.join(commits) or 'none'}. Bootstrap seed: "
                     f"{evidence.SEED}. Every interval comes out the same again."),
        *[_setting(setting) for setting in settings],
        page.details(f"All {len(rows)} runs", page.table(head, rows, "text")),
    ]  # fmt: skip
    return page.section("provenance", "Provenance", *parts)


def _run(origin: Origin, receipt: Any) -> list[object]:
    cell, attempts = origin.cell, origin.attempts
    ends = ", ".join(str(attempt.get("reason") or "killed or going on") for attempt in attempts)
    commit = receipt.commit if receipt else origin.commit
    changed = " with changes" if (receipt.dirty if receipt else origin.dirty) else ""
    return [
        f"{cell.agent}/{cell.game}/{cell.seed}",
        Markup(page.element("code", commit[:12] or "–") + page.escape(changed)),
        page.element("code", receipt.hash if receipt else origin.config.get("hash", "–")),
        page.element("code", receipt.view_hash if receipt else origin.config.get("view_hash", "–")),
        f"{receipt.frames:,}" if receipt else "–",
        f"{receipt.seconds / 3600:.2f}" if receipt else "–",
        f"{len(attempts)} ({ends})" if attempts else "–",
        origin.setting or "–",
    ]


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
