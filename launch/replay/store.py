"""Rows of S streams in blocks, so that a window is one slice copy, or two at a border.

A row is known by its stream and by its number, which counts from 0 and is never used again.
Blocks are dropped when nothing in them can be drawn any more; there is no ring that could wrap.

Shapes: S streams, R rows of a block, B sequences of a batch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from launch.replay import disk
from launch.replay.disk import Columns
from launch.replay.feed import Rows, Stamp

if TYPE_CHECKING:
    from launch.replay.size import Announcement

ROWS = 16_384  # Of a block, all streams: about 200 MB of frames at 64x64x3.
PAGE = 64  # Rows of one stream whose latents are saved together: as many as a batch changes.


class Blocks:
    """Arrays (S, R, ...) of some columns, by the number of their block."""

    def __init__(
        self, streams: int, length: int, page: int, columns: Columns,
        allocate: Callable[[int], Rows],
    ):  # fmt: skip
        """Starts empty.

        Args:
            streams: S.
            length: R.
            page: rows of one stream that are saved together, if any of them has changed.
            columns: shape and type of what a row holds.
            allocate: returns the arrays of a block.
        """
        self.streams, self.length, self.columns = streams, length, columns
        self.allocate = allocate
        self.held: dict[int, Rows] = {}
        self.page = min(length, page)
        self.pages = streams, -(-length // self.page)  # Of a block.
        self.changed: dict[int, np.ndarray] = {}  # Which pages of a block, since the last save.

    def put(self, row: int, values: Rows) -> None:
        """Writes arrays (S, ...) as one row of every stream."""
        number, at = divmod(row, self.length)
        block = self.held.get(number)
        if block is None:
            block = self.held[number] = self.allocate(number)
        for name, array in values.items():
            assert array.dtype == self.columns[name][1], f"{name} was of another type before"
            block[name][:, at] = array
        self.touched(number)[:, at // self.page] = True

    def write(self, stream: int, row: int, values: Rows) -> None:
        """Writes arrays (T, ...) as rows of one stream; rows that were dropped are skipped."""
        count = len(next(iter(values.values())))
        for number, at, done, take in self._pieces(row, count):
            block = self.held.get(number)
            if block is None:
                continue
            for name, array in values.items():
                block[name][stream, at : at + take] = array[done : done + take]
            pages = self.touched(number)[stream]
            pages[at // self.page : (at + take - 1) // self.page + 1] = True

    def touched(self, number: int) -> np.ndarray:
        """Returns which pages of a block have changed, to be written to."""
        if number not in self.changed:
            self.changed[number] = np.zeros(self.pages, bool)
        return self.changed[number]

    def read(self, out: Rows, index: int, stream: int, row: int, count: int) -> None:
        """Copies rows of one stream to out[name][index, :count]."""
        for number, at, done, take in self._pieces(row, count):
            block = self.held[number]
            for name, array in out.items():
                array[index, done : done + take] = block[name][stream, at : at + take]

    def _pieces(self, row: int, count: int) -> list[tuple[int, int, int, int]]:
        """Returns block, row in it, rows before, rows: one piece, or more across borders."""
        number, at = divmod(row, self.length)
        if at + count <= self.length:
            return [(number, at, 0, count)]
        pieces, done = [], 0
        while done < count:
            take = min(count - done, self.length - at)
            pieces.append((number, at, done, take))
            done, number, at = done + take, number + 1, 0
        return pieces


class Store:
    """Rows that stay as they were played, and the latents beside them, which are rewritten."""

    def __init__(
        self, streams: int, folder: Path, mapped: bool, rows: int = ROWS, page: int = PAGE
    ):
        """Starts empty; nothing is written before `begin`.

        Args:
            streams: S.
            folder: for files: what a checkpoint needs, and all of it where `mapped`.
            mapped: whether arrays are mapped from files instead of held in memory.
            rows: of a block, all streams.
            page: rows of one stream whose latents are saved together.
        """
        self.streams, self.length, self.page = streams, max(1, rows // streams), page
        self.disk = disk.Disk(folder, mapped)
        self.rows: Blocks | None = None
        self.latents: Blocks | None = None

    def begin(self, rows: Rows, latents: Rows, announce: "Announcement") -> None:
        """Prepares for arrays (S, ...) like these; what a run before left is removed.

        Raises:
            TooLarge: the machine has no room for what the run may fill.
        """
        columns = disk.columns_of(rows), disk.columns_of(latents)
        self.disk.clear()
        announce.make(*map(disk.row_bytes, columns), self)
        self._prepare(*columns)

    def drop(self, number: int) -> None:
        """Forgets a block; its file stays while a checkpoint needs it."""
        for blocks in (self.rows, self.latents):
            blocks.held.pop(number, None)
            blocks.changed.pop(number, None)
        self.disk.drop(number)

    def save(self, stamp: Stamp, count: int) -> dict[str, Any] | None:
        """Puts what has changed into files and returns what they mean.

        Args:
            stamp: of the checkpoint.
            count: rows of a stream.
        """
        return self.disk.save(stamp, count, self.rows, self.latents) if self.rows else None

    def saved(self) -> None:
        """Removes files that no checkpoint needs any more."""
        if self.rows:  # Else nothing was stored yet, and there may be no folder.
            self.disk.prune()

    def load(self, state: dict[str, Any] | None, announce: "Announcement") -> None:
        """Goes back to a saved state.

        Raises:
            TooLarge: as `begin`.
            ValueError: files are missing or too short.
        """
        if state is None:
            return
        columns = disk.columns_from(state["rows"]), disk.columns_from(state["latents"])
        announce.make(*map(disk.row_bytes, columns), self)
        self.length, self.page = state["length"], state["page"]
        self._prepare(*columns)
        self.disk.load(state, self.rows, self.latents)

    def _prepare(self, rows: Columns, latents: Columns) -> None:
        shape = (self.streams, self.length, self.page)
        self.rows = Blocks(*shape, rows, lambda number: self.disk.new("rows", number, self.rows))
        self.latents = Blocks(
            *shape, latents, lambda number: self.disk.new("live", number, self.latents)
        )
