"""Actor and critic of Dreamer v3 as of January 2023, on play inside the model.

s_0 is a filtered state, s_1 .. s_L are imagined, a_k is taken in s_k; r_k and V_k are predicted at
s_k, and V does not hold r_k. c_k is 0 or 1: at s_0 what is known of the row, later whether the
model holds that play goes on for likelier than not. The discount g is no part of it:

    R_k = r_{k+1} + g c_{k+1} [(1 - lam) V_{k+1} + lam R_{k+1}],  R_L = V_L
    w_k = (g c_0) .. (g c_k) / g
    policy: - w_k [log pi(a_k) sg((R_k - V_k) / S) + entropy_scale H(pi_k)]
    value:  w_k [CE(V_k, R_k) + slow_scale CE(V_k, V_slow_k)]

Source: danijar/dreamerv3@8fa35f8; Hafner et al. 2023, arXiv:2301.04104v1.
Shapes: L imagined steps, S = L + 1 states, N starts, A actions, K bins, M I O as in a layer.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from agents.parts import categorical, layered, returns, symlog_twohot, unimix


class Judged(NamedTuple):
    """What play is worth, without gradients; entry k is of s_k."""

    target: Float[Tensor, "L N"]
    weight: Float[Tensor, "L N"]


def continues(logit: Float[Tensor, "S N"], terminal: Bool[Tensor, " N"]) -> Float[Tensor, "S N"]:
    """Returns whether play goes on after each state, 0 or 1.

    Args:
        logit: that it does, as predicted; the entry of the start counts for nothing.
        terminal: whether nothing comes after the start.
    """
    return torch.cat([~terminal[None], logit[1:] > 0]).float()


def judge(
    reward: Float[Tensor, "S N"],
    alive: Float[Tensor, "S N"],
    value: Float[Tensor, "S N"],
    discount: float,
    lam: float,
) -> Judged:
    """Returns the return of each state but the last, and how much the state counts.

    Args:
        reward: of arriving; that of the start counts for nothing.
        alive: whether play goes on.
        value: without the reward of arriving.
        discount: per agent step.
        lam: 0 is one step, 1 is the whole play.
    """
    follow = discount * alive
    target = returns.lambda_return(reward[1:], follow[1:], value, lam)
    return Judged(target, follow[:-1].cumprod(0) / discount)


class Actor(layered.MLP):
    """Features to the logits of a policy that holds a share of the uniform one."""

    def forward(self, x: Float[Tensor, "*M I"]) -> Float[Tensor, "*M O"]:
        """Returns the logarithms of the mixed probabilities."""
        return unimix.mixed(super().forward(x)).log()


def policy_loss(
    logits: Float[Tensor, "L N A"],
    action: Float[Tensor, "L N A"],
    advantage: Float[Tensor, "L N"],
    weight: Float[Tensor, "L N"],
    entropy_scale: float,
) -> tuple[Float[Tensor, "L N"], Float[Tensor, "L N"]]:
    """Returns the actor's loss, and its entropy in nats.

    Args:
        logits: of the policy, as the actor returns them.
        action: that was taken, one-hot.
        advantage: of it, scaled.
        weight: of its state.
        entropy_scale: per nat.
    """
    entropy = categorical.entropy(logits)
    gain = categorical.log_prob(logits, action) * advantage + entropy_scale * entropy
    return -weight * gain, entropy


def value_loss(
    logits: Float[Tensor, "L N K"],
    bins: Float[Tensor, " K"],
    judged: Judged,
    slow: Float[Tensor, "L N"],
    slow_scale: float,
) -> Float[Tensor, "L N"]:
    """Returns the critic's loss.

    Args:
        logits: of the critic.
        bins: of values.
        judged: what the states are worth.
        slow: what the slow critic says.
        slow_scale: of the pull towards it.
    """
    scales = (1.0, slow_scale)
    error = symlog_twohot.cross_entropy(logits, bins, judged.target, slow, scales=scales)
    return judged.weight * error
