"""Curves as a source has them, before games, seeds and budget are looked at; numbers checked.

Every message says where: file, line or run, field, what was seen, what is allowed.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.imported.reading import Source

Kind = Literal["episodes", "bins", "evaluation"]

MOST_RUNS = 100_000  # 57 games x 5 seeds are 285; each run costs memory beside its points.
LARGEST = 2**53  # Frames; larger ones are no exact numbers in JSON.


@dataclass
class Curve:
    """One run of a source: points in order of frames."""

    method: str
    task: str  # as the source calls the game
    seed: int | str  # text where the source has text
    place: str  # for messages and notes
    frames: np.ndarray  # (N,) int64
    returns: np.ndarray  # (N,) float64, NaN where the source has none


@dataclass
class Found:
    """What a reader found."""

    source: Source
    curves: list[Curve]
    clock: str  # how frames were got from the source's x, for the reader of the summary
    kind: Kind | None  # None: to be seen from the points
    exact: bool  # whether x and budget are ours, so that points just beyond it belong to the run
    stated: dict[str, object]  # of the protocol: keys of store.Protocol
    notes: list[str]


Key = tuple[str, str, str, str]  # method, task, seed, name of the run where there is one


class Table:
    """Puts rows of a table together to curves."""

    def __init__(self, name: str, step: str, value: str, per_step: int):
        """Takes the names of file and columns, and the frames of a step."""
        self.name, self.step, self.value, self.per_step = name, step, value, per_step
        self._runs: dict[Key, tuple[array, array]] = {}

    def add(self, key: Key, step: str, value: str, where: str) -> None:
        """Adds a point to a run; an empty value is kept as none.

        Raises:
            ValueError: A number is wrong, the run's frames go back, or there are too many runs.
        """
        frame = whole(step, f"{where}: {self.step}") * self.per_step
        frames, returns = self._runs.get(key) or self._begin(key, where)
        if frames and frame < frames[-1]:
            raise ValueError(
                f"{where}: {self.step}: saw {step} after {frames[-1] // self.per_step} of the "
                f"same run ({', '.join(filter(None, key))}); allowed is to stay or to grow"
            )
        frames.append(frame)
        returns.append(number(value, f"{where}: {self.value}"))

    def _begin(self, key: Key, where: str) -> tuple[array, array]:
        if len(self._runs) >= MOST_RUNS:
            raise ValueError(f"{where}: more than {MOST_RUNS:,} runs")
        return self._runs.setdefault(key, (array("q"), array("d")))

    def curves(self) -> list[Curve]:
        """Returns what was collected, in the order of the file."""
        return [
            Curve(method, task, seed, run or self.name,
                  np.array(frames, np.int64), np.array(returns, float))
            for (method, task, seed, run), (frames, returns) in self._runs.items()
        ]  # fmt: skip


def whole(text: str, where: str) -> int:
    """Reads a whole number from 0: 400000, also as 400000.0 or 4e5.

    Raises:
        ValueError: It is another thing.
    """
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    try:
        value = float(text) if _plain(text) else -1.0
    except ValueError:
        value = -1.0
    if not (0 <= value <= LARGEST and value.is_integer()):
        raise ValueError(f"{where}: saw {short(text)}; allowed is a whole number from 0")
    return int(value)


def number(text: str, where: str) -> float:
    """Reads a finite number; NaN where there is nothing.

    Raises:
        ValueError: It is another thing.
    """
    if not text.strip():
        return np.nan
    try:
        value = float(text) if _plain(text) else np.nan
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"{where}: saw {short(text)}; allowed is a finite number, or nothing")
    return value


def _plain(text: str) -> bool:
    return text.isascii() and "_" not in text  # float() takes more than a number is written as.


def short(value: object) -> str:
    """Returns a value as a message shows it: text in quotes, and never much."""
    return cut(repr(value) if isinstance(value, str) else str(value))


def cut(text: str) -> str:
    """Returns text of 60 characters at most."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(words: Sequence[str], most: int = 12) -> str:
    """Returns 'a, b and 3 more'."""
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")


def counted(number: int, thing: str) -> str:
    """Returns '1 game' or '26 games'."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
