"""Scores: receipts and run folders become one tidy table, a row for each finished run.

Scores of different tasks are never pooled, nor runs that saw their games in different views
under one label. Where the run folder is still there, its episodes are scored again, and a receipt
that says something else is shown as such.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pydantic

from analysis import files
from analysis.cells import Cell
from suites import records, windows
from suites.suite import Suite

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "suite", "agent", "game", "seed", "score", "window", "episodes", "evaluation",
    "evaluation_episodes", "policy", "frames", "seconds", "hash", "task_hash", "view_hash",
    "commit", "dirty", "note",
]  # fmt: skip


class _Part(records.Record):
    # A receipt may get new keys for others to read; none of ours may be missing.
    model_config = pydantic.ConfigDict(extra="ignore")


class Scored(_Part):
    """The score of a run in the suite's window."""

    window: str
    value: float | None  # None where no episode ended in the window
    episodes: int


class Evaluated(_Part):
    """The last evaluation of a run."""

    policy: Literal["sampled", "greedy"]
    episodes: int
    mean: float | None


class Receipt(_Part):
    """What the analysis reads of a finished run's receipt."""

    suite: str
    agent: str
    game: str
    seed: int
    hash: str
    task_hash: str
    view_hash: str
    frames: int
    score: Scored
    evaluation: Evaluated | None
    seconds: float
    commit: str | None
    dirty: bool | None

    @property
    def cell(self) -> Cell:
        """Returns the cell that the receipt speaks of."""
        return Cell(self.suite, self.agent, self.game, self.seed)


def read(path: Path, cell: Cell) -> Receipt:
    """Reads one receipt.

    Raises:
        ValueError: It is broken, lacks something, or speaks of another run than its path.
    """
    receipt = records.build(Receipt, files.read_json(path), str(path))
    if receipt.cell != cell:
        raise ValueError(f"{path}: speaks of {receipt.cell}; was it moved here?")
    return receipt


def table(cells: Sequence[Cell], results: Path, runs: Path) -> "pd.DataFrame":
    """Returns the scores of finished runs, one row each, ordered by agent, game and seed.

    Raises:
        ValueError: A receipt cannot be read.
    """
    import pandas as pd

    rows = [_row(read(cell.receipt(results), cell), cell.folder(runs)) for cell in sorted(cells)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(receipt: Receipt, folder: Path) -> dict[str, object]:
    scored, judged = receipt.score, receipt.evaluation
    kept = set(COLUMNS)
    facts = {key: value for key, value in receipt.model_dump().items() if key in kept}
    return facts | {
        "score": math.nan if scored.value is None else scored.value,
        "window": scored.window,
        "episodes": scored.episodes,
        "evaluation": math.nan if judged is None or judged.mean is None else judged.mean,
        "evaluation_episodes": 0 if judged is None else judged.episodes,
        "policy": "" if judged is None else judged.policy,
        "commit": receipt.commit or "",
        "dirty": bool(receipt.dirty),
        "note": _difference(receipt, folder),
    }


def _difference(receipt: Receipt, folder: Path) -> str:
    if not (folder / "episodes.jsonl").is_file():
        return ""
    found = of_folder(folder, windows.parse(receipt.score.window), receipt.frames)
    said = math.nan if receipt.score.value is None else receipt.score.value
    same = math.isclose(said, found.value, rel_tol=1e-9, abs_tol=1e-12)
    if (same or math.isnan(said + found.value)) and receipt.score.episodes == found.episodes:
        return ""
    return (
        f"the receipt says {said:g} over {receipt.score.episodes} episodes, "
        f"the run folder {found.value:g} over {found.episodes}"
    )


def of_folder(folder: Path, window: windows.Window, frames: int) -> windows.Score:
    """Scores a run from the episodes in its folder.

    Args:
        folder: Of the run.
        window: Which episodes count.
        frames: Budget of the run.
    """
    lines = (files.read_lines(folder / f"{kind}.jsonl") for kind in ("episodes", "evaluation"))
    return windows.score(window, frames, *lines)


def mixtures(table: "pd.DataFrame", suite: Suite | None) -> list[str]:
    """Returns what forbids to pool these scores, one sentence each; none where they agree.

    Args:
        table: Scores, as of `table`.
        suite: Its task, budget and window are what the scores must be of; None: whatever they are
            of, if it is one and the same.
    """
    wanted: dict[str, object] = dict.fromkeys(("task_hash", "frames", "window"))
    if suite is not None:
        wanted |= {"task_hash": suite.task_digest, "frames": suite.frames}
        wanted["window"] = suite.score.window
    said = []
    for column, value in wanted.items():
        groups = {str(key): len(rows) for key, rows in table.groupby(column)}
        if len(groups) > 1 or (value is not None and set(groups) - {str(value)}):
            rule = "" if value is None else f"; the suite file says {value}"
            said.append(f"{column}: {_listed(groups)}{rule}.")
    for agent, rows in table.groupby("agent"):
        views = {str(key): len(part) for key, part in rows.groupby("view_hash")}
        if len(views) > 1:
            said.append(f"view_hash of {agent}: {_listed(views)}.")
    return said


def refuse_mixtures(table: "pd.DataFrame", suite: Suite | None, where: str = "") -> None:
    """Refuses to go on with scores that do not measure the same.

    Args:
        table: Scores, as of `table`.
        suite: As of `mixtures`.
        where: They are from, if there is no suite.

    Raises:
        ValueError: Tasks, budgets, windows or one agent's views differ; both sides are listed.
    """
    if said := mixtures(table, suite):
        raise ValueError(
            f"results of {suite.name if suite else where} cannot be pooled, they do not measure "
            f"the same. {' '.join(said)} Run the stale ones again, or move them away."
        )


def _listed(groups: dict[str, int]) -> str:
    return ", ".join(f"{key} ({count} runs)" for key, count in sorted(groups.items()))
