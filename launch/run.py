"""One run, from its configuration to its receipt, through any number of attempts.

The receipt is written last, by rename, and only by a run that has finished.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launch import config
from launch.folder import RunFolder, write_json
from launch.progress import Progress, duration
from launch.replay.size import TooLarge
from launch.session import Options, Session, Stopped
from suites.suite import Suite

FINISHED, CRASHED, REFUSED, STOPPED = 0, 1, 2, 75  # Exit codes; 75 is EX_TEMPFAIL: run again.


def folder_of(run: config.RunConfig, suite: Suite, options: Options) -> Path:
    """Returns the folder of a run: its place in the suite, in runs/debug, or as asked."""
    if options.out:
        return options.out
    place = Path(run.suite) / run.agent / run.game / str(run.seed)
    return options.root / "runs" / ("debug" / place if config.is_debug(run, suite) else place)


def receipt_of(run: config.RunConfig, suite: Suite, options: Options) -> Path | None:
    """Returns where the suite's receipt goes, or None for a run that is none of the suite's."""
    if options.out or config.is_debug(run, suite):
        return None
    return options.root / "results" / run.suite / run.agent / run.game / f"{run.seed}.json"


def main(
    run: config.RunConfig,
    suite: Suite,
    options: Options,
    started: Callable[[Path], None] = lambda folder: None,
) -> int:
    """Starts or goes on with a run and returns the exit code.

    Args:
        run: what to run.
        suite: whose run it is, unless something of it was changed.
        options: how.
        started: called with the folder once it is ours.

    Raises:
        ValueError: the folder is busy, another run's, or cannot be read; nothing was changed.
    """
    path = folder_of(run, suite, options)
    with RunFolder(path) as folder:
        runtime = {k: getattr(options, k) for k in ("threads", "workers", "device")}
        held = folder.adopt(run.model_dump(mode="json") | {"runtime": runtime})
        name = f"{run.agent} {run.game} {run.seed}"
        progress = Progress(name, run.frames, sys.stderr, path / "log.txt")
        try:
            if folder.read("receipt.json") is None:
                note_changes(held.get("runtime", {}), runtime, progress)
                started(path)
                code = attempt(Session(run, options, folder, progress))
                if code != FINISHED:
                    return code
            close(folder, progress, receipt_of(run, suite, options))
            return FINISHED
        finally:
            progress.close()


def note_changes(before: dict[str, Any], now: dict[str, Any], progress: Progress) -> None:
    """Says what may change the last bits of a run that began otherwise."""
    for name in ("threads", "device"):
        if before.get(name, now[name]) != now[name]:
            progress.say(
                f"note: began with {name} {before[name]} and goes on with {now[name]}; "
                "the last bits may differ from a run that was never interrupted"
            )


def attempt(session: Session) -> int:
    """Trains until the end or a stop; writes down how the attempt ended."""
    try:
        session.train()
    except Stopped as stop:
        session.progress.say(f"stopped by {stop}; the same command goes on from here")
        session.attempt.end("stopped")
        return STOPPED
    except Exception as error:
        session.fail(error)
        session.attempt.end("crashed")
        before = isinstance(error, ValueError) and not session.loop
        return REFUSED if before or isinstance(error, TooLarge) else CRASHED
    session.attempt.end("finished")
    return FINISHED


def close(folder: RunFolder, progress: Progress, target: Path | None) -> None:
    """Puts the receipt where the suite looks for it, and removes what only a resume needs."""
    receipt = folder.read("receipt.json")
    folder.tidy()
    if target:
        write_json(target, receipt)
    value, score = receipt["score"]["value"], receipt["score"]
    text = "no episode in the window" if value is None else f"{value:.1f}"
    progress.say(
        f"finished: {receipt['frames']:,} frames, score {text} "
        f"({score['window']}, {score['episodes']} episodes) in {duration(receipt['seconds'])}"
    )
