"""A private Slurm cluster on this machine: two nodes, made for a test and gone after it.

Daemons are Debian's (slurmctld, slurmd, munge; slurmdbd and mariadb-server for accounting), run in
the foreground with files, sockets and ports of their own, and never as services: `SLURM_CONF` in
`Cluster.env` is all that leads to them.

Source: https://slurm.schedmd.com/slurm.conf.html, Slurm 22.05.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self

DAEMONS = ("slurmctld", "slurmd", "munged", "sbatch")
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb")
START_S = 60.0
SOON_S = 3

CONFIGURATION = """\
ClusterName=reverie
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={munge}
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,sched_min_interval=200000,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
{accounting}
MaxArraySize={array}
MinJobAge={age}
KillWait=5
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdTimeout=30
InactiveLimit=0
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs={cpus} \
RealMemory={memory} {gres} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 \
PreemptMode=REQUEUE
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
"""
BOOKS = """\
AuthType=auth/munge
AuthInfo=socket={munge}
DbdHost=localhost
DbdPort={books}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""


def missing(accounting: bool = False) -> list[str]:
    """Returns the programs that this machine lacks."""
    wanted = DAEMONS + (ACCOUNTING if accounting else ())
    return [name for name in wanted if not shutil.which(name, path=search_path())]


def search_path() -> str:
    """Returns PATH with the folders of daemons, which a user's may lack."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class Cluster:
    """Two nodes, two partitions; `urgent` preempts `main`."""

    def __init__(
        self, folder: Path, *, accounting: bool = False, cpus: int = 4, array: int = 1001,
        age_s: int = 300, memory_mb: int = 8000, gpus: int = 0,
        settings: Mapping[str, str] | None = None,
    ):  # fmt: skip
        """Starts nothing yet.

        Args:
            folder: an empty one, for everything that the daemons write.
            accounting: whether sacct works.
            cpus: that each node says it has.
            array: MaxArraySize, one more than an array's tasks.
            age_s: seconds for which the controller remembers finished jobs.
            memory_mb: that each node says it has.
            gpus: that each node says it has; they are not there.
            settings: lines of slurm.conf by name, instead of the usual ones or beside them.
        """
        self.folder, self.accounting = folder, accounting
        self.env = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": search_path()}
        ports = dict(zip(("controller", "first", "books", "database"), free_ports(), strict=True))
        stored = (
            "AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=localhost"
        )
        stored += f"\nAccountingStoragePort={ports['books']}"
        stored += f"\nAccountingStoragePass={folder / 'munge' / 'socket'}"
        self.facts = ports | {
            "folder": folder, "munge": folder / "munge" / "socket", "second": ports["first"] + 1,
            "host": socket.gethostname().split(".")[0], "user": os.environ.get("USER", "root"),
            "accounting": stored if accounting else "AccountingStorageType=accounting_storage/none",
            "cpus": cpus, "array": array, "age": age_s, "memory": memory_mb,
            "gres": f"Gres=gpu:{gpus}" if gpus else "",
        }  # fmt: skip
        self.gpus, self.settings = gpus, dict(settings or {})
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        """Starts all daemons and waits until both nodes are idle."""
        with ExitStack() as stack:
            self.stack = stack
            self.write()
            self.daemon("munged", "--foreground", *self.munge_options())
            wait(self.facts["munge"].exists, "munged")
            if self.accounting:
                self.start_books()
            self.daemon("slurmctld", "-D", "-c")
            wait(lambda: "UP" in self.ask("scontrol", "ping"), "slurmctld")
            for name in ("n1", "n2"):
                self.daemon("slurmd", "-D", "-N", name)
            wait(
                lambda: self.ask("sinfo", "-h", "-N", "-o", "%t").split().count("idle") >= 4,
                "nodes",
            )
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Cancels what there is and stops all daemons, the newest first."""
        self.ask("scancel", "--user", str(self.facts["user"]))
        self.stack.close()

    def write(self) -> None:
        """Writes configuration and key."""
        for name in ("munge", "state", "spool/n1", "spool/n2"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "munge").chmod(0o755)
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        lines = CONFIGURATION.format(**self.facts).splitlines()
        usual = [line for line in lines if line.partition("=")[0] not in self.settings]
        ours = [f"{name}={value}" for name, value in self.settings.items()]
        if self.gpus:
            ours.append("GresTypes=gpu")
            device = "Name=gpu File=/dev/null\n" * self.gpus
            (self.folder / "gres.conf").write_text(device)
        (self.folder / "slurm.conf").write_text("\n".join([*ours, *usual, ""]))
        books = self.folder / "slurmdbd.conf"
        books.write_text(BOOKS.format(**self.facts))
        books.chmod(0o600)

    def munge_options(self) -> list[str]:
        """Returns where munged keeps its files: none of them where a service would."""
        there = self.folder / "munge"
        named = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed"}
        named |= {"log-file": "log"}
        return ["--force", *(f"--{key}={there / name}" for key, name in named.items())]

    def start_books(self) -> None:
        """Starts the database and the accounting daemon."""
        data, port = self.folder / "database", self.facts["database"]
        data.mkdir()
        self.run("mariadb-install-db", "--user=root", f"--datadir={data}", "--skip-test-db")
        self.daemon(
            "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}",
            f"--socket={data}/socket", f"--pid-file={data}/pid", "--bind-address=127.0.0.1",
            f"--port={port}", "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900",
        )  # fmt: skip
        speak = ("mariadb", f"--socket={data}/socket", "-e")
        wait(lambda: self.ask(*speak, "select 1") != "", "mariadbd")
        self.run(*speak, "create database slurm_acct_db")
        self.run(*speak, "create user 'slurm'@'%' identified by 'slurm'")
        self.run(*speak, "grant all on slurm_acct_db.* to 'slurm'@'%'")
        self.daemon("slurmdbd", "-D")
        wait(lambda: "reverie" in self.listed(), "slurmdbd")

    def listed(self) -> str:
        """Returns the clusters that the accounting daemon knows, after naming this one."""
        self.ask("sacctmgr", "-i", "add", "cluster", "reverie")
        return self.ask("sacctmgr", "-n", "-P", "show", "cluster", "format=cluster")

    def daemon(self, *words: str) -> subprocess.Popen[bytes]:
        """Starts a program that is stopped with the cluster."""
        log = (self.folder / f"{words[0]}.out").open("ab")
        process = subprocess.Popen(
            words, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        self.stack.callback(stop, process)
        return process

    def ask(self, *words: str) -> str:
        """Returns what a command prints, or nothing if it fails."""
        done = subprocess.run(
            words, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return "" if done.returncode else done.stdout

    def hurry(self) -> None:
        """Lets jobs that were requeued begin soon, not in two minutes.

        Not at once: a node takes no job of the second in which it ended ("Job credential revoked").
        """
        for line in self.ask("squeue", "-h", "-r", "-o", "%i|%r|%S").splitlines():
            job, why, begin = line.split("|")
            if why != "BeginTime" or not begin[:1].isdigit():
                continue
            left = datetime.fromisoformat(begin) - datetime.now()
            if left.total_seconds() > 2 * SOON_S:
                self.ask("scontrol", "update", f"jobid={job}", f"StartTime=now+{SOON_S}")

    def kill(self, *patterns: str) -> None:
        """Kills this cluster's processes whose command lines match, all of them at once."""
        mark = f"SLURM_CONF={self.env['SLURM_CONF']}\0".encode()
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                ours = mark in (place / "environ").read_bytes()
            except OSError:  # It has left.
                continue
            if ours and any(re.search(pattern, words) for pattern in patterns):
                with suppress(ProcessLookupError):
                    os.kill(int(place.name), signal.SIGKILL)

    def run(self, *words: str) -> str:
        """Returns what a command prints.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(
            words, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        assert not done.returncode, f"{' '.join(words)}: {done.stderr or done.stdout}"
        return done.stdout


def free_ports() -> Iterator[int]:
    """Yields ports that nobody listens on: one, two in a row, one, one."""
    for width in (1, 2, 1, 1):
        port = 0
        while not port:
            port = a_port(width)
        yield port


def a_port(width: int) -> int:
    """Returns the first of some free ports in a row, or 0."""
    with ExitStack() as stack:
        first = stack.enter_context(socket.socket())
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        for ahead in range(1, width):
            try:
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port + ahead))
            except OSError:
                return 0
        return port


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a daemon and its children."""
    for number, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue


def wait(done: Callable[[], object], what: str, seconds: float = START_S) -> None:
    """Waits until something holds.

    Raises:
        TimeoutError: it does not.
    """
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not there after {seconds:.0f} s")
        time.sleep(0.1)


@contextmanager
def on_path(folder: Path, scripts: dict[str, str], env: dict[str, str]) -> Iterator[dict[str, str]]:
    """Puts programs of a test's own before the real ones; yields an environment with them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    yield env | {"PATH": f"{folder}{os.pathsep}{env['PATH']}"}


def which(name: str) -> str:
    """Returns where a program is.

    Raises:
        FileNotFoundError: it is not here.
    """
    found = shutil.which(name, path=search_path())
    if not found:
        raise FileNotFoundError(name)
    return found
