"""What a Slurm job runs: one command or several side by side, each with a log and a marker.

A marker says how a command ended; it is written by rename, so that it is whole or not there. The
job itself may be requeued, preempted or run twice: what has a marker of success is left alone, and
what was stopped begins again and finds its own checkpoint.

Who receives a signal depends on the cluster: with cgroups the job's own process alone, with others
the whole tree. So commands live in sessions of their own and only hear of a stop from here.

Only the standard library is used: the file runs wherever this Python is.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

STOPPED = 75  # EX_TEMPFAIL: a command that saved and left because it was asked to.
# A stopped command may have been too young to listen, to us or to Slurm's own warning.
LEFT = (STOPPED, -signal.SIGTERM, -signal.SIGUSR2)
PREEMPTED = 143  # As a shell reports SIGTERM.
MARGIN_S = 20.0  # Of the delay, for what comes after the commands have left.
POLL_S = 0.1
LOG_LINES, TAIL_BYTES = 20, 8192  # Of a failed command, kept in its marker.


@dataclass
class Task:
    """One command of a job."""

    command: str  # for the shell
    marker: str
    log: str
    environment: dict[str, str]


class Job:
    """Runs tasks side by side; submitit calls it, and `checkpoint` before the time is over."""

    def __init__(self, tasks: list[Task], folder: str, delay_s: float):
        """Remembers.

        Args:
            tasks: what to run, with paths as the main process sees them.
            folder: where commands run.
            delay_s: between the warning and the end of the time.
        """
        self.tasks, self.folder, self.delay_s = tasks, folder, delay_s
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.stopping = False

    def __getstate__(self) -> dict[str, Any]:
        """Returns what is sent to a node: no processes."""
        return vars(self) | {"running": {}, "stopping": False}

    def __call__(self) -> None:
        """Runs what has no marker: what has failed is handed over anew by the main process.

        Raises:
            RuntimeError: a command failed; every command has its marker by then.
        """
        signal.signal(signal.SIGTERM, self.leave)
        cores = shares(sorted(os.sched_getaffinity(0)), len(self.tasks), os.environ)
        for index, task in enumerate(self.tasks):
            if not read(Path(task.marker)):
                self.start(index, task, cores[index])
        failed = [code for index in list(self.running) if (code := self.finish(index))]
        if failed and not self.stopping:
            raise RuntimeError(f"{len(failed)} of {len(self.tasks)} commands failed: {failed}")

    def start(self, index: int, task: Task, cores: list[int]) -> None:
        """Starts a command in a session of its own, on its own cores."""
        Path(task.log).parent.mkdir(parents=True, exist_ok=True)
        with Path(task.log).open("ab") as log:
            self.running[index] = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", task.command], cwd=self.folder,
                env=os.environ | task.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )  # fmt: skip

    def finish(self, index: int) -> int:
        """Waits for a command and writes its marker; returns its exit status."""
        process, task = self.running[index], self.tasks[index]
        while (code := ended(process)) is None:
            time.sleep(POLL_S)
        if not (self.stopping and code in LEFT):
            write(Path(task.marker), code, [] if code == 0 else tail(Path(task.log)))
        return code

    def stop(self, seconds: float) -> None:
        """Asks all commands to save and leave, and waits for that."""
        self.stopping = True
        for process in self.running.values():
            if ended(process) is None:
                os.killpg(process.pid, signal.SIGTERM)
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(
            ended(process) is None for process in self.running.values()
        ):
            time.sleep(POLL_S)
        for index in self.running:
            if ended(self.running[index]) is not None:
                self.finish(index)

    def checkpoint(self) -> Any:
        """Stops in time; returns what goes on after the job was requeued, None if nothing does."""
        from submitit.helpers import DelayedSubmission

        self.stop(max(self.delay_s - MARGIN_S, self.delay_s / 2))
        if all(read(Path(task.marker)) for task in self.tasks):
            return None
        return DelayedSubmission(self)

    def leave(self, number: int, frame: FrameType | None) -> None:
        """Stops on SIGTERM; Slurm by itself requeues what it preempts, not what is cancelled."""
        self.stop(self.delay_s)
        sys.stdout.flush()
        os._exit(PREEMPTED)


def shares(cores: list[int], count: int, environment: Mapping[str, str]) -> list[list[int]]:
    """Returns the cores of each of some commands: parts of a job's own, or all for everybody.

    Args:
        cores: that this process may use.
        count: of commands.
        environment: Slurm's; it says how many cores the job has. Where it did not bind the job to
            these, others of the node run on them too, and a choice of our own would be everybody's.
    """
    own = int(environment.get("SLURM_CPUS_PER_TASK", 0))
    if own != len(cores) or own % count:
        return [cores] * count
    each = own // count
    return [cores[index * each : (index + 1) * each] for index in range(count)]


def ended(process: subprocess.Popen[bytes]) -> int | None:
    """Returns the exit status of a command; None while it runs.

    Popen's own wait holds a lock, and a handler that interrupts it is told that all are running. So
    ended commands are looked at, and left for the kernel to clear away with this process.
    """
    found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def write(marker: Path, code: int, lines: list[str]) -> None:
    """Writes how a command ended."""
    facts = {
        "code": code,
        "time": time.time(),
        "host": socket.gethostname(),
        "job": os.environ.get("SLURM_JOB_ID", ""),
        "restarts": int(os.environ.get("SLURM_RESTART_COUNT", 0)),
        "log": lines,
    }
    marker.parent.mkdir(parents=True, exist_ok=True)
    aside = marker.with_name(f"{marker.name}.part{os.getpid()}")
    aside.write_text(json.dumps(facts))
    aside.replace(marker)


def read(marker: Path) -> dict[str, Any]:
    """Returns what a marker says; nothing without one."""
    try:
        return json.loads(marker.read_text())
    except (OSError, ValueError):
        return {}


def tail(log: Path) -> list[str]:
    """Returns the last lines of a log, none without it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-LOG_LINES:]
    except OSError:
        return []
