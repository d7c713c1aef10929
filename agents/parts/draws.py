"""Draws from categorical distributions by inverting them at uniform numbers.

Shapes: B rows, A classes.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from agents.parts import categorical


def draw(logp: Float[Tensor, "B A"], rng: np.random.Generator) -> Int[Tensor, " B"]:
    """Draws one action a row by inverting the cumulative distribution at one uniform number."""
    uniform = torch.from_numpy(rng.random(len(logp))).to(logp.device)
    return categorical.choose(logp.double().exp(), uniform)
