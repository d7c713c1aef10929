"""Windows inside complete episodes, all episodes with equal chances: Dreamer v1 and v2.

Rows of all streams are stored as they come; an episode is a stream, its first row and its rows.
Unfinished ones are stored too, and cannot be drawn.

Source: danijar/dreamer@02f0210 and danijar/dreamerv2@07d906e, their replays and clocks.
Shapes: B sequences, S streams, L rows of a window.
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

NONE = -1  # No action led here; no row.


class Episodes(Feed):
    """Draws an episode, then where a window begins; may go on where the last batch ended."""

    def __init__(
        self, training: base.Episodes, buffer: Buffer, rng: np.random.Generator, store: Store,
        announce: Announcement,
    ):  # fmt: skip
        """Starts empty."""
        super().__init__(training.streams)
        self.training, self.rng, self.store, self.announce = training, rng, store, announce
        self.batches = windows.Batches(training.batch, training.length, buffer)
        self.means = windows.Means()
        self.count = 0  # Rows of a stream.
        self.steps = 0  # Agent steps.
        self.began = NONE  # Agent steps at the first update.
        self.times = 0  # Since then.
        self.completed = 0  # Episodes, those that were too short included.
        self.action = np.full(training.streams, NONE, np.int64)  # The last one.
        self.open = np.full(training.streams, NONE, np.int64)  # First row of the episode.
        # Complete episodes in the order of their ends: stream, first row, rows. The oldest are
        # passed over, and cut off now and then.
        self.list: list[tuple[int, int, int]] = []
        self.passed = 0
        self.cut = 0  # Episodes before the list; with the place in it, an episode's own number.
        self.held = 0  # Agent steps of those in the list.
        self.uses: dict[int, int] = {}  # Episodes with rows in a block.
        # Where batches go on: number, stream, next row and end of each sequence's episode.
        self.cursors = np.full((training.batch, 4), NONE, np.int64)

    @property
    def random(self) -> bool:
        """Whether the prefill is under way; episodes that are too short to draw from prolong it."""
        steps, episodes = self.training.prefill, self.training.prefill_episodes
        short = self.completed < episodes or (episodes > 0 and not self.episodes)
        return self.steps < steps or short

    @property
    def episodes(self) -> int:
        """Returns how many episodes there are to draw from."""
        return len(self.list) - self.passed

    def observe(self, obs: Rows) -> int:
        """Stores the newest row; an episode that it ends can be drawn from now on."""
        led = np.where(obs["is_first"], NONE, self.action)
        row = obs | {"action": np.zeros_like(self.action), "previous_action": led}
        if not self.count:
            self.store.begin(row, {}, self.announce)
        self.store.rows.put(self.count, row)
        self.open = np.where(obs["is_first"], self.count, self.open)
        self.count += 1
        steps = int((~obs["is_first"]).sum())
        self.steps += steps
        self.means.played(self.streams)
        self._complete(obs["is_last"])
        return self._due()

    def answer(self, action: np.ndarray, extra: Rows) -> int:
        """Stores the newest row's action; what the policy keeps is not stored."""
        last = self.open == NONE
        self.action = np.where(last, 0, action).astype(np.int64)
        self.store.rows.put(self.count - 1, {"action": self.action})
        return 0

    def amend(self, obs: Rows) -> None:
        """Changes the newest row, which may end episodes."""
        self.store.rows.put(self.count - 1, obs)
        if "is_last" in obs:
            self._complete(obs["is_last"] & (self.open != NONE))

    def batch(self) -> Rows:
        """Draws and copies windows (B, L, ...)."""
        out = self.batches.next(self.store.rows.columns)
        age = 0.0
        for index in range(self.training.batch):
            number, stream, row, end = found = self._window(index)
            self.store.rows.read(out, index, stream, row, self.training.length)
            on = self.training.continued and found == tuple(self.cursors[index].tolist())
            out["is_first"][index, 0] |= not on
            self.cursors[index] = number, stream, row + self.training.length, end
            age += self.count - row - self.training.length / 2
        trained = self.training.batch * self.training.length
        self.means.trained(trained, age / self.training.batch * self.streams)
        return out

    def start(self, rows: int) -> int:
        """Draws where in an episode of so many rows a window begins."""
        length = self.training.length
        if self.training.starts == "all_but_last":
            return int(self.rng.integers(rows - length))
        return min(int(self.rng.integers(rows + 1)), rows - length)

    def peek(self, rng: np.random.Generator, sequences: int, length: int) -> Rows:
        """Returns windows of complete episodes that are long enough."""

        def draw() -> tuple[int, int] | None:
            for _ in range(windows.TRIES):
                stream, first, rows = self.list[int(rng.integers(self.passed, len(self.list)))]
                if rows >= length:
                    return stream, first + int(rng.integers(rows - length + 1))
            return None

        found = [draw() for _ in range(sequences)] if self.episodes else [None]
        if None in found:
            return {}
        turns = iter(found)
        return windows.peek(self.store.rows, lambda: next(turns), sequences, length)

    def metrics(self) -> dict[str, float]:
        """Returns size, ratio and age."""
        return {"replay/size": float(self.held)} | self.means.take()

    def save(self, stamp: Stamp) -> dict[str, Any]:
        """Returns counters and the list of episodes; the rows go into files."""
        return {
            "store": self.store.save(stamp, self.count),
            "rng": seeding.save(self.rng),
            "cut": self.cut + self.passed,
            "list": np.array(self.list[self.passed :], np.int64).reshape(-1, 3),
            "means": self.means.save(),
            "action": self.action,
            "open": self.open,
            "cursors": self.cursors.copy(),
            **{name: getattr(self, name) for name in self._COUNTERS},
        }

    def saved(self) -> None:
        """Removes files that no checkpoint needs."""
        self.store.saved()

    def load(self, state: dict[str, Any]) -> None:
        """Goes back to a saved state."""
        seeding.load(self.rng, state["rng"])
        for name in (*self._COUNTERS, "cut", "action", "open", "cursors"):
            setattr(self, name, state[name])
        self.list, self.passed = [tuple(each) for each in state["list"].tolist()], 0
        self.uses = {}
        for episode in self.list:
            self._use(episode, 1)
        self.means.load(state["means"])
        self.store.load(state["store"], self.announce)

    _COUNTERS = ("count", "steps", "began", "times", "completed", "held")

    def _due(self) -> int:
        """Returns the updates that are due at this number of agent steps."""
        training = self.training
        if self.random or not self.episodes:
            return 0
        first = self.began == NONE
        if first:
            self.began = self.steps
        times = 1 + (self.steps - self.began) // training.every
        new, self.times = times - self.times, times
        return new * training.updates + first * training.pretrain

    def _window(self, index: int) -> tuple[int, int, int, int]:
        """Returns number and stream of an episode, the first row of a window, the episode's end."""
        if self.training.continued:
            number, stream, row, end = self.cursors[index].tolist()
            if number >= self.cut + self.passed and row + self.training.length <= end:
                return number, stream, row, end
        newest = len(self.list) - math.ceil(self.episodes * self.training.recent)
        place = int(self.rng.integers(newest, len(self.list)))
        stream, first, rows = self.list[place]
        return self.cut + place, stream, first + self.start(rows), first + rows

    def _complete(self, last: np.ndarray) -> None:
        """Adds the episodes that end with the newest row, and lets the oldest go."""
        length, starts = self.training.length, self.training.starts
        for stream in np.flatnonzero(last).tolist():
            first = int(self.open[stream])
            rows = self.count - first
            self.open[stream] = NONE
            self.completed += 1
            room = rows - length - (starts == "all_but_last")
            if rows - 1 < self.training.shortest or room < 0:
                continue
            self.list.append((stream, first, rows))
            self.held += rows - 1
            self._use(self.list[-1], 1)
        if last.any():
            self._evict()

    def _evict(self) -> None:
        while self.held > self.training.capacity and self.episodes > 1:
            oldest = self.list[self.passed]
            self.passed += 1
            self.held -= oldest[2] - 1
            self._use(oldest, -1)
        if self.passed > len(self.list) // 2:
            self.cut += self.passed
            self.list, self.passed = self.list[self.passed :], 0
        playing = np.append(self.open[self.open != NONE], self.count - 1)
        limit = int(playing.min()) // self.store.length
        for number in [each for each in self.store.rows.held if each < limit]:
            if not self.uses.get(number):
                self.store.drop(number)
                self.uses.pop(number, None)

    def _use(self, episode: tuple[int, int, int], change: int) -> None:
        """Counts an episode in, or out, of the blocks that hold its rows."""
        _, first, rows = episode
        for number in range(
            first // self.store.length, (first + rows - 1) // self.store.length + 1
        ):
            self.uses[number] = self.uses.get(number, 0) + change
