"""The agent contract: what a module in `agents` offers, and what it may ask of the loop.

A module exposes exactly `Config` and `Agent`. Arrays are NumPy outside; an agent may be torch or
anything else inside. Index t of a batch holds the observation, the reward that came with it, the
flags `is_first is_last is_terminal`, and the action taken after it.

Source: the verbs are embodied's (danijar/dreamerv3), less what is redundant.
Shapes: B streams, T rows, H W C image.
"""

from typing import Annotated, Any, Literal, Protocol

import numpy as np
from gymnasium import spaces
from pydantic import Field, PositiveInt

from suites.records import Record
from suites.view import View

Carry = Any  # Recurrent state of B streams, opaque to the loop; arrays in tuples or dicts.
Rows = dict[str, np.ndarray]
Tree = dict[str, Any]  # Nested dicts and lists of arrays and plain values.
Mode = Literal["train", "sampled", "greedy"]


class Fresh(Record):
    """Every step is served once: rollouts of `length` steps of all streams, then updates."""

    sampling: Literal["fresh"]
    streams: PositiveInt  # environments that play side by side
    length: PositiveInt  # agent steps of each stream in a rollout
    epochs: PositiveInt  # passes over a rollout
    minibatches: PositiveInt  # updates a pass


class Idle(Record):
    """Nothing is learnt."""

    sampling: Literal["none"]
    streams: PositiveInt  # environments that play side by side


Training = Annotated[Fresh | Idle, Field(discriminator="sampling")]


class Config(Record):
    """What every agent states: how it sees and how the loop feeds it."""

    view: View
    training: Training


class Agent(Protocol):
    """The verbs, in the order in which the loop uses them."""

    def __init__(
        self, obs_space: spaces.Dict, act_space: spaces.Discrete, config: Config, seed: int,
        device: str,
    ):  # fmt: skip
        """Builds networks and optimisers; all randomness follows from the seed.

        Raises:
            ValueError: a setting that the agent cannot honour.
        """

    def init(self, batch: int) -> Carry:
        """Returns the recurrent state of B streams before their first row."""

    def policy(
        self, carry: Carry, obs: Rows, mode: Mode, rng: np.random.Generator
    ) -> tuple[Carry, np.ndarray, Rows]:
        """Answers a row with actions.

        Args:
            carry: as returned by the previous call.
            obs: arrays (B, ...): image, reward, is_first, is_last, is_terminal.
            mode: "train" explores as the algorithm says, "sampled" draws from the policy,
                "greedy" takes the likeliest action.
            rng: the only source of randomness, so that evaluation cannot touch training's.

        Returns:
            The next carry, actions (B,) integers, and extra arrays (B, ...) that are kept with
            the row and come back in the batch.
        """

    def buffer(self, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
        """Returns the array that a batch is gathered into, pinned where the device wants it."""

    def train(self, carry: Carry, batch: Rows, progress: float) -> tuple[Carry, Rows]:
        """Takes one gradient step.

        Args:
            carry: recurrent state of training, opaque.
            batch: arrays (B, T, ...). Fresh batches are the rollout and one overlapping row.
            progress: share of the budget that has been played, in [0, 1].
        """

    def metrics(self) -> dict[str, float]:
        """Returns means since the last call; the only place that waits for the device."""

    def save(self) -> Tree:
        """Returns everything: weights, optimiser, generators, partial sums."""

    def load(self, state: Tree) -> None:
        """Goes back to a saved state, bit for bit."""
