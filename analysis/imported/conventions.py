"""What a source's points are, and the window and protocol that its publication scores with.

Source: danijar/dreamerv3 scores (Atari 100k: the last of 40 bins; 200M frames: the last of 100, of
MuZero's averaged curve the last point); danijar/dreamerv2 scores (the value at 199M frames);
protocols: danijar/dreamerv3@e3f0224 dreamerv3/configs.yaml, Hafner et al. 2021, arXiv:2010.02193.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from analysis.imported import games
from analysis.imported.curves import Curve, Found, Kind
from analysis.imported.store import Points, Protocol, Run
from suites.suite import Suite

V2_FRAME, V2_STEP = 199_000_000, 1_000_000
FEW = 10  # Points of a run; fewer say nothing of what they are.
LONG, SHORT = 200_000_000, 400_000  # Budgets whose published settings are known.
AUTHORS = ("dreamer", "ppo")  # In names of methods that the authors ran themselves.
SETTINGS = {LONG: (0.25, "full"), SHORT: (0.0, "minimal")}  # sticky, actions


class Choice(NamedTuple):
    """How an import is to be scored."""

    window: str
    protocol: Protocol
    notes: list[str]


def kind(points: Sequence[Points], cap: int) -> Kind:
    """Returns what points are that a score file does not name.

    Means of bins have nulls, or lie on one grid, or are further apart than an episode is long.

    Args:
        points: Of every run.
        cap: Longest episode, in frames.
    """
    nulls = any(np.isnan(returns).any() for _, returns in points)
    many = np.median([len(frames) for frames, _ in points]) >= FEW
    means = nulls or (many and (grid(points) or spacing(points) > cap))
    return "bins" if means else "episodes"


def grid(points: Sequence[Points]) -> int:
    """Returns the frames between any two points of every run; 0 where these differ."""
    found = 0
    for frames, _ in points:
        steps = np.diff(frames)
        found = found or (int(steps[0]) if len(steps) else 0)
        if len(steps) and (steps != found).any():
            return 0
    return found


def spacing(points: Sequence[Points]) -> float:
    """Returns the frames between points: the median over runs of their mean."""
    found = [np.diff(frames).mean() for frames, _ in points if len(frames) > 1]
    return float(np.median(found)) if found else 0.0


def choose(
    found: Found, curves: Sequence[Curve], points: Mapping[Run, Points], kind: Kind, suite: Suite
) -> Choice:
    """Returns window and protocol of an import.

    Args:
        found: What was read; a format that says nothing of `kind` is the published score files'.
        curves: Those of one method.
        points: Theirs, by run.
        kind: What a point is.
        suite: Whose budget and window it has otherwise.
    """
    stated = {"sticky": games.sticky(curve.task for curve in curves)}
    stated |= {"actions": None, "episodes": None, "task": None} | found.stated
    window = "evaluation" if kind == "evaluation" else suite.score.window
    if kind == "evaluation":
        stated["episodes"] = "evaluation"
    if found.kind is not None or kind == "evaluation":
        return Choice(window, Protocol(**stated), [])
    if _is_dreamerv2(curves, points, kind, suite):
        return _published(f"at_{V2_FRAME}_frames", stated, LONG, "dreamerv2")
    many = len(points) > len({game for game, _ in points})
    if kind == "bins" and not many and not grid(list(points.values())):
        return Choice("last_point", Protocol(**stated), [])
    authors = any(word in curves[0].method.lower() for word in AUTHORS)
    if authors and suite.frames in SETTINGS:
        return _published(window, stated, suite.frames, "dreamerv3")
    return Choice(window, Protocol(**stated), [])


def _is_dreamerv2(
    curves: Sequence[Curve], points: Mapping[Run, Points], kind: Kind, suite: Suite
) -> bool:
    if kind != "bins" or suite.frames < V2_FRAME:
        return False
    named = all(isinstance(curve.seed, str) for curve in curves)
    return named and abs(spacing(list(points.values())) - V2_STEP) < 0.05 * V2_STEP


def _published(window: str, stated: Mapping[str, object], budget: int, program: str) -> Choice:
    sticky, actions = SETTINGS[budget]
    facts = dict(stated) | {"sticky": sticky, "actions": actions, "episodes": "training"}
    note = f"the file states no protocol; taken for that of danijar/{program} at this budget"
    return Choice(window, Protocol(**facts), [note])
