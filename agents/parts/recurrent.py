"""The recurrent state-space model of Dreamer v2: a GRU with layer norm, prior and posterior.

A state holds `deter`, the memory, and `stoch`, the latent in one row. The posterior sees the
embedding, the prior does not; both share the memory.
Source: Hafner et al. 2021, arXiv:2010.02193, equation 1; danijar/dreamerv2@07d906e.
Shapes: N states, B streams, T rows, E embedding, A actions, D memory, S latent, P its parameters.
"""

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from agents.parts import categorical, dense, gaussian
from agents.parts.world import State

NORM_EPS = 1e-3
UPDATE_BIAS = -1.0  # The gate begins mostly shut: the memory is kept.
LEAST_STD = 0.1

Kind = Literal["categorical", "gaussian"]


@runtime_checkable
class Latent(Protocol):
    """What a model wants of the distribution of its latents."""

    size: int  # S, numbers of a draw
    parameters: int  # P, numbers that describe the distribution

    def noise(self, generator: torch.Generator, *shape: int) -> Tensor:
        """Returns what draws are made with."""

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Returns draws (..., S) through which gradients flow."""

    def kl(self, one: Tensor, other: Tensor) -> Tensor:
        """Returns KL(one || other)."""

    def entropy(self, parameters: Tensor) -> Tensor:
        """Returns the entropy in nats."""


class NormGRU(nn.Module):
    """A gated recurrent unit with one layer norm over all its gates.

    r, c, u = LN(W [x, h] + b);  h' = u tanh(sigmoid(r) c) + (1 - u) h,  u = sigmoid(u - 1)
    """

    def __init__(self, inputs: int, size: int):
        """Builds the layers.

        Args:
            inputs: numbers of x.
            size: D.
        """
        super().__init__()
        self.linear = dense.linear(inputs + size, 3 * size)
        self.norm = nn.LayerNorm(3 * size, NORM_EPS)

    def forward(self, x: Float[Tensor, "N I"], h: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Returns the next memory, float32."""
        reset, candidate, update = self.norm(self.linear(torch.cat([x, h], -1)).float()).chunk(
            3, -1
        )
        update = (update + UPDATE_BIAS).sigmoid()
        return torch.lerp(h.float(), (reset.sigmoid() * candidate).tanh(), update)


class RSSM(nn.Module):
    """Memory, prior and posterior."""

    def __init__(self, latent: Latent, actions: int, embedding: int, deter: int, hidden: int):
        """Builds the layers.

        Args:
            latent: the distribution of the latents.
            actions: A.
            embedding: E.
            deter: D.
            hidden: units of the layers between.
        """
        super().__init__()
        self.latent, self.deter, self.features = latent, deter, latent.size + deter
        self.inward = dense.linear(latent.size + actions, hidden)
        self.gru = NormGRU(hidden, deter)
        self.prior_hidden = dense.linear(deter, hidden)
        self.prior_out = dense.linear(hidden, latent.parameters)
        self.posterior_hidden = dense.linear(deter + embedding, hidden)
        self.posterior_out = dense.linear(hidden, latent.parameters)

    def initial(self, count: int) -> State:
        """Returns N states of zeros."""
        like = self.prior_out.bias
        return {
            "deter": like.new_zeros(count, self.deter),
            "stoch": like.new_zeros(count, self.latent.size),
        }

    def feature(self, state: State) -> Float[Tensor, "*N F"]:
        """Returns what the heads see of a state: latent, then memory."""
        return torch.cat([state["stoch"], state["deter"]], -1)

    def prior(self, deter: Float[Tensor, "*N D"]) -> Float[Tensor, "*N P"]:
        """Returns the distribution of latents with nothing seen."""
        return self.prior_out(dense.elu(self.prior_hidden(deter))).float()

    def imagine(self, state: State, action: Float[Tensor, "N A"], noise: Tensor) -> State:
        """Returns states after an action, with nothing seen, and their `prior`."""
        x = dense.elu(self.inward(torch.cat([state["stoch"], action], -1)))
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

        Where a row begins an episode, the state and the action that lead to it become zero. What
        does not wait for the state is computed for all rows at once: the shares of actions and
        embeddings before the loop, the prior after it.

        Args:
            state: before the first row.
            action: that led to each row, one-hot.
            embedding: of each row.
            first: whether a row begins an episode.
            noise: what latents are drawn with.
        """
        from_stoch, from_action = dense.columns(self.inward.weight, self.latent.size)
        from_deter, from_embedding = dense.columns(self.posterior_hidden.weight, self.deter)
        keep = (~first).float()[..., None]
        acted = F.linear(action * keep, from_action, self.inward.bias).unbind(1)
        seen = F.linear(embedding, from_embedding, self.posterior_hidden.bias).unbind(1)
        deter, stoch, found = state["deter"], state["stoch"], []
        for row, (kept, drawn) in enumerate(zip(keep.unbind(1), noise.unbind(1), strict=True)):
            x = dense.elu(acted[row] + F.linear(stoch * kept, from_stoch))
            deter = self.gru(x, deter * kept)
            hidden = dense.elu(seen[row] + F.linear(deter, from_deter))
            posterior = self.posterior_out(hidden).float()
            stoch = self.latent.sample(posterior, drawn)
            found.append((deter, stoch, posterior))
        names = ("deter", "stoch", "posterior")
        states = {
            name: torch.stack(each, 1)
            for name, each in zip(names, zip(*found, strict=True), strict=True)
        }
        return states | {"prior": self.prior(states["deter"])}


def balanced(
    kl: Callable[[Tensor, Tensor], Tensor],
    posterior: Float[Tensor, "*N P"],
    prior: Float[Tensor, "*N P"],
    balance: float,
    free: float,
    forward: bool,
    free_of_mean: bool,
) -> tuple[Float[Tensor, ""], Float[Tensor, "*N"]]:
    """Returns the divergence that is minimised, and the plain one of each row.

    Its two copies have the same value; one trains the prior, the other the posterior.

    Args:
        kl: of two distributions.
        posterior: parameters of what was seen.
        prior: parameters of what was foreseen.
        balance: share of the copy that trains the prior; 0.5: one copy that trains both alike.
        free: nats below which nothing is trained.
        forward: KL(prior || posterior) instead of KL(posterior || prior).
        free_of_mean: whether the mean may be below, or each row; each row where balance is 0.5.
    """
    one, other = (prior, posterior) if forward else (posterior, prior)
    value = kl(one, other)
    if balance == 0.5:
        return value.clamp(min=free).mean(), value
    first = kl(one, other.detach())
    second = kl(one.detach(), other)
    mix = balance if forward else 1 - balance
    terms = [term.mean() if free_of_mean else term for term in (first, second)]
    first, second = (term.clamp(min=free).mean() for term in terms)
    return mix * first + (1 - mix) * second, value.detach()


class Gaussian:
    """Dreamer v2's other latent: V numbers with means and standard deviations of their own."""

    def __init__(self, variables: int):
        """Says how many there are; `size` is of a draw, `parameters` of what describes it."""
        self.size, self.parameters = variables, 2 * variables

    def noise(self, generator: torch.Generator, *shape: int) -> Float[Tensor, "*N S"]:
        """Returns what draws are made with, on the CPU."""
        return torch.randn(*shape, self.size, generator=generator)

    def normal(self, parameters: Float[Tensor, "*N P"]) -> gaussian.Normal:
        """Returns means and standard deviations, which lie between 0.1 and 2.1."""
        mean, raw = parameters.float().chunk(2, -1)
        return gaussian.Normal(mean, 2 * (raw / 2).sigmoid() + LEAST_STD)

    def sample(
        self, parameters: Float[Tensor, "*N P"], noise: Float[Tensor, "*N S"]
    ) -> Float[Tensor, "*N S"]:
        """Returns draws through which gradients flow."""
        return gaussian.sample(self.normal(parameters), noise)

    def kl(self, one: Float[Tensor, "*N P"], other: Float[Tensor, "*N P"]) -> Float[Tensor, "*N"]:
        """Returns KL(one || other), summed over numbers."""
        return gaussian.divergence(self.normal(one), self.normal(other))

    def entropy(self, parameters: Float[Tensor, "*N P"]) -> Float[Tensor, "*N"]:
        """Returns the entropy in nats, summed over numbers."""
        return gaussian.entropy(self.normal(parameters))


def distribution(kind: Kind, variables: int, classes: int) -> Latent:
    """Returns the distribution of latents: groups of classes, or as many plain numbers."""
    if kind == "gaussian":
        return Gaussian(variables)
    return categorical.Categorical(variables, classes)
