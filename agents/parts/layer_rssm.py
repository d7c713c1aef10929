"""The recurrent state-space model of Dreamer v3 as of January 2023.

One step, with h the memory, z the latent and a the action that led here:

    x = silu(LN(W [z, a]))
    r, c, u = LN(V [h, x]);  h' = u tanh(sigmoid(r) c) + (1 - u) h,  u = sigmoid(u - 1)

Prior and posterior have one layer between; both hold 1 % of uniform, which is folded into their
logits. An episode begins in a state that is learnt: h = tanh(b), z = mode of the prior at that h.

Source: danijar/dreamerv3@8fa35f8; Hafner et al. 2023, arXiv:2301.04104v1.
Shapes: N states, B sequences, T rows, D memory, S latent in one row, U units, A actions,
E embedding.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from agents.parts import categorical, dense, layered, unimix
from agents.parts.recurrent import UPDATE_BIAS
from agents.parts.world import State


class LayerGRU(nn.Module):
    """A gated recurrent unit with one layer norm over all its gates, which have no bias."""

    def __init__(self, inputs: int, size: int):
        """Builds the layers.

        Args:
            inputs: U, numbers of x.
            size: D.
        """
        super().__init__()
        self.linear = layered.Linear(size + inputs, 3 * size, bias=False)
        self.norm = nn.LayerNorm(3 * size, layered.EPS)

    def forward(self, x: Float[Tensor, "N U"], h: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Returns the next memory, float32."""
        gates = self.norm(self.linear(torch.cat([h, x], -1)).float())
        reset, candidate, update = gates.chunk(3, -1)
        update = (update + UPDATE_BIAS).sigmoid()
        return torch.lerp(h.float(), (reset.sigmoid() * candidate).tanh(), update)


class LayerRSSM(nn.Module):
    """Memory, prior, posterior, and the state in which episodes begin."""

    def __init__(
        self, latent: categorical.Categorical, actions: int, embedding: int, deter: int, units: int
    ):
        """Builds the layers.

        Args:
            latent: the distribution of the latents.
            actions: A.
            embedding: E.
            deter: D.
            units: U, of the layers between.
        """
        super().__init__()
        self.latent, self.deter, self.features = latent, deter, deter + latent.size
        self.inward = layered.Block(latent.size + actions, units)
        self.gru = LayerGRU(units, deter)
        self.prior_hidden = layered.Block(deter, units)
        self.prior_out = layered.Linear(units, latent.parameters, bias=True)
        self.posterior_hidden = layered.Block(deter + embedding, units)
        self.posterior_out = layered.Linear(units, latent.parameters, bias=True)
        self.start = nn.Parameter(torch.zeros(deter))

    def begin(self) -> tuple[Float[Tensor, " D"], Float[Tensor, " S"]]:
        """Returns memory and latent of an episode's beginning; gradients flow into the memory."""
        deter = self.start.tanh()
        return deter, self.latent.mode(self.prior(deter))

    def initial(self, count: int) -> State:
        """Returns N states before anything was seen."""
        deter, stoch = self.begin()
        return {"deter": deter.expand(count, -1), "stoch": stoch.expand(count, -1)}

    def feature(self, state: State) -> Float[Tensor, "*N F"]:
        """Returns what the heads see of a state: memory, then latent."""
        return torch.cat([state["deter"], state["stoch"]], -1)

    def prior(self, deter: Float[Tensor, "*N D"]) -> Float[Tensor, "*N S"]:
        """Returns the logits of latents with nothing seen, uniform mixed in."""
        return self.folded(self.prior_out(self.prior_hidden(deter)))

    def folded(self, logits: Float[Tensor, "*N S"]) -> Float[Tensor, "*N S"]:
        """Returns the logarithms of probabilities that hold a share of the uniform distribution."""
        return unimix.mixed(self.latent.groups(logits)).log().flatten(-2)

    def imagine(self, state: State, action: Float[Tensor, "N A"], noise: Tensor) -> State:
        """Returns states after an action, with nothing seen, and their `prior`."""
        x = self.inward(torch.cat([state["stoch"], action], -1))
        deter = self.gru(x, state["deter"])
        prior = self.prior(deter)
        return {"deter": deter, "stoch": self.latent.sample(prior, noise), "prior": prior}

    def observe(
        self,
        state: State,
        action: Float[Tensor, "B T A"],
        embedding: Float[Tensor, "B T E"],
        first: Bool[Tensor, "B T"],
        noise: Shaped[Tensor, "B T ..."],
    ) -> State:
        """Filters rows: returns their states (B, T, ...), with `posterior` and `prior`.

        Where a row begins an episode, the state that leads to it becomes the learnt one, and the
        action zero. What does not wait for the state is computed for all rows at once.

        Args:
            state: before the first row.
            action: that led to each row, one-hot.
            embedding: of each row.
            first: whether a row begins an episode.
            noise: what latents are drawn with.
        """
        from_stoch, from_action = dense.columns(self.inward.linear.weight, self.latent.size)
        from_deter, from_embedding = dense.columns(self.posterior_hidden.linear.weight, self.deter)
        begin, reset = self.begin(), first[..., None].unbind(1)
        acted = F.linear(action * (~first).float()[..., None], from_action).unbind(1)
        seen = F.linear(embedding, from_embedding).unbind(1)
        before, found = (state["deter"], state["stoch"]), []
        for row, drawn in enumerate(noise.unbind(1)):
            pairs = zip(begin, before, strict=True)
            deter, stoch = (torch.where(reset[row], one, other) for one, other in pairs)
            x = self.inward.norm(acted[row] + F.linear(stoch, from_stoch))
            deter = self.gru(x, deter)
            hidden = self.posterior_hidden.norm(seen[row] + F.linear(deter, from_deter))
            posterior = self.folded(self.posterior_out(hidden))
            before = deter, self.latent.sample(posterior, drawn)
            found.append((*before, posterior))
        deter, stoch, posterior = (torch.stack(each, 1) for each in zip(*found, strict=True))
        prior = self.prior(deter)
        return {"deter": deter, "stoch": stoch, "posterior": posterior, "prior": prior}
