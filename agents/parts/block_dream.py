"""Play inside the model of Dreamer v3, without gradients but those of the actor.

The actor is evaluated where gradients are on, so that nothing of it is computed twice; all that it
sees is detached. Whatever can be looked up is: an action's share of the inner layer is a row of a
table.

Source: agents/parts/block_rssm.py holds the equations, and `BlockRSSM.step` is the plain twin.
Shapes: L imagined steps, N starts, D memory, V latents, K classes, F = D + V K, A actions.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from agents.parts import block_rssm, block_scan
from agents.parts.block_rssm import BlockRSSM

Draw = Callable[[Tensor, int], Tensor]  # What is known of a step, and which it is, to classes.


class Dream(NamedTuple):
    """L actions and the states around them."""

    feature: Float[Tensor, "L+1 N F"]
    logits: Float[Tensor, "L N A"]  # of the actor; gradients flow
    action: Int[Tensor, "L N"]


class Stepper:
    """The model's step with its weights split and its actions tabled, good for one update."""

    def __init__(self, model: BlockRSSM, kind: torch.dtype):
        """Prepares.

        Args:
            model: whose weights count, none of which needs a gradient.
            kind: of all products.
        """
        self.model, wide = model, 2 * model.sizes.hidden
        own, shared = block_rssm.split(model)
        self.own, self.shared = own.to(kind), shared[:wide].to(kind)
        actions = torch.eye(model.actions, dtype=kind, device=own.device)
        table = model.from_action(actions) @ shared[wide:].to(kind)
        self.acted = table + model.inner.bias.to(kind)

    def step(
        self, deter: Float[Tensor, "N D"], latent: Float[Tensor, "N Z"], action: Int[Tensor, " N"]
    ) -> Float[Tensor, "N D"]:
        """Returns the memory after an action."""
        model = self.model
        both = torch.cat([model.from_deter(deter), model.from_stoch(latent)], -1)
        inner = torch.addmm(self.acted[action], both, self.shared)
        inner = model.inner_norm(inner + block_scan.grouped(deter, self.own))
        gates = model.gates(inner).view(len(deter), model.sizes.groups, 3, -1)
        return block_rssm.gated(gates, deter)


def imagine(
    model: BlockRSSM,
    actor: nn.Module,
    deter: Float[Tensor, "N D"],
    index: Int[Tensor, "N V"],
    steps: int,
    draw_action: Draw,
    draw_latent: Draw,
) -> Dream:
    """Plays the actor in the model.

    Args:
        model: whose weights count, none of which needs a gradient.
        actor: from features to logits; gradients flow into its weights.
        deter: memory of the starts, detached.
        index: latents of the starts.
        steps: L.
        draw_action: draws (N,) actions from probabilities (N, A).
        draw_latent: draws (N, V) latents from the prior's logits (N, V, K).
    """
    sizes, size = model.sizes, model.sizes.deter
    with torch.no_grad():
        stepper = Stepper(model, deter.dtype)
        features = deter.new_empty(steps + 1, len(deter), sizes.features)
        features[0] = model.feature(deter, index)
    logits, actions = [], []
    for step in range(steps):
        # .data: autograd must not mind that later steps are written beside this one.
        logits.append(actor(features.data[step]).float())
        with torch.no_grad():
            action = draw_action(logits[-1].detach().softmax(-1), step)
            deter = stepper.step(deter, features[step, :, size:], action)
            index = draw_latent(model.prior_logits(deter), step)
            features[step + 1] = model.feature(deter, index)
        actions.append(action)
    return Dream(features, torch.stack(logits), torch.stack(actions))
