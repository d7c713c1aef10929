"""Finds two moments between which a run is in its steady state.

Agent steps come in rounds: play, then the updates that are owed for it; of DreamerV1 100 updates
every 250 agent steps, of PPO 16 every rollout. A speed is that of whole rounds, from the end of
one to the end of another, after the first few: in these libraries choose their kernels, and a GPU
records its graph. What comes before the first update is timed by itself.
"""

from collections.abc import Callable

FIRST_S = 1.0  # After the start, until caches are warm, where nothing is learnt.
WARM_ROUNDS = 5  # One more than the calls before a GPU's graph is recorded, and replayed.
WARM_S = 20.0  # After the first update; enough for a slow machine, which has no graph to record.
ROUNDS = 3  # At least, unless time is over.

Moment = tuple[float, int, int]  # Seconds, agent steps, rounds.


class Meter:
    """Watches the counters of a run between its updates."""

    def __init__(self, box_s: float, learns: bool, clock: Callable[[], float]):
        """Starts now.

        Args:
            box_s: seconds after which it is over; a quarter of them in the steady state will do.
            learns: whether there will be updates.
            clock: seconds.
        """
        self.box_s, self.learns, self.clock = box_s, learns, clock
        self.began = clock()
        self.updates = self.counted = self.rounds = 0  # Counted: those of whole rounds.
        self.updating = 0.0  # When the first round of updates was over.
        self.early: Moment | None = None  # Before the first update: the first moment,
        self.late: Moment | None = None  # and the last one.
        self.start: Moment | None = None
        self.end: Moment | None = None

    def look(self, steps: int, updates: int, owed: int) -> bool:
        """Takes the counters and says whether there is nothing more to wait for."""
        now, self.updates = self.clock(), updates
        if owed:
            return now - self.began >= self.box_s
        over = updates > self.counted or not self.learns  # A round has just ended.
        moment = (now, steps, self._round(updates, now))
        if self.learns and not updates:
            self._before(moment)
        elif over and self.start is None:
            self.start = moment if self._warm(now) else None
        elif over:
            self.end = moment
        return self._enough() or now - self.began >= self.box_s

    def _round(self, updates: int, now: float) -> int:
        if updates > self.counted or not self.learns:
            self.rounds += 1
            self.updating = self.updating or now
        self.counted = updates
        return self.rounds

    def _before(self, moment: Moment) -> None:
        if moment[1]:  # Environments and the agent have answered once; a prefill may be short.
            self.early, self.late = self.early or moment, moment

    def _warm(self, now: float) -> bool:
        if not self.learns:
            return now - self.began >= FIRST_S
        return self.rounds >= WARM_ROUNDS or now - self.updating >= min(WARM_S, self.box_s / 6)

    def _enough(self) -> bool:
        if not self.start or not self.end:
            return False
        long = self.end[0] - self.start[0] >= self.box_s / 4
        return long and self.end[2] - self.start[2] >= ROUNDS

    def rate(self) -> tuple[float, float, int]:
        """Returns agent steps a second, over how many seconds, and of how many rounds.

        Raises:
            ValueError: time was over before a round was; the message says how far it came.
        """
        if self.start and self.end and self.end[2] > self.start[2] and self.end[1] > self.start[1]:
            seconds = self.end[0] - self.start[0]
            return (self.end[1] - self.start[1]) / seconds, seconds, self.end[2] - self.start[2]
        raise ValueError(
            f"{self.box_s:.0f} s were over before a round of updates was measured "
            f"(updates so far: {self.updates}); allow more: --measure {4 * self.box_s:.0f}"
        )

    def rate_before(self) -> float | None:
        """Returns agent steps a second before the first update, if there were enough."""
        if not self.early or not self.late or self.late[1] == self.early[1]:
            return None
        return (self.late[1] - self.early[1]) / (self.late[0] - self.early[0])
