"""What a person sees of a run: one live line on a terminal, plain lines elsewhere."""

import collections
import contextlib
import re
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from launch.loop import Counters

LIVE_S, PLAIN_S = 0.5, 15.0  # Seconds between two lines.
LAST = 10  # Episodes in the return that is shown.
# What `Progress.line` has written to a log, after date and time.
LINE = re.compile(
    r"^\S+ \S+ +(?P<percent>\d+)%  [\d,]+/[\d,]+ frames  (?P<speed>\d+) SPS .*?"
    r"return (?P<mean>\S+) .*?ETA (?P<eta>\S+)"
)


class Progress:
    """Says how far a run is, how fast, how well, and when it will end."""

    def __init__(
        self,
        name: str,
        frames: int,
        out: TextIO,
        log: Path,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Starts at no frames.

        Args:
            name: of the run.
            frames: budget.
            out: where people look; a live line where it is a terminal.
            log: file that gets the plain lines.
            clock: seconds.
        """
        self.name, self.frames, self.out, self.clock = name, frames, out, clock
        self.live = out.isatty()
        self.file = log.open("a")
        self.returns: collections.deque[float] = collections.deque(maxlen=LAST)
        self.began: tuple[float, Counters] | None = None
        self.shown = self.logged = clock()
        self.drawn = 0  # Characters of the live line.

    def episode(self, points: float) -> None:
        """Remembers a finished training episode."""
        self.returns.append(points)

    def say(self, text: str) -> None:
        """Writes a line for good."""
        self._clear()
        print(f"{self.name}  {text}", file=self.out, flush=True)
        self._keep(text)

    def update(self, counters: Counters, doing: str = "") -> None:
        """Shows where the run is, if it is time to."""
        now = self.clock()
        if self.began is None:
            self.began = now, Counters(**vars(counters))
        if self.live and now - self.shown >= LIVE_S:
            self._clear()
            # A line that wraps could not be wiped.
            width = shutil.get_terminal_size().columns - 1
            line = f"{self.name}  {self.line(counters, now, doing)}"[:width]
            self.out.write(line)
            self.out.flush()
            self.drawn, self.shown = len(line), now
        if now - self.logged >= PLAIN_S:
            text = self.line(counters, now, doing)
            if not self.live:
                print(f"{self.name}  {text}", file=self.out, flush=True)
            self._keep(text)
            self.logged = now

    def line(self, counters: Counters, now: float, doing: str = "") -> str:
        """Returns percent, counters, speeds, last returns and the time that is left."""
        began, at = self.began or (now, counters)
        seconds = max(now - began, 1e-9)
        steps = (counters.agent_steps - at.agent_steps) / seconds
        frames = (counters.frames - at.frames) / seconds
        updates = (counters.updates - at.updates) / seconds
        left = (self.frames - counters.frames) / frames if frames else None
        mean = f"{statistics.fmean(self.returns):.1f}" if self.returns else "-"
        parts = [
            f"{min(1.0, counters.frames / self.frames):4.0%}",
            f"{counters.frames:,}/{self.frames:,} frames",
            f"{steps:.0f} SPS {frames:.0f} FPS {updates:.1f} UPS",
            f"return {mean} (last {len(self.returns)} of {counters.episodes})",
            f"ETA {duration(left)}",
        ]
        return "  ".join(parts + [doing] * bool(doing))

    def close(self) -> None:
        """Ends the live line."""
        self._clear()
        with contextlib.suppress(OSError):
            self.file.close()

    def keep(self, text: str) -> None:
        """Writes to the log file alone."""
        self._keep(text)

    def _keep(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError):  # A full disk is told where it stops the run.
            self.file.write(f"{stamp}  {text}\n")
            self.file.flush()

    def _clear(self) -> None:
        if self.drawn:
            self.out.write("\r" + " " * self.drawn + "\r")
            self.drawn = 0


def duration(seconds: float | None) -> str:
    """Returns 1:02:03, 2:03, or "?" for None."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
