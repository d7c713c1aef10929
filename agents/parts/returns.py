"""Returns and advantages over batches of rows.

Index t holds the observation, the reward that came with it and the flags; the action after it
leads to t + 1. A transition t -> t + 1 exists unless row t is the last of its episode.

One recursion serves all lambda-returns; what differs is which reward and which discount belong to
a state, with s_0 .. s_L the states, r_k predicted at s_k as the reward of arriving there:

    arrival (Dreamer v1, v2)    V(s_k) holds r_k:       reward r[:-1], follow d[:-1]
    departure (Dreamer v3)      V(s_k) does not:        reward r[1:],  follow c[1:]
    replay (Dreamer v3)         departure, on data:     lam (1 - last[1:]) instead of lam

Source: Hafner et al. 2020, arXiv:1912.01603, equation 6; Hafner et al. 2021, arXiv:2010.02193;
danijar/dreamerv3@e3f0224.
Shapes: B streams, R rows, R - 1 transitions, L imagined steps, N imagined plays.
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


def lambda_return(
    reward: Float[Tensor, "L N"],
    follow: Float[Tensor, "L N"],
    value: Float[Tensor, "L+1 N"],
    lam: float | Float[Tensor, "L N"],
) -> Float[Tensor, "L N"]:
    """Returns what each state is worth, looking up to L steps ahead; gradients flow.

    Y_h = r_h + c_h [(1 - lam_h) V_{h+1} + lam_h Y_{h+1}],  Y_L = V_L

    Args:
        reward: entry h is for the action taken in state h.
        follow: discount times the probability that the episode survives that action.
        value: of every state, the one after the last action included.
        lam: 0 is one step, 1 sums all rewards and bootstraps at the end.
    """
    mix = lam if isinstance(lam, Tensor) else torch.full_like(reward, lam)
    target, ahead = [], value[-1]
    for step in reversed(range(len(reward))):
        ahead = reward[step] + follow[step] * torch.lerp(value[step + 1], ahead, mix[step])
        target.append(ahead)
    return torch.stack(target[::-1])


def weights(alive: Float[Tensor, "L N"]) -> Float[Tensor, "L N"]:
    """Returns the probability that a state is reached at all: products of those before it."""
    return torch.cat([torch.ones_like(alive[:1]), alive[:-1]]).cumprod(0)
