"""What the loop asks of whatever feeds an agent: fresh rollouts, a replay, or nothing.

Shapes: B streams, T rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Rows = dict[str, np.ndarray]
Buffer = Callable[[tuple[int, ...], np.dtype], np.ndarray]  # Allocates where the agent wants it.
Stamp = tuple[int, int]  # Frames and updates: the name of a checkpoint.


class Feed:
    """Feeds nothing: for agents that do not learn. Others override what they need."""

    def __init__(self, streams: int):
        """Remembers how many streams there are."""
        self.streams = streams

    @property
    def random(self) -> bool:
        """Whether the actions are to be drawn uniformly now."""
        return False

    def observe(self, obs: Rows) -> int:
        """Takes the newest row's observation and returns how many updates are due for it."""
        return 0

    def answer(self, action: np.ndarray, extra: Rows) -> int:
        """Takes the newest row's action and what the policy keeps; returns updates as above."""
        return 0

    def amend(self, obs: Rows) -> None:
        """Changes the observation of the newest row, which has no answer yet."""

    def batch(self) -> Rows:
        """Returns the batch of the next update; good until the second call after this one."""
        raise AssertionError("nothing feeds this agent")

    def trained(self, extra: Rows) -> None:
        """Takes what `train` answered to the last batch."""

    def peek(self, rng: np.random.Generator, sequences: int, length: int) -> Rows:
        """Returns rows (sequences, length, ...) to look at; changes nothing.

        Returns:
            Windows inside one episode where there are such; nothing, if there are no windows.
        """
        return {}

    def metrics(self) -> dict[str, float]:
        """Returns means since the last call."""
        return {}

    def save(self, stamp: Stamp) -> dict[str, Any]:
        """Returns everything that determines what comes next; rows may go into files.

        Args:
            stamp: of the checkpoint that this will be part of.
        """
        return {}

    def saved(self) -> None:
        """Removes files that no checkpoint needs, now that the newest one is on the disk."""

    def load(self, state: dict[str, Any]) -> None:
        """Goes back to a saved state."""
