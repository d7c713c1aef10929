"""Draws from categorical distributions by inverting them at uniform numbers.

Shapes: B rows, A classes.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


def draw(logp: Float[Tensor, "B A"], rng: np.random.Generator) -> Int[Tensor, " B"]:
    """Draws one action a row by inverting the cumulative distribution at one uniform number."""
    return choose(logp, torch.from_numpy(rng.random((len(logp), 1))).to(logp.device))


def choose(logp: Float[Tensor, "B A"], uniform: Float[Tensor, "B 1"]) -> Int[Tensor, " B"]:
    """Returns the actions at which the cumulative distribution passes numbers in [0, 1)."""
    below = logp.double().exp().cumsum(-1) < uniform
    # Rounding may leave the last sum below 1.
    return below.sum(-1).clamp(max=logp.shape[-1] - 1)
