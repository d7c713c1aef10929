"""How much disk a run takes: what stays, and what is there only while it runs.

Replay and checkpoints go when a run has finished; weights, lines and pictures stay.
"""

import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch import checkpoint, config, plan
from launch.cost import speeds
from launch.replay.store import ROWS
from suites.game import image_shape
from suites.records import build
from suites.suite import Suite
from suites.view import View

SMALL = 32  # Bytes of a row beside its image: reward, flags, action.


@dataclass(frozen=True)
class Disk:
    """Bytes of one run; None is not known."""

    kept: float | None
    passing: float | None
    at_least: bool  # Of `passing`, only the frames are known.
    source: str


def known(suite: Suite, runs: Sequence[plan.Run], root: Path) -> Disk:
    """Returns what a run of an agent takes, from run folders where there are any.

    Args:
        suite: whose runs they are.
        runs: all of one label.
        root: where runs/ and the remembered measurements are.
    """
    label = runs[0].agent
    (rows, row), training = replay(suite, label), config.settings(suite, label)["training"]
    weights = 1 + bool(suite.evaluation.episodes)  # Final, and best by evaluation.
    done = speeds.newest(plan.of_state(runs, "finished"), "config.json", root)
    going = speeds.newest(plan.of_state(runs, "missing"), "checkpoints", root)
    passing = [
        each for run in going if (each := _passing(root / run.folder, suite, rows, training))
    ]
    line = speeds.remembered(runs, root)
    frames, at_least = rows * row, bool(training.get("context"))
    if done:
        kept = statistics.fmean(size(root / run.folder) for run in done)
        source = f"finished folders ({len(done)})"
        if not passing and line is None:
            # A checkpoint holds what the final weights hold, and little besides.
            one = max(size(root / run.folder / "weights" / "final.npz") for run in done)
            return Disk(kept, checkpoint.KEPT * one + frames, at_least, source)
    elif passing:
        kept = weights * statistics.fmean(each[0] for each in passing)
        source = f"folders under way ({len(passing)})"
    elif line:
        kept, source = weights * line["weights_bytes"], "measured"
    else:
        what = "settings: frames of replay alone" if rows else "not measured"
        return Disk(None, frames or None, bool(rows), what)
    if passing:
        return Disk(kept, statistics.fmean(each[1] for each in passing), False, source)
    replayed = rows * line["replay_bytes_a_row"]
    return Disk(kept, checkpoint.KEPT * line["checkpoint_bytes"] + replayed, False, source)


def replay(suite: Suite, label: str) -> tuple[int, int]:
    """Returns the rows that a run's replay holds in the end, and the bytes of one without latents.

    Rollouts are part of checkpoints and no replay.
    """
    settings = config.settings(suite, label)
    training = settings["training"]
    if training["sampling"] not in ("uniform", "episodes"):
        return 0, 0
    view = build(View, settings["view"], f"view of {label}")
    height, width, channels = image_shape(view)
    steps = suite.frames // suite.task.frame_skip
    return min(training["capacity"], steps), height * width * channels + SMALL


def replay_bytes(folder: Path, rows: int, block: int, mapped: bool) -> float:
    """Returns the bytes on the disk of one row of a replay.

    Args:
        folder: of the replay.
        rows: that were played.
        block: rows of one file.
        mapped: whether the space of a whole file is taken at once.
    """
    if mapped:
        rows = max(rows, block * len(list(folder.glob("rows-*.bin"))))
    return size(folder) / rows if rows else 0.0


def size(path: Path) -> int:
    """Returns the bytes that a file or folder takes on the disk; files may have holes."""
    found = 0
    for each in _inside(path) if path.is_dir() else [path]:
        try:
            found += each.stat().st_blocks * 512
        except FileNotFoundError:  # A run under way removes what it has replaced.
            continue
    return found


def _inside(path: Path) -> Iterator[Path]:
    """Yields all files and folders in a folder; those that vanish meanwhile end nothing."""
    for place, folders, files in os.walk(path):
        yield from (Path(place, name) for name in (*folders, *files))


def _passing(
    folder: Path, suite: Suite, rows: int, training: dict[str, Any]
) -> tuple[float, float] | None:
    """Returns the bytes of a checkpoint, and of all that goes at the end, its replay filled up."""
    held = checkpoint.newest_first(folder / "checkpoints")
    if not held:
        return None
    one = size(held[0])
    played = frames_of(held[0]) // suite.task.frame_skip
    mapped = training.get("storage") == "mapped"
    each = replay_bytes(folder / "replay", played, min(rows, ROWS), mapped)
    return one, checkpoint.KEPT * one + rows * each


def frames_of(path: Path) -> int:
    """Returns the frame of a checkpoint."""
    return int(path.stem.partition("-")[0])
