"""LaProp with adaptive gradient clipping, on flat storage: the optimiser of Dreamer v3.

Of update n = 1, 2, ...:

    g <- g / max(1, |g| / (clip max(floor, |w|)))      norms of a whole tensor
    v <- b2 v + (1 - b2) g^2;  u = g / (sqrt(v / (1 - b2^n)) + eps)
    m <- b1 m + (1 - b1) u;    w <- w - rate_n m / (1 - b1^n)
    rate_n = rate min(1, (n - 1) / warmup): the first update changes nothing

Momentum comes after the division by the root of the second moment. There is no weight decay.

Source: Ziyin et al. 2020, arXiv:2002.04839; Brock et al. 2021, arXiv:2102.06171, with one norm a
tensor; danijar/dreamerv3@e3f0224.
Shapes: P parameters, all numbers of all tensors.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

FLOOR = 1e-3  # Least norm of a tensor, so that zeros can move.


class LaProp:
    """Steps all parameters together; they become views of one flat buffer.

    So it is built after the modules were moved to their device.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        rate: float,
        warmup: int,
        clip: float,
        betas: tuple[float, float],
        eps: float,
    ):
        """Takes hold of parameters.

        Args:
            params: of one device.
            rate: learning rate after the warm-up.
            warmup: updates in which it grows from 0.
            clip: greatest norm of a gradient, in norms of its parameter.
            betas: decay of momentum and of the second moment.
            eps: added to the root of the second moment.
        """
        self.params = list(params)
        self.rate, self.warmup, self.clip, self.betas, self.eps = rate, warmup, clip, betas, eps
        self.flat = torch.cat([param.detach().flatten() for param in self.params])
        self.gradient, self.scratch = torch.zeros_like(self.flat), torch.empty_like(self.flat)
        self.second, self.momentum = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.pieces = self.views(self.gradient)
        self.weights = self.views(self.flat)
        for param, view in zip(self.params, self.weights, strict=True):
            param.data = view
        # Counted on the device, so that a recorded update counts too.
        self.steps = torch.zeros((), dtype=torch.float64, device=self.flat.device)

    def views(self, flat: Tensor) -> list[Tensor]:
        """Returns the parts of a flat tensor in the parameters' shapes."""
        parts = flat.split([param.numel() for param in self.params])
        return [part.view(param.shape) for part, param in zip(parts, self.params, strict=True)]

    def minimise(self, loss: Tensor) -> Tensor:
        """Takes a step down a loss and returns the norm of all gradients before clipping."""
        return self.step(torch.autograd.grad(loss, self.params))

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> Tensor:
        """Takes a step with gradients and returns their norm before clipping."""
        torch.cat([gradient.flatten() for gradient in gradients], out=self.gradient)
        norms = torch.stack(torch._foreach_norm(self.pieces))
        sizes = torch.stack(torch._foreach_norm(self.weights))
        share = (self.clip * sizes.clamp(min=FLOOR) / norms.clamp(min=1e-30)).clamp(max=1)
        torch._foreach_mul_(self.pieces, list(share.unbind()))
        self.advance()
        return torch.linalg.vector_norm(norms)

    def advance(self) -> None:
        """Moves the parameters by the clipped gradient."""
        self.steps += 1
        (b1, b2), g, u = self.betas, self.gradient, self.scratch
        self.second.mul_(b2).addcmul_(g, g, value=1 - b2)
        torch.div(self.second, (1 - b2**self.steps).float(), out=u).sqrt_().add_(self.eps)
        self.momentum.lerp_(torch.div(g, u, out=u), 1 - b1)
        rate = self.rate_now() / (1 - b1**self.steps)
        self.flat.addcmul_(self.momentum, rate.float(), value=-1)

    def rate_now(self) -> Tensor:
        """Returns the learning rate of the newest update."""
        ramp = (self.steps - 1) / self.warmup if self.warmup else torch.ones_like(self.steps)
        return self.rate * ramp.clamp(max=1)

    def state_dict(self) -> dict[str, Any]:
        """Returns moments and the number of steps; the parameters belong to their modules."""
        return {"second": self.second, "momentum": self.momentum, "steps": int(self.steps)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to a saved state."""
        self.second.copy_(state["second"])
        self.momentum.copy_(state["momentum"])
        self.steps.fill_(state["steps"])
