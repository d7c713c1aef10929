"""The task: what the emulator does between an agent's action and its score.

A suite owns the task, writes it out in full and hashes it; scores are compared only where it is
the same. What an agent sees of it is the agent's `view` (suites/view.py).

Source: Machado et al. 2018, arXiv:1709.06009 (sticky actions, action sets, caps).
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationInfo, field_validator

from suites.records import Record


class Quirks(Record):
    """Mistakes of published programs, as switches: scores that we compare with may rest on them."""

    truncation_is_terminal: bool  # The cap ends an episode as if the game were over (DreamerV3).
    stale_first_frame: bool  # An episode opens with the last image of the one before (DreamerV3).


class Task(Record):
    """Everything on the emulator's side that changes a score."""

    frame_skip: PositiveInt  # Frames per agent step.
    pooling: Literal[1, 2]  # Last frames of an agent step; an image is their maximum per pixel.
    sticky: Annotated[float, Field(ge=0, lt=1)]  # P(a frame repeats the frame before's action).
    actions: Literal["minimal", "full"]  # What the game uses, or all that the console has.
    noops: tuple[NonNegativeInt, NonNegativeInt]  # No-op frames after a reset: from, to, inclusive.
    cap: PositiveInt  # Frames per episode; no-op frames do not count.
    score: Literal["game_return"]  # Unclipped points of a whole game, over all its lives.
    quirks: Quirks

    @field_validator("pooling")
    @classmethod
    def _pooling_within_skip(cls, pooling: int, info: ValidationInfo) -> int:
        skip = info.data.get("frame_skip", pooling)
        if pooling > skip:
            raise ValueError(f"saw {pooling}; allowed is at most frame_skip ({skip})")
        return pooling

    @field_validator("noops")
    @classmethod
    def _noops_in_order(cls, noops: tuple[int, int]) -> tuple[int, int]:
        if noops[0] > noops[1]:
            raise ValueError(f"saw {list(noops)}; allowed is [from, to] with from <= to")
        return noops
