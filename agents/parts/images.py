"""The image encoder of DQN and PPO, with bf16 and a faster, equal first layer.

Source: Mnih et al. 2015 for the layers; orthogonal initialisation as in OpenAI baselines' PPO.
Shapes: B images, H W C image, D features.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

KERNELS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # filters, size, stride


class Encoder(nn.Module):
    """Three convolutions and a linear layer; the only door through which pixels enter.

    Weights stay float32. `weights` casts them for a number of calls of `forward`, so that acting
    does not cast again at every step; the scale of the pixels, 1 / 255, is in the first kernel.
    """

    def __init__(self, shape: tuple[int, int, int], features: int, relu: bool):
        """Builds the layers.

        Args:
            shape: (H, W, C) of the images.
            features: D.
            relu: whether the features go through a ReLU, as in the accepted recipe.
        """
        super().__init__()
        height, width, channels = shape
        self.relu = relu
        self.convs = nn.ModuleList()
        for filters, size, stride in KERNELS:
            self.convs.append(orthogonal(nn.Conv2d(channels, filters, size, stride)))
            height, width = ((edge - size) // stride + 1 for edge in (height, width))
            channels = filters
        if min(height, width) < 1:
            raise ValueError(f"view.size: {shape[:2]} is too small; the least is 36 x 36.")
        self.linear = orthogonal(nn.Linear(height * width * channels, features))

    def weights(self, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
        """Returns weight and bias of each layer, ready for `forward`."""
        layers = [(layer.weight, layer.bias) for layer in (*self.convs, self.linear)]
        layers[0] = layers[0][0] / 255, layers[0][1]
        # Kernels as the images lie in memory: channels last.
        cast = [(weight.to(dtype), bias.to(dtype)) for weight, bias in layers]
        last = torch.channels_last
        return [(w.contiguous(memory_format=last), b) for w, b in cast[:-1]] + cast[-1:]

    def forward(
        self, image: UInt8[Tensor, "B H W C"], weights: list[tuple[Tensor, Tensor]]
    ) -> Float[Tensor, "B D"]:
        """Returns float32 features."""
        (kernel, bias), *rest, (matrix, offset) = weights
        x = F.relu(first_layer(image, kernel, bias))
        for (weight, bias), (_, _, stride) in zip(rest, KERNELS[1:], strict=True):
            x = F.relu(F.conv2d(x, weight, bias, stride))
        # In the order in which the features lie in memory: no copy.
        x = F.linear(x.permute(0, 2, 3, 1).flatten(1), matrix, offset).float()
        return F.relu(x) if self.relu else x


def first_layer(
    image: UInt8[Tensor, "B H W C"], kernel: Float[Tensor, "O C 8 8"], bias: Float[Tensor, " O"]
) -> Float[Tensor, "B O h w"]:
    """Convolves with stride 4 as a 2 x 2 convolution over 4 x 4 blocks of pixels.

    Blocks turn 4 channels into 64, on which the products run at full width; the bytes are moved
    before they are cast. `plain_first_layer` is its twin.
    """
    batch, height, width, channels = image.shape
    if height % 4 or width % 4:
        return plain_first_layer(image, kernel, bias)
    rows, cols, depth = height // 4, width // 4, 16 * channels
    x = image.view(batch, rows, 4, cols, 4, channels).permute(0, 1, 3, 2, 4, 5)
    x = x.reshape(batch, rows, cols, depth).to(kernel.dtype).permute(0, 3, 1, 2)
    k = kernel.unflatten(3, (2, 4)).unflatten(2, (2, 4)).permute(0, 2, 4, 3, 5, 1)
    return F.conv2d(x, k.reshape(-1, 2, 2, depth).permute(0, 3, 1, 2), bias)


def plain_first_layer(image: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Convolves as written: the reference for `first_layer`."""
    return F.conv2d(image.permute(0, 3, 1, 2).to(kernel.dtype), kernel, bias, stride=4)


def orthogonal(layer: nn.Module, gain: float = math.sqrt(2)) -> nn.Module:
    """Initialises a layer orthogonally, its bias with zeros."""
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
