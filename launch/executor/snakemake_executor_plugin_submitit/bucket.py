"""Which jobs may share an array, and which an allocation.

Jobs that ask for the same can be tasks of one array; `pack` of them run side by side in one task.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args

GROWTH = 1.5  # Of memory and time, with every attempt that ran out of it,
OOM, LATE = "out of memory", "out of time"  # as its reason says.

T = TypeVar("T")
GpuFlag = Literal["gpus-per-node", "gres"]
GPU_FLAGS: tuple[str, ...] = get_args(GpuFlag)


@dataclass(frozen=True)
class Ask:
    """What one job asks of Slurm; None: what the partition gives."""

    cores: int
    memory_mb: int | None
    minutes: int
    gpus: int
    partition: str | None
    account: str | None
    qos: str | None
    constraint: str | None
    gres: str | None
    extra: str | None

    def parameters(self, count: int, gpu_flag: GpuFlag) -> dict[str, Any]:
        """Returns submitit's parameters for some such jobs in one allocation.

        Args:
            count: how many; they share the devices that one of them asks for.
            gpu_flag: how the site wants to be asked for devices.
        """
        by_gres = f"gpu:{self.gpus}" if self.gpus and gpu_flag == "gres" else None
        found = {
            "time": self.minutes,
            "cpus_per_task": self.cores * count,
            "mem": f"{self.memory_mb * count}MB" if self.memory_mb else None,
            "gpus_per_node": None if by_gres else self.gpus or None,
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "gres": ",".join(filter(None, [self.gres, by_gres])) or None,
        }
        return {name: value for name, value in found.items() if value is not None}


def ask(
    threads: int,
    resources: Mapping[str, Any],
    defaults: Mapping[str, Any],
    reasons: Sequence[str] = (),
    longest: Mapping[str, float] = MappingProxyType({}),
) -> Ask:
    """Returns what a job asks for.

    Args:
        threads: of the job.
        resources: of the job, by the names that Snakemake's Slurm executor has too.
        defaults: for what it does not say.
        reasons: of its earlier failures.
        longest: minutes that partitions allow, "" the default one; a job that asked for more would
            never start.
    """
    memory = resources.get("mem_mb")
    memory = int(memory * growth(reasons, OOM)) if isinstance(memory, int) else None
    minutes = int(resources.get("runtime") or defaults["minutes"])

    def word(name: str) -> str | None:
        return resources.get(f"slurm_{name}", resources.get(name)) or defaults.get(name) or None

    places = (word("partition") or "").split(",")  # Slurm takes the one that is free first.
    most = min(longest.get(place, math.inf) for place in places)
    return Ask(
        cores=max(1, threads),
        memory_mb=memory,
        minutes=int(min(minutes * growth(reasons, LATE), max(minutes, most))),
        gpus=int(resources.get("gpu") or 0),
        partition=word("partition"),
        account=word("account"),
        qos=word("qos"),
        constraint=word("constraint"),
        gres=word("gres"),
        extra=word("extra"),
    )


def growth(reasons: Sequence[str], words: str) -> float:
    """Returns how much more to ask for than at first."""
    return GROWTH ** sum(words in reason for reason in reasons)


def grouped(jobs: Iterable[tuple[Ask, T]]) -> dict[Ask, list[T]]:
    """Returns jobs by what they ask for, in the order in which they came."""
    found: dict[Ask, list[T]] = {}
    for each, job in jobs:
        found.setdefault(each, []).append(job)
    return found


def pieces(jobs: Sequence[T], most: int) -> Iterator[list[T]]:
    """Yields jobs in lists of at most so many."""
    for start in range(0, len(jobs), most):
        yield list(jobs[start : start + most])
