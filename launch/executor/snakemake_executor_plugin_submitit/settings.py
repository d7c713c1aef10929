"""What `--submitit-...` and profiles say."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_submitit import bucket


def about(text: str) -> dict[str, Any]:
    """Returns what Snakemake wants to know of a setting; an empty text asks for nothing."""
    return {"help": text, "required": False}


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """What `--submitit-...` and profiles say; resources of rules come before these."""

    folder: Path = field(
        default=Path(".snakemake/submitit"),
        metadata=about("ledger, scripts and logs of jobs, where all nodes see them"),
    )
    partition: str = field(default="", metadata=about("partition of jobs that name none"))
    account: str = field(default="", metadata=about("account of jobs that name none"))
    qos: str = field(default="", metadata=about("quality of service of jobs that name none"))
    constraint: str = field(default="", metadata=about("constraint of jobs that name none"))
    gres: str = field(default="", metadata=about("generic resources of jobs that name none"))
    gpu_flag: str = field(
        default="gpus-per-node",
        metadata=about("how the site is asked for devices: gpus-per-node or gres"),
    )
    minutes: int = field(default=1440, metadata=about("time limit of jobs that name no runtime"))
    pack: int = field(default=1, metadata=about("jobs that run side by side in one allocation"))
    array_limit: int = field(
        default=1000, metadata=about("most tasks of one array, besides Slurm's own limit")
    )
    array_parallelism: int = field(
        default=256, metadata=about("most tasks of one array that run at once")
    )
    delay_s: int = field(
        default=120, metadata=about("seconds before the time limit at which jobs save and leave")
    )
    grace_s: int = field(
        default=60, metadata=about("seconds for which a job may be unknown to Slurm")
    )
    interval_s: int = field(default=15, metadata=about("seconds between two looks at the queue"))
    no_requeue: bool = field(
        default=False, metadata=about("jobs that are preempted or out of time fail")
    )
    no_srun: bool = field(
        default=False, metadata=about("start jobs without srun, where a site forbids it")
    )
    snapshot: str = field(
        default="",
        metadata=about(
            "folders of Python packages that jobs import as they are now: agents launch"
        ),
    )
    setup: str = field(default="", metadata=about("shell command before each job"))
    detach: bool = field(
        default=False,
        metadata=about("leave jobs running on Ctrl-C; the same command takes them up"),
    )


def check(settings: ExecutorSettings) -> None:
    """Refuses values that Slurm would not understand.

    Raises:
        WorkflowError: there is one.
    """
    if settings.gpu_flag not in bucket.GPU_FLAGS:
        allowed = ", ".join(bucket.GPU_FLAGS)
        raise WorkflowError(f"--submitit-gpu-flag: saw {settings.gpu_flag!r}; allowed: {allowed}")
    for name in ("minutes", "pack", "array_limit", "array_parallelism", "interval_s"):
        if (seen := getattr(settings, name)) < 1:
            words = name.replace("_", "-")
            raise WorkflowError(f"--submitit-{words}: saw {seen}; it must be at least 1")
    for name in ("delay_s", "grace_s"):
        if (seen := getattr(settings, name)) < 0:
            words = name.replace("_", "-")
            raise WorkflowError(f"--submitit-{words}: saw {seen}; it must not be negative")
    check_delay(settings.delay_s, settings.minutes, "--submitit-minutes")


def check_delay(delay_s: int, minutes: int, what: str) -> None:
    """Refuses a time limit that is over before a job has done anything.

    Raises:
        WorkflowError: it is.
    """
    if delay_s >= 60 * minutes:
        raise WorkflowError(
            f"{what}: saw {minutes} minutes; jobs are told to save and leave "
            f"--submitit-delay-s ({delay_s} s) before the end, so it must be longer than that"
        )
