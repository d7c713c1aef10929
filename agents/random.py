"""The random policy: the floor of every comparison."""

import numpy as np
from gymnasium import spaces

from agents import base


class Config(base.Config):
    """Nothing to set but the view, which it does not look at."""


class Agent:
    """Draws every action uniformly, in evaluation too."""

    def __init__(
        self,
        obs_space: spaces.Dict,
        act_space: spaces.Discrete,
        config: Config,
        seed: int,
        device: str,
    ):
        """Keeps the number of actions."""
        if config.training.sampling != "none":
            raise ValueError(
                "training.sampling: the random agent does not learn and takes 'none', "
                f"not {config.training.sampling!r}."
            )
        self.actions = int(act_space.n)

    def init(self, batch: int) -> base.Carry:
        """Returns nothing: there is no memory."""
        return ()

    def policy(
        self, carry: base.Carry, obs: base.Rows, mode: base.Mode, rng: np.random.Generator
    ) -> tuple[base.Carry, np.ndarray, base.Rows]:
        """Draws (B,) actions."""
        return carry, rng.integers(self.actions, size=len(obs["is_first"])), {}

    def buffer(self, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
        """Returns a plain array."""
        return np.zeros(shape, kind)

    def train(
        self, carry: base.Carry, batch: base.Rows, progress: float
    ) -> tuple[base.Carry, base.Rows]:
        """Is never called: sampling "none" owes no updates."""
        raise AssertionError("the random agent was asked to learn")

    def report(self, batch: base.Rows, rng: np.random.Generator) -> base.Tree:
        """Returns nothing: there is no model."""
        return {}

    def dream(self, carry: base.Carry, steps: int, rng: np.random.Generator) -> base.Rows:
        """Returns nothing: there is no model."""
        return {}

    def metrics(self) -> dict[str, float]:
        """Returns nothing."""
        return {}

    def save(self) -> base.Tree:
        """Returns nothing: the random numbers are the loop's."""
        return {}

    def load(self, state: base.Tree) -> None:
        """Has nothing to load."""
