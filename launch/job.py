"""What stands between Snakemake and a run: `python -m launch.job ppo pong 0 --suite demo`.

It waits until no other process writes to the run folder (after a killed Snakemake, its runs need
seconds to save and leave), takes a device where there are several, makes sure that the run ends
when Snakemake dies, and then becomes `reverie run`.
"""

import argparse
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from launch import devices, plan

SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG in linux/prctl.h


def command(args: argparse.Namespace) -> list[str]:
    """Returns the command line of the run."""
    agent, *blocks = args.agent.split("+")
    words = [sys.executable, "-m", "launch.cli", "run", agent, "--suite", args.suite]
    words += ["--game", args.game, "--seed", str(args.seed), "--tracking", args.tracking]
    words += ["--threads", str(args.threads), "--workers", str(workers(args.threads))]
    return words + [word for block in blocks for word in ("--block", block)]


def workers(threads: int) -> int:
    """Returns how many processes step the environments: none beside a single thread.

    Agent and environments take turns, so one core is busy without them; more would only take
    cores from the runs beside this one.
    """
    return threads if threads > 1 else 0


def wait_for_writer(folder: Path, pause: Callable[[float], None] = time.sleep) -> None:
    """Returns when no process holds the run folder."""
    said = False
    while plan.writer_alive(folder):
        if not said:
            print(f"{folder}: waiting for the process that writes to it", file=sys.stderr)
        said = True
        pause(1.0)


def device(gpus: int) -> dict[str, str]:
    """Returns what the environment has to say about devices: one of its own, or none."""
    if gpus == 0:
        return {"CUDA_VISIBLE_DEVICES": ""}
    there = devices.visible()
    if len(there) < 2:  # Nothing to choose from.
        return {}
    return {"CUDA_VISIBLE_DEVICES": devices.claim(there, devices.lock_folder())}


def die_with_parent() -> None:
    """Has the kernel send SIGTERM to this process, and what it becomes, when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def relay() -> None:
    """Puts a pipe before the terminal, on which runs side by side would overwrite their lines."""
    reading, writing = os.pipe()
    if os.fork():
        os.dup2(writing, 2)
        os.close(writing)
        os.close(reading)
        return
    os.close(writing)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # The run still has something to say.
    while block := os.read(reading, 65536):
        os.write(2, block)
    os._exit(0)


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Returns a parser of what names a run to a process of its own."""
    found = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    found.add_argument("agent")
    found.add_argument("game")
    found.add_argument("seed", type=int)
    found.add_argument("--suite", required=True)
    found.add_argument("--folder", type=Path, required=True)
    found.add_argument("--threads", type=int, required=True)
    found.add_argument("--gpu", type=int, required=True)
    return found


def main(words: Sequence[str]) -> None:
    """Becomes the run."""
    asked = parser("launch.job", __doc__)
    asked.add_argument("--tracking", required=True)
    args = asked.parse_args(words)
    die_with_parent()
    wait_for_writer(args.folder)
    if sys.stderr.isatty():
        relay()
    os.execve(sys.executable, command(args), os.environ | device(args.gpu))


if __name__ == "__main__":
    main(sys.argv[1:])
