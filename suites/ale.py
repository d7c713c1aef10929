"""The `ale` backend: emulators in worker processes that write rows into shared memory.

`ALEInterface.act` holds Python's lock, so threads do not help: eight Pong environments gave 2,400
steps/s in one thread, 2,200 in two threads and 5,160 in two processes. A worker owns a contiguous
slice of environments; each environment's random numbers depend on its index only, so the number of
workers changes nothing but the speed.

Shapes: B environments.
"""

import contextlib
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

import numpy as np

from suites import emulators, env, seeding
from suites.game import Game
from suites.task import Task
from suites.view import View

STEP = b"s"


class AleVector:
    """B environments of one game, in this process or over worker processes."""

    exact = True

    def __init__(
        self,
        game: str,
        task: Task,
        view: View,
        envs: int,
        names: tuple[str | int, ...],
        *,
        workers: int,
        training: bool,
    ):
        """Starts the emulators; see `suites.env.make`."""
        self.actions, self.rows, file = layout(envs, view)
        recipe = {
            "game": game,
            "task": task.model_dump_json(),
            "view": view.model_dump_json(),
            "names": names,
            "training": training,
            "envs": envs,
        }
        self.groups: list[Local | Worker] = []
        count = min(workers, envs)
        try:
            with file:
                if count == 0:
                    self.groups.append(Local(recipe, range(envs), self.actions, self.rows))
                for part in np.array_split(np.arange(envs), count) if count else ():
                    self.groups.append(Worker(recipe, range(part[0], part[-1] + 1), file.fileno()))
            counts = [group.ready() for group in self.groups]
        except BaseException:
            self.close()
            raise
        self.obs_space, self.act_space = env.spaces_of(view, counts[0])

    def step(self, action: np.ndarray) -> dict[str, np.ndarray]:
        """Steps every environment; the arrays returned are overwritten by the next step."""
        self.actions[:] = action
        for group in self.groups:
            group.start()
        for group in self.groups:
            group.finish()
        return self.rows

    def save(self) -> dict:
        """Returns the state of every environment, by index, whatever the number of workers."""
        return {"games": [state for group in self.groups for state in group.save()]}

    def load(self, state: dict) -> None:
        """Restores every environment."""
        states = iter(state["games"])
        for group in self.groups:
            group.load([next(states) for _ in group.indices])

    def close(self) -> None:
        """Ends the workers."""
        while self.groups:
            self.groups.pop().close()


class Local:
    """Environments stepped in this process."""

    def __init__(self, recipe: dict, indices: range, actions: np.ndarray, rows: dict):
        """Builds the games of some indices."""
        task = Task.model_validate_json(recipe["task"])
        view = View.model_validate_json(recipe["view"])
        self.indices, self.actions, self.rows = indices, actions, rows
        self.games: list[Game] = []
        for index in indices:
            names = (*recipe["names"], index)
            emulator = emulators.make(recipe["game"], task.actions, view.color != "gray", *names)
            rng = seeding.generator(*names, "task")
            self.games.append(Game(emulator, task, view, recipe["training"], rng))

    def ready(self) -> int:
        """Returns the number of actions."""
        return self.games[0].emulator.actions

    def start(self) -> None:
        """Does nothing: `finish` steps."""

    def finish(self) -> None:
        """Steps each game."""
        for index, game in zip(self.indices, self.games, strict=True):
            game.step(int(self.actions[index]), self.rows, index)

    def save(self) -> list[dict]:
        """Returns one state per game."""
        return [game.save() for game in self.games]

    def load(self, states: list[dict]) -> None:
        """Restores one state per game."""
        for game, state in zip(self.games, states, strict=True):
            game.load(state)

    def close(self) -> None:
        """Does nothing."""


class Worker:
    """Environments stepped by another process; the parent's end of the conversation."""

    def __init__(self, recipe: dict, indices: range, memory: int):
        """Starts the process; `memory` is the file of shared rows."""
        self.indices = indices
        ours, theirs = socket.socketpair()
        # -P: a folder of the same name in the current directory is not this package.
        command = [sys.executable, "-P", "-m", "suites.ale", str(theirs.fileno()), str(memory)]
        # One thread each: the products of the resize are far too small for more.
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        root = str(Path(__file__).parent.parent)
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        with theirs:
            self.process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(), memory),
                stdin=subprocess.DEVNULL,
                env=os.environ | threads | {"PYTHONPATH": path},
            )
        self.pipe = Connection(ours.detach())
        self.pipe.send((recipe, indices))

    def ready(self) -> int:
        """Waits for the games and returns the number of actions."""
        return self.receive()

    def start(self) -> None:
        """Asks for a step and does not wait."""
        with self.alive():
            self.pipe.send_bytes(STEP)

    def finish(self) -> None:
        """Waits for the step."""
        with self.alive():
            self.pipe.recv_bytes()

    def receive(self) -> object:
        """Returns an answer that is not a step's."""
        with self.alive():
            kind, value = self.pipe.recv()
        if kind == "error":
            raise RuntimeError(value)
        return value

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Tells of the end of the process where the pipe is found broken."""
        try:
            yield
        except (EOFError, OSError):
            code = self.process.wait(timeout=10)
            how = f"with code {code}"
            if code < 0:
                how = f"by {signal.Signals(-code).name}; out of memory, if nobody sent it"
            first, last = self.indices[0], self.indices[-1]
            message = f"The worker of environments {first} to {last} ended {how}."
            raise RuntimeError(message) from None

    def save(self) -> list[dict]:
        """Fetches the states."""
        with self.alive():
            self.pipe.send_bytes(b"g")
        return self.receive()

    def load(self, states: list[dict]) -> None:
        """Sends the states."""
        with self.alive():
            self.pipe.send_bytes(b"l")
            self.pipe.send(states)
        self.receive()

    def close(self) -> None:
        """Closes the pipe, at which the process ends by itself."""
        self.pipe.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def layout(
    envs: int, view: View, file: IO[bytes] | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray], IO[bytes]]:
    """Returns actions, rows and the file they lie in; the same file gives the same memory.

    The file has no name, so nothing is left behind however the processes end.
    """
    table = {"actions": ((envs,), np.dtype("i8"))} | env.columns(envs, view)
    sizes = {k: -(-int(np.prod(s)) * t.itemsize // 64) * 64 for k, (s, t) in table.items()}
    if file is None:
        file = reserve(sum(sizes.values()))
    memory = mmap.mmap(file.fileno(), sum(sizes.values()))
    arrays, offset = {}, 0
    for name, (shape, kind) in table.items():
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(memory, kind, count, offset).reshape(shape)
        offset += sizes[name]
    return arrays.pop("actions"), arrays, file


def reserve(size: int) -> IO[bytes]:
    """Returns a nameless file of `size` bytes, in memory if there is room; it cannot run full."""
    with contextlib.suppress(OSError):
        return filled("/dev/shm", size)
    return filled(None, size)


def filled(folder: str | None, size: int) -> IO[bytes]:
    """Returns a nameless file in a folder, its bytes all there."""
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the caller closes it.
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        file.close()
        raise
    return file


def serve(pipe: Connection, memory: int) -> None:
    """Runs a worker until its parent closes the pipe or dies."""
    recipe, indices = pipe.recv()
    try:
        view = View.model_validate_json(recipe["view"])
        with os.fdopen(memory, "r+b") as file:
            actions, rows, _ = layout(recipe["envs"], view, file)
        games = Local(recipe, indices, actions, rows)
        pipe.send(("ok", games.ready()))
    except Exception as error:
        pipe.send(("error", f"{type(error).__name__}: {error}"))
        return
    while True:
        command = pipe.recv_bytes()
        if command == STEP:
            games.finish()
            pipe.send_bytes(STEP)
        elif command == b"g":
            pipe.send(("ok", games.save()))
        else:
            games.load(pipe.recv())
            pipe.send(("ok", None))


def main() -> None:
    """Serves the parent named by two file descriptors."""
    # Whoever stops the run signals the group; the parent decides when workers end.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(name, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):  # The parent has gone.
        serve(Connection(int(sys.argv[1])), int(sys.argv[2]))


if __name__ == "__main__":
    main()
