"""The vector contract: B environments that step together and write rows.

A row is what the world shows after one step, as in embodied: the observation, the reward that came
with it, and flags. The action that the agent answers with belongs to the same row. After a row
with `is_last` the next step ignores the action and returns a reset row (`is_first`, reward 0);
reset rows and no-op frames are not counted as agent steps or frames.

==============  ==========================  ====================================================
array           shape, type                 meaning
==============  ==========================  ====================================================
image           (B, H, W, C) uint8          what the agent's view shows
reward          (B,) float32                points through the view's transform
is_first        (B,) bool                   begins an episode (or, in training, a life)
is_last         (B,) bool                   ends it, for whatever reason
is_terminal     (B,) bool                   nothing comes after: no bootstrapping; implies is_last
points          (B,) float64                raw points of this step, and of FIRE at a life
over            (B,) bool                   the whole game ended, by itself or by the cap
truncated       (B,) bool                   it ended by the cap alone
duration        (B,) int64                  frames of this game so far, no-ops not counted
lives           (B,) int64                  lives left
==============  ==========================  ====================================================

Shapes: B environments, H W C image.
"""

from typing import Protocol

import numpy as np
from gymnasium import spaces

from suites import games
from suites.game import image_shape
from suites.task import Task
from suites.view import View

BACKENDS = ("ale", "envpool")


class VectorEnv(Protocol):
    """B environments of one game."""

    obs_space: spaces.Dict
    act_space: spaces.Discrete
    exact: bool  # Whether save() holds the games, so that a resumed run goes on unchanged.

    def step(self, action: np.ndarray) -> dict[str, np.ndarray]:
        """Steps all with (B,) integers; the arrays returned are overwritten by the next step."""

    def save(self) -> dict:
        """Returns everything that determines what comes next, as far as `exact` says."""

    def load(self, state: dict) -> None:
        """Goes back to a saved state."""

    def close(self) -> None:
        """Ends workers and frees memory; may be called twice."""


def make(
    game: str,
    task: Task,
    view: View,
    envs: int,
    names: tuple[str | int, ...],
    *,
    backend: str,
    workers: int,
    training: bool,
) -> VectorEnv:
    """Returns B environments that honour task and view to the letter.

    Args:
        game: name in the games table.
        task: what is measured.
        view: what the agent sees.
        envs: B.
        names: what the random numbers are for, such as ("ppo", "pong", 0, "train").
        backend: "ale" (exact save and restore) or "envpool".
        workers: processes (ale) or threads (envpool); 0 steps in this process.
        training: whether life loss and FIRE of the view apply.

    Raises:
        ValueError: the game is unknown, or the backend cannot honour the task or the view; the
            message names the setting.
    """
    games.load(game)
    if backend not in BACKENDS:
        raise ValueError(f"backend: {backend!r} is not one of {', '.join(BACKENDS)}.")
    if backend == "envpool":
        from suites.envpool import EnvPool

        return EnvPool(game, task, view, envs, names, workers=workers, training=training)
    from suites.ale import AleVector

    return AleVector(game, task, view, envs, names, workers=workers, training=training)


def columns(envs: int, view: View) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Returns shape and type of each array of a row."""
    scalars = {
        "reward": "f4",
        "is_first": "?",
        "is_last": "?",
        "is_terminal": "?",
        "points": "f8",
        "over": "?",
        "truncated": "?",
        "duration": "i8",
        "lives": "i8",
    }
    table = {"image": ((envs, *image_shape(view)), np.dtype("u1"))}
    return table | {name: ((envs,), np.dtype(kind)) for name, kind in scalars.items()}


def spaces_of(view: View, actions: int) -> tuple[spaces.Dict, spaces.Discrete]:
    """Returns the observation and action space that an agent is built from."""
    image = spaces.Box(0, 255, image_shape(view), np.uint8)
    return spaces.Dict({"image": image}), spaces.Discrete(actions)
