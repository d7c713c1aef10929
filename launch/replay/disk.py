"""The files of a replay, which are the same whether it lives in memory or in the files.

rows-K.bin        block K: its columns one after the other, each (S, R, ...). Rows are only added.
latents-N.bin     the latents of some pages (rows of one stream that are saved together) as one
                  checkpoint found them. Never written again: a newer checkpoint writes the pages
                  that have changed since into a file of its own.
live-K.bin        mapped storage alone: the latents of block K as they are now. No checkpoint
                  needs it; a resumed run makes it anew.

A checkpoint names the blocks, where each page of latents is, and how many rows count. What lies
beyond was played after it and is played again, so nothing has to be rolled back, and the files of
a checkpoint stay until two newer ones are on the disk. A kill in the middle of writing leaves
bytes that no checkpoint names.

Shapes: S streams, R rows of a block, P pages of a block and stream.
"""

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from launch.checkpoint import KEPT, sync_folder
from launch.replay.feed import Rows, Stamp

if TYPE_CHECKING:
    from launch.replay.store import Blocks

Columns = dict[str, tuple[tuple[int, ...], np.dtype]]

ALIGNED = 64  # Bytes; a column begins at a multiple.
WASTE = 2  # Files of latents take at most so many times what is still wanted of them.
NOWHERE = -1


def columns_of(rows: Rows) -> Columns:
    """Returns shape and type of the columns of arrays (S, ...)."""
    return {name: (array.shape[1:], array.dtype) for name, array in rows.items()}


def columns_from(state: dict[str, Any]) -> Columns:
    """Returns columns as `described` wrote them."""
    return {name: (tuple(shape), np.dtype(kind)) for name, (shape, kind) in state.items()}


def described(columns: Columns) -> dict[str, Any]:
    """Returns columns as plain values."""
    return {name: [list(shape), kind.str] for name, (shape, kind) in columns.items()}


def row_bytes(columns: Columns) -> int:
    """Returns the bytes of one row of one stream."""
    return sum(int(np.prod(shape, dtype=int)) * kind.itemsize for shape, kind in columns.values())


class Disk:
    """Owns the folder of a replay."""

    def __init__(self, folder: Path, mapped: bool):
        """Remembers; nothing is written yet."""
        self.folder, self.mapped = folder, mapped
        self.maps: dict[tuple[str, int], np.memmap] = {}
        self.count = 0  # Rows of a stream that are in the files.
        self.place: dict[int, np.ndarray] = {}  # Block: file and offset of its pages, (S, P, 2).
        self.history: list[dict[str, Any]] = []  # What the newest checkpoints need.

    def clear(self) -> None:
        """Empties the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.maps, self.count, self.place, self.history = {}, 0, {}, []

    def path(self, kind: str, number: int) -> Path:
        """Returns the path of a file."""
        return self.folder / f"{kind}-{number:08d}.bin"

    def new(self, kind: str, number: int, blocks: "Blocks") -> Rows:
        """Returns zeros for a block: in memory, or in a file whose space is set aside."""
        shape = (blocks.streams, blocks.length)
        if not self.mapped:
            return {n: np.zeros((*shape, *s), k) for n, (s, k) in blocks.columns.items()}
        return self._map(kind, number, blocks)

    def drop(self, number: int) -> None:
        """Lets go of a block; the file of its rows stays until `prune`."""
        self.place.pop(number, None)
        self.maps.pop(("rows", number), None)
        if self.maps.pop(("live", number), None) is not None:
            self.path("live", number).unlink(missing_ok=True)

    # Saving

    def save(self, stamp: Stamp, count: int, rows: "Blocks", latents: "Blocks") -> dict[str, Any]:
        """Puts what has changed onto the disk and returns what the files mean.

        Raises:
            OSError: the disk is full; the checkpoints before this one are untouched.
        """
        try:
            self._save_rows(count, rows)
            if latents.columns:
                self._save_latents(latents)
            sync_folder(self.folder)
        except OSError as error:
            self.prune()  # What was written of this checkpoint, in vain.
            raise OSError(error.errno, error.strerror, str(self.folder)) from error
        self.count = count
        need = {
            "stamp": list(stamp),
            "blocks": sorted(rows.held),
            "files": sorted(self._wanted()),
        }
        # Saved twice at one place, a checkpoint replaces itself.
        before = [old for old in self.history if old["stamp"] != need["stamp"]]
        self.history = [need, *before][:KEPT]
        return {
            "length": rows.length,
            "page": latents.page,
            "count": count,
            "rows": described(rows.columns),
            "latents": described(latents.columns),
            "place": {str(block): found.copy() for block, found in sorted(self.place.items())},
            "history": [dict(need) for need in self.history],
        }

    def prune(self) -> None:
        """Removes the files that no kept checkpoint and no block in use needs."""
        blocks = {number for need in self.history for number in need["blocks"]}
        files = {number for need in self.history for number in need["files"]}
        held = {number for kind, number in self.maps if kind == "rows"}
        for number in self._numbers("rows") - blocks - held:
            self.path("rows", number).unlink()
        for number in self._numbers("latents") - files:
            self.path("latents", number).unlink()

    def _save_rows(self, count: int, rows: "Blocks") -> None:
        # The last row may have lacked its action when it was saved.
        first = max(0, self.count - 1) // rows.length
        for number in range(first, -(-count // rows.length)):
            if number not in rows.held:
                continue
            if self.mapped:
                self.maps["rows", number].flush()
                continue
            low = max(self.count - 1 - number * rows.length, 0)
            high = min(count - number * rows.length, rows.length)
            with self._open(self.path("rows", number)) as file:
                for array, offset in self._layout(rows, number):
                    _write(file, array, offset, low, high)
                os.fsync(file)

    def _save_latents(self, latents: "Blocks") -> None:
        dirty = {block: pages for block, pages in latents.changed.items() if pages.any()}
        for block, pages in self._scattered(latents).items():
            dirty[block] = dirty.get(block, False) | pages
        if not dirty:
            return
        number, offset = 1 + max(self._numbers("latents"), default=-1), 0
        found = {}
        with self._open(self.path("latents", number)) as file:
            for block in sorted(dirty):
                found[block] = self.place.get(block, np.full((*latents.pages, 2), NOWHERE)).copy()
                for stream, page in np.argwhere(dirty[block]).tolist():
                    found[block][stream, page] = number, offset
                    for array in _page(latents, block, stream, page):
                        offset += _pwrite(file, array, offset)
            os.fsync(file)
        self.place |= found
        latents.changed.clear()

    def _wanted(self, but: dict[int, np.ndarray] | None = None) -> dict[int, int]:
        """Returns how many pages are wanted of each file, but for some pages."""
        files = [found[..., 0] for found in self.place.values()]
        if but:
            files = [
                np.where(but[block], NOWHERE, found[..., 0]) if block in but else found[..., 0]
                for block, found in self.place.items()
            ]
        every = np.concatenate([each.ravel() for each in files]) if files else np.zeros(0, int)
        names, counts = np.unique(every[every != NOWHERE], return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))

    def _scattered(self, latents: "Blocks") -> dict[int, np.ndarray]:
        """Returns pages to write again, so that files of which little is wanted can go."""
        wanted = self._wanted(latents.changed)
        page = latents.page * row_bytes(latents.columns)
        sizes = {file: self.path("latents", file).stat().st_size / page for file in wanted}
        again: list[int] = []
        for file in sorted(wanted, key=lambda each: wanted[each] / sizes[each]):
            if sum(sizes.values()) <= WASTE * sum(wanted.values()):
                break
            again.append(file)
            del sizes[file], wanted[file]
        pages = {block: np.isin(found[..., 0], again) for block, found in self.place.items()}
        return {block: found for block, found in pages.items() if found.any()}

    # Loading

    def load(self, state: dict[str, Any], rows: "Blocks", latents: "Blocks") -> None:
        """Reads what a checkpoint names.

        Raises:
            ValueError: a file is missing or too short.
        """
        self.count, self.maps = state["count"], {}
        self.place = {int(block): found.copy() for block, found in state["place"].items()}
        self.history = [dict(need) for need in state["history"]]
        try:
            for number in self._numbers("live"):
                self.path("live", number).unlink()
            for number in self.history[0]["blocks"]:
                self._load_rows(number, rows)
            self._load_latents(latents)
        except (OSError, EOFError) as error:
            raise ValueError(
                f"{self.folder}: the checkpoint's replay cannot be read ({error}). Put the files "
                "back, or remove the run folder to start anew."
            ) from error

    def _load_rows(self, number: int, rows: "Blocks") -> None:
        path = self.path("rows", number)
        if self.mapped:
            if path.stat().st_size != self._size(rows):
                raise EOFError(f"{path.name} is of another length")
            rows.held[number] = self._map("rows", number, rows)
            return
        rows.held[number] = self.new("rows", number, rows)
        high = min(self.count - number * rows.length, rows.length)
        with path.open("rb", buffering=0) as file:
            for array, offset in self._layout(rows, number):
                step = array[0].nbytes
                for stream in range(rows.streams):
                    _pread(file, array[stream, :high], offset + stream * step)

    def _load_latents(self, latents: "Blocks") -> None:
        with contextlib.ExitStack() as stack:
            files = {
                file: stack.enter_context(self.path("latents", file).open("rb", buffering=0))
                for file in self._wanted()
            }
            for block, found in self.place.items():
                latents.held[block] = self.new("live", block, latents)
                for stream, page in np.argwhere(found[..., 0] != NOWHERE).tolist():
                    file, offset = found[stream, page].tolist()
                    for array in _page(latents, block, stream, page):
                        _pread(files[file], array, offset)
                        offset += array.nbytes

    # Files

    def _open(self, path: Path) -> Any:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)

    def _numbers(self, kind: str) -> set[int]:
        found = (re.fullmatch(rf"{kind}-(\d+)\.bin", path.name) for path in self.folder.iterdir())
        return {int(match[1]) for match in found if match}

    def _layout(self, blocks: "Blocks", number: int) -> list[tuple[np.ndarray, int]]:
        """Returns the arrays of a block and where they begin in its file."""
        offsets, _ = _offsets(blocks)
        return [(blocks.held[number][name], offset) for name, offset in offsets.items()]

    def _size(self, blocks: "Blocks") -> int:
        return _offsets(blocks)[1]

    def _map(self, kind: str, number: int, blocks: "Blocks") -> Rows:
        path, size = self.path(kind, number), self._size(blocks)
        with self._open(path) as file:
            # A mapped write to a full disk would kill the process.
            os.posix_fallocate(file.fileno(), 0, size)
        held = np.memmap(path, np.uint8, "r+", shape=(size,))
        self.maps[kind, number] = held
        raw, arrays = np.asarray(held), {}
        for name, offset in _offsets(blocks)[0].items():
            shape, dtype = blocks.columns[name]
            shape = (blocks.streams, blocks.length, *shape)
            count = int(np.prod(shape, dtype=int)) * dtype.itemsize
            arrays[name] = raw[offset : offset + count].view(dtype).reshape(shape)
        return arrays


def _offsets(blocks: "Blocks") -> tuple[dict[str, int], int]:
    """Returns where each column begins in the file of a block, and the file's size."""
    offsets, at = {}, 0
    for name, column in blocks.columns.items():
        offsets[name] = at
        at += blocks.streams * blocks.length * row_bytes({name: column})
        at += -at % ALIGNED
    return offsets, at


def _page(latents: "Blocks", block: int, stream: int, page: int) -> list[np.ndarray]:
    """Returns the arrays of a page: views, one a column."""
    rows = slice(page * latents.page, (page + 1) * latents.page)
    return [latents.held[block][name][stream, rows] for name in latents.columns]


def _write(file: Any, array: np.ndarray, offset: int, low: int, high: int) -> None:
    """Writes rows low to high of every stream to their place."""
    row, step = array[0, 0].nbytes, array[0].nbytes
    for stream in range(len(array)):
        _pwrite(file, array[stream, low:high], offset + stream * step + low * row)


def _pwrite(file: Any, array: np.ndarray, offset: int) -> int:
    """Writes a contiguous array and returns its bytes; one call takes 2 GiB at most."""
    left = memoryview(array.reshape(-1).view(np.uint8))
    while left:
        done = os.pwrite(file.fileno(), left, offset)
        left, offset = left[done:], offset + done
    return array.nbytes


def _pread(file: Any, array: np.ndarray, offset: int) -> None:
    """Fills a contiguous array.

    Raises:
        EOFError: the file is too short.
    """
    left = memoryview(array.reshape(-1).view(np.uint8))
    while left:
        done = os.preadv(file.fileno(), [left], offset)
        if not done:
            raise EOFError(f"{Path(file.name).name} is too short")
        left, offset = left[done:], offset + done
