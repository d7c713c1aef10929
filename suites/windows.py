"""Score windows: which episodes of a run make its score.

The choice of window alone moved a published mean by 19 points of 125, so every number of this
room carries the name of its window. Three kinds, written in a suite as `score: {window: ...}`:

* `last_of_40_bins`: training episodes that ended in the last of 40 equal parts of the budget;
* `last_100_episodes`: the last 100 training episodes that ended;
* `evaluation`: the evaluation episodes at the last point where there are any.

An episode cut by a resume never counts. An empty window gives NaN, which is counted and shown.

Source: danijar/dreamerv3 scores (the last of 40 bins gives its published Atari 100k numbers).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Lines = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Window:
    """One window; `count` is the number of bins or episodes, 0 where there is none."""

    name: str
    kind: Literal["bins", "episodes", "evaluation"]
    count: int

    def words(self, frames: int) -> str:
        """Returns what the window is, for a reader of figures and tables."""
        if self.kind == "bins":
            low = frames - frames // self.count
            return f"training episodes that ended in frames {low:,} to {frames:,}"
        if self.kind == "episodes":
            return f"the last {self.count:,} training episodes"
        return "evaluation episodes at the last evaluation"


@dataclass(frozen=True)
class Score:
    """Mean return over a window's episodes, NaN over none."""

    value: float
    episodes: int


def parse(name: str) -> Window:
    """Reads a window's name.

    Raises:
        ValueError: The name is none of the three kinds, or counts nothing.
    """
    if name == "evaluation":
        return Window(name, "evaluation", 0)
    if match := re.fullmatch(r"last_of_([1-9]\d*)_bins", name):
        return Window(name, "bins", int(match[1]))
    if match := re.fullmatch(r"last_([1-9]\d*)_episodes", name):
        return Window(name, "episodes", int(match[1]))
    raise ValueError(
        f"score.window: {name!r} is not a window; write 'last_of_<K>_bins', "
        "'last_<N>_episodes' or 'evaluation'."
    )


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
    # Multiplied out, so that the edge of a bin is exact whatever the budget.
    return [line for line in whole if line["frame"] * window.count >= frames * (window.count - 1)]
