"""What a sweep needs of the machine on which its main process runs: no Slurm in here."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from launch import mlflow_store, tracking
from launch.doctor.finding import Finding

PLUGIN = "snakemake_executor_plugin_submitit"
ANSWER_S = 5.0
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}  # Where a database listens by default.
FULL_GB, LOW_GB = 1.0, 50.0  # A sweep writes tens of GB; below the first nothing can run.
LOW_INODES = 100_000  # A run writes about 30 files, Snakemake and submitit 5 more.
GB = 1e9


def python() -> Iterator[Finding]:
    """Says which Python and project these are, and whether Snakemake finds the executor."""
    if importlib.util.find_spec(PLUGIN) is None:
        yield Finding(
            "FAIL", "python", f"{PLUGIN} is not installed in {sys.prefix}",
            "install the project with `make install` or `pip install -e .`",
        )  # fmt: skip
        return
    fact = f"{platform.python_version()} in {sys.prefix}, project {version()}"
    yield Finding("ok", "python", fact)


def version() -> str:
    """Returns the installed version of the project; "not installed" without one."""
    try:
        return importlib.metadata.version("reverie-bench")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def disk(root: Path) -> Iterator[Finding]:
    """Says how much room there is where runs write."""
    place = results(root)
    free = shutil.disk_usage(place).free / GB
    stats = os.statvfs(place)
    inodes = f", {stats.f_favail:,} inodes" if stats.f_files else ""
    fact = f"{free:,.0f} GB{inodes} free in {place} (a quota of yours is not seen here)"
    short = stats.f_files and stats.f_favail < LOW_INODES
    mark = "FAIL" if free < FULL_GB else "warn" if free < LOW_GB or short else "ok"
    todo = "make room, or link runs/ to a larger disk" if mark != "ok" else ""
    yield Finding(mark, "disk", fact, todo)


def results(root: Path) -> Path:
    """Returns the folder in which runs write, or would."""
    return root / "runs" if (root / "runs").is_dir() else root


def nesting(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Says whether this shell is part of a job, or tells sbatch more than the profile does."""
    inside = environ.get("SLURM_JOB_ID")
    if inside:
        yield Finding(
            "warn", "nesting", f"this shell is part of job {inside}, and ends with it",
            "start sweeps on a login node; or again after it: the same command goes on",
        )  # fmt: skip
    told = sorted(name for name in environ if name.startswith("SBATCH_"))
    if told and not inside:  # Inside a job the executor hides them.
        words = ", ".join(f"{name}={environ[name]}" for name in told)
        yield Finding(
            "warn", "nesting", f"sbatch obeys {words}", "unset them, and say it in the profile"
        )
    if not (inside or told):
        yield Finding("ok", "nesting", "this shell is no part of a job, and sets no SBATCH_...")


def mlflow(root: Path) -> Iterator[Finding]:
    """Says whether MLflow can be reached; training itself never needs it."""
    if importlib.util.find_spec("mlflow") is None:
        yield Finding("warn", "mlflow", "not installed", "`pip install mlflow`, or tracking=off")
        return
    uri = tracking.address(root)
    if problem := unusable(uri, root):
        todo = "runs do not mind, and `reverie sync` brings all later; see MLFLOW_TRACKING_URI"
        yield Finding("warn", "mlflow", problem, todo)
    else:
        yield Finding("ok", "mlflow", f"{mlflow_store.shown(uri)} can be used")


def unusable(uri: str, root: Path) -> str:
    """Returns why an address of MLflow cannot be used, and which; nothing if it can.

    A server is asked what a sweep asks it first, so that names and passwords count too. Of a
    database only the place is tried: a sweep would create MLflow's tables there.
    """
    if mlflow_store.served(uri):
        return tracking.prepare_apart(root)
    path = mlflow_store.sqlite_path(uri)
    problem = read_only(path) if path else silent(uri)
    return problem and f"{mlflow_store.shown(uri)}: {problem}"


def read_only(path: Path) -> str:
    """Returns why a database in a file cannot be written; nothing if it can."""
    there = path if path.exists() else path.parent
    return "" if os.access(there, os.W_OK) else f"{there} cannot be written"


def silent(uri: str) -> str:
    """Returns why nobody answers where a database should; nothing if somebody does."""
    parts = urlsplit(uri)
    asked = parse_qs(parts.query)
    host = parts.hostname or asked.get("host", [""])[0]
    port = parts.port or asked.get("port", [""])[0] or PORTS.get(parts.scheme.partition("+")[0])
    if not (host and port):
        return "neither a server, nor a database with its host, nor a sqlite file"
    place = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"
    try:
        connect(host, int(port), place)
    except OSError as error:
        return f"no answer from {place}: {error}"
    return ""


def connect(host: str, port: int, place: str) -> None:
    """Connects to a port of a host, or to a socket in a folder, as PostgreSQL names both."""
    if not host.startswith("/"):
        return socket.create_connection((host, port), ANSWER_S).close()
    with socket.socket(socket.AF_UNIX) as there:
        there.settimeout(ANSWER_S)
        there.connect(place)
