"""Coverage: how every cell of a sweep stands, and why a missing one is missing.

What a run left behind is read in this order: its receipt, then error.json, provenance.json and
the last line of metrics.jsonl of its folder.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import files, scores
from analysis.cells import Cell
from suites.suite import Suite

if TYPE_CHECKING:
    import pandas as pd

SILENCE = 600  # seconds without a line of metrics after which a run counts as killed
COLUMNS = ["suite", "agent", "game", "seed", "status", "frame", "frames", "reason"]
STATUSES = {
    "finished": "has a receipt and a score",
    "empty": "has a receipt, but no episode ended in the score window",
    "running": "showed life in the last ten minutes",
    "stopped": "left with a checkpoint; the same command goes on",
    "killed": "ended without a word; the same command goes on from the last checkpoint",
    "failed": "ended with an error",
    "stale": "is of another task, budget or configuration than the suite file",
    "damaged": "has files that cannot be read",
    "missing": "was not started",
    "imported": "is a run of others, with a score in the window of its source",
    "gap": "is a run of others, without a point in the window of its source",
}
SCORED = ("finished", "empty")


@dataclass(frozen=True)
class Standing:
    """How one cell stands; `frame` is how far it came."""

    status: str
    reason: str
    frame: int


def table(
    suite: Suite, cells: Sequence[Cell], results: Path, runs: Path, now: float
) -> "pd.DataFrame":
    """Returns one row for each cell, ordered by agent, game and seed.

    Args:
        suite: What the runs should be of.
        cells: Which runs are expected.
        results: Folder of receipts.
        runs: Folder of run folders.
        now: Unix time, against which silence is measured.
    """
    import pandas as pd

    rows = []
    for cell in sorted(cells):
        found = standing(suite, cell, results, runs, now)
        facts = {"status": found.status, "frame": found.frame, "reason": found.reason}
        names = {"agent": cell.agent, "game": cell.game, "seed": cell.seed}
        rows.append({"suite": suite.name, **names, "frames": suite.frames, **facts})
    return pd.DataFrame(rows, columns=COLUMNS)


def standing(suite: Suite, cell: Cell, results: Path, runs: Path, now: float) -> Standing:
    """Returns how one cell stands."""
    path, folder = cell.receipt(results), cell.folder(runs)
    try:
        if path.is_file():
            return _of_receipt(suite, scores.read(path, cell), folder)
        return _of_folder(suite, folder, now)
    except (ValueError, KeyError, TypeError) as error:
        return Standing("damaged", " ".join(str(error).split()), 0)


def _of_receipt(suite: Suite, receipt: scores.Receipt, folder: Path) -> Standing:
    seen = {"task_hash": receipt.task_hash, "frames": receipt.frames}
    if said := _stale(suite, seen | {"window": receipt.score.window}):
        return Standing("stale", f"receipt of {said}", receipt.frames)
    config = folder / "config.json"
    if config.is_file() and (other := files.read_json(config)["hash"]) != receipt.hash:
        reason = f"the run folder is of configuration {other}, the receipt of {receipt.hash}"
        return Standing("stale", reason, receipt.frames)
    if receipt.score.value is None:
        reason = f"no episode in the window {receipt.score.window}"
        return Standing("empty", reason, receipt.frames)
    return Standing("finished", "", receipt.frames)


def _of_folder(suite: Suite, folder: Path, now: float) -> Standing:
    if not (folder / "config.json").is_file():
        return Standing("missing", "not started", 0)
    config = files.read_json(folder / "config.json")
    last = files.last_line(folder / "metrics.jsonl") or {"frame": 0, "unix": 0.0}
    frame = int(last["frame"])
    seen = {"task_hash": config["task_hash"], "frames": config["frames"]}
    if said := _stale(suite, seen | {"window": config["score"]["window"]}):
        return Standing("stale", f"run folder of {said}", frame)
    if (folder / "error.json").is_file():
        error = files.read_json(folder / "error.json")
        return Standing("failed", str(error["error"]), int(error.get("frame") or frame))
    return _of_attempts(folder, frame, now - float(last["unix"]))


def _of_attempts(folder: Path, frame: int, silence: float) -> Standing:
    path = folder / "provenance.json"
    attempts = files.read_json(path)["attempts"] if path.is_file() else []
    number = f"attempt {max(1, len(attempts))}"
    reason = attempts[-1]["reason"] if attempts else None
    if reason == "stopped":
        return Standing("stopped", f"stopped with a checkpoint, {number}", frame)
    if reason == "finished":
        return Standing("missing", "the run folder is finished, but there is no receipt", frame)
    if reason is not None:
        return Standing("failed", f"{reason}, {number}", frame)
    if silence >= SILENCE or (attempts and _gone(attempts[-1])):
        return Standing("killed", f"ended without a word (killed?), {number}", frame)
    return Standing("running", number, frame)


def _gone(attempt: dict[str, Any]) -> bool:
    # The run's lock is not tried: who tries it holds it for a moment, and a start is refused.
    here = attempt["host"] == socket.gethostname()
    return here and not Path(f"/proc/{attempt['pid']}").exists()


def _stale(suite: Suite, seen: dict[str, Any]) -> str:
    wanted = {"task_hash": suite.task_digest, "frames": suite.frames, "window": suite.score.window}
    said = [
        f"{key} {seen[key]}, now {value}" for key, value in wanted.items() if seen[key] != value
    ]
    return "; ".join(said)


def left_out(table: "pd.DataFrame") -> list[str]:
    """Returns one line for each cell without a receipt that counts: name, status, reason."""
    rows = table[~table["status"].isin(SCORED)]
    return [
        f"{row.agent}/{row.game}/{row.seed}: {row.status}"
        + (f" at frame {row.frame:,}" if row.frame else "")
        + f": {row.reason}"
        for row in rows.itertuples()
    ]
