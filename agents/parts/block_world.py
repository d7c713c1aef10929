"""Dreamer v3 on rows that were played: filters them, and says how wrong the model was.

Source: danijar/dreamerv3@e3f0224.
Shapes: B sequences, T rows, H W C image, E embedding, D memory, V latents, K classes, F features.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Integer
from torch import Tensor, nn

from agents.parts import block_scan, norms, twohot, unimix

Data = dict[str, Tensor]


@runtime_checkable
class Settings(Protocol):
    """What the world model needs of an agent's settings."""

    discount_horizon: float
    free_nats: float


class Seen(NamedTuple):
    """What rows were filtered to."""

    tokens: Float[Tensor, "B T E"]
    states: block_scan.Observed
    feature: Float[Tensor, "B T F"]  # memory, then latents; gradients flow


class World:
    """The world model's side of an update."""

    def __init__(
        self, settings: Settings, networks: Mapping[str, nn.Module], kind: torch.dtype, bins: Tensor
    ):
        """Remembers.

        Args:
            settings: of the agent.
            networks: encoder, model, decoder, reward, proceed.
            kind: of all products.
            bins: of rewards.
        """
        self.settings, self.networks, self.kind, self.bins = settings, networks, kind, bins

    def filter(
        self,
        rows: Data,
        action: Int[Tensor, "B T"],
        deter: Float[Tensor, "B D"],
        index: Integer[Tensor, "B V"],
        draw: block_scan.Draw,
    ) -> Seen:
        """Filters rows.

        Args:
            rows: image and is_first.
            action: that led to each row.
            deter: memory before the first.
            index: latents before the first.
            draw: draws the latents of a row.
        """
        model, first = self.networks["model"], rows["is_first"]
        tokens = self.networks["encoder"](norms.centred(rows["image"].flatten(0, 1), self.kind))
        tokens = tokens.unflatten(0, first.shape)
        taken = F.one_hot(action.long(), model.actions).to(self.kind)
        states = block_scan.observe(model, deter.to(self.kind), index, taken, tokens, first, draw)
        stoch = unimix.straight_through(states.probs, states.index, self.kind)
        return Seen(tokens, states, torch.cat([states.deter, stoch], -1))

    def losses(self, rows: Data, seen: Seen) -> tuple[Data, Data]:
        """Returns the terms that train the world model, (B, T) each, and diagnostics."""
        nets, free, shape = self.networks, self.settings.free_nats, seen.tokens.shape[:2]
        discount = 1 - 1 / self.settings.discount_horizon
        flat, size = seen.feature.flatten(0, 1), seen.states.deter.shape[-1]
        image = nets["decoder"](flat[:, :size], flat[:, size:])
        error = norms.image_error(image, rows["image"].flatten(0, 1))
        prior = unimix.mixed(nets["model"].prior_logits(seen.states.deter))
        posterior = seen.states.probs
        dynamics = unimix.divergence(posterior.detach(), prior)
        representation = unimix.divergence(posterior, prior.detach())
        reward, proceed = nets["reward"](seen.feature), nets["proceed"](seen.feature)[..., 0]
        alive = discount * (~rows["is_terminal"]).float()
        losses = {
            "image": error.view(shape),
            "reward": twohot.cross_entropy(reward, self.bins, rows["reward"]),
            "continue": F.binary_cross_entropy_with_logits(
                proceed.float(), alive, reduction="none"
            ),
            "dynamics": dynamics.clamp(min=free),
            "representation": representation.clamp(min=free),
        }
        metrics = {
            "train/divergence": dynamics.detach().mean(),
            "train/prior_entropy": unimix.entropy(prior.detach()).mean(),
            "train/posterior_entropy": unimix.entropy(posterior.detach()).mean(),
        }
        return losses, metrics
