"""How far every run of a sweep is, wherever it runs: `reverie status` and `attach`.

What was handed to Slurm stands in the executor's ledger, how far a run is in the files of its
folder; Slurm is asked once. A sweep need not be running for its state to be seen.
"""

import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from launch import handed, listing, plan, progress
from launch.handed import Handed
from suites.suite import Suite

if TYPE_CHECKING:
    from snakemake_executor_plugin_submitit.ledger import Entry

LOG_LINES = 3  # Of a failed run.
LOOK_S = 15.0  # Seconds between two tables of `attach`.
# What a person looks for first comes first.
ORDER = (
    *("failed", "damaged", "killed", "running", "queued", "stopped"),
    *("missing", "stale", "empty", "finished"),
)


@dataclass(frozen=True)
class Line:
    """One run as people see it."""

    name: str  # agent/game/seed
    state: str  # one of ORDER
    percent: str = ""
    speed: str = ""  # agent steps a second
    mean: str = ""  # of the last returns
    eta: str = ""
    job: str = ""  # Slurm's id
    why: str = ""
    log: tuple[str, ...] = ()  # the last lines of a failed one


def table(suite: Suite, labels: Sequence[str], root: Path, jobs: Handed, now: float) -> list[Line]:
    """Returns how far each run is, those first that somebody should look at.

    Args:
        suite: whose runs.
        labels: agents, with their blocks.
        root: the folder that holds results and runs.
        jobs: what was handed to Slurm.
        now: seconds since the epoch.
    """
    runs = plan.survey(suite, labels, root)
    found = [line(suite, run, root, jobs, now) for run in runs]
    return sorted(found, key=lambda each: ORDER.index(each.state))


def line(suite: Suite, run: plan.Run, root: Path, jobs: Handed, now: float) -> Line:
    """Returns how far one run is."""
    from analysis import cells, coverage

    if run.state == "stale":
        return Line(run.name, "stale", why="made with another configuration")
    cell = cells.Cell(suite.name, run.agent, run.game, run.seed)
    here = coverage.standing(suite, cell, root / "results", root / "runs", now)
    found = Line(run.name, here.status, why=here.reason)
    if here.frame:
        found = replace(found, percent=f"{here.frame / suite.frames:.0%}")
    entry = jobs.entries.get(str(run.receipt))
    if entry and run.state != "finished" and concerns(entry, root / run.folder):
        found = with_job(found, entry, jobs)
    log = last_lines(root / run.folder / "log.txt")
    if found.state == "running":
        found = with_progress(found, log)
    if found.state in ("failed", "killed"):
        said = jobs.log(entry) if found.job and entry else []
        found = replace(found, log=tuple((said or log)[-LOG_LINES:]))
    return found


def concerns(entry: "Entry", folder: Path) -> bool:
    """Tells whether a job is the last that worked on a run: it may have gone on without Slurm."""
    try:
        return entry.open or (folder / "metrics.jsonl").stat().st_mtime <= entry.finished
    except OSError:
        return True


def last_lines(log: Path) -> list[str]:
    """Returns the last lines of a log, none without it."""
    from snakemake_executor_plugin_submitit import runner

    return runner.tail(log)


def with_job(found: Line, entry: "Entry", jobs: Handed) -> Line:
    """Adds what ledger and Slurm know of a run that has not finished."""
    state, why = jobs.verdict(entry)
    found = replace(found, job=entry.id)
    if state in ("queued", "running"):  # Slurm knows whether it lives; files may be old.
        return replace(found, state=state, why=why)
    if state in ("failed", "lost") and found.state != "failed":
        return replace(found, state="failed", why=why)
    if state == "cancelled":
        return replace(found, state="stopped", why="cancelled")
    return found


def with_progress(found: Line, log: Sequence[str]) -> Line:
    """Adds what a run last said of itself."""
    match = next((m for text in reversed(log) if (m := progress.LINE.match(text))), None)
    if not match:
        return found
    return replace(
        found, percent=f"{match['percent']}%", speed=match["speed"], mean=match["mean"],
        eta=match["eta"],
    )  # fmt: skip


def text(lines: Sequence[Line]) -> str:
    """Returns a table, under failed runs the end of their log, and a last line that counts."""
    head = ("run", "state", "done", "SPS", "return", "ETA", "job", "why")
    rows = [
        (each.name, each.state, each.percent, each.speed, each.mean, each.eta, each.job, each.why)
        for each in lines
    ]
    first, *rest = listing.table(head, rows, numbers=(2, 3, 4, 5)).splitlines()
    out = [first]
    for each, row in zip(lines, rest, strict=True):
        out += [row, *(f"    {said}" for said in each.log)]
    count = Counter(each.state for each in lines)
    return "\n".join(
        [*out, "", ", ".join(f"{count[word]} {word}" for word in ORDER if count[word])]
    )


def main(
    names: Sequence[str],
    labels: Sequence[str] | None,
    root: Path,
    folder: Path,
    say: Callable[[str], None],
) -> str:
    """Returns the tables of some suites.

    Args:
        names: of suites; none: those handed to Slurm, or whose runs are here.
        labels: agents; None: those that a sweep has by itself or that have run here.
        root: the folder that sweeps are started in.
        folder: of the executor.
        say: is told if Slurm does not answer.

    Raises:
        ValueError: there is no such suite or agent, or nothing has run here.
    """
    jobs = Handed(folder, say)
    chosen = list(names) or suites_of(jobs) or begun(root)
    if not chosen:
        raise ValueError(f"{root.absolute()}: no run was started from here; name a suite")
    found = []
    for name in chosen:
        suite = plan.load(name)
        lines = table(suite, labels or asked(suite, jobs, root), root, jobs, time.time())
        found.append(f"{name}: {suite.title}\n\n{text(lines)}")
    return "\n\n".join(found)


def suites_of(jobs: Handed) -> list[str]:
    """Returns the suites whose runs were handed over, the newest first."""
    import suites

    places = filter(None, map(handed.place, reversed(jobs.ledger.entries)))
    names = dict.fromkeys(suite for _, suite, *_ in places)
    return [name for name in names if name in suites.names()]


def begun(root: Path) -> list[str]:
    """Returns the suites that have run folders."""
    import suites

    return [name for name in suites.names() if (root / "runs" / name).is_dir()]


def asked(suite: Suite, jobs: Handed, root: Path) -> list[str]:
    """Returns the agents of a suite that were started; those of its sweep, if none was."""
    import agents
    from analysis import cells

    places = filter(None, map(handed.place, jobs.ledger.entries))
    found = [agent for _, name, agent, *_ in places if name == suite.name]
    found += cells.found_agents(suite, root / "results", root / "runs")
    there = [label for label in dict.fromkeys(found) if label.split("+")[0] in agents.names()]
    usual = plan.defaults().agents
    return there or list(usual.get(suite.name, usual["default"]))


def attach(root: Path, folder: Path, out: TextIO, say: Callable[[str], None]) -> None:
    """Goes on with the sweep that was handed over last: beside its main process, or as that.

    Returns when the main process has left, or not at all.

    Args:
        root: the folder that sweeps are started in.
        folder: of the executor.
        out: gets tables.
        say: is told what is done.

    Raises:
        ValueError: nothing was handed over here.
    """
    held = handed.ledger(folder)
    if not held.command:
        raise ValueError(f"{held.path}: no sweep was handed to Slurm from {root.absolute()}")
    if held.busy():
        return watch(root, folder, out, say)
    say(shlex.join(held.command))
    os.chdir(root)  # Becomes the command, so that Ctrl-C is its own to hear.
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *held.command[1:]])


def watch(root: Path, folder: Path, out: TextIO, say: Callable[[str], None]) -> None:
    """Shows the table again and again until the main process has left."""
    held = handed.ledger(folder)
    while True:
        shown = main((), None, root, folder, say)
        clear = "\x1b[H\x1b[2J" if out.isatty() else ""
        print(f"{clear}{time.strftime('%H:%M:%S')}  {shown}\n", file=out, flush=True)
        until = time.monotonic() + LOOK_S
        while time.monotonic() < until:
            if not held.busy():
                return
            time.sleep(1.0)
