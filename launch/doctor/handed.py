"""The probe job as it is seen from here: handed over, asked about, cancelled."""

import contextlib
import getpass
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_submitit import (
    ExecutorSettings,
    bucket,
    queue,
    runner,
    slurm,
    submission,
)

from launch.doctor import node
from launch.doctor.finding import brief

MEMORY_MB = 1000
ANSWER_S = 20.0  # Of squeue.
POLL_S = 0.05
QUEUE_POLL_S = 2.0


@dataclass
class Handed:
    """The probe job as it is seen from here."""

    settings: ExecutorSettings
    gpu: bool
    token: str
    logs: Path  # of Slurm, where a sweep has them
    files: Path  # where runs write
    id: str = ""
    asked: float = -1e9  # When squeue was called last.
    known: tuple[str, str] = ("", "")  # What it said: state and reason.

    def submit(self) -> None:
        """Hands the job over.

        Raises:
            SlurmError: Slurm does not take it.
        """
        words = [sys.executable, "-m", "launch.doctor.node", str(self.files)]
        command = shlex.join([*words, "--gpu"] if self.gpu else words)
        wanted = {"mem_mb": MEMORY_MB, "gpu": int(self.gpu)}
        ask = bucket.ask(1, wanted, vars(self.settings))
        task = runner.Task(command, str(self.logs / "0.0.json"), str(self.logs / "0.0.log"), {})
        (self.id,) = submission.submit(self.logs, self.token, ask, [[task]], self.settings)

    def state(self) -> tuple[str, str]:
        """Returns Slurm's state of the job and why it waits; both empty where it is unknown."""
        if time.monotonic() - self.asked > QUEUE_POLL_S:
            words = ("squeue", "-h", "-t", "all", "--me", "--name", self.token, "-o", "%T|%r")
            with contextlib.suppress(slurm.SlurmError):
                text = slurm.ask(*words, seconds=ANSWER_S)
                state, _, reason = text.strip().partition("|")
                self.known = (state, reason)
            self.asked = time.monotonic()
        return self.known

    def get(self, name: str, seconds: float = 0.0) -> Any:
        """Returns what the node has written, waiting some time for it; None if it does not come."""
        begun = time.monotonic()
        while (found := node.get(self.files / name)) is None:
            waited = time.monotonic() - begun
            if waited >= seconds:
                break
            # Not at once: a slow squeue must not count as a slow disk.
            if waited > QUEUE_POLL_S and self.state()[0] not in {*queue.LIVE, ""}:
                return node.get(self.files / name)
            time.sleep(POLL_S)
        return found

    def log(self) -> str:
        """Returns the last line of what the job wrote."""
        lines = [line for path in self.logs.glob("*.log*") for line in runner.tail(path)]
        lines += [line for path in self.logs.glob("*.out") for line in runner.tail(path)]
        return brief(lines[-1]) if lines else "it wrote nothing"

    def cancel(self) -> str:
        """Ends the job and waits until it is gone; returns what went wrong."""
        # By its name: Ctrl-C may have come before the answer of sbatch.
        whose = (f"--user={getpass.getuser()}", f"--name={self.token}")
        with contextlib.suppress(slurm.SlurmError):
            slurm.ask("scancel", *whose, seconds=ANSWER_S)
        if not self.id:
            return ""
        until = time.monotonic() + ANSWER_S
        while time.monotonic() < until:
            self.asked = -1e9
            if self.state()[0] not in queue.LIVE:
                return ""
            time.sleep(0.5)
        return f"job {self.id} may still be there"
