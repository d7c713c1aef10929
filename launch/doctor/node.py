"""What the probe job runs on its node: looks around, answers, and waits to be told to leave.

    python -m launch.doctor.node FOLDER [--gpu]

Everything is said in files of FOLDER, which the other side watches: `node` (facts), `pong.N` (when
`ping.N` was seen), `lock.again`, `gpu`, and `heard.SIGTERM` or `heard.SIGUSR2` (a signal came).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

STOPPED = 75  # As a run that has saved and left.
PATIENCE_S = 600.0
POLL_S = 0.05
LOCK_S = 5.0
TORCH = """
import torch
names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
print(f"torch {torch.__version__} sees", ", ".join(names) or "no device")
"""


def put(path: Path, facts: Any) -> None:
    """Writes a file that is whole or not there."""
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(json.dumps(facts))
    aside.replace(path)


def get(path: Path) -> Any:
    """Returns what a file says; None while it is not there or cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):  # NFS calls a file that was replaced meanwhile stale, say.
        return None


def facts(folder: Path) -> dict[str, Any]:
    """Returns what this node is, and whether the other side's lock counts here."""
    return {
        "time": time.time(),
        "host": socket.gethostname(),
        "python": sys.executable,
        "version": platform.python_version(),
        "source": str(Path(__file__).resolve()),
        "digest": digest(),
        "home": os.access(Path("~").expanduser(), os.W_OK),
        "cores": len(os.sched_getaffinity(0)),
        "partition": os.environ.get("SLURM_JOB_PARTITION", ""),
        "lock": lock(folder / "lock", 0.0),
    }


def digest() -> str:
    """Returns a name for the source files of the project, as this machine reads them."""
    room = Path(__file__).resolve().parents[1]
    found = hashlib.sha256()
    for path in sorted(room.rglob("*.py")):
        with contextlib.suppress(OSError):  # An editor's dangling link; or it differs, and is told.
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def lock(path: Path, patience_s: float) -> str:
    """Tries to take a lock; returns "taken", "held", or what went wrong."""
    until = time.monotonic() + patience_s
    try:
        with path.open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return "taken"
                except BlockingIOError:
                    if time.monotonic() >= until:
                        return "held"
                time.sleep(POLL_S)
    except OSError as error:
        return str(error)


def gpu() -> dict[str, str]:
    """Returns what this job sees of graphics processors."""
    return {
        "cuda": os.environ.get("CUDA_VISIBLE_DEVICES", "not set"),
        "driver": spoken("nvidia-smi", "-L"),
        "torch": spoken(sys.executable, "-c", TORCH),
    }


def spoken(*words: str) -> str:
    """Returns what a command prints, or the end of what it complains of."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{words[0]}: {error}"
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return "; ".join(lines if not done.returncode else lines[-1:])


def main(folder: Path, wants_gpu: bool) -> int:
    """Answers until a signal comes; a second start, after a requeue, has nothing to do."""
    if not folder.is_dir() or (folder / "node").exists():
        return 0

    def hear(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):  # A full disk must not keep it from leaving.
            put(folder / f"heard.{signal.Signals(number).name}", time.time())
        if number == signal.SIGTERM:
            os._exit(STOPPED)

    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, hear)
    put(folder / "node", facts(folder))
    if wants_gpu:
        threading.Thread(target=lambda: put(folder / "gpu", gpu()), daemon=True).start()
    count, until = 0, time.monotonic() + PATIENCE_S
    while time.monotonic() < until and folder.is_dir():
        with contextlib.suppress(OSError):  # What a disk refuses now it may take in a moment.
            count += answer(folder, count)
        time.sleep(POLL_S)
    return 0


def answer(folder: Path, count: int) -> bool:
    """Answers a file of the other side; says whether it was there."""
    if get(folder / f"ping.{count}") is None:
        return False
    put(folder / f"pong.{count}", time.time())
    if count == 0:  # By now the other side has let go.
        put(folder / "lock.again", lock(folder / "lock", LOCK_S))
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), "--gpu" in sys.argv))
