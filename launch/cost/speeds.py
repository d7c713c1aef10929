"""How fast an agent has been seen to run: in finished runs, in runs under way, or when measured.

A speed is a number of agent steps in a number of seconds that somebody has waited for; where there
is none, there is no speed. Runs of another configuration do not count.
"""

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from launch import config, plan
from suites.suite import Suite

LAST = 20  # Runs of an agent that are looked at, the newest: a sweep has thousands.
FILE = Path(".snakemake/submitit/speeds.jsonl")  # Beside the executor's ledger.
ALONE = 0.5  # Load of a machine on which nobody else computes.

Kind = Literal["finished", "under way", "measured"]
Lines = list[dict[str, Any]]


@dataclass(frozen=True)
class Speed:
    """Agent steps a second of one agent on one kind of device."""

    steps_per_s: float  # Of whole runs where they have finished, else while it learns.
    before_per_s: float | None  # Before the first update, where that is known.
    kind: Kind
    count: int  # Runs.
    device: str  # "cpu", or the device's name; "" if nobody wrote it down.
    threads: int | None
    hosts: tuple[str, ...]
    unix: float  # When the newest was.
    note: str = ""

    @property
    def whole(self) -> bool:
        """Whether prefill and evaluations are in it."""
        return self.kind == "finished"

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        what = {"finished": "finished run", "under way": "run under way"}.get(self.kind)
        said = f"{self.count} {what}{'s' * (self.count > 1)}" if what else "measured"
        where = ", ".join(filter(None, [self.device, counted(self.threads)]))
        day = time.strftime("%Y-%m-%d", time.localtime(self.unix))
        parts = [f"{said} on {', '.join(self.hosts) or 'unknown host'} ({where or 'unknown'})"]
        return ", ".join([*parts, day, *filter(None, [self.note])])

    def seconds(self, begun: int, steps: int, prefill: int) -> float:
        """Returns how long a run takes from one of its agent steps to its end.

        Args:
            begun: agent steps that need not be played again.
            steps: of the whole run.
            prefill: of these, before the first update.
        """
        quick = 0 if self.whole else max(0, min(prefill, steps) - begun)
        slow = max(0, steps - begun - quick)
        return quick / (self.before_per_s or self.steps_per_s) + slow / self.steps_per_s


@dataclass(frozen=True)
class _Seen:
    """What one run folder says."""

    steps: float
    seconds: float
    before: tuple[float, float]  # Agent steps and seconds before the first update; none: zeros.
    device: str
    threads: int | None
    host: str
    unix: float
    done: float  # Share of the budget.


def known(suite: Suite, runs: Sequence[plan.Run], root: Path, gpu: int) -> Speed | None:
    """Returns the speed of an agent, or None where nobody has measured it.

    Args:
        suite: whose runs they are.
        runs: all of one label.
        root: where runs/, results/ and the remembered measurements are.
        gpu: devices that a run takes where there are any.
    """
    if seen := list(_finished(runs, root, gpu)):
        return _together("finished", seen)
    if seen := list(_under_way(suite, runs, root, gpu)):
        mean = sum(each.done for each in seen) / len(seen)
        return replace(_together("under way", seen), note=f"{mean:.0%} done")
    line = remembered(runs, root)
    return _measured(line) if line else None


def remembered(runs: Sequence[plan.Run], root: Path) -> dict[str, Any] | None:
    """Returns the newest measurement of an agent with its present settings."""
    hashes = {run.hash for run in runs}
    return next(
        (line for line in reversed(_lines(root / FILE)) if line.get("hash") in hashes), None
    )


def remember(line: dict[str, Any], root: Path) -> None:
    """Keeps a measurement; several machines may do so at once."""
    path = root / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def newest(runs: Iterable[plan.Run], place: str, root: Path) -> list[plan.Run]:
    """Returns the few runs of which a file was written last."""
    found = []
    for run in runs:
        with contextlib.suppress(OSError):
            path = run.receipt if place == "receipt" else run.folder / place
            found.append(((root / path).stat().st_mtime, run))
    found.sort(key=lambda each: each[0], reverse=True)
    return [run for _, run in found[:LAST]]


def _finished(runs: Sequence[plan.Run], root: Path, gpu: int) -> Iterator[_Seen]:
    for run in newest(plan.of_state(runs, "finished"), "receipt", root):
        told = json.loads((root / run.receipt).read_bytes())
        steps, seconds = told.get("agent_steps", 0), told.get("seconds", 0)
        if steps and seconds:
            where = _where(root / run.folder, gpu)
            yield _Seen(steps, seconds, (0, 0), *where, told.get("unix", 0.0), 1.0)


def _under_way(suite: Suite, runs: Sequence[plan.Run], root: Path, gpu: int) -> Iterator[_Seen]:
    learns = not idle(suite, runs[0].agent)
    for run in newest(plan.of_state(runs, "missing"), "metrics.jsonl", root):
        lines = _lines(root / run.folder / "metrics.jsonl")
        # The line in which updates began also holds what the first one waited for: it is the start.
        steady = _span([line for line in lines if line["update"] or not learns])
        if steady:
            *pace, attempt = steady
            before = _span([line for line in lines if not line["update"]]) if learns else None
            last = lines[-1]
            where = _where(root / run.folder, gpu, attempt)
            done = min(1.0, last["frame"] / suite.frames)
            yield _Seen(*pace, before[:2] if before else (0, 0), *where, last["unix"], done)


def _span(lines: Lines) -> tuple[float, float, int] | None:
    """Returns agent steps and seconds of the newest attempt that has two lines, and its number.

    The clock of the lines is that of the run: what a kill has lost is not in it.
    """
    for attempt in sorted({line["attempt"] for line in lines}, reverse=True):
        some = [line for line in lines if line["attempt"] == attempt]
        steps, seconds = (some[-1][key] - some[0][key] for key in ("agent_step", "seconds"))
        if steps > 0 and seconds > 0:
            return steps, seconds, attempt
    return None


def _measured(line: dict[str, Any]) -> Speed:
    rate, before = line["steps_per_s"], line["before_per_s"]
    beside = "alone" if line["load"] < ALONE else f"beside others (load {line['load']:.1f})"
    what = f"{line['seconds']:.0f} s of {line['game']}, {beside}"
    return Speed(
        rate, before, "measured", 1, line["device"], line["threads"], (line["host"],),
        line["unix"], what,
    )  # fmt: skip


def _together(kind: Kind, seen: list[_Seen]) -> Speed:
    """Returns the speed of runs on the device that the newest of them ran on."""
    latest = max(seen, key=lambda each: each.unix)
    seen = [each for each in seen if each.device == latest.device]
    before = [sum(part) for part in zip(*(each.before for each in seen), strict=True)]
    return Speed(
        steps_per_s=sum(each.steps for each in seen) / sum(each.seconds for each in seen),
        before_per_s=before[0] / before[1] if before[1] else None,
        kind=kind,
        count=len(seen),
        device=latest.device,
        threads=latest.threads,
        hosts=tuple(dict.fromkeys(each.host for each in seen if each.host)),
        unix=latest.unix,
    )


def idle(suite: Suite, label: str) -> bool:
    """Tells whether an agent learns nothing."""
    return config.settings(suite, label)["training"]["sampling"] == "none"


def counted(count: int | None) -> str:
    """Returns "2 threads"; nothing where nobody wrote down how many."""
    return "" if count is None else f"{count} thread{'s' * (count > 1)}"


def _where(folder: Path, gpu: int, attempt: int = 0) -> tuple[str, int | None, str]:
    """Returns device, threads and host of a run; what its folder does not say is empty.

    Args:
        folder: of the run.
        gpu: devices that it takes where there are any.
        attempt: counts from 1; 0 is the last one, whose machine the folder describes.
    """
    runtime = _json(folder / "config.json").get("runtime", {})
    told = _json(folder / "provenance.json")
    hosts = [each["host"] for each in told.get("attempts", [])]
    if not hosts:
        return "", runtime.get("threads"), ""
    gpus = told.get("machine", {}).get("gpus") or []
    device = gpus[0] if gpus and gpu and runtime.get("device") != "cpu" else "cpu"
    host = hosts[min(attempt, len(hosts)) - 1]
    return device if host == hosts[-1] else "", runtime.get("threads"), host


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}


def _lines(path: Path) -> Lines:
    """Returns the lines of a file that somebody may be writing to."""
    found = []
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found
