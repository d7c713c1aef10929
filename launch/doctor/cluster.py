"""What Slurm's configuration means for a sweep: pure functions of what `scontrol show` prints.

Source: https://slurm.schedmd.com/slurm.conf.html, scontrol.html.
"""

import math
import re
from collections.abc import Iterator, Mapping

from snakemake_executor_plugin_submitit import slurm

from launch.doctor.finding import Finding

SWEEP = 1425  # Runs of atari57 with five agents: 57 games, 5 seeds.
SAVING_S = 20  # A checkpoint of an agent with a large replay, on a slow disk.

Facts = Mapping[str, str]


def configuration(text: str) -> dict[str, str]:
    """Returns the values of `scontrol show config`, by name."""
    pairs = re.findall(r"^(\S+)[ \t]*=[ \t]*(.*?)[ \t]*$", text, re.MULTILINE)
    return {name: value for name, value in pairs}


def partitions(text: str) -> dict[str, dict[str, str]]:
    """Returns the values of `scontrol show partition -o`, by partition and name."""
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines()]
    return {row["PartitionName"]: row for row in rows if "PartitionName" in row}


def value(facts: Facts, name: str) -> str:
    """Returns what Slurm says of something.

    Raises:
        ValueError: it says nothing of it.
    """
    if name not in facts:
        raise ValueError(f"Slurm does not say {name}")
    return facts[name]


def number(text: str) -> float:
    """Returns the number that a value begins with, as in `5 sec`; infinite without one."""
    found = re.match(r"\d+", text)
    return float(found[0]) if found else math.inf


def requeue(config: Facts, allowed: bool) -> Iterator[Finding]:
    """Says whether Slurm starts a job again after preemption, time limit or a node's failure."""
    default = value(config, "JobRequeue") != "0"
    if not allowed:
        yield Finding(
            "warn", "requeue", "the profile says submitit-no-requeue",
            "then preemption and time limit use up `retries`; without it they do not",
        )  # fmt: skip
    elif default:
        yield Finding("ok", "requeue", "JobRequeue=1")
    else:
        yield Finding(
            "warn", "requeue", "JobRequeue=0: only jobs that ask are requeued; ours ask",
            "see whether the probe job is (below); if not, ask for JobRequeue=1",
        )  # fmt: skip


def preemption(config: Facts, partition: Facts) -> Iterator[Finding]:
    """Says what happens to a job that makes way for another, and how long it has to save."""
    kind = value(config, "PreemptType")
    by_partition = kind.endswith("partition_prio") and partition.get("PreemptMode")
    modes = (by_partition or value(config, "PreemptMode")).upper().split(",")
    mode = next((mode for mode in modes if mode != "GANG"), "OFF")
    if kind.endswith("none") or mode == "OFF":
        yield Finding("ok", "preemption", "jobs are not preempted here")
        return
    fact = f"PreemptMode={mode} ({kind})"
    hints = {
        "CANCEL": "a preempted run is a failed attempt: raise `retries` in the profile",
        "SUSPEND": "a suspended run keeps memory and device; nothing to do",
    }
    yield Finding("warn" if mode == "CANCEL" else "ok", "preemption", fact, hints.get(mode, ""))
    yield from saving(config, partition)


def saving(config: Facts, partition: Facts) -> Iterator[Finding]:
    """Says how long a preempted run has to save."""
    grace, kill = number(value(partition, "GraceTime")), number(value(config, "KillWait"))
    fact = f"a preempted run has {grace + kill:.0f} s (GraceTime {grace:.0f}, KillWait {kill:.0f})"
    if grace + kill >= SAVING_S:
        yield Finding("ok", "saving", fact)
    else:
        todo = "a checkpoint that takes longer is lost, and with it a minute; ask for GraceTime"
        yield Finding("warn", "saving", fact, todo)


def arrays(config: Facts) -> Iterator[Finding]:
    """Says how many jobs Slurm takes at once."""
    size, jobs = number(value(config, "MaxArraySize")), number(value(config, "MaxJobCount"))
    fact = f"MaxArraySize={size:.0f}, MaxJobCount={jobs:.0f}"
    if size < 2:
        yield Finding("FAIL", "arrays", fact, "arrays are off: ask for MaxArraySize=1001")
    elif jobs < SWEEP:
        yield Finding(
            "warn", "arrays", fact,
            f"of all users: hand over fewer, `snakemake --profile slurm --jobs {jobs / 2:.0f}`",
        )  # fmt: skip
    else:
        count = math.ceil(SWEEP / (size - 1))
        yield Finding("ok", "arrays", f"{fact}: {SWEEP:,} runs are {count} arrays")


def partition(found: Mapping[str, Facts], name: str, minutes: int) -> Iterator[Finding]:
    """Says whether the partition of a sweep takes jobs as long as they ask for.

    Args:
        found: all partitions.
        name: the one of the profile, or nothing for Slurm's own choice.
        minutes: that jobs ask for.
    """
    chosen = choose(found, name)
    if not chosen:
        known = ", ".join(found) or "none"
        what = f"there is no partition {name!r}" if name else "none is the default, none was named"
        yield Finding("FAIL", "partition", what, f"name one with --partition: {known}")
        return
    most, name = slurm.seconds(value(chosen, "MaxTime")), chosen["PartitionName"]
    limit = "no time limit" if math.isinf(most) else f"at most {most / 60:.0f} minutes"
    nodes = f"{chosen.get('TotalNodes', '?')} nodes"
    state = value(chosen, "State")
    fact = f"{name}: {state}, {nodes}, {limit}, {memory(chosen)}"
    if state != "UP":
        yield Finding("FAIL", "partition", fact, "it takes no jobs now: name another")
    elif minutes * 60 > most:
        todo = (
            f"jobs ask for {minutes}: set submitit-minutes to {most // 60:.0f}; longer runs go on"
        )
        yield Finding("FAIL", "partition", fact, f"{todo} in the next allocation")
    else:
        yield Finding("ok", "partition", fact)


def choose(found: Mapping[str, Facts], name: str) -> Facts:
    """Returns the partition of a name, or the default one; nothing if it is not there."""
    if name:  # Several may be named; Slurm takes the one that starts first.
        return found.get(name.partition(",")[0], {})
    return next((each for each in found.values() if each.get("Default") == "YES"), {})


def overtime(config: Facts, partition: Facts) -> Iterator[Finding]:
    """Says what happens at a time limit."""
    over = partition.get("OverTimeLimit", "NONE")
    over = value(config, "OverTimeLimit") if over == "NONE" else f"{over} min"
    kill = value(config, "KillWait")
    yield Finding(
        "ok", "time limit", f"OverTimeLimit={over}, then SIGTERM, KillWait={kill}, SIGKILL"
    )


def memory(partition: Facts) -> str:
    """Says what memory jobs get that name none; those of a sweep all name theirs."""
    for name in ("DefMemPerNode", "DefMemPerCPU", "DefMemPerGPU"):
        if math.isfinite(number(partition.get(name, ""))):
            return f"{name}={partition[name]} MB"
    return "no default memory"
