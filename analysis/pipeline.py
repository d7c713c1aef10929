"""The steps from receipts to figures, one thin function each, with explicit paths.

    collect    receipts, run folders, imports -> scores.csv, coverage.csv, curves.csv
    aggregate  those                 -> aggregates.csv, profiles.csv, games.csv
    figures    all of them           -> figures/*.png, figures/*.pdf
    report     all of them           -> report.html (analysis/report.py)

All files are in `results/<suite>/`. Single episodes are not copied: a sweep of 57 games has tens
of millions; `curves.csv` holds their means in bins, and the run folders keep them.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import aggregates, brought, cells, coverage, curves, evidence, files, scores, tables
from analysis.imported import store
from suites.suite import Suite

FIGURES = ("curves", "aggregates", "profiles")


def collect(
    suite: Suite,
    receipts: Sequence[Path],
    results: Path,
    runs: Path,
    now: float,
    imports: Sequence[str] | None = None,
) -> list[Path]:
    """Writes the tables of finished runs.

    Args:
        suite: What was measured.
        receipts: `results/<suite>/<agent>/<game>/<seed>.json`, of all runs that count.
        results: Folder of all suites' results.
        runs: Folder of all run folders.
        now: Unix time, to tell whether a run without a receipt is alive.
        imports: Names of imports whose rows follow ours; None for all that the suite has.

    Returns:
        scores.csv, coverage.csv, curves.csv. The coverage is that of all cells of the agents
        that the receipts name, so that a run left out is seen to be left out.

    Raises:
        ValueError: A receipt is missing or broken, or the receipts do not measure the same.
    """
    given = cells.of_receipts(suite, receipts)
    if gone := [str(cell) for cell in given if not cell.receipt(results).is_file()]:
        raise ValueError(f"no receipt of {len(gone)} runs: {', '.join(gone)}.")
    table = scores.table(given, results, runs)
    scores.refuse_mixtures(table, suite)
    every = cells.expected(suite, {cell.agent for cell in given})
    standing = coverage.table(suite, every, results, runs, now)
    found = brought.Tables(table, standing, curves.table(suite, given, runs))
    return _with_imports(suite, results, found, imports)


def collect_partial(
    suite: Suite,
    agents: Sequence[str],
    results: Path,
    runs: Path,
    now: float,
    imports: Sequence[str] | None = None,
) -> list[Path]:
    """Writes the same tables from whatever there is, unfinished runs in the curves too.

    Stale and damaged runs are listed in coverage.csv and left out of everything else.

    Args:
        suite: What was measured.
        agents: Labels whose cells are expected.
        results: Folder of all suites' results.
        runs: Folder of all run folders.
        now: Unix time.
        imports: Names of imports whose rows follow ours; None for all that the suite has.
    """
    every = cells.expected(suite, agents)
    standing = coverage.table(suite, every, results, runs, now)
    status = dict(zip(every, standing["status"], strict=True))
    finished = [cell for cell in every if status[cell] in coverage.SCORED]
    sound = [cell for cell in every if status[cell] not in ("stale", "damaged", "missing")]
    table = scores.table(finished, results, runs)
    found = brought.Tables(table, standing, curves.table(suite, sound, runs))
    return _with_imports(suite, results, found, imports)


def _with_imports(
    suite: Suite, results: Path, found: brought.Tables, imports: Sequence[str] | None
) -> list[Path]:
    """Writes our tables with the imports' rows below; ours were refused already if they mix."""
    names = store.names(results, suite.name) if imports is None else imports
    others = brought.tables(suite, names, results)
    return _write(suite, results, list(map(files.below, found, others)))


def aggregate(suite: Suite, results: Path) -> list[Path]:
    """Writes aggregates.csv, profiles.csv and the per-game table games.csv from scores.csv."""
    table = files.read_table(results / suite.name / "scores.csv")
    scale = evidence.scales(suite)
    parts = brought.beside(table, evidence.normalisable(suite))
    found = [
        files.one_below_the_other(
            [_aggregates(suite, *part) for part in parts], aggregates.COLUMNS
        ),
        files.one_below_the_other(
            [
                aggregates.profile(
                    suite.name, rows, scale, evidence.SEED, aggregates.PROFILE_RESAMPLES
                )
                for rows, _ in parts
            ],
            aggregates.PROFILE_COLUMNS,
        ),
        tables.per_game(suite.name, table, scale, suite.games, evidence.SEED),
    ]
    return _write(suite, results, found, evidence.AGGREGATED)


def _aggregates(suite: Suite, rows: pd.DataFrame, lacking: Sequence[str]) -> pd.DataFrame:
    scale = evidence.scales(suite)
    found = aggregates.table(suite.name, rows, scale, evidence.SEED, aggregates.RESAMPLES)
    return found.assign(note=[brought.note(said, lacking) for said in found["note"]])


def _write(
    suite: Suite,
    results: Path,
    found: Sequence[pd.DataFrame],
    names: Sequence[str] = evidence.COLLECTED,
) -> list[Path]:
    paths = [results / suite.name / f"{name}.csv" for name in names]
    for path, table in zip(paths, found, strict=True):
        files.write_table(path, table)
    return paths


def figures(suite: Suite, results: Path) -> list[Path]:
    """Draws every figure of a suite as PNG and PDF.

    Returns:
        figures/{curves,aggregates,profiles}.{png,pdf}, which are always written, then
        figures/games/<game>.{png,pdf}, one for each game.
    """
    from analysis import figures as drawing

    found, folder = evidence.read(suite, results), results / suite.name / "figures"
    scale, told = evidence.scales(suite), evidence.score_words(suite)
    drawn = found.game_curves()
    begun = found.begun_curves() or drawn  # A panel that stays empty says less than none.
    curve_words = f"{evidence.curve_words(found)} Suite {suite.name}."
    with drawing.theme():
        paths = drawing.save(drawing.curves(begun, scale, curve_words), folder / "curves")
        if found.aggregates.empty:
            why = evidence.not_normalised(suite) or "No run has a score yet."
            both = [drawing.blank(why), drawing.blank(why)]
        else:
            counts = (aggregates.RESAMPLES, aggregates.PROFILE_RESAMPLES)
            words = [f"{told} {evidence.interval_words(found, count)}" for count in counts]
            both = [
                drawing.intervals(found.aggregates, words[0]),
                drawing.profiles(found.profiles, found.aggregates, words[1]),
            ]
        for figure, name in zip(both, FIGURES[1:], strict=True):
            paths += drawing.save(figure, folder / name)
        for game, ones in drawn.items():
            figure = drawing.curves({game: ones}, scale, curve_words)
            paths += drawing.save(figure, folder / "games" / game)
    return paths
