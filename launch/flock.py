"""Turns: one process at a time does what must not be done by two.

The kernel gives a lock back when its holder dies, so no lock is ever left behind.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

POLL_S = 0.05


@contextlib.contextmanager
def held(path: Path, patience_s: float) -> Iterator[None]:
    """Holds the lock of a file, which is made when it is not there.

    Args:
        path: of the lock, a file with no other use.
        patience_s: how long to wait for whoever holds it.

    Raises:
        TimeoutError: it was not free in that time.
        OSError: the file cannot be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _wait(handle, path, time.monotonic() + patience_s)
        yield
    finally:
        os.close(handle)


def _wait(handle: int, path: Path, until: float) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError(f"{path} is held by another process") from None
        time.sleep(POLL_S)
