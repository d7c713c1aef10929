"""One-hot latents whose probabilities hold a share of the uniform distribution.

Log-probabilities, entropies, divergences and draws are all of the mixed distribution.

Source: danijar/dreamerv3@e3f0224; Hafner et al. 2023, arXiv:2301.04104.
Shapes: N states, V variables, K classes.
"""

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from agents.parts import categorical, native

UNIFORM = 0.01
LEAST = 1024  # Variables that are worth a piece of work of their own.


def mixed(logits: Float[Tensor, "*N V K"]) -> Float[Tensor, "*N V K"]:
    """Returns 0.99 softmax + 0.01 / K, in float32."""
    return logits.float().softmax(-1) * (1 - UNIFORM) + UNIFORM / logits.shape[-1]


@torch.no_grad()
def draw(logits: Float[Tensor, "*N V K"], uniform: Float[Tensor, "*N V"]) -> Int[Tensor, "*N V"]:
    """Returns `categorical.choose(mixed(logits), uniform)`, where it can in one pass."""
    logits, uniform = logits.float().contiguous(), uniform.contiguous()
    if not native.usable(logits, uniform):
        return categorical.choose(mixed(logits), uniform)
    index = torch.empty(uniform.shape, dtype=torch.int64)
    sizes = [logits.shape[-1], UNIFORM]
    native.call("mix_and_draw", uniform.numel(), LEAST, (logits, uniform, index), sizes)
    return index


def one_hot(
    index: Integer[Tensor, "*N V"], classes: int, dtype: torch.dtype
) -> Float[Tensor, "*N Z"]:
    """Returns the draws in one row."""
    found = torch.zeros(*index.shape, classes, dtype=dtype, device=index.device)
    return found.scatter_(-1, index.long()[..., None], 1.0).flatten(-2)


def straight_through(
    probs: Float[Tensor, "*N V K"], index: Int[Tensor, "*N V"], dtype: torch.dtype
) -> Float[Tensor, "*N Z"]:
    """Returns one-hot draws in one row, with the gradient of the probabilities."""
    found, flat = one_hot(index, probs.shape[-1], dtype), probs.flatten(-2).to(dtype)
    return found + flat - flat.detach()


def divergence(one: Float[Tensor, "*N V K"], other: Float[Tensor, "*N V K"]) -> Float[Tensor, "*N"]:
    """Returns KL(one || other) of probabilities, summed over variables."""
    return (one * (one.log() - other.log())).sum((-2, -1))


def entropy(probs: Float[Tensor, "*N V K"]) -> Float[Tensor, "*N"]:
    """Returns the entropy in nats, summed over variables."""
    return -(probs * probs.log()).sum((-2, -1))
