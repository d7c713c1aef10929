"""Fresh batches: every row is served once, in the order in which it was played.

Shapes: B streams, T rows of a rollout.
"""

import numpy as np

from launch.replay.feed import Buffer, Feed, Rows, Stamp


class Rollout(Feed):
    """Holds T rows and one more, whose observation says what the last action led to.

    A batch is ready when T + 1 observations are in. Its last row, not yet answered by an action,
    becomes the first row of the next batch.
    """

    def __init__(self, streams: int, length: int, updates: int, buffer: Buffer):
        """Starts empty.

        Args:
            streams: B.
            length: T, agent steps of a stream between two rounds of updates.
            updates: in a round.
            buffer: allocates an array of a shape and type where the agent wants it.
        """
        super().__init__(streams)
        self.length, self.updates, self.allocate = length, updates, buffer
        self.arrays: Rows = {}
        self.filled = 0  # Observations; the newest may still lack its action.
        self.left = 0  # Updates of this round.

    @property
    def ready(self) -> bool:
        """Whether `batch` is complete."""
        return self.filled == self.length + 1

    def observe(self, obs: Rows) -> int:
        """Adds a row's observation; the last one of a rollout owes a round of updates."""
        assert not self.ready, "the rollout is full: its updates come first"
        self._put(obs, self.filled)
        self.filled += 1
        self.left = self.updates if self.ready else 0
        return self.left

    def answer(self, action: np.ndarray, extra: Rows) -> int:
        """Adds the newest row's action and what the policy wants to keep with it."""
        self._put({"action": action} | extra, self.filled - 1)
        return 0

    def amend(self, obs: Rows) -> None:
        """Changes the newest row's observation."""
        self._put(obs, self.filled - 1)

    def batch(self) -> Rows:
        """Returns arrays (B, T + 1, ...); action and extra of the last row mean nothing."""
        assert self.ready, f"{self.filled} of {self.length + 1} rows"
        return self.arrays

    def trained(self, extra: Rows) -> None:
        """Begins the next batch with the row that this one ended with, if the round is over."""
        self.left -= 1
        if not self.left:
            for array in self.arrays.values():
                array[:, 0] = array[:, self.length]
            self.filled = 1

    def save(self, stamp: Stamp) -> dict:
        """Returns what is filled."""
        filled = {name: array[:, : self.filled].copy() for name, array in self.arrays.items()}
        return {"filled": self.filled, "left": self.left, "arrays": filled}

    def load(self, state: dict) -> None:
        """Goes back to a saved state."""
        self.filled, self.left = state["filled"], state["left"]
        for name, rows in state["arrays"].items():
            self._array(name, rows[:, 0])[:, : self.filled] = rows

    def _put(self, rows: Rows, time: int) -> None:
        for name, row in rows.items():
            self._array(name, row)[:, time] = row

    def _array(self, name: str, row: np.ndarray) -> np.ndarray:
        if name not in self.arrays:
            shape = (len(row), self.length + 1, *row.shape[1:])
            self.arrays[name] = self.allocate(shape, row.dtype)
        return self.arrays[name]
