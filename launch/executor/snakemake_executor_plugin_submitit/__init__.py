"""Runs the jobs of a workflow on Slurm, through submitit, so that nothing starts twice or is lost.

    snakemake --executor submitit --jobs 500

All ready jobs that ask for the same become one array. What was handed over stands in a ledger: the
same command, after a kill or a logout, takes up what is queued or running.

A rule that is one shell command is run as that command. The usual way, another Snakemake inside the
job, would read the Snakefile anew on every node, so that an edit changes jobs that wait, and would
wait for a folder of the main process that is gone after a logout.
"""

import asyncio
import hashlib
import json
import math
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings
from snakemake_interface_executor_plugins.utils import format_cli_arg

from snakemake_executor_plugin_submitit import bucket, queue, runner, slurm, snapshot, submission
from snakemake_executor_plugin_submitit.ledger import Entry, Ledger
from snakemake_executor_plugin_submitit.settings import ExecutorSettings, check, check_delay

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

FIRST_PAUSE_S = float(os.environ.get("REVERIE_PAUSE_S", 5.0))  # Before a failed call is repeated;
LONGEST_PAUSE_S = 300.0  # twice as long each time, up to this.
RELEASES = 3  # Of one job that nodes fail to start.


common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    auto_deploy_default_storage_provider=False,
)


class Executor(RemoteExecutor):
    """Hands jobs over in arrays and follows them."""

    def __post_init__(self) -> None:
        """Reads the ledger and finds what a killed process handed over."""
        self.settings: ExecutorSettings = self.workflow.executor_settings
        check(self.settings)
        self.folder = Path(self.settings.folder).absolute()
        self.imports = self.take_snapshot()
        self.ledger = Ledger(self.folder)
        self.keys: set[str] = set()  # What this process was asked for.
        self.tried: set[str] = set()  # Submissions for which sbatch was called.
        self.quiet: dict[str, float] = {}  # Since when Slurm calls an id ended or unknown.
        self.silent = False  # Whether Slurm has not answered the last time.
        self.released: Counter[str] = Counter()  # How often a held job was let go.
        self.booked: dict[str, str] = {}  # What accounting has said, by id,
        config = slurm.configuration()
        self.next_books = 0.0 if slurm.has_accounting(config) else math.inf  # and when to ask next.
        self.largest = min(slurm.largest_array(config), self.settings.array_limit)
        self.devices = slurm.has_devices()
        self.next_seconds_between_status_checks = self.settings.interval_s
        try:
            self.ledger.begin(sys.argv)
        except BlockingIOError:
            raise WorkflowError(
                f"{self.ledger.path}: another process hands jobs over from here; wait for it, or "
                "give this one a --submitit-folder of its own"
            ) from None
        self.recover()

    def take_snapshot(self) -> dict[str, str]:
        """Returns the variables with which jobs import the code as it is now."""
        names = self.settings.snapshot.split()
        if not names:
            return {}
        try:
            taken = snapshot.take(Path.cwd(), names, self.folder / "code")
        except FileNotFoundError as error:
            raise WorkflowError(f"--submitit-snapshot: no folder {error.filename}") from None
        return snapshot.environment(taken, os.environ.get("PYTHONPATH", ""))

    def recover(self) -> None:
        """Gives ids to what was submitted by a process that was killed before it knew them."""
        for token in dict.fromkeys(e.token for e in self.ledger.open() if not e.id):
            members = self.ledger.of_token(token)
            count = len({entry.index for entry in members})
            if ids := submission.ready(self.folder / "jobs" / token, count):
                self.ledger.submitted(token, ids)
                continue
            self.patiently(slurm.cancel, f"--name={token}")  # Jobs that nobody told what to do.
            for entry in members:
                self.ledger.end(entry, "lost", "the main process was killed as it submitted")

    # Handing over

    def run_jobs(self, jobs: list[JobExecutorInterface]) -> None:
        """Takes up what is under way, and submits the rest in as few arrays as possible."""
        asked = []
        for job in jobs:
            self.run_job_pre(job)
            self.keys.add(key_of(job))
            if not self.adopt(job):
                asked.append((self.ask(job), job))
        for ask, members in bucket.grouped(asked).items():
            packs = list(bucket.pieces(members, self.settings.pack))
            for some in bucket.pieces(packs, self.largest):
                self.submit(ask, some)

    def run_job(self, job: JobExecutorInterface) -> None:
        """Submits one job."""
        self.run_jobs([job])

    def adopt(self, job: JobExecutorInterface) -> bool:
        """Takes up a job that an earlier process handed over and that has not failed since."""
        entry = self.ledger.newest(key_of(job))
        if entry is None or not entry.open:
            return False
        if runner.read(self.ledger.marker(entry)).get("code") == 0 and not made(job):
            self.ledger.end(entry, "lost", "its outputs are gone")
            return False
        self.report_job_submission(SubmittedJobInfo(job, entry.id, {"entry": entry}))
        return True

    def ask(self, job: JobExecutorInterface) -> bucket.Ask:
        """Returns what a job asks of Slurm, more memory or time than before if that ran out."""
        key = key_of(job)
        reasons = [entry.reason for entry in self.ledger.entries if entry.key == key]
        resources = dict(job.resources) | ({} if self.devices else {"gpu": 0})
        # Asked when it matters, which is seldom.
        longest = slurm.longest() if any(bucket.LATE in reason for reason in reasons) else {}
        found = bucket.ask(job.threads, resources, vars(self.settings), reasons, longest)
        check_delay(self.settings.delay_s, found.minutes, f"runtime of {job.name}")
        return found

    def submit(self, ask: bucket.Ask, packs: list[list[JobExecutorInterface]]) -> None:
        """Submits one array, however long Slurm takes to accept it."""
        token = f"reverie-{uuid.uuid4().hex[:12]}"
        jobs = [job for pack in packs for job in pack]
        places = [(index, slot) for index, pack in enumerate(packs) for slot in range(len(pack))]
        self.ledger.intend(
            self.entry(job, token, *place, ask) for job, place in zip(jobs, places, strict=True)
        )
        entries = self.ledger.of_token(token)
        tasks: list[list[runner.Task]] = [[] for _ in packs]
        for job, entry in zip(jobs, entries, strict=True):
            tasks[entry.index].append(self.task(job, entry))
        try:
            ids = self.patiently(self.send, token, ask, tasks)
        except slurm.Refused as error:
            return self.refuse(jobs, entries, str(error))
        self.ledger.submitted(token, ids)
        for job, entry in zip(jobs, entries, strict=True):
            self.report_job_submission(SubmittedJobInfo(job, entry.id, {"entry": entry}))

    def refuse(self, jobs: list[JobExecutorInterface], entries: list[Entry], reason: str) -> None:
        """Reports jobs that Slurm will never take as they are; that is said once."""
        names = f"{entries[0].name} and {len(entries) - 1} more" if entries[1:] else entries[0].name
        self.say(f"Slurm refuses {names}: {reason}")
        for job, entry in zip(jobs, entries, strict=True):
            self.ledger.end(entry, "failed", f"refused by Slurm: {reason}")
            job.attempt = job.restart_times + 1
            self.report_job_error(SubmittedJobInfo(job, "none", {"entry": entry}))

    def send(self, token: str, ask: bucket.Ask, tasks: list[list[runner.Task]]) -> list[str]:
        """Calls sbatch, unless Slurm has the job already, and returns ids.

        Raises:
            SlurmError: sbatch failed; Refused, if it always will.
        """
        if token in self.tried:  # An answer may have been lost; jobs without ids never begin.
            slurm.cancel(f"--name={token}")
        self.tried.add(token)
        return submission.submit(self.folder / "jobs" / token, token, ask, tasks, self.settings)

    def entry(
        self, job: JobExecutorInterface, token: str, index: int, slot: int, ask: bucket.Ask
    ) -> Entry:
        """Returns the ledger's line of a job."""
        return Entry(
            key=key_of(job), token=token, index=index, slot=slot, rule=job.name,
            name=name_of(job), outputs=[str(each) for each in job.output], attempt=job.attempt,
            submitted=time.time(), resources=asdict(ask),
        )  # fmt: skip

    def task(self, job: JobExecutorInterface, entry: Entry) -> runner.Task:
        """Returns what is run for a job; the folders that it writes to are there."""
        for path in (*job.output, *job.log):
            Path(str(path)).parent.mkdir(parents=True, exist_ok=True)
        marker = self.ledger.marker(entry)
        log = marker.with_suffix(".log")
        environment = self.imports | {"REVERIE_JOB": entry.name}
        return runner.Task(self.command(job), str(marker), str(log), environment)

    def command(self, job: JobExecutorInterface) -> str:
        """Returns a shell command: the rule's own, or that of another Snakemake."""
        if not job.is_group() and job.is_shell and not job.is_containerized:
            try:
                return str(job.shellcmd)
            except Exception:
                pass  # A name that only the Snakefile knows: Snakemake itself must run it.
        return self.format_job_exec(job)

    def get_job_args(self, job: JobExecutorInterface) -> str:
        """Returns the arguments of a Snakemake inside a job, which waits for inputs alone."""
        waits = format_cli_arg("--wait-for-files", list(job.get_wait_for_files()))
        return f"{RealExecutor.get_job_args(self, job)} {waits}"

    # Following

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Reports what has ended, and yields what goes on; whatever happens, nobody is dropped."""
        if not active_jobs:
            return
        markers = {
            id(info): runner.read(self.ledger.marker(info.aux["entry"])) for info in active_jobs
        }
        asked = [info.external_jobid for info in active_jobs if not markers[id(info)]]
        seen = await asyncio.to_thread(self.look, asked)
        for info in active_jobs:
            state = seen.get(info.external_jobid, "" if self.silent else None)
            try:
                over = self.settle(info, markers[id(info)], state)
            except OSError as error:  # A full disk, say: the ledger comes before the report.
                self.say(f"{error}; looking again later")
                over = False
            if not over:
                yield info

    def settle(self, info: SubmittedJobInfo, marker: dict[str, Any], state: str | None) -> bool:
        """Reports a job if it has ended; tells whether it has."""
        entry = info.aux["entry"]
        quiet_s = self.quiet_for(entry, state)
        verdict = queue.judge(marker, state, quiet_s, self.settings.grace_s)
        if verdict.state == "success":
            self.ledger.end(entry, "success")
            self.report_job_success(info)
        elif verdict.over:
            self.fail(info, verdict, marker.get("log", []))
        return verdict.over

    def fail(self, info: SubmittedJobInfo, verdict: queue.Verdict, log: Sequence[str]) -> None:
        """Reports a job that has failed; what somebody cancelled is not tried again."""
        entry = info.aux["entry"]
        self.ledger.end(entry, verdict.state, verdict.reason)
        if verdict.state == "cancelled":
            info.job.attempt = info.job.restart_times + 1
        lines = "".join(f"  {line}\n" for line in log[-5:])
        self.report_job_error(info, msg=f"{entry.name}: {verdict.reason}\n{lines}")

    def look(self, ids: Sequence[str]) -> dict[str, str]:
        """Returns Slurm's states of jobs; asks accounting only about those that squeue forgot."""
        if not ids:
            return {}
        try:
            lines = slurm.listing()
            if self.silent:
                self.say("Slurm answers again")
            self.silent = False
        except slurm.SlurmError as error:
            if not self.silent:
                self.say(f"{error}; jobs go on, and will be asked about again")
            self.silent = True
            return {}
        seen = queue.states(lines)
        self.release(set(queue.held(lines)).intersection(ids))
        gone = [each for each in ids if each not in seen]
        if gone and time.monotonic() >= self.next_books:
            self.open_books(gone)
        return self.booked | seen

    def release(self, ids: set[str]) -> None:
        """Lets jobs start elsewhere that a broken node could not; some times, not for ever."""
        for spent in sorted(id for id in ids if self.released[id] == RELEASES):
            self.released[spent] += 1
            self.say(f"{spent} was released {RELEASES} times and is held again: see to its nodes")
        again = sorted(id for id in ids if self.released[id] < RELEASES)
        if not again:
            return
        try:
            slurm.release(again)
        except slurm.SlurmError as error:
            return self.say(f"{error}; trying again later")
        self.released.update(again)
        self.say(f"a node could not start {', '.join(again)}: released, to start elsewhere")

    def open_books(self, ids: Sequence[str]) -> None:
        """Asks accounting, which is slow: twice while a job may be unknown to Slurm."""
        self.next_books = time.monotonic() + self.settings.grace_s / 2
        try:
            found = slurm.accounted(ids)
        except slurm.SlurmError:
            return
        # It lags behind: what it calls running, and the controller has forgotten, has ended.
        self.booked |= {id: state for id, state in found.items() if state not in queue.LIVE}

    def quiet_for(self, entry: Entry, state: str | None) -> float:
        """Returns for how long Slurm has called a job ended or unknown."""
        place = f"{entry.token}.{entry.index}.{entry.slot}"
        if state == "" or state in queue.LIVE:
            self.quiet.pop(place, None)
            return 0.0
        return time.monotonic() - self.quiet.setdefault(place, time.monotonic())

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Cancels what is under way, or leaves it to a later process.

        Snakemake's list is empty while jobs are looked at, so the ledger is asked.
        """
        found = [each for each in self.ledger.open() if each.id and each.key in self.keys]
        if self.settings.detach:
            self.say(f"{len(found)} jobs go on; the same command takes them up")
            return
        ids = sorted({each.id for each in found})
        try:
            slurm.cancel(*ids)
        except slurm.SlurmError as error:
            return self.say(f"{error}; cancel these yourself: {' '.join(ids)}")
        for each in found:
            self.ledger.end(each, "cancelled", "by the main process")

    def patiently(self, call: Any, *args: Any) -> Any:
        """Calls Slurm until it answers.

        Raises:
            Refused: it has, and will not change its mind.
        """
        pause = FIRST_PAUSE_S
        while True:
            try:
                return call(*args)
            except slurm.Refused:
                raise
            except slurm.SlurmError as error:
                self.say(f"{error}; trying again in {pause:.0f} s")
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def say(self, text: str) -> None:
        """Tells the user something."""
        print(f"reverie: {text}", file=sys.stderr, flush=True)


def key_of(job: JobExecutorInterface) -> str:
    """Returns what names a job in every process: its rule and what it makes."""
    made_of = json.dumps([job.name, sorted(map(str, job.output))])
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]


def name_of(job: JobExecutorInterface) -> str:
    """Returns what people call a job."""
    words = [] if job.is_group() else [str(value) for value in job.wildcards]
    return " ".join([job.name, *words])


def made(job: JobExecutorInterface) -> bool:
    """Tells whether all outputs are there."""
    return all(Path(str(each)).exists() for each in job.output)
