"""Adam as the paper's algorithm and torch have it, on the flat storage of `keras_adam`.

Epsilon is added to the root of the corrected second moment. The gradients of all parameters are
clipped by their norm together; nothing decays.

Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; danijar/dreamerv3@8fa35f8.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from agents.parts import keras_adam


class PlainAdam(keras_adam.KerasAdam):
    """Clips by the global norm, then takes Adam's step."""

    def __init__(
        self, params: Iterable[nn.Parameter], learning_rate: float, eps: float, clip: float
    ):
        """Takes hold of parameters, as its parent does.

        Args:
            params: of one device and type.
            learning_rate: of every step.
            eps: added to the root of the corrected second moment.
            clip: greatest norm of all gradients together.
        """
        super().__init__(params, learning_rate, eps, clip, decay=0.0)

    def corrected_eps(self, steps: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Returns epsilon as it is."""
        return torch.full_like(steps, self.eps, dtype=torch.float64)
