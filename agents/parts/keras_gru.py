"""The GRU of Keras, on which Dreamer v1 is built.

    r, z = sigmoid(W x + b + U h + b')                  reset, keep
    n = tanh(W x + b + r * (U h + b'))                  the reset comes after the product
    h' = z h + (1 - z) n

These are the equations of torch.nn.GRUCell, written out so that products may run in bfloat16 while
the state stays float32. Keras orders its gates z, r, n; here they are r, z, n, as in torch.
Source: Cho et al. 2014, arXiv:1406.1078; danijar/dreamer@56d4d44 with TensorFlow 2.2.
Shapes: N states, I inputs, D units.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from agents.parts import dense


class Cell(nn.Module):
    """A GRU for one step at a time."""

    def __init__(self, inputs: int, units: int):
        """Builds the layers: input kernel Glorot uniform, recurrent kernel orthogonal, biases 0.

        Args:
            inputs: I.
            units: D.
        """
        super().__init__()
        self.input = dense.linear(inputs, 3 * units)
        self.recurrent = dense.linear(units, 3 * units)
        # All three gates together, as in Keras: the columns of this matrix are orthonormal.
        nn.init.orthogonal_(self.recurrent.weight)

    def forward(self, x: Float[Tensor, "N I"], state: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Returns the next state, in float32."""
        given, gone = self.input(x).float(), self.recurrent(state).float()
        reset, keep = torch.sigmoid(given + gone).chunk(3, -1)[:2]
        (*_, fresh), (*_, old) = given.chunk(3, -1), gone.chunk(3, -1)
        return torch.lerp(torch.tanh(fresh + reset * old), state.float(), keep)
