"""The probe job: handed over as a sweep's jobs are, watched from here, and cancelled in the end.

It asks for five minutes and for a warning four minutes before their end, so that the very signal
that saves long runs comes within a minute or two of its start. What is proved on the way: that
Slurm starts it, that both sides see each other's files and locks, that the warning reaches the
runner and through it a command in a session of its own, and that Slurm then starts the job again.
"""

import contextlib
import dataclasses
import fcntl
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from snakemake_executor_plugin_submitit import ExecutorSettings, queue, slurm

from launch.doctor import here, sight
from launch.doctor.finding import Finding, brief
from launch.doctor.handed import Handed

MINUTES, WARNING_S = 5, 240  # Slurm looks every half minute, and warns up to a minute too early.
FILES_S = 60.0  # For a file to be seen on the other side.
SIGNAL_S = 150.0  # After the start, for the warning.
REQUEUE_S = 45.0  # After the warning, for the job to wait again.
GPU_S = 150.0  # For a node to load torch from a slow disk.
POLL_S = 0.05
HINTS = {
    "PartitionTimeLimit": "the partition allows less than 5 minutes: name another",
    "PartitionDown": "name another partition",
    "BeginTime": "try again in some minutes",
}
WAIT_LONGER = "`reverie doctor --wait 3600` waits longer; --partition may name a shorter queue"

Say = Callable[[str], None]


def probe(
    settings: ExecutorSettings, *, gpu: bool, wait_s: float, root: Path, say: Say
) -> Iterator[Finding]:
    """Runs the probe job, leaves nothing of it behind, and yields what it has shown.

    Args:
        settings: of the executor.
        gpu: whether it asks for a graphics processor.
        wait_s: for how long it may be pending.
        root: of the project.
        say: gets a line about what is waited for.
    """
    settings = dataclasses.replace(settings, minutes=MINUTES, delay_s=WARNING_S)
    token = f"reverie-doctor-{uuid.uuid4().hex[:12]}"
    top = Path(settings.folder).absolute()
    files = here.results(root).absolute() / f".{token}"
    job = Handed(settings, gpu, token, top / "jobs" / token, files)
    with _folder(job.files), _folder(job.logs), contextlib.ExitStack() as stack:
        lock = stack.enter_context((job.files / "lock").open("a"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            yield Finding("FAIL", "locks", f"flock fails in {files.parent}: {error}", sight.FLOCK)
        try:
            job.submit()
            say(f"job {job.id} is queued; waiting up to {wait_s:.0f} s for its start")
            yield from _started(job, wait_s, lock.fileno(), say)
        except (slurm.SlurmError, RuntimeError) as error:
            yield Finding("FAIL", "probe job", brief(str(error)), "sbatch must take it as it is")
        finally:
            left = job.cancel()
        if left:
            yield Finding("warn", "probe job", left, f"scancel --name={token}")


def _started(job: Handed, wait_s: float, lock: int, say: Say) -> Iterator[Finding]:
    begun = time.monotonic()
    while (state := job.state())[0] in {*queue.WAITING, ""} and not job.get("node"):
        if time.monotonic() - begun > wait_s:
            todo = HINTS.get(state[1], WAIT_LONGER)
            why = f"({state[1] or 'Slurm does not say why'})"
            fact = f"pending for {wait_s:.0f} s {why}, and cancelled; signals and disk not tried"
            yield Finding("warn", "probe job", fact, todo)
            return
        time.sleep(POLL_S)
    waited = time.monotonic() - begun
    facts = job.get("node", FILES_S)
    if facts is None:
        state = job.state()[0].lower() or "unknown"
        fact = f"job {job.id} is {state}, and no file of it is seen here; its log: {job.log()}"
        todo = "the checkout and its Python must be on a disk that all nodes share"
        yield Finding("FAIL", "probe job", fact, todo)
        return
    way = "without srun" if job.settings.no_srun else "by srun"
    where = f"on {facts['host']}, partition {facts['partition']}, {way}"
    yield Finding("ok", "probe job", f"job {job.id} began after {waited:.0f} s {where}")
    yield from sight.python(facts)
    yield from sight.locks(job, facts, lambda: fcntl.flock(lock, fcntl.LOCK_UN))
    if job.gpu:
        yield from sight.devices(job.get("gpu", GPU_S))
    say("waiting for Slurm's warning, up to two minutes")
    yield from _warned(job)


def _warned(job: Handed) -> Iterator[Finding]:
    """Follows the warning from Slurm to the runner, its command, and the queue."""
    begun = job.get("node")["time"]
    heard = job.get("heard.SIGTERM", SIGNAL_S)
    state = job.state()[0]
    if heard is not None:
        fact = f"Slurm's warning came {heard - begun:.0f} s after the start, reached the runner"
        yield Finding("ok", "signals", f"{fact}, and through it a command in its own session")
        yield from _requeued(job)
    elif job.get("heard.SIGUSR2"):
        fact = "the warning reached a command, but not the runner that it belongs to"
        yield Finding("FAIL", "signals", fact, "see --submitit-no-srun, and ask who gets --signal")
    elif state in queue.LIVE:
        fact = f"no warning reached the job in {SIGNAL_S:.0f} s (--signal=USR2@{WARNING_S})"
        yield Finding(
            "FAIL", "signals", fact,
            "try the other of srun and submitit-no-srun; ask whether --signal is kept; without it "
            "a run ends at its time limit, and goes on as one of its `retries`",
        )  # fmt: skip
    else:
        fact = f"the job ended before a warning reached it ({state or 'unknown'}): {job.log()}"
        yield Finding("FAIL", "signals", fact, "the runner must outlive the warning to save")


def _requeued(job: Handed) -> Iterator[Finding]:
    """Says whether the job, having left at the warning, waits to be started again."""
    if job.settings.no_requeue:
        yield Finding("left out", "requeued", "the profile says submitit-no-requeue")
        return
    until = time.monotonic() + REQUEUE_S
    while (state := job.state())[0] not in queue.WAITING and time.monotonic() < until:
        if state[0] in ("FAILED", "CANCELLED", "TIMEOUT"):
            break
        time.sleep(POLL_S)
    if state[0] in queue.WAITING:
        yield Finding(
            "ok", "requeued", f"the job was requeued from its node, and waits ({state[1]})"
        )
    else:
        fact = f"the job was not requeued ({state[0] or 'unknown'}): {job.log()}"
        todo = "ask for requeue of batch jobs (JobRequeue=1, `scontrol requeue` on nodes)"
        yield Finding("FAIL", "requeued", fact, f"{todo}; else set submitit-no-requeue")


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Makes a folder, and takes away what of it was not there before."""
    made = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)
        for each in made[1:]:
            with contextlib.suppress(OSError):
                each.rmdir()
