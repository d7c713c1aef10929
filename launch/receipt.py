"""The receipt: what a finished run says about itself, and all that Snakemake knows of it."""

import time
from pathlib import Path
from typing import Any

from launch import provenance
from launch.config import RunConfig
from launch.folder import RunFolder
from launch.loop import Counters
from suites import windows

SAME = ("suite", "agent", "game", "seed", "hash", "task_hash", "view_hash")


def make(run: RunConfig, counters: Counters, folder: RunFolder, root: Path) -> dict[str, Any]:
    """Returns the receipt of a run that has just finished.

    Args:
        run: its configuration.
        counters: at its end.
        folder: its files, complete.
        root: where runs/ is; the receipt names the folder from there.
    """
    path = folder.path
    return {
        **{name: getattr(run, name) for name in SAME},
        "frames": run.frames,  # The budget, as compared; play overshoots it by a step at most.
        "agent_steps": counters.agent_steps,
        "rows": counters.rows,
        "updates": counters.updates,
        "episodes": counters.episodes,
        "score": score(run, folder),
        "evaluation": evaluation(run, folder),
        "run": str(path.relative_to(root) if path.is_relative_to(root) else path),
        "seconds": counters.seconds,
        **provenance.commit(Path(__file__)),
        "unix": time.time(),
    }


def score(run: RunConfig, folder: RunFolder) -> dict[str, Any]:
    """Returns the score over the suite's window; null where no episode is in it."""
    window = windows.parse(run.score.window)
    found = windows.score(window, run.frames, folder.lines("episodes"), folder.lines("evaluation"))
    value = found.value if found.episodes else None
    return {"window": run.score.window, "value": value, "episodes": found.episodes}


def evaluation(run: RunConfig, folder: RunFolder) -> dict[str, Any] | None:
    """Returns the last evaluation, or None where the suite has none."""
    lines = folder.lines("evaluation")
    if not lines:
        return None
    returns = [line["return"] for line in lines if line["frame"] == lines[-1]["frame"]]
    mean = sum(returns) / len(returns)
    return {"policy": run.evaluation.policy, "episodes": len(returns), "mean": mean}
