"""What has become of a job: a decision from marker, squeue and sacct, made of plain values.

A marker that the job itself wrote is the truth. Without one, Slurm is asked: what it knows to be
waiting or running goes on; what it calls ended, or does not know, has a grace in which a marker may
still appear on a shared file system. Slurm's COMPLETED alone is no success.

Source: https://slurm.schedmd.com/squeue.html#SECTION_JOB-STATE-CODES.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"})
GOING = frozenset({"RUNNING", "SUSPENDED", "COMPLETING", "RESIZING", "SIGNALING", "STOPPED"})
GOING |= {"SPECIAL_EXIT", "STAGE_OUT", "RESV_DEL_HOLD"}
LIVE = WAITING | GOING
REASONS = {
    "OUT_OF_MEMORY": "out of memory",
    "TIMEOUT": "out of time",
    "DEADLINE": "out of time",
    "CANCELLED": "cancelled",
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not start",
    "PREEMPTED": "preempted, and not requeued",
    "REVOKED": "revoked",
}
HELD = "launch failed requeued held"
KILLED = {137: "killed (out of memory?)", -9: "killed (out of memory?)"}


@dataclass(frozen=True)
class Verdict:
    """What is known of a job now."""

    state: Literal["queued", "running", "success", "failed", "cancelled", "lost"]
    reason: str = ""

    @property
    def over(self) -> bool:
        """Tells whether nothing more will come."""
        return self.state not in ("queued", "running")


def judge(marker: Mapping[str, Any], seen: str | None, quiet_s: float, grace_s: float) -> Verdict:
    """Returns what has become of a job.

    Args:
        marker: what the job wrote, or nothing.
        seen: Slurm's state; None: it does not know the job; "": it could not be asked.
        quiet_s: for how long Slurm has called it ended or unknown.
        grace_s: for how long that is believed to pass.
    """
    if marker:
        code = int(marker["code"])
        return Verdict("success") if code == 0 else Verdict("failed", exited(code))
    if seen == "":
        return Verdict("running", "Slurm does not answer")
    if seen in WAITING:
        return Verdict("queued")
    if seen in GOING:
        return Verdict("running")
    if quiet_s < grace_s:
        return Verdict("running", REASONS.get(seen or "", "no longer known to Slurm"))
    if seen is None:
        return Verdict("lost", "Slurm does not know it, and it left no marker")
    if seen == "CANCELLED":
        return Verdict("cancelled", REASONS[seen])
    return Verdict("failed", REASONS.get(seen, f"{seen.lower()}, and no marker was written"))


def exited(code: int) -> str:
    """Says how a command left."""
    return KILLED.get(code, f"signal {-code}" if code < 0 else f"exit status {code}")


def states(lines: Iterable[str]) -> dict[str, str]:
    """Returns the states of ids, from lines `id|STATE` or `id|STATE|reason` of squeue or sacct.

    An id is 12, 12_3, or 12_[3-5,7%2] for tasks that wait together.
    """
    found: dict[str, str] = {}
    for line in lines:
        name, _, state = line.strip().partition("|")
        word = state.partition("|")[0].split(" ")[0].split("+")[0]
        if name and word and "." not in name:
            found |= dict.fromkeys(expand(name), word)
    return found


def held(lines: Iterable[str]) -> list[str]:
    """Returns the ids that Slurm holds because a node failed to start them.

    A job that somebody holds has another reason, and is left to that person.
    """
    found = [line.strip().split("|") for line in lines]
    names = [parts[0] for parts in found if len(parts) > 2 and parts[2] == HELD]
    return [id for name in names for id in expand(name)]


def expand(name: str) -> list[str]:
    """Returns all ids that a name stands for."""
    job, bracket, inside = name.partition("_[")
    if not bracket:
        return [name]
    found = []
    for part in inside.rstrip("]").split("%")[0].split(","):
        first, _, last = part.partition("-")
        step = 1
        if ":" in last:
            last, _, stride = last.partition(":")
            step = int(stride)
        found += [f"{job}_{n}" for n in range(int(first), int(last or first) + 1, step)]
    return found
