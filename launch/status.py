"""How far every run of a sweep is, wherever it runs: `reverie status`, `attach` and `cancel`.

What was handed to Slurm stands in the executor's ledger, how far a run is in the files of its
folder; Slurm is asked once. A sweep need not be running for its state to be seen.
"""

import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from launch import listing, plan
from suites.records import nearest
from suites.suite import Suite

if TYPE_CHECKING:
    from snakemake_executor_plugin_submitit.ledger import Entry, Ledger

FOLDER = Path(".snakemake/submitit")  # The executor's, as its settings say.
LOG_LINES = 3  # Of a failed run.
TAIL_BYTES = 8192  # Of a log; more than a few lines.
LOOK_S = 15.0  # Seconds between two tables of `attach`.
PROGRESS = re.compile(
    r"^\S+ \S+ +(?P<percent>\d+)%  [\d,]+/[\d,]+ frames  (?P<sps>\d+) SPS .*?"
    r"return (?P<mean>\S+) .*?ETA (?P<eta>\S+)"
)
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


class Handed:
    """What was handed to Slurm from a folder, and what Slurm says of it."""

    def __init__(self, root: Path, say: Callable[[str], None]):
        """Reads the ledger, and asks Slurm if anything in it is under way.

        Args:
            root: the folder that sweeps are started in.
            say: is told if Slurm does not answer.
        """
        from snakemake_executor_plugin_submitit import slurm

        self.ledger = ledger(root)
        self.entries = {path: each for each in self.ledger.entries for path in each.outputs}
        self.states: dict[str, str] | None = {}  # None: Slurm does not answer.
        if self.ledger.open():
            try:
                self.states = slurm.waiting_or_running()
            except slurm.SlurmError as error:
                self.states = None
                say(str(error))

    def suites(self) -> list[str]:
        """Returns the suites whose runs were handed over, the newest first."""
        paths = (Path(path).parts for path in reversed(self.entries))
        return list(dict.fromkeys(parts[1] for parts in paths if parts[0] == "results"))

    def marker(self, entry: "Entry") -> Path:
        """Returns what a job says when it has ended; its log stands beside it."""
        return self.ledger.folder / "jobs" / entry.token / f"{entry.index}.{entry.slot}.json"

    def verdict(self, entry: "Entry") -> tuple[str, str]:
        """Returns the state of a job and why, as far as is known now."""
        from snakemake_executor_plugin_submitit import queue, runner

        if not entry.open:
            return entry.ended, entry.reason
        seen = "" if self.states is None else self.states.get(entry.id)
        found = queue.judge(runner.read(self.marker(entry)), seen, 0.0, 0.0)
        return found.state, found.reason


def table(
    suite: Suite, labels: Sequence[str], root: Path, handed: Handed, now: float
) -> list[Line]:
    """Returns how far each run is, those first that somebody should look at.

    Args:
        suite: whose runs.
        labels: agents, with their blocks.
        root: the folder that holds results and runs.
        handed: what was handed to Slurm.
        now: seconds since the epoch.
    """
    runs = plan.survey(suite, labels)
    found = [line(suite, run, root, handed, now) for run in runs]
    return sorted(found, key=lambda each: ORDER.index(each.state))


def line(suite: Suite, run: plan.Run, root: Path, handed: Handed, now: float) -> Line:
    """Returns how far one run is."""
    from analysis import cells, coverage

    cell = cells.Cell(suite.name, run.agent, run.game, run.seed)
    here = coverage.standing(suite, cell, root / "results", root / "runs", now)
    log = last_lines(root / run.folder / "log.txt")
    found = Line(run.name, here.status, why=here.reason)
    if here.frame:
        found = replace(found, percent=f"{here.frame / suite.frames:.0%}")
    entry = handed.entries.get(str(run.receipt))
    if entry and here.status not in ("finished", "empty", "stale"):
        found = with_job(found, entry, handed)
    if found.state == "running":
        found = with_progress(found, log)
    if found.state in ("failed", "killed"):
        said = last_lines(handed.marker(entry).with_suffix(".log")) if entry else []
        found = replace(found, log=tuple((said or log)[-LOG_LINES:]))
    return found


def with_job(found: Line, entry: "Entry", handed: Handed) -> Line:
    """Adds what ledger and Slurm know of a run that has not finished."""
    state, why = handed.verdict(entry)
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
    match = next((m for text in reversed(log) if (m := PROGRESS.match(text))), None)
    if not match:
        return found
    return replace(
        found, percent=f"{match['percent']}%", speed=match["sps"], mean=match["mean"],
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


def last_lines(path: Path) -> list[str]:
    """Returns lines from the end of a file; none without it."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def main(
    names: Sequence[str], labels: Sequence[str] | None, root: Path, say: Callable[[str], None]
) -> str:
    """Returns the tables of some suites.

    Args:
        names: of suites; none: those handed to Slurm, or whose runs are here.
        labels: agents; None: those that a sweep has by itself or that have run here.
        root: the folder that sweeps are started in.
        say: is told if Slurm does not answer.

    Raises:
        ValueError: there is no such suite or agent, or nothing has run here.
    """
    handed = Handed(root, say)
    chosen = list(names) or handed.suites() or begun(root)
    if not chosen:
        raise ValueError(f"{root.absolute()}: no run was started from here; name a suite")
    found = []
    for name in chosen:
        suite = plan.load(name)
        lines = table(suite, labels or asked(suite, handed, root), root, handed, time.time())
        found.append(f"{name}: {suite.title}\n\n{text(lines)}")
    return "\n\n".join(found)


def begun(root: Path) -> list[str]:
    """Returns the suites that have run folders."""
    import suites

    return [name for name in suites.names() if (root / "runs" / name).is_dir()]


def asked(suite: Suite, handed: Handed, root: Path) -> list[str]:
    """Returns the agents of a suite that were started; those of its sweep, if none was."""
    ledger = [Path(path).parts for path in handed.entries]
    found = [parts[2] for parts in ledger if parts[:2] == ("results", suite.name)]
    folders = sorted((root / "runs" / suite.name).glob("*/"))
    found += [path.name for path in folders if not path.name.startswith(".")]
    agents = plan.defaults().agents
    return list(dict.fromkeys(found)) or list(agents.get(suite.name, agents["default"]))


def ledger(root: Path) -> "Ledger":
    """Returns the ledger of a folder."""
    from snakemake_executor_plugin_submitit.ledger import Ledger

    return Ledger(root / FOLDER)


def attach(root: Path, out: TextIO) -> int:
    """Goes on with the sweep that was handed over last: beside its main process, or as that.

    Returns:
        The exit code of the command, or 0 when its main process has left.

    Raises:
        ValueError: nothing was handed over here.
    """
    held = ledger(root)
    if not held.command:
        raise ValueError(f"{held.path}: no sweep was handed to Slurm from {root.absolute()}")
    if held.busy():
        return watch(root, out)
    print(f"reverie: {shlex.join(held.command)}", file=sys.stderr, flush=True)
    words = [sys.executable, "-m", "snakemake", *held.command[1:]]
    return subprocess.run(words, cwd=root, check=False).returncode


def watch(root: Path, out: TextIO) -> int:
    """Shows the table again and again until the main process has left."""
    while True:
        shown = main((), None, root, lambda said: print(f"reverie: {said}", file=sys.stderr))
        clear = "\x1b[H\x1b[2J" if out.isatty() else ""
        print(f"{clear}{time.strftime('%H:%M:%S')}  {shown}\n", file=out, flush=True)
        until = time.monotonic() + LOOK_S
        while time.monotonic() < until:
            if not ledger(root).busy():
                return 0
            time.sleep(1.0)


def cancel(names: Sequence[str], root: Path) -> list[str]:
    """Cancels jobs that are queued or running: all of them, or those of some runs.

    Returns:
        What was cancelled, for people.

    Raises:
        ValueError: a run is not under way, shares its job with others, or Slurm refuses.
    """
    from snakemake_executor_plugin_submitit import slurm

    held = ledger(root)
    under_way = {title(each): each for each in held.open() if each.id}
    for name in names:
        if name not in under_way:
            known = ", ".join(sorted(under_way)) or "none"
            near = nearest(name, list(under_way))
            raise ValueError(f"{name!r} is not queued or running{near} (these are: {known})")
    chosen = [each for name, each in under_way.items() if not names or name in names]
    check_alone(chosen, under_way.values())
    ids = sorted({each.id for each in chosen})
    try:
        slurm.cancel(ids)
    except slurm.SlurmError as error:
        raise ValueError(str(error)) from error
    if not held.busy():  # The main process writes it down itself.
        for each in chosen:
            held.end(each, "cancelled", "by reverie cancel")
    return [f"{title(each)}  job {each.id}" for each in chosen]


def check_alone(chosen: Sequence["Entry"], all_of_them: Iterable["Entry"]) -> None:
    """Refuses to cancel a run whose job has other runs in it.

    Raises:
        ValueError: it has.
    """
    ids = {each.id: each for each in chosen}
    for other in all_of_them:
        if other.id in ids and other not in chosen:
            raise ValueError(
                f"{title(ids[other.id])} and {title(other)} share job {other.id}: name all of them"
            )


def title(entry: "Entry") -> str:
    """Returns what people call a job: agent/game/seed, if it is a run."""
    parts = Path(entry.outputs[0]).with_suffix("").parts if entry.outputs else ()
    return "/".join(parts[2:]) if len(parts) == 5 and parts[0] == "results" else entry.name
