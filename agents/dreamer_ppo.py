"""Dreamer-PPO: PPO on real play, its critic also trained on imagined play.

The encoder's features z are shaped by predicting the next features and the reward; from the
features of real states the policy then plays in that model, and the critic learns the
lambda-returns of what it imagines. The policy is never improved on imagined play.

With z = E(s), d whether s' is terminal, and sg that stops gradients:

    L_transition = mean (1 - d) |T(z, a) - sg E(s')|^2 / D
    L_reward     = mean (R(z, a) - r)^2
    L_continue   = mean BCE(C(sg z, a), 1 - d)
    L_imagined   = mean W_h (V(z_h) - sg Y_h)^2, whose gradient reaches V and nothing else

The continue head is ours. It reads sg z, so that the block `aux` and the default differ in nothing
but the imagined critic.

Source: MaximeSzymanski/PPODreaming ppo_dreaming_atari.py for the idea, the sizes and the scales.
Its imagination has no gradient and starts from unscaled pixels, so this is the algorithm that it
means; what it does instead is in the block `seed`, one switch for each mistake.
Shapes: B streams, R rows, N transitions of a minibatch, D features, L imagined steps.
"""

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from agents import base
from agents.parts import imagination, ppo, returns
from suites.records import Record

__all__ = ["Agent", "Config"]

Weights = list[tuple[Tensor, Tensor]]
Terms = dict[str, Tensor]


class Quirks(Record):
    """What the published program does differently, each on its own switch."""

    own_bootstrap: bool  # the last step of a rollout is followed by its own value
    one_order: bool  # all epochs of a rollout see the same minibatches
    normalise_twice: bool  # advantages over the rollout, then over the minibatch
    raw_pixels: bool  # next features and imagination's start are of pixels in 0..255
    target_gradient: bool  # the next features are trained to be easy to predict
    teleport: bool  # a terminal is followed by the next life's first image; nothing is masked
    late_reward: bool  # imagination asks for the reward of (z_{h+1}, a_h)
    late_value: bool  # V(z_{h+1}) is compared with the return of z_h
    inert: bool  # L_imagined has no gradient at all


class Config(ppo.Config):
    """What each number means; dreamer_ppo.yaml holds the values and their sources."""

    transition_scale: float = Field(ge=0)  # 0 leaves a term out
    reward_scale: float = Field(ge=0)
    continue_scale: float = Field(ge=0)  # 0: imagined episodes do not end
    imagined_scale: float = Field(ge=0)
    model_units: PositiveInt  # hidden layer of reward and continue head
    model_gain: PositiveFloat  # of the orthogonal initialisation of the model's outputs
    warmup: float = Field(gt=0, le=1)  # share of the budget in which these terms grow to full size
    imagine_above: float = Field(ge=0, lt=1)  # share of that size above which imagination runs
    horizon: PositiveInt  # imagined agent steps
    imagined_lam: float = Field(ge=0, le=1)  # of imagined returns; 1 sums all rewards
    quirks: Quirks


class Agent(ppo.PPO):
    """PPO with a world model in its features; one call of `train` is one minibatch."""

    config: Config

    def __init__(
        self,
        obs_space: spaces.Dict,
        act_space: spaces.Discrete,
        config: Config,
        seed: int,
        device: str,
    ):
        """Builds PPO's networks, then the model, from the seed."""
        if config.imagined_scale and not (config.transition_scale and config.reward_scale):
            raise ValueError(
                "imagined_scale: imagination plays in a model that is learnt; transition_scale "
                "and reward_scale must be above 0, or imagined_scale 0."
            )
        super().__init__(obs_space, act_space, config, seed, device)
        # A stream of its own: imagination leaves the order of the minibatches as it is.
        stream = np.random.SeedSequence([seed, 1]).generate_state(1, np.uint32)
        self.dreams = torch.Generator().manual_seed(int(stream[0]))

    def build(self, shape: tuple[int, int, int]) -> dict[str, nn.Module]:
        """Returns the networks by name; PPO's come first, with the numbers that PPO has."""
        c, networks = self.config, super().build(shape)
        self.model = imagination.Model(c.features, self.actions, c.model_units, c.model_gain)
        return networks | {"model": self.model}

    # Schedule

    def warmth(self, progress: float) -> float:
        """Returns the share of their full size that the model's terms have."""
        return min(1.0, progress / self.config.warmup)

    def imagines(self, progress: float) -> bool:
        """Tells whether the critic learns from imagined play now."""
        c = self.config
        due = c.imagined_scale > 0 and self.warmth(progress) > c.imagine_above
        # Without a gradient it is a number for the log, and once a rollout is enough.
        return due and not (c.quirks.inert and self.position)

    def scales(self, progress: float) -> dict[str, float]:
        """Returns the weight of each term of the loss."""
        c, warmth = self.config, self.warmth(progress)
        return super().scales(progress) | {
            "transition": warmth * c.transition_scale,
            "reward": warmth * c.reward_scale,
            "continue": warmth * c.continue_scale,
            "imagined": warmth * c.imagined_scale,
        }

    # Losses

    def losses(self, data: Terms, index: Int[Tensor, " N"], progress: float) -> tuple[Terms, Terms]:
        """Returns PPO's terms and the model's, and diagnostics."""
        weights = self.encoder.weights(self.dtype)
        latent = self.encoder(ppo.pick(data["image"], index), weights)
        losses, metrics = self.ppo_losses(data, index, latent)
        if self.config.transition_scale:  # Its target moves with the features: watch their size.
            metrics["train/latent"] = latent.detach().square().mean().sqrt()
        losses |= self.model_losses(data, index, latent, weights)
        if self.imagines(progress):
            start = self.start(data, index, latent, weights)
            losses["imagined"], metrics["train/imagined_return"] = self.imagined_loss(start)
        return losses, metrics

    def model_losses(
        self, data: Terms, index: Int[Tensor, " N"], latent: Float[Tensor, "N D"], weights: Weights
    ) -> Terms:
        """Returns the terms that train the model and, but for the continue head, the encoder."""
        c, losses = self.config, {}
        joint = imagination.join(latent, ppo.pick(data["action"], index), self.actions)
        alive = (~ppo.pick(data["is_terminal"], index, 1)).float()
        if c.transition_scale:
            error = self.model.transition(joint) - self.following(data, index, weights)
            error = error.square().mean(-1)
            losses["transition"] = (error if c.quirks.teleport else alive * error).mean()
        if c.reward_scale:
            error = self.model.reward(joint)[:, 0] - ppo.pick(data["reward"], index, 1)
            losses["reward"] = error.square().mean()
        if c.continue_scale:
            logit = self.model.proceed(joint.detach())[:, 0]
            losses["continue"] = F.binary_cross_entropy_with_logits(logit, alive)
        return losses

    def following(
        self, data: Terms, index: Int[Tensor, " N"], weights: Weights
    ) -> Float[Tensor, "N D"]:
        """Returns the features of the observations that the transitions lead to."""
        quirks, ahead = self.config.quirks, 1
        if quirks.teleport:
            length = data["image"].shape[1] - 1
            inside = index % length < length - 1
            ahead = 1 + (ppo.pick(data["is_last"], index, 1) & inside).long()
        image = ppo.pick(data["image"], index, ahead)
        with torch.set_grad_enabled(quirks.target_gradient and torch.is_grad_enabled()):
            return self.encoder(image, unscaled(weights) if quirks.raw_pixels else weights)

    @torch.no_grad()
    def start(
        self, data: Terms, index: Int[Tensor, " N"], latent: Float[Tensor, "N D"], weights: Weights
    ) -> Float[Tensor, "N D"]:
        """Returns the features from which imagination starts."""
        if not self.config.quirks.raw_pixels:
            return latent.detach()
        return self.encoder(ppo.pick(data["image"], index), unscaled(weights))

    def imagined_loss(self, start: Float[Tensor, "N D"]) -> tuple[Tensor, Tensor]:
        """Returns the critic's error on imagined play, and the mean imagined return."""
        c, quirks = self.config, self.config.quirks
        shape = (c.horizon, len(start), 1)
        uniform = torch.rand(shape, generator=self.dreams, dtype=torch.float64)
        # Nothing here has a gradient, so its weights are cast once and lose nothing.
        with torch.autocast(self.device.type, self.dtype, self.dtype != torch.float32):
            play = imagination.imagine(self.model, self.actor, start, uniform.to(self.device))
            reward, alive = self.judge(play)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not quirks.inert):
            value = self.critic(play.latent)[..., 0]
        fixed = value.detach()
        target = returns.lambda_return(reward, c.discount * alive, fixed, c.imagined_lam)
        guess = value[1:] if quirks.late_value else value[:-1]
        loss = (returns.weights(alive) * (guess - target).square()).mean()
        mean = target.mean()
        if quirks.inert:  # A linear map may overflow in 128 steps, and it is only for the log.
            largest = torch.finfo(loss.dtype).max
            loss, mean = loss.nan_to_num(largest), mean.nan_to_num(largest)
        return loss, mean

    @torch.no_grad()
    def judge(self, play: imagination.Play) -> tuple[Float[Tensor, "L N"], Float[Tensor, "L N"]]:
        """Returns the rewards of imagined play and the probabilities that it goes on."""
        reward = self.model.reward(play.asked(self.config.quirks.late_reward))[..., 0].float()
        if not self.config.continue_scale:
            return reward, torch.ones_like(reward)
        return reward, self.model.proceed(play.asked(False))[..., 0].float().sigmoid()

    # What the published program does to PPO

    @torch.no_grad()
    def begin(self, data: Terms) -> None:
        """Computes advantages, normalised here if so configured; their returns are not."""
        super().begin(data)
        if self.config.quirks.normalise_twice:
            valid = self.rollout["valid"]
            standard = ppo.standardise(self.rollout["advantage"][valid])
            self.rollout["advantage"] = self.rollout["advantage"].index_copy(0, valid, standard)

    def advantage(self, data: Terms, value: Float[Tensor, "B R"]) -> Float[Tensor, "B R-1"]:
        """Returns the advantages of a rollout."""
        if self.config.quirks.own_bootstrap:
            value = torch.cat([value[:, :-1], value[:, -2:-1]], 1)
        return super().advantage(data, value)

    def shuffle(self) -> None:
        """Draws the order of an epoch, or of all epochs of a rollout."""
        if self.position == 0 or not self.config.quirks.one_order:
            super().shuffle()

    # State

    def save(self) -> base.Tree:
        """Returns everything, imagination's random state included."""
        return super().save() | {"dreams": self.dreams.get_state().numpy()}

    def load(self, state: base.Tree) -> None:
        """Goes back to a saved state."""
        super().load(state)
        self.dreams.set_state(torch.from_numpy(state["dreams"].copy()))


def unscaled(weights: Weights) -> Weights:
    """Returns an encoder's weights that take pixels as they are, in 0..255."""
    (kernel, bias), *rest = weights
    return [(kernel * 255, bias), *rest]
