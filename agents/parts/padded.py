"""The image networks of Dreamer v3 as of January 2023: 4 x 4 convolutions with stride 2.

A pixel of zeros around the map makes every stage halve or double its edges exactly. Norms are over
channels, so that maps lie channels last.

Source: danijar/dreamerv3@8fa35f8.
Shapes: N images, H W C image, h w smallest map, d depth, E embedding, F features.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from agents.parts import layered, pooled, strided

KERNEL, STRIDE, PAD = 4, 2, 1
WIDTHS = (1, 2, 4, 8)  # Channels of the stages, in units of the depth.


class Encoder(nn.Module):
    """Four times: convolution without bias, layer norm, SiLU."""

    def __init__(self, shape: tuple[int, int, int], depth: int):
        """Builds the stages.

        Args:
            shape: (H, W, C) of the images.
            depth: d.

        Raises:
            ValueError: the image cannot be halved four times.
        """
        super().__init__()
        edges = pooled.edges(shape)
        widths = [shape[2], *(depth * width for width in WIDTHS)]
        self.convs = nn.ModuleList()
        for inputs, outputs in pairwise(widths):
            conv = nn.Conv2d(inputs, outputs, KERNEL, STRIDE, PAD, bias=False)
            self.convs.append(drawn(conv, inputs, outputs))
        self.norms = nn.ModuleList(map(layered.Norm, widths[1:]))
        self.size = edges[0] * edges[1] * widths[-1]

    def forward(self, image: Float[Tensor, "N H W C"]) -> Float[Tensor, "N E"]:
        """Returns embeddings of centred pixels, in the order rows, columns, channels."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            image = norm(inside(conv, image))
        return image.flatten(1)


class Decoder(nn.Module):
    """A linear layer to the smallest map, then four transposed convolutions, norms between."""

    def __init__(self, features: int, shape: tuple[int, int, int], depth: int):
        """Builds the layers; neither norm nor activation follows the first and the last one.

        Args:
            features: F.
            shape: (H, W, C) of the images.
            depth: d.

        Raises:
            ValueError: the image cannot be halved four times.
        """
        super().__init__()
        self.edges = pooled.edges(shape)
        widths = [*(depth * width for width in reversed(WIDTHS)), shape[2]]
        self.linear = layered.Linear(features, self.edges[0] * self.edges[1] * widths[0], bias=True)
        self.convs = nn.ModuleList()
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            last = stage == len(WIDTHS) - 1
            conv = nn.ConvTranspose2d(inputs, outputs, KERNEL, STRIDE, PAD, bias=last)
            self.convs.append(drawn(conv, inputs, outputs))
        self.norms = nn.ModuleList(map(layered.Norm, widths[1:-1]))

    def forward(self, features: Float[Tensor, "N F"]) -> Float[Tensor, "N H W C"]:
        """Returns means of centred pixels: half is to be added for pixels in [0, 1]."""
        x = self.linear(features).unflatten(1, (*self.edges, -1))
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = norm(inside(conv, x))
        return inside(self.convs[-1], x).float()


def inside(conv: nn.Module, x: Float[Tensor, "N h w I"]) -> Float[Tensor, "N h2 w2 O"]:
    """Convolves a map that lies channels last."""
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def drawn(conv: nn.Conv2d | nn.ConvTranspose2d, inputs: int, outputs: int) -> nn.Module:
    """Initialises a convolution: fans count its area, a bias is zero."""
    area = KERNEL * KERNEL
    conv.weight = layered.initial(tuple(conv.weight.shape), area * inputs, area * outputs, 1.0)
    if conv.bias is not None:
        torch.nn.init.zeros_(conv.bias)
    return strided.last(conv)
