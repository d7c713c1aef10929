"""The image networks of Dreamer v3: 5 x 5 convolutions, pooled inwards and repeated outwards.

Maps lie channels last from end to end. The decoder never repeats a pixel: a nearest-neighbour
upsampling and a 5 x 5 convolution are one 3 x 3 convolution with four outputs a position, 2.8 times
fewer operations (`subpixel`; its twin is `plain_upsample`).

Source: danijar/dreamerv3@e3f0224.
Shapes: N images, H W C image, h w smallest map, d depth.
"""

import functools

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from agents.parts import norms
from agents.parts.blocks import Block, GroupLinear, Linear, initial

KERNEL = 5
WIDTHS = (2, 3, 4, 4)  # Channels of the stages, in units of the depth.
LEAST = 2 ** len(WIDTHS)


class Conv(nn.Module):
    """Weight and bias of a 5 x 5 convolution."""

    def __init__(self, inputs: int, outputs: int):
        """Draws the weight; the bias is zero."""
        super().__init__()
        self.weight = initial((outputs, inputs, KERNEL, KERNEL), inputs * KERNEL**2, 1.0)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "N H W I"]) -> Float[Tensor, "N H W O"]:
        """Returns a map of the same size; what lies outside is zero."""
        return convolve(x, self.weight.to(x.dtype), self.bias.to(x.dtype))

    def doubled(self, x: Float[Tensor, "N H W I"]) -> Float[Tensor, "N H W O4"]:
        """Returns the map of twice the size, its 2 x 2 blocks in the channels."""
        weight = subpixel(self.weight).to(x.dtype)
        return convolve(x, weight, self.bias.to(x.dtype).repeat(4))


class Encoder(nn.Module):
    """Four times: convolution, largest of 2 x 2, norm, SiLU."""

    def __init__(self, shape: tuple[int, int, int], depth: int):
        """Builds the stages.

        Args:
            shape: (H, W, C) of the images.
            depth: d.

        Raises:
            ValueError: the image cannot be halved four times.
        """
        super().__init__()
        self.edges = edges(shape)
        widths = [shape[2], *(depth * width for width in WIDTHS)]
        self.convs = nn.ModuleList(map(Conv, widths[:-1], widths[1:]))
        self.norms = nn.ModuleList(map(norms.Norm, widths[1:]))
        self.outputs = self.edges[0] * self.edges[1] * widths[-1]

    def forward(self, x: Float[Tensor, "N H W C"]) -> Float[Tensor, "N E"]:
        """Returns tokens, flattened as (h, w, channel).

        Args:
            x: pixels as `norms.centred` returns them.
        """
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norms.pool_norm_silu(conv(x), norm.gain)
        return x.flatten(1)


class Decoder(nn.Module):
    """State to a small map, then four times: twice the size, convolution; norm and SiLU between."""

    def __init__(
        self, deter: int, latent: int, shape: tuple[int, int, int], depth: int, units: int,
        groups: int,
    ):  # fmt: skip
        """Builds the layers.

        Args:
            deter: width of the recurrent state.
            latent: width of the flat stochastic state.
            shape: (H, W, C) of the images.
            depth: d.
            units: half the width of the layer that reads the stochastic state.
            groups: of the layer that reads the recurrent state.
        """
        super().__init__()
        self.edges, self.groups = edges(shape), groups
        widths = [*(depth * width for width in reversed(WIDTHS)), shape[2]]
        size = self.edges[0] * self.edges[1] * widths[0]
        self.deter = GroupLinear(deter, size, groups)
        self.stoch = nn.Sequential(Block(latent, 2 * units), Linear(2 * units, size))
        self.convs = nn.ModuleList(map(Conv, widths[:-1], widths[1:]))
        self.norms = nn.ModuleList(map(norms.Norm, widths[:-1]))

    def forward(
        self, deter: Float[Tensor, "N D"], latent: Float[Tensor, "N Z"]
    ) -> Float[Tensor, "N H2 W2 C4"]:
        """Returns what the sigmoid of is the image, its 2 x 2 blocks in the channels."""
        x = self.small(deter, latent)
        for conv, norm in zip(self.convs[:-1], self.norms[1:], strict=True):
            x = norms.norm_silu_spread(conv.doubled(x), norm.gain)
        return self.convs[-1].doubled(x)

    def small(
        self, deter: Float[Tensor, "N D"], latent: Float[Tensor, "N Z"]
    ) -> Float[Tensor, "N h w C"]:
        """Returns the smallest map."""
        height, width = self.edges
        of_deter = self.deter(deter).unflatten(1, (self.groups, height, width, -1))
        of_deter = of_deter.permute(0, 2, 3, 1, 4).flatten(-2)  # Channels are (group, channel).
        return self.norms[0](of_deter + self.stoch(latent).view(of_deter.shape))


def edges(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Returns the size of the smallest map.

    Raises:
        ValueError: the image cannot be halved four times.
    """
    height, width, _ = shape
    if height % LEAST or width % LEAST:
        raise ValueError(f"view.size: {shape[:2]}; Dreamer v3 takes multiples of {LEAST}.")
    return height // LEAST, width // LEAST


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolves maps that lie channels last, with zeros around them."""
    weight = weight.contiguous(memory_format=torch.channels_last)
    pad = weight.shape[-1] // 2
    return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=pad).permute(0, 2, 3, 1)


def subpixel(weight: Float[Tensor, "O I 5 5"]) -> Float[Tensor, "O4 I 3 3"]:
    """Returns the 3 x 3 kernel that does what upsampling and the 5 x 5 kernel do.

    Outputs are (row, column, O).
    """
    rows = taps(weight.device, weight.dtype)
    kernel = torch.einsum("apk,bql,oikl->aboipq", rows, rows, weight)
    return kernel.flatten(0, 2)


@functools.cache
def taps(device: torch.device, kind: torch.dtype) -> Float[Tensor, "2 3 5"]:
    """Returns which of three pixels each tap of five falls on, for even and odd positions.

    Around pixel 2 i two taps fall on i - 1, two on i, one on i + 1; around 2 i + 1 it is one, two,
    two. It stays on the device: a copy would make every update wait.
    """
    rows = torch.zeros(2, 3, KERNEL)
    for odd in range(2):
        for tap in range(KERNEL):
            rows[odd, (odd + tap - 2) // 2 + 1, tap] = 1.0
    return rows.to(device, kind)


def plain_upsample(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Repeats every pixel and convolves: the twin of `Conv.doubled`, (N, 2 H, 2 W, O)."""
    x = F.interpolate(x.permute(0, 3, 1, 2), scale_factor=2, mode="nearest")
    return F.conv2d(x, weight, bias, padding=KERNEL // 2).permute(0, 2, 3, 1)
