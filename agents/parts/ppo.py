"""Proximal policy optimisation on real rollouts, in pieces that its descendants replace.

Source: Schulman et al. 2017, arXiv:1707.06347; details of the accepted Atari recipe as listed by
Huang et al. 2022, "The 37 implementation details of proximal policy optimization".
Shapes: B streams, R rows, R - 1 transitions, N transitions of a minibatch, H W C image, A actions,
D features.
"""

from typing import Literal

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float, Int, Shaped
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from agents import base
from agents.parts import draws, images, returns, torch_agent


class Config(base.Config):
    """What PPO needs to know; each agent's YAML holds values and sources."""

    learning_rate: PositiveFloat  # at the start; falls linearly to 0 over the budget
    adam_eps: PositiveFloat
    discount: float = Field(ge=0, le=1)  # per agent step
    lam: float = Field(ge=0, le=1)  # of generalised advantages
    clip: PositiveFloat  # of the probability ratio, and of the value's change
    clip_value: bool  # whether the value's change is clipped
    value_scale: float = Field(ge=0)
    entropy_scale: float = Field(ge=0)  # per nat
    max_grad_norm: PositiveFloat  # of all gradients together
    features: PositiveInt  # after the encoder
    feature_relu: bool  # whether the features go through a ReLU
    actor_gain: PositiveFloat  # of the policy head's orthogonal initialisation
    critic_gain: PositiveFloat
    precision: Literal["float32", "bfloat16", "auto"]  # of the encoder; auto: bf16 where it is fast


class PPO(torch_agent.TorchAgent):
    """Actor and critic on one encoder; one call of `train` is one minibatch.

    A rollout owes epochs x minibatches updates; the advantages, the order and the position in it
    are state, so that a run can stop and resume between any two of them.
    """

    config: Config

    def __init__(
        self,
        obs_space: spaces.Dict,
        act_space: spaces.Discrete,
        config: Config,
        seed: int,
        device: str,
    ):
        """Builds encoder, heads and optimiser from the seed."""
        super().__init__(config, seed, device)
        if config.training.sampling != "fresh":
            raise ValueError(
                "training.sampling: PPO learns on-policy and takes 'fresh', "
                f"not {config.training.sampling!r}."
            )
        self.actions = int(act_space.n)
        self.dtype = torch_agent.precision(config.precision, self.device)
        with torch_agent.seeded(seed):
            self.parts = self.build(obs_space["image"].shape)
        for part in self.parts.values():
            part.to(self.device)
        params = [p for part in self.parts.values() for p in part.parameters()]
        # One kernel for all tensors; on the CPU it is three times faster than the loop.
        self.opt = torch.optim.Adam(params, config.learning_rate, eps=config.adam_eps, fused=True)
        self.params, self.parts = params, self.parts | {"opt": self.opt}
        self.position = 0  # Update within the rollout.
        self.rollout: dict[str, Tensor] = {}  # What `begin` computes once a rollout.
        self.data: base.Rows | None = None
        self.cast: list | None = None

    def build(self, shape: tuple[int, int, int]) -> dict[str, nn.Module]:
        """Returns the networks by name; called with torch's generator seeded."""
        c = self.config
        self.encoder = images.Encoder(shape, c.features, c.feature_relu)
        self.actor = images.orthogonal(nn.Linear(c.features, self.actions), c.actor_gain)
        self.critic = images.orthogonal(nn.Linear(c.features, 1), c.critic_gain)
        return {"encoder": self.encoder, "actor": self.actor, "critic": self.critic}

    # Acting

    @torch.no_grad()
    def policy(
        self, carry: base.Carry, obs: base.Rows, mode: base.Mode, rng: np.random.Generator
    ) -> tuple[base.Carry, np.ndarray, base.Rows]:
        """Answers a row, with what training needs to know of the answer if it learns from it."""
        features = self.encoder(self.tensor(obs["image"]), self.acting())
        logp = self.actor(features).log_softmax(-1)
        if mode == "greedy":
            return carry, logp.argmax(-1).cpu().numpy(), {}
        action = draws.draw(logp, rng)
        if mode == "random":
            action = self.tensor(rng.integers(self.actions, size=len(logp)))
        if mode == "sampled":
            return carry, action.cpu().numpy(), {}
        chosen = logp.gather(-1, action[:, None])[:, 0]
        extra = {"logp": chosen.cpu().numpy(), "value": self.critic(features)[:, 0].cpu().numpy()}
        return carry, action.cpu().numpy(), extra

    def acting(self) -> list[tuple[Tensor, Tensor]]:
        """Returns the encoder's weights as of the last update, cast once."""
        if self.cast is None:
            with torch.no_grad():
                self.cast = self.encoder.weights(self.dtype)
        return self.cast

    # Learning

    def train(
        self, carry: base.Carry, batch: base.Rows, progress: float
    ) -> tuple[base.Carry, base.Rows]:
        """Takes one step on the next minibatch of the rollout."""
        if self.data is None:
            self.data = {name: self.tensor(array) for name, array in batch.items()}
        if self.position == 0:
            self.begin(self.data)
        index = self.minibatch()
        losses, metrics = self.losses(self.data, index, progress)
        scales = self.scales(progress)
        norm = self.descend(sum(scales[name] * loss for name, loss in losses.items()), progress)
        metrics |= {f"loss/{name}": loss for name, loss in losses.items()}
        rate = torch.tensor(self.opt.param_groups[0]["lr"])
        self.accumulate(metrics | {"train/grad_norm": norm, "train/learning_rate": rate})
        self.position += 1
        if self.position == self.config.training.epochs * self.config.training.minibatches:
            self.position, self.rollout, self.data = 0, {}, None
        return carry, {}

    def descend(self, loss: Tensor, progress: float) -> Tensor:
        """Steps the optimiser and returns the norm of the gradients before clipping."""
        for group in self.opt.param_groups:
            group["lr"] = self.config.learning_rate * (1 - progress)
        self.opt.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.params, self.config.max_grad_norm)
        self.opt.step()
        self.cast = None
        return norm

    @torch.no_grad()
    def begin(self, data: dict[str, Tensor]) -> None:
        """Computes advantages and the order of the first epoch."""
        final = self.critic(self.encoder(data["image"][:, -1], self.acting()))
        value = torch.cat([data["value"][:, :-1], final], 1)
        advantage = self.advantage(data, value)
        # The action of an episode's last row went nowhere: the next row is a reset.
        valid = (~data["is_last"][:, :-1]).flatten().nonzero()[:, 0]
        target = advantage + value[:, :-1]
        self.rollout = {
            "advantage": advantage.flatten(),
            "target": target.flatten(),
            "value": value[:, :-1].flatten(),
            "valid": valid,
        }
        good = self.rollout["target"][valid]
        unexplained = (good - self.rollout["value"][valid]).var() / good.var().clamp(min=1e-8)
        self.accumulate({"train/explained_variance": 1 - unexplained})

    def advantage(
        self, data: dict[str, Tensor], value: Float[Tensor, "B R"]
    ) -> Float[Tensor, "B R-1"]:
        """Returns the advantages of a rollout."""
        c = self.config
        return returns.gae(
            data["reward"], value, data["is_terminal"], data["is_last"], c.discount, c.lam
        )

    def minibatch(self) -> Int[Tensor, " N"]:
        """Returns the transitions of the next update; every epoch has an order of its own."""
        count = self.config.training.minibatches
        if self.position % count == 0:
            self.shuffle()
        return self.rollout["order"].tensor_split(count)[self.position % count]

    def shuffle(self) -> None:
        """Draws the order of an epoch."""
        valid = self.rollout["valid"]
        order = torch.randperm(len(valid), generator=self.generator)
        self.rollout["order"] = valid[order.to(valid.device)]

    def scales(self, progress: float) -> dict[str, float]:
        """Returns the weight of each term of the loss."""
        c = self.config
        return {"policy": 1.0, "value": c.value_scale, "entropy": c.entropy_scale}

    def losses(
        self, data: dict[str, Tensor], index: Int[Tensor, " N"], progress: float
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Returns the terms of the loss before they are scaled, and diagnostics."""
        features = self.encoder(pick(data["image"], index), self.encoder.weights(self.dtype))
        return self.ppo_losses(data, index, features)

    def ppo_losses(
        self, data: dict[str, Tensor], index: Int[Tensor, " N"], features: Float[Tensor, "N D"]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Returns policy, value and entropy terms."""
        c = self.config
        logp = self.actor(features).log_softmax(-1)
        value = self.critic(features)[:, 0]
        chosen = logp.gather(-1, pick(data["action"], index)[:, None])[:, 0]
        log_ratio = chosen - pick(data["logp"], index)
        ratio = log_ratio.exp()
        advantage = standardise(self.rollout["advantage"][index])
        entropy = -(logp.exp() * logp).sum(-1).mean()
        losses = {
            "policy": surrogate(ratio, advantage, c.clip),
            "value": self.value_loss(value, index),
            "entropy": -entropy,
        }
        metrics = {
            "train/entropy": entropy,
            "train/value": value.mean(),
            "train/kl": (ratio - 1 - log_ratio).mean(),
            "train/clip_fraction": ((ratio - 1).abs() > c.clip).float().mean(),
        }
        return losses, metrics

    def value_loss(self, value: Float[Tensor, " N"], index: Int[Tensor, " N"]) -> Tensor:
        """Returns half the squared error, the change of the value clipped if so configured."""
        target, before = self.rollout["target"][index], self.rollout["value"][index]
        loss = (value - target).square()
        if self.config.clip_value:
            change = (value - before).clamp(-self.config.clip, self.config.clip)
            loss = torch.maximum(loss, (before + change - target).square())
        return loss.mean() / 2

    # State

    def save(self) -> base.Tree:
        """Returns everything, the position within a rollout included."""
        rollout = torch_agent.to_tree(self.rollout)
        return super().save() | {"position": self.position, "rollout": rollout}

    def load(self, state: base.Tree) -> None:
        """Goes back to a saved state."""
        super().load(state)
        self.position, self.data, self.cast = state["position"], None, None
        self.rollout = {k: self.tensor(v.copy()) for k, v in state["rollout"].items()}


def pick(
    rows: Shaped[Tensor, "B R ..."], index: Int[Tensor, " N"], ahead: int | Tensor = 0
) -> Shaped[Tensor, "N ..."]:
    """Returns rows, or those that come `ahead` later, by index into (B, R - 1) transitions."""
    width = rows.shape[1] - 1
    stream = torch.div(index, width, rounding_mode="floor")
    return rows.flatten(0, 1).index_select(0, index + stream + ahead)


def standardise(x: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Returns mean 0 and standard deviation 1; one number alone becomes 0."""
    return (x - x.mean()) / (x.std(correction=min(1, len(x) - 1)) + 1e-8)


def surrogate(
    ratio: Float[Tensor, " N"], advantage: Float[Tensor, " N"], clip: float
) -> Float[Tensor, ""]:
    """Returns the clipped objective, negated: PPO's equation 7."""
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantage, clipped * advantage).mean()
