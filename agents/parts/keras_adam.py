"""Adam as Keras computes it, on flat storage: the optimiser of Dreamer v1 and v2.

Keras adds epsilon to the root of the uncorrected second moment ("epsilon hat" of the paper), torch
to the corrected one. At step k the two are equal where torch's epsilon is eps / sqrt(1 - 0.999^k).
Where gradients are as small as epsilon, the first steps differ by an order of magnitude.
Source: Kingma and Ba 2015, arXiv:1412.6980, section 2; danijar/dreamerv2@07d906e.
Shapes: P parameters, all numbers of all tensors.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

BETAS = (0.9, 0.999)


class KerasAdam:
    """Clips by the global norm, decays, then takes Adam's step, all in one kernel.

    The parameters become views of one flat buffer, which is much faster than a loop over tensors
    or torch's `foreach`. So it is built after the modules were moved to their device, and each
    parameter belongs to one optimiser only.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        learning_rate: float,
        eps: float,
        clip: float | None,
        decay: float,
    ):
        """Takes hold of parameters.

        Args:
            params: of one device and type.
            learning_rate: of every step.
            eps: added to the root of the uncorrected second moment.
            clip: greatest norm of all gradients together; None: they stay as they are.
            decay: share of every parameter, biases included, that is lost before each step; not
                multiplied by the learning rate.
        """
        self.params = list(params)
        self.eps, self.clip, self.decay = eps, clip, decay
        self.steps = 0
        numbers = sum(param.numel() for param in self.params)
        self.flat = nn.Parameter(torch.empty(numbers, device=self.params[0].device))
        self.gradient = torch.zeros_like(self.flat, requires_grad=False)
        self.slots = views(self.gradient, self.params)
        with torch.no_grad():
            for param, slot in zip(self.params, views(self.flat, self.params), strict=True):
                slot.copy_(param)
                param.data = slot.detach()
        self.adam = torch.optim.AdamW([self.flat], learning_rate, BETAS, fused=True)
        self.adam.state[self.flat] = self.state = {
            "step": torch.zeros((), device=self.flat.device),
            "exp_avg": torch.zeros_like(self.gradient),
            "exp_avg_sq": torch.zeros_like(self.gradient),
        }

    def minimise(self, loss: Float[Tensor, ""], retain: bool = False) -> Float[Tensor, ""]:
        """Takes a step down a loss, for these parameters only.

        Args:
            loss: what falls.
            retain: whether the graph is needed again.

        Returns:
            The norm of the gradients before they are clipped.
        """
        found = torch.autograd.grad(loss, self.params, retain_graph=retain, allow_unused=True)
        return self.step(found)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None]) -> Float[Tensor, ""]:
        """Takes a step with gradients (None is zero) and returns their norm before clipping."""
        known = [(slot, g) for slot, g in zip(self.slots, gradients, strict=True) if g is not None]
        if len(known) < len(self.slots):
            self.gradient.zero_()
        torch._foreach_copy_([slot for slot, _ in known], [g for _, g in known])
        norm = torch.linalg.vector_norm(self.gradient)
        if self.clip is not None:
            self.gradient.mul_(self.clip / norm.clamp(min=self.clip))
        self.steps += 1
        group = self.adam.param_groups[0]
        group["eps"] = self.corrected_eps()
        group["weight_decay"] = self.decay / group["lr"]
        self.flat.grad = self.gradient
        self.adam.step()
        return norm

    def corrected_eps(self) -> float:
        """Returns what torch is to add to the root of the corrected second moment, this step."""
        return self.eps / (1 - BETAS[1] ** self.steps) ** 0.5

    def state_dict(self) -> dict[str, Any]:
        """Returns moments and the number of steps; the parameters belong to their modules."""
        moments = {name: self.state[name] for name in ("exp_avg", "exp_avg_sq")}
        return moments | {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to a saved state."""
        self.steps = state["steps"]
        self.state["step"].fill_(self.steps)
        for name in ("exp_avg", "exp_avg_sq"):
            self.state[name].copy_(state[name])


def views(flat: Float[Tensor, " P"], like: Sequence[Tensor]) -> list[Tensor]:
    """Returns views of a flat tensor with the shapes and memory orders of others, in turn."""
    found, start = [], 0
    for tensor in like:
        order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
        sizes = [tensor.shape[axis] for axis in order]
        back = sorted(range(tensor.dim()), key=order.__getitem__)
        piece = flat[start : start + tensor.numel()].view(sizes)
        found.append(piece.permute(back) if tensor.dim() else piece)
        start += tensor.numel()
    return found
