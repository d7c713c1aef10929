"""Fresh batches: every row is served once, in the order in which it was played.

Shapes: B streams, T rows of a rollout.
"""

from collections.abc import Callable

import numpy as np

Rows = dict[str, np.ndarray]


class Rollout:
    """Holds T rows and one more, whose observation says what the last action led to.

    A batch is ready when T + 1 observations are in. Its last row, not yet answered by an action,
    becomes the first row of the next batch.
    """

    def __init__(self, length: int, buffer: Callable[[tuple[int, ...], np.dtype], np.ndarray]):
        """Starts empty.

        Args:
            length: T, agent steps of a stream between two rounds of updates.
            buffer: allocates an array of a shape and type where the agent wants it.
        """
        self.length, self.allocate = length, buffer
        self.arrays: Rows = {}
        self.filled = 0  # Observations; the newest may still lack its action.

    @property
    def ready(self) -> bool:
        """Whether `batch` is complete."""
        return self.filled == self.length + 1

    def observe(self, obs: Rows) -> None:
        """Adds a row's observation."""
        assert not self.ready, "the rollout is full: serve it and call restart first"
        self._put(obs, self.filled)
        self.filled += 1

    def answer(self, action: np.ndarray, extra: Rows) -> None:
        """Adds the newest row's action and what the policy wants to keep with it."""
        self._put({"action": action} | extra, self.filled - 1)

    def amend(self, obs: Rows) -> None:
        """Changes the newest row's observation."""
        self._put(obs, self.filled - 1)

    def batch(self) -> Rows:
        """Returns arrays (B, T + 1, ...); action and extra of the last row mean nothing."""
        assert self.ready, f"{self.filled} of {self.length + 1} rows"
        return self.arrays

    def restart(self) -> None:
        """Begins the next batch with the row that the last one ended with."""
        for array in self.arrays.values():
            array[:, 0] = array[:, self.length]
        self.filled = 1

    def save(self) -> dict:
        """Returns what is filled."""
        filled = {name: array[:, : self.filled].copy() for name, array in self.arrays.items()}
        return {"filled": self.filled, "arrays": filled}

    def load(self, state: dict) -> None:
        """Goes back to a saved state."""
        self.filled = state["filled"]
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
