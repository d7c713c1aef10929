"""A world model in the features of an encoder, and play inside it.

The model is deterministic and has no memory: what comes next is a linear function of the features
and the action.

Source: the model of MaximeSzymanski/PPODreaming ppo_dreaming_atari.py, with a continue head added;
the lambda-return and the weights of Hafner et al. 2020, arXiv:1912.01603, equation 6, and Hafner
et al. 2021, arXiv:2010.02193.
Shapes: N states, D features, A actions, J = D + A, L imagined steps.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from agents.parts import images, ppo


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
        action[step].scatter_(-1, ppo.choose(logp, uniform[step])[:, None], 1.0)
        latent[step + 1] = model.transition(torch.cat([latent[step], action[step]], -1))
    return Play(latent, action)


def lambda_return(
    reward: Float[Tensor, "L N"],
    follow: Float[Tensor, "L N"],
    value: Float[Tensor, "L+1 N"],
    lam: float,
) -> Float[Tensor, "L N"]:
    """Returns what each state is worth, looking up to L steps ahead.

    Y_h = r_h + c_h [(1 - lam) V_{h+1} + lam Y_{h+1}],  Y_L = V_L

    Args:
        reward: entry h is for the action taken in state h.
        follow: discount times the probability that the episode survives that action.
        value: of every state, the one after the last action included.
        lam: 0 is one step, 1 sums all rewards and bootstraps at the end.
    """
    target = torch.empty_like(reward)
    ahead = value[-1]
    for step in reversed(range(len(reward))):
        ahead = reward[step] + follow[step] * torch.lerp(value[step + 1], ahead, lam)
        target[step] = ahead
    return target


def weights(alive: Float[Tensor, "L N"]) -> Float[Tensor, "L N"]:
    """Returns the probability that a state is reached at all: products of those before it."""
    return torch.cat([torch.ones_like(alive[:1]), alive[:-1]]).cumprod(0)
