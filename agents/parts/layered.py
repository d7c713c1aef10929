"""Dense layers of Dreamer v3 as of January 2023: a linear layer without bias, layer norm, SiLU.

A norm has an offset, so that a bias before it would do nothing; the last layer of a head has one.
Parameters and what norms compute are float32; products run in bf16 under autocast.

Source: danijar/dreamerv3@8fa35f8; Hafner et al. 2023, arXiv:2301.04104v1.
Shapes: M rows, I inputs, O outputs, C channels.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from agents.parts import blocks

EPS = 1e-3


def initial(shape: tuple[int, ...], inputs: int, outputs: int, scale: float) -> nn.Parameter:
    """Returns a truncated normal of variance scale^2 / average of both fans.

    Args:
        shape: of the weight.
        inputs: fan in; of a convolution, its area counts.
        outputs: fan out; its area counts too.
        scale: of the standard deviation; 0 makes the weight zero.
    """
    return blocks.initial(shape, 1, scale * math.sqrt(2 / (inputs + outputs)))


class Linear(nn.Module):
    """A dense layer."""

    def __init__(self, inputs: int, outputs: int, scale: float = 1.0, bias: bool = True):
        """Draws the weight; a bias is zero.

        Args:
            inputs: I.
            outputs: O.
            scale: of the initial weight; 0 makes it zero.
            bias: whether there is one.
        """
        super().__init__()
        self.weight = initial((outputs, inputs), inputs, outputs, scale)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Float[Tensor, "*M I"]) -> Float[Tensor, "*M O"]:
        """Returns the product."""
        return F.linear(x, self.weight, self.bias)


class Norm(nn.Module):
    """A layer norm over the last axis and the SiLU after it."""

    def __init__(self, width: int):
        """Starts with gain 1 and offset 0.

        Args:
            width: C.
        """
        super().__init__()
        self.norm = nn.LayerNorm(width, EPS)

    def forward(self, x: Float[Tensor, "*M C"]) -> Float[Tensor, "*M C"]:
        """Returns silu(norm(x)), float32."""
        return F.silu(self.norm(x.float()))


class Block(nn.Module):
    """A dense layer without bias, its norm, SiLU."""

    def __init__(self, inputs: int, outputs: int):
        """Builds both."""
        super().__init__()
        self.linear, self.norm = Linear(inputs, outputs, bias=False), Norm(outputs)

    def forward(self, x: Float[Tensor, "*M I"]) -> Float[Tensor, "*M O"]:
        """Returns features, float32."""
        return self.norm(self.linear(x))


class MLP(blocks.MLP):
    """Some blocks and a linear layer with a bias."""

    block = Block
    last = Linear

    def forward(self, x: Float[Tensor, "*M I"]) -> Float[Tensor, "*M O"]:
        """Returns outputs, float32."""
        return super().forward(x).float()
