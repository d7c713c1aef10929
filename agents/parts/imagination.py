"""A world model in the features of an encoder, and play inside it.

The model is deterministic and has no memory: what comes next is a linear function of the features
and the action.

Source: the model of MaximeSzymanski/PPODreaming ppo_dreaming_atari.py, with a continue head added.
Shapes: N states, D features, A actions, J = D + A, L imagined steps.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from agents.parts import categorical, images


class Model(nn.Module):
    """What an action does: the next features, the reward, and whether the episode goes on.

    All three read the features joined with the action, one-hot (see `join`).
    """

    def __init__(self, features: int, actions: int, units: int, gain: float):
        """Builds the heads.

        Args:
            features: D.
            actions: A.
            units: of the hidden layer of reward and continue head.
            gain: of the orthogonal initialisation of the three output layers.
        """
        super().__init__()
        self.features, self.actions = features, actions
        joint = features + actions
        self.transition = images.orthogonal(nn.Linear(joint, features), gain)
        self.reward = head(joint, units, gain)
        self.proceed = head(joint, units, gain)  # Log-odds that the episode goes on.


def head(inputs: int, units: int, gain: float) -> nn.Sequential:
    """Returns two layers that end in one number."""
    hidden = images.orthogonal(nn.Linear(inputs, units))
    return nn.Sequential(hidden, nn.ReLU(), images.orthogonal(nn.Linear(units, 1), gain))


def join(
    latent: Float[Tensor, "N D"], action: Int[Tensor, " N"], actions: int
) -> Float[Tensor, "N J"]:
    """Returns features and one-hot action side by side."""
    return torch.cat([latent, F.one_hot(action, actions).to(latent.dtype)], -1)


class Play(NamedTuple):
    """Imagined play: L actions and the states around them."""

    latent: Float[Tensor, "L+1 N D"]
    action: Float[Tensor, "L N A"]  # one-hot

    def asked(self, late: bool) -> Float[Tensor, "L N J"]:
        """Returns what the heads are asked about: the state that an action leaves.

        Args:
            late: the published program's mistake, the state that the action leads to.
        """
        return torch.cat([self.latent[1:] if late else self.latent[:-1], self.action], -1)


@torch.no_grad()
def imagine(
    model: Model,
    actor: nn.Module,
    start: Float[Tensor, "N D"],
    uniform: Float[Tensor, "L N 1"],
) -> Play:
    """Plays the policy in the model; no gradient leaves or enters.

    Args:
        model: says what comes next.
        actor: from features to logits.
        start: features of real states.
        uniform: numbers in [0, 1) that draw the actions.
    """
    steps, count = len(uniform), len(start)
    latent = start.new_empty(steps + 1, count, model.features)
    action = start.new_zeros(steps, count, model.actions)
    latent[0] = start
    for step in range(steps):
        logp = actor(latent[step]).log_softmax(-1)
        chosen = categorical.choose(logp.double().exp(), uniform[step, :, 0])
        action[step].scatter_(-1, chosen[:, None], 1.0)
        latent[step + 1] = model.transition(torch.cat([latent[step], action[step]], -1))
    return Play(latent, action)
