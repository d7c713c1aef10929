"""The whole examination: which probes, in which order, and what is left out where."""

import contextlib
import getpass
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.doctor import here
from launch.doctor.finding import Finding, Probe, brief, guarded

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "sinfo", "srun")
CLUSTER = ("slurm", "partition", "requeue", "preemption", "time limit", "arrays", "accounting")
CLUSTER += ("limits", "submission", "gpus", "probe job")
ANSWER_S = 20.0  # Of a command of Slurm: longer, and its controller is as good as down.


@dataclass(frozen=True)
class Wish:
    """What was asked for."""

    said: dict[str, Any]  # Settings of the executor that the command line names.
    job: bool
    wait_s: float


@dataclass(frozen=True)
class Site:
    """What Slurm tells of itself."""

    config: dict[str, str]
    partitions: dict[str, dict[str, str]]
    groups: list[str]  # Lines `gres|nodes`.

    @property
    def gpus(self) -> bool:
        """Whether nodes have graphics processors."""
        return any("gpu" in group for group in self.groups)


def main(wish: Wish, root: Path) -> int:
    """Prints a line for each finding, as it is found; returns 1 if anything FAILs.

    Raises:
        ValueError: the profile has a setting that the executor does not know.
    """
    marks = []
    with contextlib.closing(examine(wish, root)) as findings:
        for finding in findings:
            print(finding, flush=True)
            marks.append(finding.mark)
    counts = ", ".join(f"{marks.count(mark)} {mark}" for mark in ("ok", "warn", "FAIL", "left out"))
    print(counts)
    return int("FAIL" in marks)


def examine(wish: Wish, root: Path) -> Iterator[Finding]:
    """Yields what is found, this machine first."""
    yield from guarded("python", here.python)
    yield from guarded("disk", lambda: here.disk(root))
    yield from guarded("mlflow", lambda: here.mlflow(root))
    if importlib.util.find_spec(here.PLUGIN) is None:
        yield from left_out("the executor is not installed")
    elif not shutil.which("sbatch"):
        yield from left_out("no sbatch on PATH")
    else:
        yield from guarded("nesting", lambda: here.nesting(os.environ))
        yield from of_cluster(wish, root)


def left_out(why: str, first: int = 0) -> Iterator[Finding]:
    """Yields a line for each probe of a cluster that was not made."""
    for subject in CLUSTER[first:]:
        yield Finding("left out", subject, why)


def of_cluster(wish: Wish, root: Path) -> Iterator[Finding]:
    """Yields what is found out about Slurm; without its controller, that alone."""
    from launch.doctor import settings

    wanted = settings.load(root, wish.said)
    control = list(guarded("slurm", controller))
    yield from control
    if any(finding.mark != "ok" for finding in control):
        yield from left_out("the controller does not answer", first=1)
        return
    try:
        site = told(wanted.partition)
        looks = probes(site, wanted)
    except Exception as error:  # As in `guarded`; but nothing stands without these answers.
        fact = f"it does not tell of itself: {brief(str(error)) or type(error).__name__}"
        yield Finding("FAIL", "slurm", fact, "once it answers, call this again")
        yield from left_out("Slurm does not tell of itself", first=1)
        return
    for subject, probe in looks.items():
        yield from guarded(subject, probe)
    yield from guarded("probe job", lambda: probe_job(wish, wanted, site.gpus, root))


def told(partition: str) -> Site:
    """Returns what Slurm tells of itself, and of the nodes in a partition, or in all for none."""
    from launch.doctor import cluster

    config = cluster.configuration(asked("scontrol", "show", "config"))
    partitions = cluster.partitions(asked("scontrol", "show", "partition", "-o"))
    chosen = ("-p", partition) if partition else ()
    groups = asked("sinfo", "-h", "-o", "%G|%D", *chosen).splitlines()
    return Site(config, partitions, groups)


def probes(site: Site, wanted: Any) -> dict[str, Probe]:
    """Returns what is looked at, before a job is tried, by its subject."""
    from launch.doctor import accounts, cluster, trial

    config, partitions = site.config, site.partitions
    chosen = cluster.choose(partitions, wanted.partition)
    return {
        "partition": lambda: cluster.partition(partitions, wanted.partition, wanted.minutes),
        "requeue": lambda: cluster.requeue(config, not wanted.no_requeue),
        "preemption": lambda: cluster.preemption(config, chosen),
        "time limit": lambda: cluster.overtime(config, chosen),
        "arrays": lambda: cluster.arrays(config),
        "accounting": lambda: accounts.accounting(config, refusal_of_sacct()),
        "limits": lambda: limits(config, wanted),
        "submission": lambda: trial.submissions(wanted, site.gpus),
        "gpus": lambda: trial.devices(site.groups, wanted),
    }


def controller() -> Iterator[Finding]:
    """Says which Slurm this is, whether its commands are here and its controller answers."""
    from snakemake_executor_plugin_submitit import slurm

    gone = [name for name in COMMANDS if not shutil.which(name)]
    if gone:
        todo = "add Slurm's folder to PATH (often `module load slurm`)"
        yield Finding("FAIL", "slurm", f"not on PATH: {', '.join(gone)}", todo)
        return
    try:
        version = asked("sbatch", "--version").strip()
        said = brief(asked("scontrol", "ping"))
    except slurm.SlurmError as error:
        said = brief(str(error))
    if " UP" in said:  # Of one of them at least, where there are several.
        yield Finding("ok", "slurm", f"{version}: {said}")
    else:
        todo = "is this a login node of the cluster? If it was, jobs go on meanwhile"
        yield Finding("FAIL", "slurm", f"the controller does not answer: {said}", todo)


def limits(config: dict[str, str], wanted: Any) -> Iterator[Finding]:
    """Says how many jobs this user may have."""
    from launch.doctor import accounts, cluster

    if cluster.value(config, "AccountingStorageType").endswith("none"):
        yield Finding("left out", "limits", "without accounting there are none for users")
        return
    whose = (f"user={getpass.getuser()}", f"cluster={cluster.value(config, 'ClusterName')}")
    names, words = accounts.ASSOCIATION, ("sacctmgr", "-n", "-P", "show")
    mine = asked(*words, "assoc", "where", *whose, f"format={','.join(names)}")
    qualities = asked(*words, "qos", f"format={','.join(accounts.QUALITY)}")
    yield from accounts.limits(
        config, accounts.rows(mine, names), accounts.rows(qualities, accounts.QUALITY),
        {"account": wanted.account, "qos": wanted.qos},
    )  # fmt: skip


def probe_job(wish: Wish, wanted: Any, gpus: bool, root: Path) -> Iterator[Finding]:
    """Runs the probe job, unless that was not wanted."""
    from launch.doctor import job

    if not wish.job:
        yield Finding("left out", "probe job", "--no-job: signals, shared disk, locks and clocks")
        return
    yield from job.probe(wanted, gpu=gpus, wait_s=wish.wait_s, root=root, say=tell)


def asked(*words: str) -> str:
    """Returns what a command of Slurm prints."""
    from snakemake_executor_plugin_submitit import slurm

    return slurm.ask(*words, seconds=ANSWER_S)


def refusal_of_sacct() -> str:
    """Returns what sacct complains of."""
    from snakemake_executor_plugin_submitit import slurm

    try:
        asked("sacct", "-n", "-X", "-P", "-S", "now-1minutes")
    except slurm.SlurmError as error:
        return str(error)
    return ""


def tell(text: str) -> None:
    """Says what is waited for, where it is no finding."""
    print(f"... {text}", file=sys.stderr, flush=True)
