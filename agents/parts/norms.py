"""RMS norm followed by SiLU, and what comes before or after it in the image networks.

On the processor each door is one compiled kernel, forwards and backwards, where torch would pass
over the memory a dozen times; `plain_*` are the twins in torch operations, which run elsewhere.
Norms are computed in float32 and cast back, whatever the type of their input.

Source: danijar/dreamerv3@e3f0224: eps 1e-4 inside the root, a gain, no offset.
Shapes: N images, H W map, C channels, M rows.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from agents.parts import native
from agents.parts.native import KINDS

EPS = 1e-4
WORK = 1 << 15  # Numbers that are worth a piece of their own.


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


# As written


def rms(x: Float[Tensor, "*M C"], gain: Float[Tensor, " C"]) -> Float[Tensor, "*M C"]:
    """Returns x / sqrt(mean(x^2) + eps) * gain over the last axis, in float32."""
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * gain.float()


def plain_norm_silu(x: Float[Tensor, "*M C"], gain: Float[Tensor, " C"]) -> Float[Tensor, "*M C"]:
    """Returns silu(rms(x)) in the type of x."""
    return F.silu(rms(x, gain)).to(x.dtype)


def plain_pool_norm_silu(
    x: Float[Tensor, "N H W C"], gain: Float[Tensor, " C"]
) -> Float[Tensor, "N H//2 W//2 C"]:
    """Returns the norm of the largest of each 2 x 2 block, then SiLU."""
    pooled = F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    return plain_norm_silu(pooled, gain)


def plain_norm_silu_spread(
    x: Float[Tensor, "N H W C4"], gain: Float[Tensor, " C"]
) -> Float[Tensor, "N 2*H 2*W C"]:
    """Returns the norm of the four pixels that a position holds, then SiLU, each at its place."""
    return spread(plain_norm_silu(x.unflatten(-1, (4, -1)), gain).flatten(-2))


def plain_image_error(
    logits: Float[Tensor, "N H W C4"], image: UInt8[Tensor, "N 2*H 2*W C"]
) -> Float[Tensor, " N"]:
    """Returns the squared error of sigmoid(logits) with pixels in [0, 1], summed by image."""
    return (logits.float().sigmoid() - gather(image).float() / 255).square().sum((1, 2, 3))


def plain_centred(image: UInt8[Tensor, "*M"], kind: torch.dtype) -> Float[Tensor, "*M"]:
    """Returns pixels in [-0.5, 0.5]."""
    return image.to(kind) / 255 - 0.5


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


# As run


def norm_silu(x: Float[Tensor, "*M C"], gain: Float[Tensor, " C"]) -> Float[Tensor, "*M C"]:
    """Returns silu(rms(x)) in the type of x."""
    return NormSilu.apply(x, gain) if fits(x, gain) else plain_norm_silu(x, gain)


def pool_norm_silu(
    x: Float[Tensor, "N H W C"], gain: Float[Tensor, " C"]
) -> Float[Tensor, "N H//2 W//2 C"]:
    """Returns the norm of the largest of each 2 x 2 block, then SiLU."""
    even = x.shape[1] % 2 == 0 and x.shape[2] % 2 == 0
    return PoolNormSilu.apply(x, gain) if even and fits(x, gain) else plain_pool_norm_silu(x, gain)


def norm_silu_spread(
    x: Float[Tensor, "N H W C4"], gain: Float[Tensor, " C"]
) -> Float[Tensor, "N 2*H 2*W C"]:
    """Returns the norm of the four pixels that a position holds, then SiLU, each at its place.

    Args:
        x: channels are (row, column, C) of the 2 x 2 block that a position stands for.
        gain: of the norm over C.
    """
    return NormSiluSpread.apply(x, gain) if fits(x, gain) else plain_norm_silu_spread(x, gain)


def image_error(
    logits: Float[Tensor, "N H W C4"], image: UInt8[Tensor, "N 2*H 2*W C"]
) -> Float[Tensor, " N"]:
    """Returns the squared error of sigmoid(logits) with pixels in [0, 1], summed by image.

    Args:
        logits: hold 2 x 2 blocks of pixels in their channels, as (row, column, C).
        image: as it was seen.
    """
    usable = logits.dtype in KINDS and native.usable(logits, image)
    return ImageError.apply(logits, image) if usable else plain_image_error(logits, image)


def centred(image: UInt8[Tensor, "*M"], kind: torch.dtype) -> Float[Tensor, "*M"]:
    """Returns pixels in [-0.5, 0.5]: the only door to the encoder."""
    if kind not in KINDS or not native.usable(image):
        return plain_centred(image, kind)
    out = torch.empty(image.shape, dtype=kind)
    run("centre", out, image.numel(), 1, (image, out))
    return out


def fits(x: Tensor, *others: Tensor) -> bool:
    """Tells whether the kernels take these tensors."""
    return x.dtype in KINDS and native.usable(x, *others)


def run(
    name: str, like: Tensor, rows: int, width: int, tensors: Sequence[Tensor],
    sizes: Sequence[int] = (), gain: Tensor | None = None,
) -> Tensor | None:  # fmt: skip
    """Calls the kernel of a tensor's type.

    Args:
        name: of the kernel, without the type.
        like: says the type.
        rows: how many.
        width: numbers of each.
        tensors: that it reads and writes.
        sizes: that it needs.
        gain: whose gradient it adds up.

    Returns:
        The gradient of the gain, if there is one.
    """
    least = max(1, WORK // width)
    sums = None
    if gain is not None:
        sums = torch.zeros(len(native.ranges(rows, least)), *gain.shape)
    native.call(f"{name}_{KINDS[like.dtype]}", rows, least, tensors, sizes, sums)
    return None if sums is None else sums.sum(0)


class NormSilu(torch.autograd.Function):
    """See `norm_silu`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        """Norms every row."""
        out, c = torch.empty_like(x), x.shape[-1]
        run("norm_silu", x, x.numel() // c, c, (x, gain, out), [c])
        ctx.save_for_backward(x, gain)
        return out

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the gradients of x and gain."""
        x, gain = ctx.saved_tensors
        grad, c = torch.empty_like(x), x.shape[-1]
        tensors = x, gain, up.contiguous(), grad
        return grad, run("norm_silu_back", x, x.numel() // c, c, tensors, [c], gain)


class PoolNormSilu(torch.autograd.Function):
    """See `pool_norm_silu`; keeps what was pooled and where, not the whole map."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        """Pools and norms."""
        n, h, w, c = x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
        pooled, out = x.new_empty(n, h, w, c), x.new_empty(n, h, w, c)
        place = torch.empty(n, h, w, c, dtype=torch.uint8)
        run("pool", x, n, 4 * h * w * c, (x, gain, pooled, place, out), [h, w, c])
        ctx.save_for_backward(pooled, place, gain)
        return out

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the gradients of x and gain."""
        pooled, place, gain = ctx.saved_tensors
        n, h, w, c = pooled.shape
        grad = pooled.new_empty(n, 2 * h, 2 * w, c)
        tensors = pooled, place, gain, up.contiguous(), grad
        return grad, run("pool_back", pooled, n, 4 * h * w * c, tensors, [h, w, c], gain)


class NormSiluSpread(torch.autograd.Function):
    """See `norm_silu_spread`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        """Norms and moves."""
        n, h, w, c = *x.shape[:3], x.shape[3] // 4
        out = x.new_empty(n, 2 * h, 2 * w, c)
        run("spread", x, n, 4 * h * w * c, (x, gain, out), [h, w, c])
        ctx.save_for_backward(x, gain)
        return out

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the gradients of x and gain."""
        x, gain = ctx.saved_tensors
        n, h, w, c = *x.shape[:3], x.shape[3] // 4
        grad = torch.empty_like(x)
        tensors = x, gain, up.contiguous(), grad
        return grad, run("spread_back", x, n, 4 * h * w * c, tensors, [h, w, c], gain)


class ImageError(torch.autograd.Function):
    """See `image_error`; the slope is computed on the way."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, image: Tensor) -> Tensor:
        """Adds up errors."""
        n, h, w, c = *logits.shape[:3], logits.shape[3] // 4
        error, slope = torch.empty(n), torch.empty_like(logits)
        run("image_error", logits, n, 4 * h * w * c, (logits, image, error, slope), [h, w, c])
        ctx.save_for_backward(slope)
        return error

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None]:
        """Returns the gradient of the logits."""
        (slope,) = ctx.saved_tensors
        return slope * up.to(slope.dtype)[:, None, None, None], None
