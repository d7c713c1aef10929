"""Dense layers of Dreamer v3: a linear layer, its norm and SiLU make a block.

Weights are float32; a product runs in the type of its input. Biases stay before norms, as in the
official program.

Source: danijar/dreamerv3@e3f0224; the initial values as listed in init_stats.json of its fixtures.
Shapes: M rows, I inputs, O outputs, G groups.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from agents.parts.norms import Norm

TRUNCATED = 1.1368  # 1 / standard deviation of a unit normal cut at ±2, as the program rounds it.


def initial(shape: tuple[int, ...], inputs: int, scale: float) -> nn.Parameter:
    """Returns a truncated normal with standard deviation scale / sqrt(inputs)."""
    weight = nn.init.trunc_normal_(torch.empty(shape), a=-2.0, b=2.0)
    return nn.Parameter(weight * (TRUNCATED * scale / math.sqrt(inputs)))


class Linear(nn.Module):
    """A dense layer."""

    def __init__(self, inputs: int, outputs: int, scale: float = 1.0):
        """Draws the weight; the bias is zero.

        Args:
            inputs: I.
            outputs: O.
            scale: of the initial weight; 0 makes it zero.
        """
        super().__init__()
        self.weight = initial((outputs, inputs), inputs, scale)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "*M I"]) -> Float[Tensor, "*M O"]:
        """Returns the product in the type of x."""
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class Mirrored(Linear):
    """A dense layer whose opposite outputs are the same to the last bit where their weights are.

    For bins of `agents.parts.twohot`: those that never occurred keep equal weights on both sides of
    0, and cancel in the mean only if their logits are equal too. One product of all 255 columns, or
    that of its gradient, ends in another kernel than it begins with, which rounds otherwise. In
    bfloat16 a logit then comes to differ by a unit in its last place, a probability of 5e-6 by 3 %,
    and times the outermost bin, 4.85e8, that is a reward of 900 out of nothing. Two products of the
    same shape, one of them mirrored, round alike, forwards and backwards.
    """

    def forward(self, x: Float[Tensor, "*M I"]) -> Float[Tensor, "*M O"]:
        """Returns the product in the type of x; the number of outputs is odd."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        middle = len(weight) // 2
        low = F.linear(x, weight[: middle + 1], bias[: middle + 1])
        high = F.linear(x, weight[middle:].flip(0), bias[middle:].flip(0))
        return torch.cat([low, high[..., :-1].flip(-1)], -1)


class Block(nn.Module):
    """A dense layer, its norm, SiLU."""

    def __init__(self, inputs: int, outputs: int):
        """Builds both."""
        super().__init__()
        self.linear, self.norm = Linear(inputs, outputs), Norm(outputs)

    def forward(self, x: Float[Tensor, "*M I"]) -> Float[Tensor, "*M O"]:
        """Returns features."""
        return self.norm(self.linear(x))


class MLP(nn.Module):
    """Some blocks and a linear layer; a subclass may say of which kind."""

    block: type[nn.Module] = Block
    last: type[nn.Module] = Linear

    def __init__(self, inputs: int, layers: int, units: int, outputs: int, scale: float):
        """Builds the layers.

        Args:
            inputs: I.
            layers: blocks.
            units: of each.
            outputs: O.
            scale: of the initial weight of the last layer.
        """
        super().__init__()
        widths = [inputs] + [units] * layers
        self.blocks = nn.ModuleList(map(self.block, widths[:-1], widths[1:]))
        self.out = self.last(widths[-1], outputs, scale)

    def forward(self, x: Float[Tensor, "*M I"]) -> Float[Tensor, "*M O"]:
        """Returns outputs in the type of x."""
        for block in self.blocks:
            x = block(x)
        return self.out(x)


class BinMLP(MLP):
    """Some blocks, and a linear layer for bins that are symmetric around 0."""

    last = Mirrored


class GroupLinear(nn.Module):
    """A dense layer whose matrix has G blocks on its diagonal and nothing else.

    The weight is stored (G, I / G, O / G): the batched product reads it as it lies.
    """

    def __init__(self, inputs: int, outputs: int, groups: int):
        """Draws the weight; its scale follows from all I inputs, not those of one group.

        Args:
            inputs: I, of all groups.
            outputs: O, of all groups.
            groups: G.
        """
        super().__init__()
        self.weight = initial((groups, inputs // groups, outputs // groups), inputs, 1.0)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "M I"]) -> Float[Tensor, "M O"]:
        """Returns the product; input and output are cut into G consecutive pieces."""
        groups = len(self.weight)
        pieces = x.unflatten(-1, (groups, -1)).transpose(0, 1)
        bias = self.bias.to(x.dtype).unflatten(0, (groups, 1, -1))
        return torch.baddbmm(bias, pieces, self.weight.to(x.dtype)).transpose(0, 1).flatten(1)
