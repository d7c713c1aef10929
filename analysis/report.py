"""The report of a suite: one HTML file with everything inlined, for screen, phone and paper."""

import time
from collections.abc import Sequence
from pathlib import Path

from analysis import (
    appendix,
    brought,
    cells,
    coverage,
    evidence,
    files,
    page,
    pipeline,
    provenance,
    scores,
)
from analysis.evidence import Evidence
from analysis.imported import store
from suites.suite import Suite

ANCHORS = {
    "verdicts": "Verdicts", "aggregates": "Aggregates", "curves": "Learning curves",
    "profile": "Profile", "games": "Score by game", "each": "Game by game",
    "worlds": "What the models imagine", "coverage": "Coverage", "imports": "Imports",
    "protocol": "Protocol", "provenance": "Provenance",
}  # fmt: skip


def build(
    suite: Suite,
    results: Path,
    runs: Path,
    partial: bool,
    agents: Sequence[str] | None,
    now: float | None = None,
) -> Path:
    """Makes a suite's tables, figures and report from receipts and run folders.

    Args:
        suite: Which.
        results: Folder of all suites' results.
        runs: Folder of all run folders.
        partial: Whether to go on without some of the runs, and say what is missing and why.
        agents: Labels to compare; None for all that have a receipt or a run folder.
        now: Unix time; None for the clock's.

    Returns:
        Path of report.html.

    Raises:
        ValueError: Nothing was run; or, without `partial`, a run is missing or does not fit.
    """
    labels, imports = chosen(suite, results, runs, agents)
    if not labels and not imports:
        raise ValueError(
            f"no run of suite {suite.name} in {results} or {runs}; "
            f"`snakemake --profile local --config suite={suite.name}` makes them."
        )
    now = time.time() if now is None else now
    if partial:
        pipeline.collect_partial(suite, labels, results, runs, now, imports)
    else:
        refuse_missing(suite, labels, results, runs, now)
        every = cells.expected(suite, labels)
        receipts = [cell.receipt(results) for cell in every]
        pipeline.collect(suite, receipts, results, runs, now, imports)
    pipeline.aggregate(suite, results)
    pipeline.figures(suite, results)
    return write(suite, results, runs)


def chosen(
    suite: Suite, results: Path, runs: Path, asked: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Returns labels of our own agents and names of imports.

    A name that both have means both: they are told apart by their labels.

    Args:
        suite: Which.
        results: Folder of all suites' results.
        runs: Folder of all run folders.
        asked: Labels or names; None for all that there are.
    """
    own, names = cells.found_agents(suite, results, runs), store.names(results, suite.name)
    if asked is None:
        return own, names
    wanted = [each.removesuffix(brought.MARK) for each in asked]
    imports = [name for name in names if name in wanted]
    plain = {each for each in asked if not brought.is_label(each)}
    return sorted(each for each in plain if each in own or each not in imports), imports


def refuse_missing(
    suite: Suite, agents: Sequence[str], results: Path, runs: Path, now: float
) -> None:
    """Refuses a whole report of a sweep that is not whole.

    Raises:
        ValueError: Runs have no receipt that counts; each is named, with the reason.
    """
    every = cells.expected(suite, agents)
    missing = coverage.left_out(coverage.table(suite, every, results, runs, now))
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(every)} runs of suite {suite.name} are missing; "
            "`--partial` makes a report without them:\n  " + "\n  ".join(missing)
        )


def write(suite: Suite, results: Path, runs: Path) -> Path:
    """Writes report.html from the tables of a suite and the provenance in its run folders.

    Raises:
        ValueError: A table is not there yet.
    """
    from analysis import judged, lines, pages, sections, worlds

    found = evidence.read(suite, results)
    own = brought.ours(found.coverage)
    every = cells.expected(suite, found.own)
    status = dict(zip(every, own["status"], strict=True))
    origins, settings = provenance.read([c for c in every if status[c] != "missing"], runs)
    path = results / suite.name / "report.html"
    media = worlds.found(found, runs)
    videos = frozenset(one.cell.game for one in media)
    means, seeds = lines.of_games(found)
    profile = lines.of_profiles(found)
    kept, wrong = judged.read(found, results)
    drawn = [*means.values(), *seeds.values(), *([profile] if profile else [])]
    parts = {
        "verdicts": judged.section(kept, wrong),
        "aggregates": sections.aggregate(found),
        "curves": sections.curves(found, means),
        "profile": sections.profile(found, profile),
        "games": sections.games(found),
        "each": pages.section(found, seeds, kept, origins, videos),
        "worlds": worlds.section(media, path.parent),
        "coverage": appendix.covered(found),
        "imports": appendix.imports(found),
        "protocol": appendix.protocol(found, origins),
        "provenance": appendix.sources(found, origins, settings),
    }
    links = [page.element("a", ANCHORS[anchor], href=f"#{anchor}") for anchor in parts
             if parts[anchor]]  # fmt: skip
    text = page.page(
        f"{suite.title} ({suite.name})",
        sections.colours(found.agents),
        *sections.title(found),
        page.element("nav", *links),
        parts.pop("verdicts"),
        *sections.summary(found, warnings(found, origins)),
        sections.legend(found.agents),
        *parts.values(),
        page.script(lines.numbers(found.agents, {chart.key: chart for chart in drawn})),
    )
    files.write(path, text)
    return path


def warnings(found: Evidence, origins: Sequence[provenance.Origin]) -> list[str]:
    """Returns what makes the report's numbers doubtful, one sentence each."""
    own = brought.ours(found.scores)
    said = [f"Not the same was measured: {text}" for text in scores.mixtures(own, found.suite)]
    said += [
        f"{label} is not under our terms: {', '.join(map(str, unlike))}."
        for label, facts in found.imports.items()
        if (unlike := brought.unlike(found.suite, facts)[0])
    ]
    said += [
        f"{row.agent}/{row.game}/{row.seed}: {row.note}."
        for row in own[own["note"] != ""].itertuples()
    ]
    for agent in provenance.several_settings(origins):
        said.append(f"Runs of {agent} had different configurations under one label.")
    if changed := int(own["dirty"].sum()):
        of = f"{changed} of {len(own)} runs"
        said.append(f"Made with uncommitted changes in the code: {of}.")
    return said
