"""Windows drawn from all that was played: Dreamer v3.

Windows are numbered in the order in which their last row came: window t * S + s begins at row t of
stream s. That number says what is alive, what is recent and what the online queue holds, so a draw
is one integer, and the cadence is a function of how many rows there are.

Source: danijar/dreamerv3@e3f0224, its replay, selectors and train-ratio clock. Deviation: there
the first update sees one window 16 times, as a batch is prefetched when there is just one.
Shapes: B sequences, S streams, W rows of a window, of which the first are context.
"""

import math
from typing import Any

import numpy as np

from agents import base
from launch.replay import windows
from launch.replay.feed import Buffer, Feed, Rows, Stamp
from launch.replay.size import Announcement
from launch.replay.store import Store
from suites import seeding


class Uniform(Feed):
    """Serves fresh windows once, then windows with equal chances; rewrites latents."""

    def __init__(
        self, training: base.Uniform, buffer: Buffer, rng: np.random.Generator, store: Store,
        announce: Announcement,
    ):  # fmt: skip
        """Starts empty.

        Raises:
            ValueError: the first update would never come.
        """
        super().__init__(training.streams)
        if training.start > training.capacity:
            raise ValueError(
                f"training.start: {training.start} windows will never be there, as "
                f"training.capacity is {training.capacity}."
            )
        self.training, self.rng, self.store, self.announce = training, rng, store, announce
        self.window = training.context + training.length
        self.batches = windows.Batches(training.batch, self.window, buffer)
        self.means = windows.Means()
        self.pending: Rows = {}  # The newest row, not yet answered.
        self.count = 0  # Rows of a stream that were answered.
        self.steps = 0  # Agent steps.
        self.served = 0  # Windows of the online queue.
        self.oldest = 0  # Block.
        none = np.zeros((0, 2), np.int64)
        self.drawn, self.before = none, none  # Stream and first row: the last batch, and its last.

    @property
    def random(self) -> bool:
        """Whether the prefill is under way."""
        return self.steps < self.training.prefill

    @property
    def alive(self) -> tuple[int, int]:
        """Returns the number of the oldest window, and of the next one to come."""
        high = self.streams * max(0, self.count - self.window + 1)
        return max(0, high - self.training.capacity), high

    def observe(self, obs: Rows) -> int:
        """Holds the newest row until it is answered."""
        self.pending = {name: array.copy() for name, array in obs.items()}
        self.steps += int((~obs["is_first"]).sum())
        return 0

    def answer(self, action: np.ndarray, extra: Rows) -> int:
        """Stores the newest row; the action that a last row is answered with is never played."""
        played = np.where(self.pending["is_last"], 0, action).astype(np.int64)
        row = self.pending | {"action": played}
        kept = extra if self.training.context else {}
        if not self.count:
            self.store.begin(row, kept, self.announce)
        self.store.rows.put(self.count, row)
        if kept:
            self.store.latents.put(self.count, kept)
        before = self.due()
        self.count += 1
        self.means.played(self.streams)
        self._evict()
        return self.due() - before

    def amend(self, obs: Rows) -> None:
        """Changes the newest row."""
        self.pending |= {name: array.copy() for name, array in obs.items()}

    def due(self) -> int:
        """Returns how many updates the rows so far are worth: one at the start, no catching up."""
        at, stream = divmod(self.training.start - 1, self.streams)
        first = (at + self.window - 1) * self.streams + stream + 1
        rows = self.streams * self.count
        if rows < first:
            return 0
        trained = (rows - first) * self.training.ratio
        return 1 + int(trained // (self.training.batch * self.training.length))

    def draw(self) -> np.ndarray:
        """Returns stream and first row (B, 2) of the next batch's windows."""
        low, high = self.alive
        newest = high - math.ceil((high - low) * self.training.recent)
        numbers = self.rng.integers(newest, high, self.training.batch)
        if self.training.online:
            fresh = self._online(low)
            numbers[: len(fresh)] = fresh
        return np.stack([numbers % self.streams, numbers // self.streams], 1)

    def batch(self) -> Rows:
        """Draws and copies windows: (B, W, ...), and of the latents the context (B, C, ...)."""
        self.before, self.drawn = self.drawn, self.draw()
        out = self.batches.next(self.store.rows.columns)
        kept = self.batches.kept(self.store.latents.columns, self.training.context)
        for index, (stream, row) in enumerate(self.drawn.tolist()):
            self.store.rows.read(out, index, stream, row, self.window)
            if kept:
                self.store.latents.read(kept, index, stream, row, self.training.context)
        windows.close(out)
        out["is_first"][:, 0] = True
        age = self.count - self.drawn[:, 1].mean() - self.window / 2
        self.means.trained(self.training.batch * self.training.length, age * self.streams)
        return out | kept

    def trained(self, extra: Rows) -> None:
        """Rewrites the latents of the batch before the last one; rows that are gone are skipped."""
        if not extra or not self.training.context:
            return
        for index, (stream, row) in enumerate(self.before.tolist()):
            values = {name: array[index] for name, array in extra.items()}
            self.store.latents.write(stream, row + self.training.context, values)

    def peek(self, rng: np.random.Generator, sequences: int, length: int) -> Rows:
        """Returns windows to look at, whole episodes' parts where such are found."""
        low = -(-self.alive[0] // self.streams)
        high = self.count - length + 1
        if high <= low:
            return {}

        def draw() -> tuple[int, int]:
            return int(rng.integers(self.streams)), int(rng.integers(low, high))

        return windows.peek(self.store.rows, draw, sequences, length)

    def metrics(self) -> dict[str, float]:
        """Returns size, ratio and age."""
        low, high = self.alive
        size = high - low + self.streams * (self.window - 1) if high else 0
        return {"replay/size": float(size)} | self.means.take()

    def save(self, stamp: Stamp) -> dict[str, Any]:
        """Returns counters and pending rows; the others go into files."""
        return {
            "store": self.store.save(stamp, self.count),
            "rng": seeding.save(self.rng),
            "pending": self.pending,
            "count": self.count,
            "steps": self.steps,
            "served": self.served,
            "oldest": self.oldest,
            "drawn": self.drawn,
            "means": self.means.save(),
        }

    def saved(self) -> None:
        """Removes files that no checkpoint needs."""
        self.store.saved()

    def load(self, state: dict[str, Any]) -> None:
        """Goes back to a saved state."""
        seeding.load(self.rng, state["rng"])
        self.pending, self.count, self.steps = state["pending"], state["count"], state["steps"]
        self.served, self.oldest, self.drawn = state["served"], state["oldest"], state["drawn"]
        self.means.load(state["means"])
        self.store.load(state["store"], self.announce)

    def _online(self, low: int) -> list[int]:
        """Takes up to B windows from the queue of fresh ones, which do not overlap.

        Entry j is the window of stream j % S that begins at row 1 + W * (j // S).
        """
        queued = self.streams * max(0, (self.count - 1) // self.window)
        # The first window that is alive, if the queue grew longer than the replay.
        gone = (low // self.streams - 1) // self.window * self.streams
        self.served = max(self.served, min(gone, queued))
        taken: list[int] = []
        while self.served < queued and len(taken) < self.training.batch:
            turn, stream = divmod(self.served, self.streams)
            number = (1 + self.window * turn) * self.streams + stream
            self.served += 1
            if number >= low:
                taken.append(number)
        return taken

    def _evict(self) -> None:
        """Drops blocks whose rows are in no window that is alive."""
        first = self.alive[0] // self.streams // self.store.length
        while self.oldest < first:
            self.store.drop(self.oldest)
            self.oldest += 1
