"""The view: what an agent makes of the task's frames and rewards.

An agent owns its view; it is hashed and printed, and may differ between the agents of one figure.
Nothing in it changes a score: scores are unclipped points of whole games.
"""

from typing import Literal

from pydantic import PositiveInt

from suites.records import Record


class View(Record):
    """How an agent sees a game, and what it is told in training."""

    size: tuple[PositiveInt, PositiveInt]  # Height and width in pixels.
    # The ALE's luminance screen, resized; RGB; or RGB resized, then weighed to gray (DreamerV3).
    color: Literal["gray", "rgb", "gray_from_rgb"]
    resize: Literal["bilinear", "area"]  # Pillow's antialiased BILINEAR, or the exact area mean.
    stack: PositiveInt  # Images per observation, the newest last.
    reward: Literal["raw", "sign", "tanh"]  # Of an agent step's points.
    life_loss: bool  # A lost life is a terminal; in training only.
    fire: bool  # Press FIRE after a reset; in training only.
