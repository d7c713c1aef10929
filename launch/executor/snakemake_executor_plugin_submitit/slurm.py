"""Slurm's own commands: what is waiting or running, how things ended, stop these.

A controller that is slow or down is no news about jobs: what fails raises, and is asked again.

Source: https://slurm.schedmd.com/squeue.html, sacct.html, scancel.html, scontrol.html.
"""

import contextlib
import math
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from snakemake_executor_plugin_submitit import queue

ANSWER_S = 60.0
CHUNK = 200  # Ids of one command.
DEFAULT_ARRAY = 1001


# What no waiting helps against; in slurm_errno.c of Slurm 22.05 and later, and in sbatch's options.
REFUSALS = (
    "Invalid partition",
    "Invalid account",
    "Invalid qos",
    "Invalid wckey",
    "Invalid feature specification",
    "Invalid generic resource",
    "Invalid --gres",
    "Invalid job array",
    "Requested time limit is invalid",
    "Requested node configuration is not available",
    "More processors requested than permitted",
    "Memory required by task is not available",
    "Memory specification can not be satisfied",
    "not permitted to use this partition",
    "Access/permission denied",
    "unrecognized option",
)


# What scancel says of jobs that have ended.
GONE = ("Invalid job id", "already completed", "Job/step already completing")


class SlurmError(Exception):
    """A command failed; the message is Slurm's."""


class Refused(SlurmError):
    """A submission asks for what this cluster does not have or allow."""


def failure(message: str) -> SlurmError:
    """Returns what a failed submission raises: some messages will be the same for ever."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    for line in reversed(lines):
        if any(words in line for words in REFUSALS):
            return Refused(line.removeprefix("sbatch: error: "))
    return SlurmError(f"sbatch: {lines[-1] if lines else 'failed without a word'}")


def outside() -> dict[str, str]:
    """Returns an environment without the variables of a job that this process may be part of."""
    kept = ("SLURM_CONF",)
    return {
        k: v for k, v in os.environ.items() if k in kept or not k.startswith(("SLURM_", "SBATCH_"))
    }


@contextlib.contextmanager
def unnested() -> Iterator[None]:
    """Hides that this process is itself part of a job, from which a submission would inherit."""
    if "SLURM_JOB_ID" not in os.environ:
        yield
        return
    held = dict(os.environ)
    for name in held.keys() - outside().keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(held)


def ask(*words: str, seconds: float = ANSWER_S) -> str:
    """Returns what a command prints, if it does so within some seconds.

    Raises:
        SlurmError: it failed or did not answer in time.
    """
    try:
        done = subprocess.run(
            words, env=outside(), capture_output=True, text=True, timeout=seconds, check=False
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise SlurmError(f"{words[0]}: {error}") from error
    if done.returncode:
        raise SlurmError(f"{words[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def listing() -> list[str]:
    """Returns `id|STATE|reason` of this user's jobs, those included that ended a short while ago.

    Raises:
        SlurmError: squeue failed.
    """
    return ask("squeue", "-h", "-r", "-t", "all", "--me", "-o", "%i|%T|%r").splitlines()


def accounted(ids: Sequence[str]) -> dict[str, str]:
    """Returns how jobs ended, as far as accounting knows.

    Raises:
        SlurmError: sacct failed, as it does where there is no accounting.
    """
    found: dict[str, str] = {}
    parents = sorted({id.partition("_")[0] for id in ids})
    for start in range(0, len(parents), CHUNK):
        some = ",".join(parents[start : start + CHUNK])
        text = ask("sacct", "-n", "-X", "-P", "-o", "JobID,State", "-j", some)
        found |= queue.states(text.splitlines())
    return {id: found[id] for id in ids if id in found}


def cancel(*words: str) -> None:
    """Cancels jobs: ids, or `--name=...`; what has ended already is no error.

    Raises:
        SlurmError: scancel failed.
    """
    failed = []
    for start in range(0, len(words), CHUNK):
        try:
            ask("scancel", *words[start : start + CHUNK])
        except SlurmError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            if not all(any(gone in line for gone in GONE) for line in lines):
                failed.append(str(error))
    if failed:
        raise SlurmError(failed[0])


def release(ids: Sequence[str]) -> None:
    """Lets jobs start that Slurm holds.

    Raises:
        SlurmError: scontrol failed.
    """
    ask("scontrol", "release", *ids)


def has_devices() -> bool:
    """Tells whether any node has graphics processors; yes, if Slurm cannot be asked."""
    try:
        return "gpu" in ask("sinfo", "-h", "-o", "%G")
    except SlurmError:
        return True


def longest() -> dict[str, float]:
    """Returns the minutes that each partition allows a job, "" the default's; {} if unknown."""
    try:
        lines = ask("sinfo", "-h", "-o", "%P|%l").splitlines()
    except SlurmError:
        return {}
    found: dict[str, float] = {}
    for name, _, most in (line.partition("|") for line in lines):
        found[name.rstrip("*")] = seconds(most.strip()) / 60
        if name.endswith("*"):
            found[""] = found[name.rstrip("*")]
    return found


def seconds(text: str) -> float:
    """Returns a duration of Slurm, such as 1-12:00:00, in seconds; infinite for no limit.

    Raises:
        ValueError: it is none.
    """
    if text.upper() in ("UNLIMITED", "INFINITE", "NONE", "N/A", ""):
        return math.inf
    days, dash, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    scale = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)  # 1-12 is days and hours.
    total = sum(part * unit for part, unit in zip(parts, scale, strict=False))
    return total + (int(days) * 86400 if dash else 0)


def configuration() -> dict[str, str]:
    """Returns Slurm's configuration by name; nothing, if it cannot be asked."""
    try:
        lines = ask("scontrol", "show", "config").splitlines()
    except SlurmError:
        return {}
    return {name.strip(): value.strip() for name, is_, value in (x.partition("=") for x in lines)}


def has_accounting(config: Mapping[str, str]) -> bool:
    """Tells whether Slurm keeps books about jobs; yes, if that is not known."""
    return config.get("AccountingStorageType") not in ("accounting_storage/none", "(null)")


def largest_array(config: Mapping[str, str]) -> int:
    """Returns how many tasks an array may have."""
    found = config.get("MaxArraySize", "")
    return max(1, (int(found) if found.isdigit() else DEFAULT_ARRAY) - 1)
