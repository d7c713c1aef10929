"""What is left of a sweep: steps, hours, disk, and when it ends. The text of `reverie estimate`.

All hours come from speeds that were measured (launch/cost/speeds.py). An agent without one is
left out of the sums, and they say so.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from launch import checkpoint, config, plan
from launch.cost import disk, speeds
from launch.cost.disk import Disk
from launch.cost.speeds import Speed
from launch.listing import table
from suites.suite import Suite

HOUR_S = 3600.0
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
UNKNOWN = "not measured"
HEAD = (
    "agent", "to do", "half-done", "agent steps", "steps/s", "longest run", "core-hours",
    "GPU-hours", "disk kept", "peak a run",
)  # fmt: skip


@dataclass(frozen=True)
class Parallel:
    """How many runs go on at once, and who says so."""

    runs: int
    why: str


@dataclass(frozen=True)
class Left:
    """What is left of one run."""

    run: plan.Run
    begun: int  # Agent steps that need not be played again.
    seconds: float | None  # Until its end; None without a speed.


@dataclass(frozen=True)
class Cost:
    """What is left of one agent's runs."""

    label: str
    runs: int  # Of the suite.
    steps: int  # Agent steps of a run.
    left: tuple[Left, ...]
    speed: Speed | None
    disk: Disk
    resources: plan.Resources

    @property
    def measured(self) -> bool:
        """Whether the hours are known: there is a speed, or nothing to do."""
        return self.speed is not None or not self.left

    @property
    def agent_steps(self) -> int:
        """Agent steps that are left."""
        return sum(max(0, self.steps - each.begun) for each in self.left)

    @property
    def seconds(self) -> float:
        """Seconds of all runs, one after another; 0 without a speed."""
        return sum(each.seconds or 0.0 for each in self.left)

    @property
    def core_hours(self) -> float:
        """Hours times the cores that a run is given.

        Where its speed was seen with more, times these: with fewer it takes longer, nobody knows
        by how much, and a limit must not be too generous.
        """
        return self.seconds / HOUR_S * max(self.resources.threads, self.speed_threads)

    @property
    def speed_threads(self) -> int:
        """Threads that its speed was seen with; those of its runs, if nobody wrote them down."""
        return (self.speed and self.speed.threads) or self.resources.threads

    @property
    def gpus(self) -> int:
        """Devices of a run: none where its speed is that of a processor."""
        return 0 if self.speed and self.speed.device == "cpu" else self.resources.gpu

    @property
    def gpu_hours(self) -> float:
        """Hours times the devices that a run takes for itself."""
        return self.seconds / HOUR_S * self.gpus


def costs(
    suite: Suite,
    runs: Sequence[plan.Run],
    root: Path,
    again: bool = False,
    threads: int | None = None,
) -> list[Cost]:
    """Returns what is left, one entry an agent.

    Args:
        suite: whose runs they are.
        runs: of all agents that are asked about.
        root: where runs/ and results/ are.
        again: whether stale runs are trained again; else they stay as they are.
        threads: of every run, instead of what launch/config.yaml says.
    """
    states = ("missing", "stale") if again else ("missing",)
    steps, found = suite.frames // suite.task.frame_skip, []
    for label in dict.fromkeys(run.agent for run in runs):
        own = [run for run in runs if run.agent == label]
        asks = plan.resources(label)
        asks = asks.model_copy(update={"threads": threads}) if threads else asks
        speed = speeds.known(suite, own, root, asks.gpu)
        prefill = config.settings(suite, label)["training"].get("prefill", 0)
        left = []
        for run in own:
            if run.state in states:
                begun = min(steps, _begun(suite, run, root))
                seconds = speed and speed.seconds(begun, steps, prefill)
                left.append(Left(run, begun, seconds))
        where = disk.known(suite, own, root)
        found.append(Cost(label, len(own), steps, tuple(left), speed, where, asks))
    return found


def _begun(suite: Suite, run: plan.Run, root: Path) -> int:
    """Returns the agent steps in the newest checkpoint of a run, which goes on from there."""
    held = checkpoint.newest_first(root / run.folder / "checkpoints")
    if not held or run.state == "stale":
        return 0
    return disk.frames_of(held[0]) // suite.task.frame_skip


def local(found: Iterable[Cost], cores: int, gpus: int) -> Parallel:
    """Returns how many runs one machine takes at once.

    Args:
        found: what is left.
        cores: that may be used.
        gpus: devices that may be used; of interest where runs take them.
    """
    busy = [cost for cost in found if cost.left]
    threads = max((cost.resources.threads for cost in busy), default=1)
    count = max(1, cores // threads)
    if any(cost.gpus for cost in busy) and 0 < gpus < count:
        return Parallel(gpus, f"a device each, {gpus} here")
    return Parallel(count, f"{threads} of {cores} core{'s' * (cores > 1)} each")


def arrays(found: Iterable[Cost], parallelism: int, pack: int, limit: int) -> Parallel:
    """Returns how many runs go on at once where an executor hands them over in arrays.

    Args:
        found: what is left; runs that ask for the same share arrays.
        parallelism: tasks of one array that run at once.
        pack: runs of one task, side by side.
        limit: tasks of one array.
    """
    counts: Counter[tuple[int, int, int]] = Counter()
    for cost in found:
        asks = cost.resources
        counts[asks.threads, asks.mem_mb, asks.gpu] += len(cost.left)
    runs = 0
    for count in counts.values():
        full, rest = divmod(math.ceil(count / pack), limit)
        tasks = full * min(limit, parallelism) + min(rest, parallelism)
        runs += min(count, tasks * pack)
    return Parallel(runs, "as many as the executor's arrays let run, if nodes are free")


def finish(suite: Suite, found: Iterable[Cost], at_once: int) -> tuple[float, float]:
    """Returns the seconds until the last run ends, and those of the longest run.

    Runs start in the order in which a sweep starts them, as others end; none can be split.
    """
    queue = [
        (-plan.priority(suite, cost.label, each.run.seed), each.seconds)
        for cost in found
        for each in cost.left
        if each.seconds is not None
    ]
    queue.sort(key=lambda each: each[0])  # Stable: the rest as they come.
    ends = [0.0] * max(1, min(at_once, len(queue)))
    for _, seconds in queue:
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends), max((seconds for _, seconds in queue), default=0.0)


def check(suite: Suite, found: Sequence[Cost], most: float) -> None:
    """Refuses a sweep of which too many hours are left.

    Devices are what is scarce where runs take them, cores are elsewhere: hours are GPU-hours of
    the agents that take devices, and core-hours of the others. Neither sum may be above the limit.

    Args:
        suite: whose runs they are.
        found: what is left.
        most: hours.

    Raises:
        ValueError: there are more, or an agent has no speed.
    """
    if without := [cost.label for cost in found if not cost.measured]:
        raise ValueError(
            f"a limit of {most:g} hours cannot be checked: {', '.join(without)} not measured; "
            f"measure where it will run: {_how(suite, without)}"
        )
    sums = {
        "GPU-hours": [(cost.label, cost.gpu_hours) for cost in found if cost.gpus],
        "core-hours": [(cost.label, cost.core_hours) for cost in found if not cost.gpus],
    }
    for unit, parts in sums.items():
        if (total := sum(hours for _, hours in parts)) > most:
            each = ", ".join(f"{label} {number(hours)}" for label, hours in parts if hours)
            raise ValueError(
                f"{number(total)} {unit} are left of {suite.name} ({each}); allowed are {most:g}"
            )


def text(suite: Suite, found: Sequence[Cost], parallel: Parallel) -> str:
    """Returns everything for people: a table, where its numbers come from, and when it ends."""
    rows = [_row(cost) for cost in found]
    if len(found) > 1:
        rows.append(_total(found))
    parts = [table(HEAD, rows, range(1, len(HEAD)))]
    if any(cost.left for cost in found):
        parts += [_sources(found), *_without(suite, found), _end(suite, found, parallel)]
    return "\n\n".join(filter(None, parts))


def _row(cost: Cost) -> list[str]:
    if not cost.left:
        return [cost.label, f"0 of {cost.runs:,}", *["-"] * (len(HEAD) - 2)]
    speed, passing = cost.speed, cost.disk.passing
    longest = max(each.seconds or 0.0 for each in cost.left)
    gpu_hours = number(cost.gpu_hours) if speed else "?"
    return [
        cost.label,
        f"{len(cost.left):,} of {cost.runs:,}",
        _half(cost.left),
        f"{cost.agent_steps:,}",
        number(speed.steps_per_s) if speed else UNKNOWN,
        spell(longest) if speed else "?",
        number(cost.core_hours) if speed else "?",
        gpu_hours if cost.gpus else "-",
        _bytes(_kept(cost)),
        ">= " * cost.disk.at_least * bool(passing) + _bytes(passing),
    ]


def _total(found: Sequence[Cost]) -> list[str]:
    """Returns the sums; what they leave out is a question mark in them."""
    busy = [cost for cost in found if cost.left]
    unknown = any(not cost.measured for cost in busy)
    kept = [_kept(cost) for cost in busy]
    gpu_hours = _sum(number, sum(cost.gpu_hours for cost in busy), unknown)
    return [
        "total",
        f"{sum(len(cost.left) for cost in busy):,} of {sum(cost.runs for cost in found):,}",
        _half([each for cost in busy for each in cost.left]),
        f"{sum(cost.agent_steps for cost in busy):,}",
        "",
        "",
        _sum(number, sum(cost.core_hours for cost in busy), unknown),
        gpu_hours if any(cost.gpus for cost in busy) else "-",
        _sum(_bytes, sum(filter(None, kept)), None in kept),
        "",
    ]


def _sum(shown: Callable[[float], str], value: float, unknown: bool) -> str:
    return "?" if unknown and not value else shown(value) + " + ?" * unknown


def _half(left: Sequence[Left]) -> str:
    return f"{sum(1 for each in left if each.begun):,}"


def _kept(cost: Cost) -> float | None:
    return None if cost.disk.kept is None else cost.disk.kept * len(cost.left)


def _sources(found: Sequence[Cost]) -> str:
    rows = [
        [cost.label, cost.speed.source if cost.speed else UNKNOWN, cost.disk.source]
        for cost in found
        if cost.left
    ]
    return table(["agent", "speed from", "disk from"], rows)


def _without(suite: Suite, found: Sequence[Cost]) -> list[str]:
    """Says what the hours leave out."""
    said = []
    busy = [cost for cost in found if cost.left]
    if labels := [cost.label for cost in busy if not cost.measured]:
        said.append(
            f"Not measured, and in no hours: {', '.join(labels)}. To measure where it will run:\n"
            f"  {_how(suite, labels)}"
        )
    for cost in busy:
        if (seen := cost.speed_threads) != (asked := cost.resources.threads):
            said.append(
                f"Runs of {cost.label} have {speeds.counted(asked)}, its speed was seen with "
                f"{seen}: its hours are a guess until it is measured again."
            )
    return [*said, *_evaluations(suite, busy)]


def _evaluations(suite: Suite, busy: Sequence[Cost]) -> list[str]:
    """Says whose hours lack evaluations, and whose speed has some of them in it."""
    asked = suite.evaluation
    lack, some = [], []
    for cost in busy:
        if asked.episodes and cost.speed and not cost.speed.whole:
            on_the_way = cost.speed.kind == "under way" and asked.at[0] < 1
            (some if on_the_way else lack).append(cost.label)
    lines = []
    if lack:
        lines.append(f"come on top for {', '.join(lack)}")
    if some:
        lines.append(f"are in the speed of {', '.join(some)} as far as runs under way played them")
    if not lines:
        return []
    points = ", ".join(f"{point:.0%}" for point in asked.at)
    return [
        f"Evaluations ({asked.episodes} episodes at {points} of a run) {', and '.join(lines)}: "
        "only finished runs tell how long they take."
    ]


def _end(suite: Suite, found: Sequence[Cost], parallel: Parallel) -> str:
    busy = [cost for cost in found if cost.left]
    lines = []
    if known := [cost for cost in busy if cost.measured]:
        seconds, longest = finish(suite, known, parallel.runs)
        less = f" ({', '.join(cost.label for cost in known)} alone)" * (len(known) < len(busy))
        lines.append(
            f"Done{less} in about {spell(seconds)} with {parallel.runs:,} at once "
            f"({parallel.why}); the longest run takes {spell(longest)}."
        )
    every = [cost.disk.passing or 0.0 for cost in busy for _ in cost.left]
    most = sum(sorted(every, reverse=True)[: parallel.runs])
    partly = any(cost.disk.at_least or cost.disk.passing is None for cost in busy)
    if most:
        lines.append(
            f"Replay and checkpoints, gone when their runs end: "
            f"{'at least' if partly else 'up to'} {_bytes(most)} at a time."
        )
    return "\n".join(lines)


def _how(suite: Suite, labels: Sequence[str]) -> str:
    return f"reverie estimate {suite.name} --agents {','.join(labels)} --measure"


def spell(seconds: float) -> str:
    """Returns 3 d 4 h, 12 min 5 s or 8 s: the two largest units."""
    left, said = max(1, round(seconds)), []
    for size, unit in UNITS:
        count, left = divmod(left, size)
        if count or said:
            said.append(f"{count} {unit}" if count else "")
    return " ".join(filter(None, said[:2]))


def number(value: float) -> str:
    """Returns 12,345 or 12.3 or 0.12: three digits at least, and no more behind the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.2g}"


def _bytes(count: float | None) -> str:
    if count is None:
        return "?"
    size, unit = next((each for each in BYTES if count >= each[0]), (1.0, "B"))
    return f"{number(count / size)} {unit}"
