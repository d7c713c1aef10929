"""One line that says how far something is: kept up to date on a terminal, repeated elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from launch.progress import LIVE_S, PLAIN_S


class Ticker:
    """Shows a line when it is time to, and takes it away at the end."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic):
        """Starts now.

        Args:
            out: where people look; a live line where it is a terminal, else plain lines.
            clock: seconds.
        """
        self.out, self.clock, self.live = out, clock, out.isatty()
        self.began = self.shown = clock()
        self.drawn = 0  # Characters of the live line.

    def show(self, line: Callable[[float], str]) -> None:
        """Shows a line, made from the seconds since the start, if it is time to."""
        now = self.clock()
        if now - self.shown < (LIVE_S if self.live else PLAIN_S):
            return
        self.shown, text = now, line(now - self.began)
        self.out.write("\r" + text.ljust(self.drawn) if self.live else text + "\n")
        self.out.flush()
        self.drawn = len(text) if self.live else 0

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Takes the live line away."""
        if self.drawn:
            self.out.write("\r" + " " * self.drawn + "\r")
            self.out.flush()
