"""The recurrent state-space model of Dreamer v3, whose memory is a GRU of eight blocks.

A state is `deter`, the memory, and `stoch`, one class for each latent. One step, with h the memory,
z the latent and a the action that led here:

    x = [L(h), L(z), L(a)]                                L: linear, norm, SiLU
    y_g = W_g [h_g, x],  y = silu(norm(y))                for each block g; one norm over all
    r, c, u = V_g y_g                                     split inside each block
    h' = u tanh(sigmoid(r) c) + (1 - u) h,  u = sigmoid(u - 1)

The prior is a function of h', the posterior of h' and the embedding; both hold 1 % of uniform.

`step` computes this as written, for states (N, ...) of dense latents. `agents.parts.block_scan`
does the same over whole batches, `imagine` without gradients; both are compared with `step`.

Source: danijar/dreamerv3@e3f0224.
Shapes: N states, D memory, V latents, K classes, Z = V K, G blocks, U hidden, A actions,
E embedding.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from agents.parts import norms, unimix
from agents.parts.blocks import Block, GroupLinear, Linear
from agents.parts.norms import Norm

UPDATE_BIAS = -1.0  # The gate begins mostly shut: the memory is kept.


class Sizes(NamedTuple):
    """How large the model is."""

    deter: int  # D
    hidden: int  # U
    latents: int  # V
    classes: int  # K
    groups: int  # G

    @property
    def latent(self) -> int:
        """Returns Z, the width of the latent in one row."""
        return self.latents * self.classes

    @property
    def features(self) -> int:
        """Returns the width of memory and latent in one row."""
        return self.deter + self.latent


class BlockRSSM(nn.Module):
    """Memory, prior and posterior."""

    def __init__(self, sizes: Sizes, actions: int, embedding: int):
        """Builds the layers.

        Args:
            sizes: of memory, latents and hidden layers.
            actions: A.
            embedding: E.
        """
        super().__init__()
        self.sizes, self.actions = sizes, actions
        deter, hidden, latent, groups = sizes.deter, sizes.hidden, sizes.latent, sizes.groups
        self.from_deter = Block(deter, hidden)
        self.from_stoch = Block(latent, hidden)
        self.from_action = Block(actions, hidden)
        self.inner = GroupLinear(deter + groups * 3 * hidden, deter, groups)
        self.inner_norm = Norm(deter)
        self.gates = GroupLinear(deter, 3 * deter, groups)
        self.posterior = nn.Sequential(Block(deter + embedding, hidden), Linear(hidden, latent))
        self.prior = nn.Sequential(
            Block(deter, hidden), Block(hidden, hidden), Linear(hidden, latent)
        )

    def step(
        self, deter: Float[Tensor, "N D"], stoch: Float[Tensor, "N Z"], action: Float[Tensor, "N A"]
    ) -> Float[Tensor, "N D"]:
        """Returns the memory after an action.

        Args:
            deter: memory before it.
            stoch: latents before it, one-hot in one row, zeros at the start of an episode.
            action: one-hot, zeros where none led here.
        """
        shared = [self.from_deter(deter), self.from_stoch(stoch), self.from_action(action)]
        shared = torch.cat(shared, -1)[:, None].expand(-1, self.sizes.groups, -1)
        own = deter.unflatten(-1, (self.sizes.groups, -1))
        inner = self.inner_norm(self.inner(torch.cat([own, shared], -1).flatten(1)))
        return gate(self.gates(inner).unflatten(-1, (self.sizes.groups, 3, -1)), deter)

    def grouped(self, logits: Float[Tensor, "*N Z"]) -> Float[Tensor, "*N V K"]:
        """Returns the logits of each latent, in float32."""
        return logits.float().unflatten(-1, (self.sizes.latents, self.sizes.classes))

    def prior_logits(self, deter: Float[Tensor, "*N D"]) -> Float[Tensor, "*N V K"]:
        """Returns the prior's logits, before uniform is mixed in."""
        return self.grouped(self.prior(deter))

    def posterior_logits(
        self, deter: Float[Tensor, "*N D"], embedding: Float[Tensor, "*N E"]
    ) -> Float[Tensor, "*N V K"]:
        """Returns the posterior's logits, before uniform is mixed in."""
        return self.grouped(self.posterior(torch.cat([deter, embedding], -1)))

    def feature(
        self, deter: Float[Tensor, "*N D"], index: Int[Tensor, "*N V"]
    ) -> Float[Tensor, "*N F"]:
        """Returns what heads see of a state: memory, then latents."""
        return torch.cat([deter, unimix.one_hot(index, self.sizes.classes, deter.dtype)], -1)


def gate(gates: Float[Tensor, "N G 3 J"], deter: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    """Returns the memory that the gates make of the one before, in its type; gradients flow."""
    reset, candidate, update = gates.float().flatten(-1).unbind(2)
    update = (update.flatten(1) + UPDATE_BIAS).sigmoid()
    candidate = (reset.sigmoid() * candidate).tanh().flatten(1)
    return torch.lerp(deter.float(), candidate, update).to(deter.dtype)


@torch.no_grad()
def gated(gates: Float[Tensor, "N G 3 J"], deter: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    """Returns the same without gradients, where it can in one pass."""
    if not norms.fits(gates, deter):
        return gate(gates, deter)
    after, (rows, groups, _, width) = torch.empty_like(deter), gates.shape
    norms.run("gate", gates, rows, 3 * deter.shape[1], (gates, deter, after), [groups, width])
    return after


def split(model: BlockRSSM) -> tuple[Float[Tensor, "G J J"], Float[Tensor, "U3 D"]]:
    """Returns the inner layer's weight in two: for each block's own memory, and for the rest.

    What all blocks share is then one product instead of G.
    """
    own = model.sizes.deter // model.sizes.groups
    weight = model.inner.weight
    return weight[:, :own], weight[:, own:].permute(1, 0, 2).flatten(1)
