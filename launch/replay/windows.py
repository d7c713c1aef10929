"""What both ways of sampling share: buffers of batches, seams, windows to look at, means.

Shapes: B sequences, T rows of a window.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from launch.replay.disk import Columns
from launch.replay.feed import Buffer, Rows
from launch.replay.store import Blocks

TRIES = 32  # Draws in search of a window inside one episode.


class Batches:
    """Two sets of arrays in turn: a device may still be reading the last batch."""

    def __init__(self, batch: int, length: int, buffer: Buffer):
        """Allocates nothing yet.

        Args:
            batch: B.
            length: T.
            buffer: allocates where the agent wants it.
        """
        self.batch, self.length, self.buffer = batch, length, buffer
        self.sets: list[tuple[Rows, Rows]] = [({}, {}), ({}, {})]
        self.turn = 0

    def next(self, columns: Columns) -> Rows:
        """Turns to the other set and returns its arrays (B, T, ...)."""
        self.turn ^= 1
        return self._filled(self.sets[self.turn][0], columns, self.length)

    def kept(self, columns: Columns, count: int) -> Rows:
        """Returns this set's arrays (B, count, ...) for what the policy kept."""
        return self._filled(self.sets[self.turn][1], columns, count)

    def _filled(self, held: Rows, columns: Columns, count: int) -> Rows:
        if not held and columns:
            for name, (shape, kind) in columns.items():
                held[name] = self.buffer((self.batch, count, *shape), kind)
        return dict(held)


class Means:
    """Sums since the last line of metrics."""

    def __init__(self) -> None:
        """Starts at zero."""
        self.rows, self.replayed, self.ages, self.batches = 0, 0, 0.0, 0

    def played(self, rows: int) -> None:
        """Counts rows that were played."""
        self.rows += rows

    def trained(self, rows: int, age: float) -> None:
        """Counts the trained rows of a batch, and notes their mean age in rows."""
        self.replayed += rows
        self.ages += float(age)
        self.batches += 1

    def take(self) -> dict[str, float]:
        """Returns the means and starts anew."""
        found = {"replay/ratio": self.replayed / max(self.rows, 1)}
        if self.batches:
            found["replay/age"] = self.ages / self.batches
        self.__init__()
        return found

    def save(self) -> dict[str, Any]:
        """Returns the sums."""
        return dict(vars(self))

    def load(self, state: dict[str, Any]) -> None:
        """Goes back to saved sums."""
        vars(self).update(state)


def close(rows: Rows) -> None:
    """Flags a row is_last where the next one begins an episode; the last row stays as it is."""
    rows["is_last"][:, :-1] |= rows["is_first"][:, 1:]


def peek(blocks: Blocks, draw: Callable[[], tuple[int, int]], sequences: int, length: int) -> Rows:
    """Returns rows (sequences, length, ...), in which no episode begins where possible.

    Args:
        blocks: where the rows are.
        draw: returns a stream and the first row of a window.
        sequences: how many.
        length: rows of each.
    """
    flags = {"is_first": np.zeros((1, length), bool)}
    out = {
        name: np.zeros((sequences, length, *shape), kind)
        for name, (shape, kind) in blocks.columns.items()
    }
    for index in range(sequences):
        for _ in range(TRIES):
            stream, row = draw()
            blocks.read(flags, 0, stream, row, length)
            if not flags["is_first"][0, 1:].any():
                break
        blocks.read(out, index, stream, row, length)
    close(out)
    out["is_first"][:, 0] = True
    return out
