"""Returns and advantages over batches of rows.

Index t holds the observation, the reward that came with it and the flags; the action after it
leads to t + 1. A transition t -> t + 1 exists unless row t is the last of its episode.

Shapes: B streams, R rows, R - 1 transitions.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def gae(
    reward: Float[Tensor, "B R"],
    value: Float[Tensor, "B R"],
    terminal: Bool[Tensor, "B R"],
    last: Bool[Tensor, "B R"],
    discount: float,
    lam: float,
) -> Float[Tensor, "B R-1"]:
    """Returns generalised advantages.

    delta_t = r_{t+1} + discount * (1 - terminal_{t+1}) * V_{t+1} - V_t
    A_t = delta_t + discount * lam * (1 - last_{t+1}) * A_{t+1}

    A truncated episode bootstraps from the value of its final observation; only a terminal does
    not. Entries whose row is itself last belong to no transition: mask them with `last[:, :-1]`.

    Args:
        reward: entry t came with observation t, so it belongs to the action at t - 1.
        value: of the observation at t, without the reward at t.
        terminal: whether nothing comes after t.
        last: whether the episode ends at t.
        discount: per agent step.
        lam: 0 is one-step, 1 is Monte Carlo.

    Source: Schulman et al. 2016, arXiv:1506.02438, equation 16.
    """
    follow = discount * (~terminal[:, 1:]).float()
    delta = reward[:, 1:] + follow * value[:, 1:] - value[:, :-1]
    decay = discount * lam * (~last[:, 1:]).float()
    advantage = torch.empty_like(delta)
    ahead = torch.zeros_like(delta[:, 0])
    for t in reversed(range(delta.shape[1])):
        ahead = delta[:, t] + decay[:, t] * ahead
        advantage[:, t] = ahead
    return advantage
