"""The scale of returns: how far apart their 5th and 95th percentile are, on average.

Source: danijar/dreamerv3@e3f0224; Hafner et al. 2023, arXiv:2301.04104, equation 7.
"""

import torch
from torch import Tensor, nn

LOW, HIGH = 0.05, 0.95


class Percentiles(nn.Module):
    """Moving averages of two percentiles; they start at 0 and are not corrected for that."""

    def __init__(self, rate: float, limit: float):
        """Starts at 0.

        Args:
            rate: share of the newest batch.
            limit: least scale, so that small returns are not blown up.
        """
        super().__init__()
        self.rate, self.limit = rate, limit
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    @torch.no_grad()
    def update(self, returns: Tensor) -> Tensor:
        """Counts all returns of a batch in, then returns the scale; nothing waits for a device."""
        flat = returns.flatten().sort().values
        self.low.lerp_(quantile(flat, LOW), self.rate)
        self.high.lerp_(quantile(flat, HIGH), self.rate)
        return self.scale

    @property
    def scale(self) -> Tensor:
        """Returns the distance of the percentiles, at least the limit."""
        return (self.high - self.low).clamp(min=self.limit)


def quantile(ordered: Tensor, share: float) -> Tensor:
    """Returns a quantile of sorted numbers, linear between two: torch.quantile, any length."""
    position = share * (len(ordered) - 1)
    below = min(int(position), len(ordered) - 2) if len(ordered) > 1 else 0
    above = min(below + 1, len(ordered) - 1)
    return torch.lerp(ordered[below], ordered[above], position - below)
