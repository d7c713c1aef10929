"""Numbers as distributions over 255 bins whose distances grow exponentially.

Bins are in raw units, and so is the interpolation between two of them; nothing is squashed.

Source: danijar/dreamerv3@e3f0224.
Shapes: M numbers, K bins (odd, symmetric around 0).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

COUNT, REACH = 255, 20.0  # Bins; the outermost stands for symexp(20) = 4.85e8.


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


def mean(logits: Float[Tensor, "*M K"], bins: Float[Tensor, " K"]) -> Float[Tensor, "*M"]:
    """Returns the expected number.

    Opposite bins are paired before anything is added, so that equal logits give exactly 0.
    """
    probs, middle = logits.float().softmax(-1), len(bins) // 2
    return (probs[..., middle + 1 :] - probs[..., :middle].flip(-1)) @ bins[middle + 1 :]


def place(
    target: Float[Tensor, "*M"], bins: Float[Tensor, " K"]
) -> tuple[Int[Tensor, "*M"], Float[Tensor, "*M"]]:
    """Returns the bin below each number, and how much of it belongs to the bin above.

    Outside the bins a number is the outermost one.
    """
    below = (torch.searchsorted(bins, target.contiguous(), right=True) - 1).clamp(0, len(bins) - 2)
    low, high = bins[below], bins[below + 1]
    return below, ((target - low) / (high - low)).clamp(0, 1)


def log_likelihood(
    logits: Float[Tensor, "*M K"], target: Float[Tensor, "*M"], bins: Float[Tensor, " K"]
) -> Float[Tensor, "*M"]:
    """Returns sum_i target_i logits_i: two gathers instead of K products."""
    below, share = place(target, bins)
    index = torch.stack([below, below + 1], -1)
    return (logits.gather(-1, index) * torch.stack([1 - share, share], -1)).sum(-1)


def cross_entropy(
    logits: Float[Tensor, "*M K"], target: Float[Tensor, "*M"], bins: Float[Tensor, " K"]
) -> Float[Tensor, "*M"]:
    """Returns - sum_i target_i log softmax(logits)_i; its twin is `plain_cross_entropy`."""
    return logits.logsumexp(-1) - log_likelihood(logits, target, bins)


def plain_encode(target: Float[Tensor, "*M"], bins: Float[Tensor, " K"]) -> Float[Tensor, "*M K"]:
    """Returns the two-hot vectors as written."""
    below, share = place(target, bins)
    found = target.new_zeros(*target.shape, len(bins))
    found.scatter_(-1, below[..., None], (1 - share)[..., None])
    return found.scatter_(-1, below[..., None] + 1, share[..., None])


def plain_cross_entropy(
    logits: Float[Tensor, "*M K"], target: Float[Tensor, "*M"], bins: Float[Tensor, " K"]
) -> Float[Tensor, "*M"]:
    """Returns the cross-entropy over all bins."""
    return -(plain_encode(target, bins) * logits.log_softmax(-1)).sum(-1)
