"""PPO, the accepted Atari recipe.

All of it is in `agents.parts.ppo`, which Dreamer-PPO builds on; ppo.yaml holds the recipe.

Source: Schulman et al. 2017, arXiv:1707.06347.
"""

from agents.parts import ppo


class Config(ppo.Config):
    """What each number means is said in `agents.parts.ppo.Config`."""


class Agent(ppo.PPO):
    """Plays 8 environments for 128 steps, then learns from the rollout four times."""
