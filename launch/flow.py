"""What the Snakefile asks for: the sweep, and what happens before, after and beside its runs.

Snakemake reads its Snakefile anew in the processes of cluster jobs; there a sweep only knows what
rules need. The main process alone checks, reports, moves stale runs aside and starts tracking.
"""

import contextlib
import fcntl
import functools
import importlib.util
import io
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from launch import plan, tracking

if TYPE_CHECKING:
    from launch.cost.estimate import Cost, Parallel

NOISE = ("Select jobs", "Execute ", "Finished jobid", "Using shell", "Rules claiming")
ENDED = re.compile(
    r"-m launch\.job (?P<agent>\S+) (?P<game>\S+) (?P<seed>\d+) .*--folder (?P<folder>\S+) "
    r".*non-zero exit status (?P<code>\d+)",
    re.DOTALL,
)
ARRAYS = ("array_parallelism", "pack", "array_limit")  # As `estimate.arrays` takes them.
PATIENCE_S = 120  # For the last synchronisation; what it misses, `reverie sync` brings later.


class Sweep:
    """Runs of a suite with some agents, as one call of Snakemake sees them."""

    def __init__(self, asked: dict[str, Any], workflow: Any):
        """Reads the order; in the main process also checks everything and says what there is.

        Args:
            asked: what was given with `--config`.
            workflow: Snakemake's own object of the Snakefile.
        """
        self.workflow = workflow
        self.follower: subprocess.Popen[bytes] | None = None
        self.lock: IO[str] | None = None
        try:
            self.order = plan.order(asked)
            self.suite = plan.load(self.order.suite)
            if workflow.is_main_process:
                _quieten()
                self._open(dry=workflow.output_settings.dryrun)
        except ValueError as error:
            sys.exit(f"reverie: {error}")  # Not raised: the user did this, not a bug of ours.

    @functools.cached_property
    def runs(self) -> list[plan.Run]:
        """Every run of the sweep."""
        return plan.survey(self.suite, self.order.agents)

    @property
    def receipts(self) -> list[str]:
        """The receipts that the report is made from."""
        return plan.receipts(self.runs)

    @property
    def targets(self) -> list[str]:
        """What has to be there at the end.

        Naming the report alone would not do: to Snakemake a file that is there needs no inputs, so
        a partial report would stand for all the runs that it lacks.
        """
        return [
            *self.receipts,
            *(str(self.results / name) for name in ("scores.csv", "report.html")),
        ]

    @property
    def results(self) -> Path:
        """The folder of all that the flow makes."""
        return Path("results", self.suite.name)

    def begin(self) -> None:
        """Passes on signals, prepares MLflow, and starts the one process that writes to it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._leave)
        if self.order.tracking != "off" and importlib.util.find_spec("mlflow"):
            if problem := tracking.prepare_apart(Path.cwd()):
                _say(f"{problem}. {tracking.LATER}")
            self.follower = tracking.follower(Path("runs", self.suite.name), Path.cwd())

    def end(self) -> None:
        """Says where the report is."""
        self._stop_following()
        self._own("report").write_text(_stamp(self.results / "report.html"))
        stale = len(plan.of_state(self.runs, "stale"))
        without = f" (without {stale} stale runs, see above)" if stale else ""
        _say(f"{self.results / 'report.html'}{without}")

    def fail(self) -> None:
        """Makes the report of what there is, which also says what is missing and why."""
        labels = ",".join(self.order.agents)
        words = ["report", self.suite.name, "--partial", "--agents", labels]
        subprocess.run([sys.executable, "-m", "launch.cli", *words], check=False)
        self._stop_following()
        _say("not complete; the same command goes on where this one stopped")

    def _open(self, dry: bool) -> None:
        if not dry:
            self._take()
            self._price(dry)  # Before anything is changed: it may refuse.
            self._distrust()
        stale = plan.of_state(self.runs, "stale")
        if stale and self.order.rerun == "stale":
            if dry:
                _say(f"{len(stale)} stale runs would be moved aside and trained again")
                return self._price(dry)
            moved = plan.move_aside(stale)
            _say("\n  ".join(["moved aside:", *map(str, moved)]))
            del self.runs
        _say(plan.summary(self.runs))
        if not self.receipts:
            sys.exit("reverie: every run is stale, so there is nothing to report")
        if plan.of_state(self.runs, "missing"):
            plan.check(self.suite.name, self.order.agents)
        if dry:
            self._price(dry)

    def _price(self, dry: bool) -> None:
        """Says what is left and when it ends; refuses more hours than are allowed."""
        most = self.order.max_hours
        if not dry and most is None:
            return
        from launch.cost import estimate

        threads = _whole(self.workflow.resource_settings.overwrite_threads.get("train"))
        again = self.order.rerun == "stale"
        found = estimate.costs(self.suite, self.runs, Path(), again, threads)
        if dry:
            _say(f"what is left:\n\n{estimate.text(self.suite, found, self._at_once(found))}\n")
        if most is not None:
            estimate.check(self.suite, found, most)

    def _at_once(self, found: list["Cost"]) -> "Parallel":
        """Returns how many runs go on at once, as Snakemake was told."""
        from launch.cost import estimate

        asked = self.workflow.resource_settings
        if asked.nodes is None:
            gpus = _whole(asked.resources.get("gpu")) or 0
            return estimate.local(found, asked.cores, gpus)
        jobs = estimate.Parallel(asked.nodes, "--jobs")
        if not (told := _array_settings()):
            return jobs
        each = estimate.arrays(found, *told)
        return min(each, jobs, key=lambda parallel: parallel.runs)

    def _take(self) -> None:
        """Holds a lock until this process is gone, however it goes."""
        self.lock = self._own("lock").open("a+")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.seek(0)
            sys.exit(
                f"reverie: process {self.lock.read().strip()} is already working on suite "
                f"{self.suite.name} in this folder; wait for it, or stop it with Ctrl-C"
            )
        self.lock.truncate(0)
        print(os.getpid(), file=self.lock, flush=True)

    def _own(self, kind: str) -> Path:
        """Names a file of this class's own, beside Snakemake's."""
        folder = Path(".snakemake")
        folder.mkdir(exist_ok=True)
        return folder / f"reverie-{self.suite.name}.{kind}"

    def _distrust(self) -> None:
        """Has the tables made anew where the report is not the one that this flow ended with.

        A partial report writes the same files; to Snakemake these would look complete and new.
        """
        known = self._own("report")
        if not known.exists() or known.read_text() != _stamp(self.results / "report.html"):
            (self.results / "scores.csv").unlink(missing_ok=True)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        """Has the runs save and leave; Snakemake alone would wait until they have finished."""
        from snakemake.shell import shell

        for process in list(shell._processes.values()):
            process.terminate()
        raise KeyboardInterrupt

    def _stop_following(self) -> None:
        """Lets the follower bring what is left."""
        if not self.follower:
            return
        if tracking.finish(self.follower, PATIENCE_S) != 0:
            _say(f"MLflow lacks something: runs/{self.suite.name}/mlflow.log; try `reverie sync`")


def _array_settings() -> list[int]:
    """Returns what an executor that hands over arrays was told of them; nothing of any other.

    While a Snakefile is read, Snakemake has not yet told the workflow of its executor.

    Raises:
        ValueError: a number that the executor would refuse as it starts.
    """
    from snakemake import cli

    with contextlib.redirect_stderr(io.StringIO()):  # It would name the profile again.
        _, args = cli.parse_args(sys.argv[1:])
    if args.executor is None:  # Snakemake's own.
        return []
    settings = cli.ExecutorPluginRegistry().get_plugin(args.executor).get_settings(args)
    if not all(hasattr(settings, name) for name in ARRAYS):
        return []
    found = {name: getattr(settings, name) for name in ARRAYS}
    for name, seen in found.items():
        if seen < 1:
            option = f"--{args.executor}-{name.replace('_', '-')}"
            raise ValueError(f"{option}: saw {seen}; it must be at least 1")
    return list(found.values())


def _whole(value: Any) -> int | None:
    """Returns a number of Snakemake's, which may be wrapped."""
    return getattr(value, "value", value)


def _stamp(path: Path) -> str:
    return str(path.stat().st_mtime_ns) if path.exists() else ""


def _quieten() -> None:
    """Drops lines that Snakemake writes at every job, and that bury those of the runs."""
    from snakemake.logging import logger

    logger.addFilter(_worth_showing)


def _worth_showing(record: logging.LogRecord) -> bool:
    text = str(record.msg)
    if ended := ENDED.search(text):  # Instead of the command and the place in the rule.
        record.msg = "{agent} {game} {seed}  left with exit status {code}; see {folder}/log.txt"
        record.msg = record.msg.format(**ended.groupdict())
    return not text.startswith(NOISE)


def _say(text: str) -> None:
    print(f"reverie: {text}", file=sys.stderr, flush=True)
