"""RMS norm followed by SiLU, and what comes before or after it in the image networks.

Each door has a plain twin in torch operations; the fast ones save passes over memory. Norms are
computed in float32 and cast back, whatever the type of their input.

Source: danijar/dreamerv3@e3f0224: eps 1e-4 inside the root, a gain, no offset.
Shapes: N images, H W map, C channels, M rows.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

EPS = 1e-4


class Norm(nn.Module):
    """The gain of an RMS norm; `forward` is the norm and the SiLU after it."""

    def __init__(self, width: int):
        """Starts with a gain of 1.

        Args:
            width: of the last axis.
        """
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "*M C"]) -> Float[Tensor, "*M C"]:
        """Returns silu(rms(x)) in the type of x."""
        return norm_silu(x, self.gain)


def rms(x: Float[Tensor, "*M C"], gain: Float[Tensor, " C"]) -> Float[Tensor, "*M C"]:
    """Returns x / sqrt(mean(x^2) + eps) * gain over the last axis, in float32."""
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * gain.float()


def norm_silu(x: Float[Tensor, "*M C"], gain: Float[Tensor, " C"]) -> Float[Tensor, "*M C"]:
    """Returns silu(rms(x)) in the type of x."""
    return F.silu(rms(x, gain)).to(x.dtype)


def pool_norm_silu(
    x: Float[Tensor, "N H W C"], gain: Float[Tensor, " C"]
) -> Float[Tensor, "N H//2 W//2 C"]:
    """Returns the norm of the largest of each 2 x 2 block, then SiLU."""
    pooled = F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    return norm_silu(pooled, gain)


def norm_silu_spread(
    x: Float[Tensor, "N H W 4*C"], gain: Float[Tensor, " C"]
) -> Float[Tensor, "N 2*H 2*W C"]:
    """Returns the norm of the four pixels that a position holds, then SiLU, each at its place.

    Args:
        x: channels are (row, column, C) of the 2 x 2 block that a position stands for.
        gain: of the norm over C.
    """
    return spread(norm_silu(x.unflatten(-1, (4, -1)), gain).flatten(-2))


def image_error(
    logits: Float[Tensor, "N H W C"], image: UInt8[Tensor, "N H W C"]
) -> Float[Tensor, " N"]:
    """Returns the squared error of sigmoid(logits) with pixels in [0, 1], summed by image."""
    return (logits.float().sigmoid() - image.float() / 255).square().sum((1, 2, 3))


def spread(x: Tensor) -> Tensor:
    """Moves (N, H, W, 4 C), channels as (row, column, C), to (N, 2 H, 2 W, C)."""
    count, height, width, _ = x.shape
    x = x.reshape(count, height, width, 2, 2, -1).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(count, 2 * height, 2 * width, -1)


def gather(x: Tensor) -> Tensor:
    """Moves (N, 2 H, 2 W, C) to (N, H, W, 4 C): the opposite of `spread`."""
    count, height, width, channels = x.shape
    x = x.reshape(count, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(count, height // 2, width // 2, 4 * channels)
