"""Requests to stop: a signal, or a file that appears.

A file works everywhere: which processes of a job a scheduler signals differs between clusters.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)


class Stopper:
    """Remembers that somebody asked; the loop looks between updates."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic):
        """Watches a file, once a second at most."""
        self.file, self.clock = file, clock
        self.reason: str | None = None
        self._looked = -1.0

    def listen(self) -> None:
        """Catches the signals; a second Ctrl-C interrupts at once."""
        for name in SIGNALS:
            signal.signal(name, self._caught)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.reason = signal.Signals(number).name
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def asked(self) -> bool:
        """Tells whether to checkpoint and leave."""
        if self.reason is None and self.clock() - self._looked >= 1:
            self._looked = self.clock()
            if self.file.exists():
                self.reason = f"stop file {self.file}"
        return self.reason is not None
