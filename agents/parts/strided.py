"""Strided convolutions of Dreamer v1 and v2 between 64 x 64 images and vectors, and back.

Images are channels last everywhere: that is how frames are stored, and it is the faster layout.
Source: Ha and Schmidhuber 2018, "World models", for the shapes; danijar/dreamerv2@07d906e.
Shapes: N images, H W C image, D = 32 * depth numbers of an embedding, F features.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from agents.parts import dense

Activation = Callable[[Tensor], Tensor]

EDGE = 64  # The only size of image for which these kernels fit.
ENCODER = ((1, 4), (2, 4), (4, 4), (8, 4))  # multiples of the depth, size; 64 31 14 6 2
DECODER = ((4, 5), (2, 5), (1, 6))  # the same; 1 5 13 30
LAST = 6  # size of the last kernel; 30 to 64


def centred(image: UInt8[Tensor, "*N H W C"]) -> Float[Tensor, "*N H W C"]:
    """Returns pixels in [-0.5, 0.5], as they are encoded and reconstructed."""
    return image.float() / 255 - 0.5


def check_size(shape: tuple[int, int, int]) -> None:
    """Refuses images for which the kernels do not fit.

    Raises:
        ValueError: the image is not 64 x 64.
    """
    if shape[:2] != (EDGE, EDGE):
        raise ValueError(
            f"view.size: [{shape[0]}, {shape[1]}]; this agent's convolutions take [{EDGE}, {EDGE}]."
        )


class Encoder(nn.Module):
    """Four convolutions with stride 2 and no padding."""

    def __init__(self, channels: int, depth: int, activation: Activation):
        """Builds the layers.

        Args:
            channels: C of the images.
            depth: filters of the first layer; they double from one to the next.
            activation: after every layer.
        """
        super().__init__()
        self.activation, self.size = activation, 2 * 2 * 8 * depth
        self.convs = nn.ModuleList()
        for multiple, kernel in ENCODER:
            filters = multiple * depth
            self.convs.append(last(dense.glorot(nn.Conv2d(channels, filters, kernel, stride=2))))
            channels = filters

    def forward(self, image: Float[Tensor, "N H W C"]) -> Float[Tensor, "N D"]:
        """Returns embeddings of centred pixels, in the order rows, columns, channels."""
        x = image.permute(0, 3, 1, 2)
        for conv in self.convs[:-1]:
            x = self.activation(conv(x))
        return self.activation(windows(x, self.convs[-1])).flatten(1)


class Decoder(nn.Module):
    """A linear layer and four transposed convolutions with stride 2, the last one linear."""

    def __init__(self, features: int, depth: int, channels: int, activation: Activation):
        """Builds the layers.

        Args:
            features: F.
            depth: filters of the last layer but one.
            channels: C of the images.
            activation: after every convolution but the last.
        """
        super().__init__()
        self.activation, width = activation, 32 * depth
        self.linear = dense.linear(features, width)
        self.convs = nn.ModuleList()
        layers = [(multiple * depth, size) for multiple, size in DECODER] + [(channels, LAST)]
        for filters, size in layers:
            conv = nn.ConvTranspose2d(width, filters, size, stride=2)
            self.convs.append(last(dense.glorot(conv)))
            width = filters

    def forward(self, features: Float[Tensor, "N F"]) -> Float[Tensor, "N H W C"]:
        """Returns means of centred pixels."""
        x = spread(self.linear(features), self.convs[0], self.activation)
        for conv in self.convs[1:-1]:
            x = self.activation(conv(x))
        return self.convs[-1](x).permute(0, 2, 3, 1)


def windows(x: Float[Tensor, "N C h w"], conv: nn.Conv2d) -> Float[Tensor, "N r c O"]:
    """Convolves a small map as one product over its windows: half the time, channels last."""
    size, stride = conv.kernel_size[0], conv.stride[0]
    cut = x.permute(0, 2, 3, 1).unfold(1, size, stride).unfold(2, size, stride)
    rows = cut.permute(0, 1, 2, 4, 5, 3).flatten(3)
    return F.linear(rows, conv.weight.permute(0, 2, 3, 1).flatten(1), conv.bias)


def spread(
    x: Float[Tensor, "N I"], conv: nn.ConvTranspose2d, activation: Activation
) -> Float[Tensor, "N O k k"]:
    """Convolves one pixel, transposed, as the product that it is: ten times faster."""
    kernel = conv.weight.permute(2, 3, 1, 0)
    bias = conv.bias.repeat(kernel.shape[0] * kernel.shape[1])
    # Before it is a view, so that an activation may write over it.
    found = activation(F.linear(x, kernel.flatten(0, 2), bias))
    return found.unflatten(1, kernel.shape[:3]).permute(0, 3, 1, 2)


def last(layer: nn.Module) -> nn.Module:
    """Puts a kernel into the order in which images lie in memory: channels last."""
    return layer.to(memory_format=torch.channels_last)
