"""Score windows: which episodes of a run make its score.

The choice of window alone moved a published mean by 19 points of 125, so every number of this
room carries the name of its window. Five kinds, written in a suite as `score: {window: ...}`:

* `last_of_40_bins`: training episodes that ended in the last of 40 equal parts of the budget;
* `last_100_episodes`: the last 100 training episodes that ended;
* `at_199000000_frames`: the last training episode that ended by frame 199 million, carried forward
  where none ended later;
* `last_point`: the last training episode, whenever it ended;
* `evaluation`: the evaluation episodes at the last point where there are any.

Published curves often hold means of bins where ours hold episodes; windows take either for points.
An episode cut by a resume never counts. An empty window gives NaN, which is counted and shown.

Source: danijar/dreamerv3 scores (the last of 40 bins gives its published Atari 100k numbers, the
last of 100 those at 200M frames); danijar/dreamerv2 (the value at 199M frames).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from suites.records import nearest

Lines = Sequence[dict[str, Any]]
Kind = Literal["bins", "episodes", "frame", "point", "evaluation"]

KINDS: dict[str, Kind] = {
    r"last_of_([1-9]\d*)_bins": "bins",
    r"last_([1-9]\d*)_episodes": "episodes",
    r"at_([1-9]\d*)_frames": "frame",
    "last_point": "point",
    "evaluation": "evaluation",
}
ALLOWED = "last_of_<K>_bins, last_<N>_episodes, at_<F>_frames, last_point or evaluation"
EXAMPLES = ("last_of_10_bins", "last_100_episodes", "at_1000000_frames", "last_point", "evaluation")


@dataclass(frozen=True)
class Window:
    """One window; `count` is the number of bins or episodes or the frame, 0 where there is none."""

    name: str
    kind: Kind
    count: int

    def words(self, frames: int) -> str:
        """Returns what the window is, for a reader of figures and tables."""
        if self.kind == "bins":
            low = frames - frames // self.count
            return f"training episodes that ended in frames {low:,} to {frames:,}"
        if self.kind == "episodes":
            return f"the last {self.count:,} training episodes"
        if self.kind == "frame":
            return f"the last training episode that ended by frame {self.count:,}"
        if self.kind == "point":
            return "the last training episode"
        return "evaluation episodes at the last evaluation"


@dataclass(frozen=True)
class Score:
    """Mean return over a window's episodes, NaN over none."""

    value: float
    episodes: int


def parse(name: str) -> Window:
    """Reads a window's name.

    Raises:
        ValueError: The name is none of the kinds, or counts nothing.
    """
    for pattern, kind in KINDS.items():
        if match := re.fullmatch(pattern, name):
            return Window(name, kind, int(match[1]) if match.groups() else 0)
    raise ValueError(f"saw window {name!r}; allowed is {ALLOWED}{nearest(name, EXAMPLES)}")


def score(window: Window, frames: int, episodes: Lines, evaluation: Lines) -> Score:
    """Scores one run.

    Args:
        window: Which episodes count.
        frames: The run's budget.
        episodes: Lines of episodes.jsonl, in order.
        evaluation: Lines of evaluation.jsonl.
    """
    returns = [line["return"] for line in _inside(window, frames, episodes, evaluation)]
    if not returns:
        return Score(math.nan, 0)
    return Score(math.fsum(returns) / len(returns), len(returns))


def _inside(window: Window, frames: int, episodes: Lines, evaluation: Lines) -> Lines:
    if window.kind == "evaluation":
        last = max((line["frame"] for line in evaluation), default=None)
        return [line for line in evaluation if line["frame"] == last]
    whole = [line for line in episodes if line["end"] != "cut"]
    if window.kind == "episodes":
        return whole[-window.count :]
    if window.kind == "frame":
        return [line for line in whole if line["frame"] <= window.count][-1:]
    if window.kind == "point":
        return whole[-1:]
    # Multiplied out, so that the edge of a bin is exact whatever the budget.
    return [line for line in whole if line["frame"] * window.count >= frames * (window.count - 1)]
