"""What the two sides of the probe job see of each other: files, clocks, locks, Python, devices."""

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from launch.doctor import node
from launch.doctor.finding import Finding, brief

ROUNDS = 3
FILES_S = 60.0  # For an answer.
SLOW_S = 5.0
SKEW_S = 2.0
FLOCK = "ask for flock on this disk (nfs without local_lock or nolock, Lustre with -o flock)"


class Other(Protocol):
    """The other side."""

    files: Path

    def get(self, name: str, seconds: float = 0.0) -> Any:
        """Returns what it has written, waiting some time for it."""


def python(facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Says whether the node has the same Python and project at the same place."""
    here = {"python": sys.executable, "source": str(Path(node.__file__).resolve())}
    here["digest"] = node.digest()
    odd = [name for name, value in here.items() if facts[name] != value]
    if odd:
        seen = ", ".join(f"{name} {facts[name]} (here {here[name]})" for name in odd)
        todo = "let nodes use this checkout and environment, on a shared disk"
        yield Finding("FAIL", "node python", f"differs: {seen}", todo)
    else:
        fact = f"the same {facts['version']} and project; {facts['cores']} cores may be used"
        yield Finding("ok", "node python", fact)
    if not facts["home"]:
        fact = f"the home folder {Path('~').expanduser()} cannot be written on the node"
        yield Finding("warn", "node home", fact, "set HOME or XDG_CACHE_HOME with submitit-setup")


def locks(other: Other, facts: Mapping[str, Any], release: Callable[[], None]) -> Iterator[Finding]:
    """Says whether a lock that is held here counts there, then exchanges files without it."""
    release()
    yield from exchange(other)
    again = other.get("lock.again", FILES_S)
    same = "" if facts["host"] != socket.gethostname() else " (one host: nothing said of others)"
    risk = "two processes could write to one run"
    if facts["lock"] == "taken":
        fact = f"a lock held here is no lock on the node: {risk}"
        yield Finding("FAIL", "locks", fact, FLOCK)
    elif facts["lock"] != "held":
        yield Finding("FAIL", "locks", f"flock fails on the node: {facts['lock']}", FLOCK)
    elif again != "taken":
        fact = f"a lock let go here is not free on the node: {again or 'no answer'}"
        yield Finding("FAIL", "locks", fact, FLOCK)
    else:
        yield Finding("ok", "locks", f"one held here is held there, and free again{same}")


def exchange(other: Other) -> Iterator[Finding]:
    """Says how soon a file is seen on the other side, and how far the clocks are apart."""
    trips = []  # Seconds there and back, and how far the other clock is ahead, give or take half.
    for count in range(ROUNDS):
        sent = time.time()
        node.put(other.files / f"ping.{count}", sent)
        seen, back = other.get(f"pong.{count}", FILES_S), time.time()
        if seen is None:
            todo = "nodes must see what is written here: another disk, or shorter caches"
            fact = f"a file in {other.files.parent} had no answer in {FILES_S:.0f} s"
            yield Finding("FAIL", "shared disk", fact, todo)
            return
        trips.append((back - sent, seen - (sent + back) / 2))
        if back - sent > SLOW_S:
            break
    slowest, (best, ahead) = max(trips)[0], min(trips)
    fact = f"a file in {other.files.parent} and its answer took {slowest:.2f} s there and back"
    if slowest > SLOW_S:
        todo = "set submitit-grace-s and latency-wait well above that, or mount with actimeo=1"
        yield Finding("warn", "shared disk", fact, todo)
    else:
        yield Finding("ok", "shared disk", fact)
    fact = (
        f"the node's is {abs(ahead):.2f} s {'ahead' if ahead > 0 else 'behind'} (± {best / 2:.2f})"
    )
    if abs(ahead) - best / 2 > SKEW_S:
        todo = "ask for NTP: Snakemake compares times of files"
        yield Finding("warn", "clocks", fact, todo)
    else:
        yield Finding("ok", "clocks", fact)


def devices(seen: Mapping[str, str] | None) -> Iterator[Finding]:
    """Says which graphics processors a job sees that asked for one."""
    if seen is None:
        yield Finding("FAIL", "node gpu", "no answer of nvidia-smi and torch", "look at the node")
        return
    fact = f"CUDA_VISIBLE_DEVICES {seen['cuda']}; {brief(seen['torch'])}; {brief(seen['driver'])}"
    if "sees" not in seen["torch"] or "no device" in seen["torch"]:
        todo = "the driver must be as new as torch's CUDA; see `nvidia-smi` on the node"
        yield Finding("FAIL", "node gpu", fact, todo)
    elif seen["cuda"] == "not set":
        todo = "all runs of a node would use its first device: ask for ConstrainDevices or gres"
        yield Finding("warn", "node gpu", fact, todo)
    else:
        yield Finding("ok", "node gpu", fact)
