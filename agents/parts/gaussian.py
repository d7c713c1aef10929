"""Gaussian latents, and the recurrent model of Dreamer v1 on them.

A state holds what is drawn and what is not: `stoch` with the `mean` and `std` that it was drawn
from, and `deter`, the recurrent units. All of them are float32, whatever products run in.
Source: Hafner et al. 2020, arXiv:1912.01603; danijar/dreamer@56d4d44.
Shapes: N states, B sequences, T rows, S numbers of a latent, D recurrent units, A actions, E
embedding, F = S + D.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from agents.parts import dense, keras_gru

State = dict[str, Tensor]

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class Normal(NamedTuple):
    """A diagonal Gaussian."""

    mean: Float[Tensor, "*N S"]
    std: Float[Tensor, "*N S"]


def normal(raw: Float[Tensor, "*N R"], least: float) -> Normal:
    """Reads a layer's 2 S numbers as a Gaussian, in float32.

    Args:
        raw: means, then standard deviations before softplus.
        least: is added to every standard deviation.
    """
    mean, std = raw.float().chunk(2, -1)
    return Normal(mean, F.softplus(std) + least)


def sample(given: Normal, noise: Float[Tensor, "*#N S"]) -> Float[Tensor, "*N S"]:
    """Returns mean + std * noise, through which gradients reach both."""
    return given.mean + given.std * noise


def divergence(one: Normal, other: Normal) -> Float[Tensor, "*N"]:
    """Returns KL(one || other), summed over a latent's numbers."""
    ratio = (one.std / other.std).square()
    shift = ((one.mean - other.mean) / other.std).square()
    return 0.5 * (ratio + shift - 1 - ratio.log()).sum(-1)


def entropy(given: Normal) -> Float[Tensor, "*N"]:
    """Returns the differential entropy, summed over a latent's numbers."""
    return (given.std.log() + 0.5 + HALF_LOG_TAU).sum(-1)


def free(kl: Float[Tensor, "*N"], nats: float, per_step: bool) -> Float[Tensor, ""]:
    """Returns a divergence below which nothing is gained.

    Args:
        kl: of each step.
        nats: that cost nothing.
        per_step: False, as the TensorFlow 2 program: the larger of the mean and the nats. True, as
            its predecessor: the mean of what each step has above them.
    """
    return (kl - nats).clamp(min=0).mean() if per_step else kl.mean().clamp(min=nats)


def nll(value: Float[Tensor, "*N"], mean: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """Returns the negative log-likelihood of numbers under Gaussians of variance 1."""
    return 0.5 * (value - mean).square() + HALF_LOG_TAU


def features(state: State) -> Float[Tensor, "*N F"]:
    """Returns what heads and policy read of a state."""
    return torch.cat([state["stoch"], state["deter"]], -1)


class RSSM(nn.Module):
    """Advances states by actions, and corrects them by what is seen."""

    def __init__(
        self, stoch: int, deter: int, hidden: int, actions: int, embedding: int, least: float
    ):
        """Builds the layers.

        Args:
            stoch: S.
            deter: D.
            hidden: units of the dense layers.
            actions: A.
            embedding: E.
            least: standard deviation of a latent.
        """
        super().__init__()
        self.stoch, self.deter, self.least = stoch, deter, least
        self.join = dense.linear(stoch + actions, hidden)
        self.cell = keras_gru.Cell(hidden, deter)
        self.expect = dense.MLP(deter, 1, hidden, 2 * stoch)
        self.correct = dense.MLP(deter + embedding, 1, hidden, 2 * stoch)

    def initial(self, count: int) -> State:
        """Returns N states before anything was seen: zeros."""
        sizes = {"mean": self.stoch, "std": self.stoch, "stoch": self.stoch, "deter": self.deter}
        like = self.join.weight
        return {name: like.new_zeros(count, size) for name, size in sizes.items()}

    def advance(self, state: State, action: Float[Tensor, "N A"]) -> Float[Tensor, "N D"]:
        """Returns the recurrent units after an action, one-hot or zero."""
        x = dense.elu(self.join(torch.cat([state["stoch"], action], -1)))
        return self.cell(x, state["deter"])

    def prior(self, deter: Float[Tensor, "*N D"]) -> Normal:
        """Returns what the latent may be, as far as recurrent units tell."""
        return normal(self.expect(deter), self.least)

    def imagine(
        self, state: State, action: Float[Tensor, "N A"], noise: Float[Tensor, "#N S"]
    ) -> State:
        """Returns states after an action, with nothing seen."""
        deter = self.advance(state, action)
        return _drawn(self.prior(deter), deter, noise)

    def observe(
        self,
        state: State,
        action: Float[Tensor, "N A"],
        embedding: Float[Tensor, "N E"],
        noise: Float[Tensor, "#N S"],
    ) -> State:
        """Returns states after an action and what was seen then."""
        deter = self.advance(state, action)
        raw = self.correct(torch.cat([deter, embedding.float()], -1))
        return _drawn(normal(raw, self.least), deter, noise)

    def filter(
        self,
        action: Float[Tensor, "B T A"],
        embedding: Float[Tensor, "B T E"],
        noise: Float[Tensor, "T B S"],
    ) -> State:
        """Filters sequences from the zero state and returns their states (B, T, ...).

        The same as `observe` row by row, its twin. What does not wait for a state is computed for
        all rows at once: the shares of actions and embeddings before the loop, moments after it.

        Args:
            action: that led to each row, one-hot or zero.
            embedding: of each row.
            noise: what the latents are drawn with.
        """
        hidden, out = self.correct.hidden[0], self.correct.out
        of_stoch, of_action = dense.columns(self.join.weight, self.stoch)
        of_deter, of_embedding = dense.columns(hidden.weight, self.deter)
        acted = F.linear(action, of_action, self.join.bias).unbind(1)
        seen = F.linear(embedding, of_embedding, hidden.bias).unbind(1)
        before, found = self.initial(len(action)), []
        stoch, deter = before["stoch"], before["deter"]
        for row, drawn in enumerate(noise):
            deter = self.cell(dense.elu(acted[row] + F.linear(stoch, of_stoch)), deter)
            raw = out(dense.elu(seen[row] + F.linear(deter, of_deter)))
            stoch = sample(normal(raw, self.least), drawn)
            found.append((raw, stoch, deter))
        raw, stoch, deter = (torch.stack(each, 1) for each in zip(*found, strict=True))
        return {**normal(raw, self.least)._asdict(), "stoch": stoch, "deter": deter}


def _drawn(given: Normal, deter: Float[Tensor, "N D"], noise: Float[Tensor, "#N S"]) -> State:
    return {**given._asdict(), "stoch": sample(given, noise), "deter": deter}
