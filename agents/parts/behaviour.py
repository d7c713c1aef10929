"""Actor and critic that learn from play inside a model whose values hold the reward of arriving.

    s_0 --a_0--> s_1 --a_1--> ... --a_{L-1}--> s_L     s_0 is a real state, the others imagined
    r_k, d_k: reward and discount predicted at s_k;  V_k: value of s_k, which holds r_k
    R_k = r_k + d_k [(1 - lam) V_{k+1} + lam R_{k+1}],  R_L = V_L
    w_k = d_0 .. d_{k-1}: the probability that s_k is reached at all

The action a_k moves R_{k+1} and what comes after, not R_k: r_k was earned on the way to s_k.
Source: Hafner et al. 2021, arXiv:2010.02193, section 2.2; danijar/dreamerv2@07d906e.
Shapes: L imagined steps, N plays, A actions, F features, K steps of which the actor learns.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from agents.parts import categorical, gaussian, returns
from agents.parts.world import State

Gradient = Literal["reinforce", "dynamics", "both"]


class Noise(NamedTuple):
    """What an update draws with: uniform numbers, or draws that are to be forced.

    Latents are drawn with numbers (..., V), one for each of V variables.
    """

    filtered: Shaped[Tensor, "B T ..."]  # latents of the rows
    action: Shaped[Tensor, "L N ..."]
    imagined: Shaped[Tensor, "L N ..."]  # latents of play


class Play(NamedTuple):
    """What was imagined."""

    feature: Float[Tensor, "L+1 N F"]  # of the states, the start first
    action: Float[Tensor, "L N A"]  # one-hot, taken in states 0 .. L - 1


def imagine(
    step: Callable[[State, Tensor, Tensor], State],
    feature: Callable[[State], Tensor],
    actor: nn.Module,
    start: State,
    action_noise: Float[Tensor, "L N ..."],
    latent_noise: Float[Tensor, "L N ..."],
) -> Play:
    """Plays the actor in the model; gradients flow through states and actions, if they are on.

    The actor sees features without their gradients.

    Args:
        step: from states, one-hot actions and noise to the next states.
        feature: what actor and heads see of a state.
        actor: from features to logits.
        start: states (N, ...).
        action_noise: what actions are drawn with.
        latent_noise: what latents are drawn with.
    """
    state, features, actions = start, [feature(start)], []
    for chance, noise in zip(action_noise, latent_noise, strict=True):
        logits = actor(features[-1].detach())
        actions.append(categorical.straight_through(logits, chance))
        state = step(state, actions[-1], noise)
        features.append(feature(state))
    return Play(torch.stack(features), torch.stack(actions))


def discounts(
    predicted: Float[Tensor, "L N"], terminal: Bool[Tensor, " N"] | None, discount: float
) -> Float[Tensor, "L N"]:
    """Returns the discount of each state; at the start the true one, where it is given."""
    if terminal is None:
        return predicted
    return torch.cat([discount * (~terminal).float()[None], predicted[1:]])


def target(
    reward: Float[Tensor, "K N"],
    discount: Float[Tensor, "K N"],
    value: Float[Tensor, "K N"],
    lam: float,
) -> Float[Tensor, "K-1 N"]:
    """Returns the return of each of K states but the last: its own reward and discount count."""
    return returns.lambda_return(reward[:-1], discount[:-1], value, lam)


class Objective(NamedTuple):
    """What the actor maximises, and its parts; entry k is of the action taken in s_k."""

    loss: Float[Tensor, ""]
    entropy: Float[Tensor, "K N"]
    log_prob: Float[Tensor, "K N"]
    advantage: Float[Tensor, "K N"]


def actor_objective(
    logits: Float[Tensor, "L N A"],
    action: Float[Tensor, "L N A"],
    target: Float[Tensor, "L N"],
    baseline: Float[Tensor, "L N"],
    weight: Float[Tensor, "L N"],
    gradient: Gradient,
    mix: float,
    entropy_scale: float,
    ahead: bool,
) -> Objective:
    """Returns the actor's loss: how good its actions were, and how uncertain it still is.

    Args:
        logits: of the policy in s_0 .. s_{L-1}.
        action: taken there.
        target: R_0 .. R_{L-1}, with gradients where the dynamics are followed.
        baseline: V_0 .. V_{L-1}.
        weight: w_0 .. w_{L-1}.
        gradient: "reinforce" weighs log-probabilities, "dynamics" climbs the target itself.
        mix: share of the dynamics where both are asked for.
        entropy_scale: per nat.
        ahead: whether an action is judged by R_{k+1}, or by R_k.
    """
    skip = int(ahead)
    target = target[skip:]
    count = len(target)
    entropy = categorical.entropy(logits[:count])
    log_prob = categorical.log_prob(logits[:count], action[:count])
    advantage = (target - baseline[:count]).detach()
    share = {"reinforce": 0.0, "dynamics": 1.0, "both": mix}[gradient]
    gain = entropy_scale * entropy
    if share < 1:
        gain = gain + (1 - share) * log_prob * advantage
    if share > 0:
        gain = gain + share * target
    loss = -(weight[:count].detach() * gain).mean()
    return Objective(loss, entropy, log_prob, advantage)


def critic_loss(
    value: Float[Tensor, "L N"], target: Float[Tensor, "L N"], weight: Float[Tensor, "L N"]
) -> Float[Tensor, ""]:
    """Returns the critic's error where it matters."""
    return (weight.detach() * gaussian.nll(target.detach(), value)).mean()


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, updates: int, every: int, fraction: float) -> None:
    """Moves a slow copy towards its original, every so many updates; at the first wholly.

    Args:
        slow: the copy.
        fast: the original.
        updates: before this one.
        every: updates between two moves.
        fraction: of the way; 1 copies.
    """
    if updates % every:
        return
    share = fraction if updates else 1.0
    for one, other in zip(slow.parameters(), fast.parameters(), strict=True):
        one.lerp_(other, share) if share < 1 else one.copy_(other)
