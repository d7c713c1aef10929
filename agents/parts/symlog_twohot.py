"""Numbers as distributions over 255 bins with equal distances, of squashed numbers.

The bins and the interpolation between two of them are in units of symlog(x) = sign(x) ln(1 + |x|);
`agents.parts.twohot`, whose functions serve both, has them in raw units.

Source: danijar/dreamerv3@8fa35f8; Hafner et al. 2023, arXiv:2301.04104v1.
Shapes: M numbers, K bins.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from agents.parts import twohot


def bins(device: torch.device | str = "cpu") -> Float[Tensor, " K"]:
    """Returns the bins, exactly antisymmetric, the middle one 0."""
    half = torch.linspace(-twohot.REACH, 0, twohot.COUNT // 2 + 1)
    return torch.cat([half, -half[:-1].flip(0)]).to(device)


def mean(logits: Float[Tensor, "*M K"], bins: Float[Tensor, " K"]) -> Float[Tensor, "*M"]:
    """Returns what the expected squashed number stands for, without gradients."""
    return twohot.symexp(twohot.mean(logits, bins))


def cross_entropy(
    logits: Float[Tensor, "*M K"],
    bins: Float[Tensor, " K"],
    *targets: Float[Tensor, "*M"],
    scales: Sequence[float] = (1.0,),
) -> Float[Tensor, "*M"]:
    """Returns the sum of scale * cross-entropy over targets; gradients flow into the logits.

    Args:
        logits: of any type.
        bins: of squashed numbers.
        targets: numbers, which are squashed here.
        scales: one a target.
    """
    return twohot.cross_entropy(logits, bins, *map(twohot.symlog, targets), scales=scales)
