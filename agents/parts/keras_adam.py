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
    """Clips by the global norm, decays, then takes Adam's step; on the processor in one kernel.

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
        numbers = sum(param.numel() for param in self.params)
        self.flat = nn.Parameter(torch.empty(numbers, device=self.params[0].device))
        self.gradient = torch.zeros_like(self.flat, requires_grad=False)
        self.slots = views(self.gradient, self.params)
        with torch.no_grad():
            for param, slot in zip(self.params, views(self.flat, self.params), strict=True):
                slot.copy_(param)
                param.data = slot.detach()
        # Counted on the device, so that a recorded update counts too.
        self.steps = torch.zeros((), device=self.flat.device)
        self.adam = torch.optim.AdamW([self.flat], learning_rate, BETAS, fused=True)
        self.adam.state[self.flat] = self.state = {
            "step": self.steps,
            "exp_avg": torch.zeros_like(self.gradient),
            "exp_avg_sq": torch.zeros_like(self.gradient),
        }

    def minimise(self, loss: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Takes a step down a loss, for these parameters only.

        Args:
            loss: what falls.

        Returns:
            The norm of the gradients before they are clipped.
        """
        found = torch.autograd.grad(loss, self.params, allow_unused=True)
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
        if self.flat.device.type == "cpu":
            self.fused_step()
        else:
            self.written_step()
        return norm

    def fused_step(self) -> None:
        """Takes Adam's step in one kernel of torch's, which wants epsilon as a plain number."""
        group = self.adam.param_groups[0]
        group["eps"] = float(self.corrected_eps(self.steps + 1))
        group["weight_decay"] = self.decay / group["lr"]
        self.flat.grad = self.gradient
        self.adam.step()

    def written_step(self) -> None:
        """Takes the same step with every number on the device."""
        rate, (b1, b2) = self.adam.param_groups[0]["lr"], BETAS
        self.steps += 1
        mean, square = self.state["exp_avg"], self.state["exp_avg_sq"]
        mean.lerp_(self.gradient, 1 - b1)
        square.mul_(b2).addcmul_(self.gradient, self.gradient, value=1 - b2)
        one, two = (1 - b ** self.steps.double() for b in BETAS)
        root = (square / two.float()).sqrt_().add_(self.corrected_eps(self.steps).float())
        self.flat.mul_(1 - self.decay).addcmul_(mean / root, (rate / one).float(), value=-1)

    def corrected_eps(self, steps: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Returns what is added to the root of the corrected second moment at a step."""
        return self.eps / (1 - BETAS[1] ** steps.double()).sqrt()

    def state_dict(self) -> dict[str, Any]:
        """Returns moments and the number of steps; the parameters belong to their modules."""
        moments = {name: self.state[name] for name in ("exp_avg", "exp_avg_sq")}
        return moments | {"steps": int(self.steps)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to a saved state."""
        self.steps.fill_(state["steps"])
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
