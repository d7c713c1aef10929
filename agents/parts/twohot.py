"""Numbers as distributions over 255 bins whose distances grow exponentially.

Bins are in raw units, and so is the interpolation between two of them; nothing is squashed.

`plain_mean` and `plain_cross_entropy` are the twins of what is run.

Source: danijar/dreamerv3@e3f0224.
Shapes: M numbers, G targets of each, K bins (odd, symmetric around 0).
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from agents.parts import native

COUNT, REACH = 255, 20.0  # Bins; the outermost stands for symexp(20) = 4.85e8.
LEAST = 128  # Rows that are worth a piece of work of their own.


def symlog(x: Tensor) -> Tensor:
    """Returns sign(x) ln(1 + |x|)."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """Returns sign(x) (exp(|x|) - 1)."""
    return x.sign() * x.abs().expm1()


def bins(device: torch.device | str = "cpu") -> Float[Tensor, " K"]:
    """Returns the bins, exactly antisymmetric, the middle one 0."""
    half = symexp(torch.linspace(-REACH, 0, COUNT // 2 + 1))
    return torch.cat([half, -half[:-1].flip(0)]).to(device)


# As written


def plain_mean(logits: Float[Tensor, "*M K"], bins: Float[Tensor, " K"]) -> Float[Tensor, "*M"]:
    """Returns the expected number."""
    probs, middle = logits.float().softmax(-1), len(bins) // 2
    above = probs[..., middle + 1 :] - probs[..., :middle].flip(-1)
    return (above * bins[middle + 1 :]).sum(-1)  # No product of matrices: autocast would round it.


def encode(target: Float[Tensor, "*M"], bins: Float[Tensor, " K"]) -> Float[Tensor, "*M K"]:
    """Returns the two-hot vectors."""
    below, share = place(target, bins)
    found = target.new_zeros(*target.shape, len(bins))
    found.scatter_(-1, below[..., None], (1 - share)[..., None])
    return found.scatter_(-1, below[..., None] + 1, share[..., None])


def plain_cross_entropy(
    logits: Float[Tensor, "*M K"], target: Float[Tensor, "*M"], bins: Float[Tensor, " K"]
) -> Float[Tensor, "*M"]:
    """Returns - sum_i target_i log softmax(logits)_i."""
    return -(encode(target, bins) * logits.float().log_softmax(-1)).sum(-1)


# As run


def place(
    target: Float[Tensor, "*M"], bins: Float[Tensor, " K"]
) -> tuple[Int[Tensor, "*M"], Float[Tensor, "*M"]]:
    """Returns the bin below each number, and how much of it belongs to the bin above.

    Outside the bins a number is the outermost one.
    """
    found = torch.searchsorted(bins, target.contiguous(), right=True) - 1
    below = found.clamp(0, len(bins) - 2)
    low, high = bins[below], bins[below + 1]
    return below, ((target - low) / (high - low)).clamp(0, 1)


@torch.no_grad()
def mean(logits: Float[Tensor, "*M K"], bins: Float[Tensor, " K"]) -> Float[Tensor, "*M"]:
    """Returns the expected number, without gradients.

    Opposite bins are paired before anything is added, so that equal logits give exactly 0.
    """
    logits = logits.float().contiguous()
    if not native.usable(logits, bins):
        return plain_mean(logits, bins)
    out, count = logits.new_empty(logits.shape[:-1]), logits.shape[-1]
    native.call("twohot_mean", out.numel(), LEAST, (logits, bins, out), [count])
    return out


def cross_entropy(
    logits: Float[Tensor, "*M K"],
    bins: Float[Tensor, " K"],
    *targets: Float[Tensor, "*M"],
    scales: Sequence[float] = (1.0,),
) -> Float[Tensor, "*M"]:
    """Returns the sum of scale * cross-entropy over targets; gradients flow into the logits.

    Args:
        logits: of any type.
        bins: of the numbers.
        targets: numbers.
        scales: one a target.
    """
    places = [place(target.detach(), bins) for target in targets]
    below, share = (torch.stack(each, -1) for each in zip(*places, strict=True))
    scale = constant(tuple(scales), logits.device)
    return CrossEntropy.apply(logits.float().contiguous(), below, share, scale)


@functools.cache
def constant(numbers: tuple[float, ...], device: torch.device) -> Float[Tensor, " G"]:
    """Returns numbers that stay on the device: a copy would make every update wait."""
    return torch.tensor(numbers, device=device)


class CrossEntropy(torch.autograd.Function):
    """sum(scales) logsumexp - sum_i scale_i (two gathers): no vector of K targets is made."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, below: Tensor, share: Tensor, scale: Tensor) -> Tensor:
        """Returns the errors (*M)."""
        count = logits.shape[-1]
        if native.usable(logits, below, share):
            total = logits.new_empty(logits.shape[:-1])
            native.call("log_sum_exp", total.numel(), LEAST, (logits, total), [count])
        else:
            total = logits.logsumexp(-1)
        ctx.save_for_backward(logits, total, below, share, scale)
        low, high = logits.gather(-1, below), logits.gather(-1, below + 1)
        return ((total[..., None] - torch.lerp(low, high, share)) * scale).sum(-1)

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor, None, None, None]:
        """Returns the gradient of the logits."""
        logits, total, below, share, scale = ctx.saved_tensors
        up, (count, targets) = up.contiguous(), (logits.shape[-1], below.shape[-1])
        if native.usable(logits, below, share):
            grad = torch.empty_like(logits)
            tensors = logits, total, up, below, share, scale, grad
            native.call("twohot_back", total.numel(), LEAST, tensors, [count, targets])
            return grad, None, None, None
        grad = (logits - total[..., None]).exp_().mul_((up * scale.sum())[..., None])
        down = -up[..., None] * scale
        grad.scatter_add_(-1, below, down * (1 - share))
        return grad.scatter_add_(-1, below + 1, down * share), None, None, None
