"""Where a result comes from: commit, packages, Python and machine.

Only facts that are named here are written, never the environment, the command line or the address
of a repository, because these may hold secrets. Light: the standard library, two short calls
of git, no torch.
"""

import importlib.metadata
import json
import os
import platform
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

GIT_PATIENCE_S = 20.0  # A repository on a slow network disk must not hold up a run for ever.
ORIGIN = "origin.json"  # Of the executor's snapshots.
REDIRECTS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # Set in hooks; they outdo `git -C`.


def collect(path: Path) -> dict[str, Any]:
    """Collects what provenance.json says of every attempt of a run.

    Args:
        path: a file or folder in the checkout whose commit counts.

    Returns:
        commit (None outside git), dirty (uncommitted changes or new files that git does not
        ignore; None outside git), packages (name to version), python, machine.
    """
    return {
        **commit(path),
        "packages": packages(),
        "python": platform.python_version(),
        "machine": machine(),
    }


def commit(path: Path) -> dict[str, Any]:
    """Returns the commit of a checkout, and whether its files differ from it."""
    where = path if path.is_dir() else path.parent
    origin = where.parent / ORIGIN
    if origin.is_file():  # A snapshot for jobs on a cluster: git would name what came later.
        return json.loads(origin.read_text())
    head = _git(where, "rev-parse", "--verify", "HEAD")
    changes = _git(where, "status", "--porcelain") if head else None
    return {"commit": head, "dirty": None if changes is None else bool(changes)}


def packages() -> dict[str, str]:
    """Returns every installed distribution and its version, by name."""
    found = {}
    for dist in importlib.metadata.distributions():
        name = dist.metadata["Name"]
        if name:  # A half-removed package has none.
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), dist.version)
    return dict(sorted(found.items()))


def machine() -> dict[str, Any]:
    """Returns the facts about this machine that speed and exactness depend on."""
    return {
        "host": socket.gethostname(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_gib": _memory_gib(),
        "gpus": _gpus(Path("/proc/driver/nvidia")),
        "gpu_driver": _driver(Path("/proc/driver/nvidia")),
    }


def _git(where: Path, *words: str) -> str | None:
    """Returns what git says; None without git, outside a repository, or when it takes too long."""
    environ = {key: value for key, value in os.environ.items() if key not in REDIRECTS}
    try:
        done = subprocess.run(
            ["git", "-C", str(where), *words],
            capture_output=True,
            text=True,
            timeout=GIT_PATIENCE_S,
            env=environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _field(path: Path, name: str) -> str:
    """Returns the first value of a `name : value` file; empty when there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    match = re.search(rf"^{name}\s*:\s*(.*?)\s*$", text, re.MULTILINE)
    return match[1] if match else ""


def _memory_gib() -> float | None:
    kib = _field(Path("/proc/meminfo"), "MemTotal").removesuffix(" kB")
    return round(int(kib) / 2**20, 1) if kib else None


def _gpus(driver: Path) -> list[str]:
    """Returns the devices that the driver lists, in the order of its bus."""
    return [_field(path, "Model") for path in sorted(driver.glob("gpus/*/information"))]


def _driver(driver: Path) -> str:
    """Returns the version of the NVIDIA driver; empty without one."""
    try:
        text = (driver / "version").read_text(encoding="utf-8")
    except OSError:
        return ""
    match = re.search(r"\b\d+\.\d+(\.\d+)?\b", text)
    return match[0] if match else ""
