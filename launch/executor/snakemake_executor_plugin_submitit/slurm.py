"""Slurm's own commands: what is waiting or running, how things ended, stop these.

A controller that is slow or down is no news about jobs: what fails raises, and is asked again.

Source: https://slurm.schedmd.com/squeue.html, sacct.html, scancel.html, scontrol.html.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence

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


def waiting_or_running() -> dict[str, str]:
    """Returns the states of the jobs that are listed.

    Raises:
        SlurmError: squeue failed.
    """
    return queue.states(listing())


def named(token: str) -> list[str]:
    """Returns the ids of the jobs of a name, in order.

    Raises:
        SlurmError: squeue failed.
    """
    text = ask("squeue", "-h", "-r", "-t", "all", "--me", "--name", token, "-o", "%i|%T")
    return sorted(queue.states(text.splitlines()), key=lambda id: int(id.partition("_")[2] or 0))


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


def cancel(ids: Sequence[str]) -> None:
    """Cancels jobs.

    Raises:
        SlurmError: scancel failed.
    """
    for start in range(0, len(ids), CHUNK):
        ask("scancel", *ids[start : start + CHUNK])


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


def has_accounting() -> bool:
    """Tells whether Slurm keeps books about jobs; yes, if it cannot be asked."""
    try:
        found = re.search(r"AccountingStorageType\s*=\s*(\S+)", ask("scontrol", "show", "config"))
    except SlurmError:
        return True
    return bool(found) and found[1] not in ("accounting_storage/none", "(null)")


def largest_array() -> int:
    """Returns how many tasks an array may have."""
    try:
        found = re.search(r"MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config"))
    except SlurmError:
        found = None
    return max(1, int(found[1]) - 1 if found else DEFAULT_ARRAY - 1)
