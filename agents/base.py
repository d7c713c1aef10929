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
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from suites.records import Record
from suites.view import View

Carry = Any  # Recurrent state of B streams, opaque to the loop; arrays in tuples or dicts.
Rows = dict[str, np.ndarray]
Tree = dict[str, Any]  # Nested dicts and lists of arrays and plain values.
Mode = Literal["train", "random", "sampled", "greedy"]


class Fresh(Record):
    """Every step is served once: rollouts of `length` steps of all streams, then updates."""

    sampling: Literal["fresh"]
    streams: PositiveInt  # environments that play side by side
    length: PositiveInt  # agent steps of each stream in a rollout
    epochs: PositiveInt  # passes over a rollout
    minibatches: PositiveInt  # updates a pass


class Uniform(Record):
    """Windows of rows drawn from all that was played: Dreamer v3.

    A batch is (batch, context + length) rows. Sequences may cross the ends of episodes; what the
    policy kept with a row comes back for the context rows alone, and `train` answers with fresh
    values of it for the others.
    """

    sampling: Literal["uniform"]
    streams: PositiveInt  # environments that play side by side
    prefill: NonNegativeInt  # agent steps of uniformly random actions before the policy acts
    start: PositiveInt  # windows that there must be before the first update
    ratio: PositiveFloat  # trained rows for every row that is played
    batch: PositiveInt  # sequences of an update
    length: PositiveInt  # trained rows of a sequence
    context: NonNegativeInt  # rows before them; 0: the first trained row is flagged is_first
    capacity: PositiveInt  # windows; the oldest go first
    online: bool  # whether fresh rows are served once before anything is drawn
    recent: float = Field(gt=0, le=1)  # newest share of the windows that is drawn from
    latents: Literal["exact", "compact"]  # of the context: float32, or bfloat16
    storage: Literal["memory", "mapped"]  # mapped: frames and latents in files of the run folder


class Episodes(Record):
    """Windows inside complete episodes: Dreamer v1 and v2.

    A batch is (batch, length) rows, with `previous_action`: the action that led to a row, -1
    where none did. The first row is flagged is_first, unless it continues the row's last batch.
    """

    sampling: Literal["episodes"]
    streams: PositiveInt  # environments that play side by side
    prefill: NonNegativeInt  # agent steps of uniformly random actions before the first update
    prefill_episodes: NonNegativeInt  # complete episodes that there must be besides
    pretrain: NonNegativeInt  # updates at the first time, besides those that are due
    every: PositiveInt  # agent steps between two times
    updates: PositiveInt  # each time
    batch: PositiveInt  # sequences of an update
    length: PositiveInt  # rows of a sequence
    capacity: PositiveInt  # agent steps; whole episodes go, the oldest first
    shortest: PositiveInt  # agent steps of an episode that is kept
    # Where a window starts: uniform over all but the last possible start; or over all starts and
    # `length` more, which all mean the last one, so that ends are seen more often.
    starts: Literal["all_but_last", "ends_weighted"]
    continued: bool  # whether a batch goes on where the last one ended, as truncated backprop
    recent: float = Field(gt=0, le=1)  # newest share of the episodes that is drawn from
    storage: Literal["memory", "mapped"]  # mapped: frames in files of the run folder


class Idle(Record):
    """Nothing is learnt."""

    sampling: Literal["none"]
    streams: PositiveInt  # environments that play side by side


Training = Annotated[Fresh | Uniform | Episodes | Idle, Field(discriminator="sampling")]


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
            mode: "train" explores as the algorithm says; "random" answers with uniformly random
                actions, as in a prefill, and is like "train" otherwise; "sampled" draws from the
                policy; "greedy" takes the likeliest action.
            rng: the only source of randomness, so that evaluation cannot touch training's.

        Returns:
            The next carry, actions (B,) integers, and extra arrays (B, ...) that are kept with
            the row and come back in the batch: always the same names and types. Replay of
            episodes keeps none.
        """

    def buffer(self, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
        """Returns the array that a batch is gathered into, pinned where the device wants it."""

    def train(self, carry: Carry, batch: Rows, progress: float) -> tuple[Carry, Rows]:
        """Takes one gradient step.

        Args:
            carry: recurrent state of training, opaque.
            batch: arrays (B, T, ...), as the record of `training` says; good until the second
                call after this one.
            progress: share of the budget that has been played, in [0, 1].

        Returns:
            The next carry, and what replay shall keep with the trained rows of the *previous*
            batch, arrays (B, length, ...) of the same names and types as the policy's; nothing on
            the first call, or if nothing is kept. What is not handed out yet is part of `save`.
        """

    def report(self, batch: Rows, rng: np.random.Generator) -> Tree:
        """Returns pictures of what the agent makes of some rows; changes nothing.

        Args:
            batch: arrays (B, T, ...) as for `train`.
            rng: the only source of randomness.

        Returns:
            `context`, how many rows were shown before imagination began; and uint8
            (B, T, H, W, C): `true`, `posterior` (every row shown), `open_loop` (imagined from
            the context on, with the actions that were taken). Nothing, if there is no model.
        """

    def dream(self, carry: Carry, steps: int, rng: np.random.Generator) -> Rows:
        """Plays the policy inside the model from where a carry is; changes nothing.

        Returns:
            `image` (B, L, H, W, C) uint8, `action`, `reward` and `proceed`, the probability that
            the episode goes on, (B, L) each. Nothing, if there is no model.
        """

    def metrics(self) -> dict[str, float]:
        """Returns means since the last call; waits for the newest update."""

    def save(self) -> Tree:
        """Returns everything: weights, optimiser, generators, partial sums."""

    def load(self, state: Tree) -> None:
        """Goes back to a saved state, bit for bit."""
