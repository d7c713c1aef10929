"""Exploration by a random action now and then, less often as training goes on.

Shapes: B streams.
"""

from typing import Literal

import numpy as np

Schedule = Literal["constant", "linear", "halving"]


def scheduled(schedule: Schedule, start: float, least: float, span: float, updates: int) -> float:
    """Returns a number that falls as training goes on: here, the probability of a random action.

    Args:
        schedule: "linear" falls to 0 over the span, "halving" halves every span.
        start: at the beginning.
        least: it never falls below.
        span: updates.
        updates: so far.
    """
    share = updates / span
    falls = {"constant": 1.0, "linear": 1.0 - share, "halving": 0.5**share}
    return max(least, start * falls[schedule])


def mix(action: np.ndarray, actions: int, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Returns actions (B,), each replaced by a uniformly random one with some probability."""
    if not amount:
        return action
    other = rng.integers(actions, size=action.shape)
    return np.where(rng.random(action.shape) < amount, other, action)
