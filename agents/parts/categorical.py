"""Groups of one-hot variables: the latents of Dreamer v2 and v3, and every Dreamer's actions.

A draw is a one-hot number whose gradient is that of the probabilities (straight-through). Noise is
uniform numbers in [0, 1), one a variable, at which cumulative probabilities are inverted; or it is
the one-hot draws themselves, where they are to be forced.
Source: Bengio et al. 2013, arXiv:1308.3432; Hafner et al. 2021, arXiv:2010.02193, algorithm 1.
Shapes: N rows, V variables, C classes.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor


def one_hot(index: Int[Tensor, "*N"], classes: int) -> Float[Tensor, "*N C"]:
    """Returns one-hot numbers; all zeros where the index is negative."""
    return (index[..., None] == torch.arange(classes, device=index.device)).float()


def straight_through(
    logits: Float[Tensor, "*N C"], noise: Shaped[Tensor, "..."]
) -> Float[Tensor, "*N C"]:
    """Returns one-hot draws with the gradient of the probabilities, float32."""
    probs = logits.float().softmax(-1)
    if noise.dim() < logits.dim():
        noise = one_hot(choose(probs.detach(), noise), logits.shape[-1])
    if not probs.requires_grad:
        return noise
    return noise + (probs - probs.detach())


@torch.no_grad()
def choose(probs: Float[Tensor, "*N C"], uniform: Float[Tensor, "*N"]) -> Int[Tensor, "*N"]:
    """Returns the first classes whose cumulative probability exceeds numbers in [0, 1)."""
    passed = probs.cumsum(-1) <= uniform[..., None]
    # Rounding may leave the last sum below 1.
    return passed.sum(-1).clamp(max=probs.shape[-1] - 1)


def entropy(logits: Float[Tensor, "*N C"]) -> Float[Tensor, "*N"]:
    """Returns the entropy of each variable in nats."""
    logp = logits.float().log_softmax(-1)
    return -(logp.exp() * logp).sum(-1)


def log_prob(logits: Float[Tensor, "*N C"], sample: Float[Tensor, "*N C"]) -> Float[Tensor, "*N"]:
    """Returns log-probabilities of one-hot draws; no gradient flows into the draws."""
    return (logits.float().log_softmax(-1) * sample.detach()).sum(-1)


class Categorical:
    """The distribution of V groups of C classes; its parameters are logits in one row."""

    def __init__(self, variables: int, classes: int):
        """Says how many there are; `size` is of a draw, `parameters` of what describes it."""
        self.variables, self.classes = variables, classes
        self.size = self.parameters = variables * classes

    def noise(self, generator: torch.Generator, *shape: int) -> Float[Tensor, "*N V"]:
        """Returns what draws are made with, on the CPU."""
        return torch.rand(*shape, self.variables, generator=generator)

    def groups(self, logits: Float[Tensor, "*N P"]) -> Float[Tensor, "*N V C"]:
        """Returns the logits of each variable, float32."""
        return logits.float().unflatten(-1, (self.variables, self.classes))

    def sample(
        self, logits: Float[Tensor, "*N P"], noise: Shaped[Tensor, "..."]
    ) -> Float[Tensor, "*N S"]:
        """Returns draws in one row, gradients straight through."""
        return straight_through(self.groups(logits), noise).flatten(-2)

    def mode(self, logits: Float[Tensor, "*N P"]) -> Float[Tensor, "*N S"]:
        """Returns the likeliest draws."""
        return one_hot(self.groups(logits).argmax(-1), self.classes).flatten(-2)

    def kl(self, one: Float[Tensor, "*N P"], other: Float[Tensor, "*N P"]) -> Float[Tensor, "*N"]:
        """Returns KL(one || other), summed over variables."""
        p, q = (self.groups(each).log_softmax(-1) for each in (one, other))
        return (p.exp() * (p - q)).sum((-2, -1))

    def entropy(self, logits: Float[Tensor, "*N P"]) -> Float[Tensor, "*N"]:
        """Returns the entropy in nats, summed over variables."""
        return entropy(self.groups(logits)).sum(-1)
