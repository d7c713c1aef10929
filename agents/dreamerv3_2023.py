"""DreamerV3 as first published, in January 2023: an algorithm of its own, with numbers of its own.

An update trains the world model on windows of rows. Then actor and critic learn from what the
updated model imagines from the states that were filtered before it was updated.

Source: danijar/dreamerv3@8fa35f8; Hafner et al. 2023, arXiv:2301.04104v1, "Mastering diverse
domains through world models".
Shapes: B sequences, T rows, N = B T starts, L imagined steps, H W C image, A actions, F features,
D memory, V latents, K classes.
"""

import copy
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int, UInt8
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from agents import base
from agents.parts import (
    behaviour,
    captured,
    categorical,
    layer_rssm,
    layered,
    padded,
    percentiles,
    plain_adam,
    strided,
    symlog_behaviour,
    symlog_twohot,
    torch_agent,
    twohot,
    world,
)
from agents.parts.behaviour import Noise

__all__ = ["Agent", "Config"]

MODEL = ("encoder", "rssm", "decoder", "reward", "proceed")
State = world.State
Data = dict[str, Tensor]


class Config(base.Config):
    """What each number means; dreamerv3_2023.yaml holds the values and their sources."""

    deter: PositiveInt  # numbers of the memory
    units: PositiveInt  # of every layer between, in the model and in the heads
    depth: PositiveInt  # of the image networks; channels are multiples of it
    layers: PositiveInt  # hidden ones of every head
    latents: PositiveInt
    classes: PositiveInt  # of each latent
    actor_scale: float = Field(ge=0)  # of the actor's initial output layer
    discount_horizon: float = Field(gt=1)  # agent steps; the discount is 1 - 1 / horizon
    lam: float = Field(ge=0, le=1)  # 0 is one step, 1 is the whole imagined play
    horizon: PositiveInt  # imagined agent steps
    free_nats: float = Field(ge=0)  # of each row, after latents are summed
    dynamics_scale: float = Field(ge=0)
    representation_scale: float = Field(ge=0)
    image_scale: float = Field(ge=0)
    reward_scale: float = Field(ge=0)
    continue_scale: float = Field(ge=0)
    entropy_scale: float = Field(ge=0)  # per nat
    slow_scale: float = Field(ge=0)  # of the critic's pull towards its slow copy
    slow_rate: float = Field(gt=0, le=1)  # of the slow copy, each update
    return_rate: float = Field(gt=0, le=1)  # of the percentiles of returns, each update
    return_limit: PositiveFloat  # least scale of returns
    model_rate: PositiveFloat
    model_eps: PositiveFloat
    model_clip: PositiveFloat  # of the norm of all the model's gradients
    actor_rate: PositiveFloat
    actor_eps: PositiveFloat
    actor_clip: PositiveFloat
    critic_rate: PositiveFloat
    critic_eps: PositiveFloat
    critic_clip: PositiveFloat
    precision: Literal["float32", "bfloat16", "auto"]  # of products; auto: bf16 where it is fast

    @property
    def discount(self) -> float:
        """Returns the discount of an agent step."""
        return 1 - 1 / self.discount_horizon


class Agent(world.WorldAgent):
    """World model, actor, critic and a slow copy of the critic; three optimisers."""

    config: Config

    def __init__(
        self,
        obs_space: spaces.Dict,
        act_space: spaces.Discrete,
        config: Config,
        seed: int,
        device: str,
    ):
        """Builds networks and optimisers from the seed.

        Raises:
            ValueError: the images or the training are not what the algorithm takes.
        """
        super().__init__(config, seed, device)
        require_windows(config.training)
        self.actions = int(act_space.n)
        self.dtype = torch_agent.precision(config.precision, self.device)
        self.latent = categorical.Categorical(config.latents, config.classes)
        self.bins = symlog_twohot.bins(self.device)
        with torch_agent.seeded(seed):
            modules = self.build(obs_space["image"].shape)
        for module in modules.values():
            module.to(self.device)
        self.model_opt = self.optimiser("model", *(modules[name] for name in MODEL))
        self.actor_opt = self.optimiser("actor", self.actor)
        self.critic_opt = self.optimiser("critic", self.critic)
        scale = percentiles.Percentiles(config.return_rate, config.return_limit)
        self.scale = scale.to(self.device)
        names = ("model_opt", "actor_opt", "critic_opt", "scale")
        self.parts = modules | {name: getattr(self, name) for name in names}
        self.recorded = captured.Captured(self.step, self.device)

    def build(self, shape: tuple[int, int, int]) -> dict[str, nn.Module]:
        """Returns the networks by name; called with torch's generator seeded."""
        c = self.config
        self.encoder = padded.Encoder(shape, c.depth)
        self.rssm = layer_rssm.LayerRSSM(
            self.latent, self.actions, self.encoder.size, c.deter, c.units
        )
        wide = self.rssm.features
        self.decoder = padded.Decoder(wide, shape, c.depth)
        self.reward = layered.MLP(wide, c.layers, c.units, twohot.COUNT, 0.0)
        self.proceed = layered.MLP(wide, c.layers, c.units, 1, 1.0)
        self.actor = symlog_behaviour.Actor(wide, c.layers, c.units, self.actions, c.actor_scale)
        self.critic = layered.MLP(wide, c.layers, c.units, twohot.COUNT, 0.0)
        self.slow = copy.deepcopy(self.critic).requires_grad_(False)
        return {name: getattr(self, name) for name in (*MODEL, "actor", "critic", "slow")}

    def optimiser(self, name: str, *modules: nn.Module) -> plain_adam.PlainAdam:
        """Returns the optimiser of some networks, which exist on their device by now."""
        rate, eps, clip = (getattr(self.config, f"{name}_{key}") for key in ("rate", "eps", "clip"))
        params = [param for module in modules for param in module.parameters()]
        return plain_adam.PlainAdam(params, rate, eps, clip)

    # Acting and showing

    def initial(self, count: int) -> State:
        """Returns N states before anything was seen: what the model learnt of beginnings."""
        with torch.no_grad(), self.products():
            return self.rssm.initial(count)

    def encode(self, image: UInt8[Tensor, "N H W C"]) -> Float[Tensor, "N E"]:
        """Returns the embedding of images."""
        with self.products():
            return self.encoder(strided.centred(image))

    def observe(
        self,
        state: State,
        action: Int[Tensor, " N"],
        embedding: Float[Tensor, "N E"],
        first: Bool[Tensor, " N"],
        rng: np.random.Generator,
    ) -> State:
        """Returns the states after an action and what was seen then."""
        taken, noise = categorical.one_hot(action, self.actions), self.uniform(rng, len(first))
        with self.products():
            found = self.rssm.observe(
                state, taken[:, None], embedding[:, None], first[:, None], noise[:, None]
            )
        return {name: found[name][:, 0] for name in state}

    def imagine(self, state: State, action: Int[Tensor, " N"], rng: np.random.Generator) -> State:
        """Returns states after an action, with nothing seen."""
        taken, noise = categorical.one_hot(action, self.actions), self.uniform(rng, len(action))
        with self.products():
            found = self.rssm.imagine(state, taken, noise)
        return {name: found[name] for name in state}

    def uniform(self, rng: np.random.Generator, count: int) -> Float[Tensor, "N V"]:
        """Returns what latents of N states are drawn with."""
        shape = (count, self.config.latents)
        return torch.from_numpy(rng.random(shape, np.float32)).to(self.device)

    def decode(self, state: State) -> Float[Tensor, "N H W C"]:
        """Returns what a state looks like, in [0, 1] but for errors."""
        with self.products():
            return self.decoder(self.rssm.feature(state)) + 0.5

    def policy_logits(self, state: State) -> Float[Tensor, "N A"]:
        """Returns the policy's logits, uniform mixed in."""
        with self.products():
            return self.actor(self.rssm.feature(state))

    def predict(self, state: State) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Returns the reward of arriving in a state, and the probability that it is no end."""
        feature = self.rssm.feature(state)
        with self.products():
            reward, proceed = self.reward(feature), self.proceed(feature)[..., 0]
        return symlog_twohot.mean(reward, self.bins), proceed.sigmoid()

    # Learning

    def train(
        self, carry: base.Carry, batch: base.Rows, progress: float
    ) -> tuple[base.Carry, base.Rows]:
        """Takes one step of the world model, then one of actor and critic."""
        data = {name: torch.from_numpy(array) for name, array in batch.items()}
        self.update(data, self.draws(*data["reward"].shape))
        return (), {}

    def draws(self, count: int, rows: int) -> Noise:
        """Draws all the noise of an update at once."""
        steps, starts = self.config.horizon, count * rows
        noise = Noise(
            self.latent.noise(self.generator, count, rows),
            torch.rand(steps, starts, generator=self.generator),
            self.latent.noise(self.generator, steps, starts),
        )
        return Noise(*map(self.pinned, noise))

    def update(self, data: Data, noise: Noise) -> None:
        """Takes one step with given noise.

        Args:
            data: a batch.
            noise: what is drawn with.
        """
        self.accumulate(self.recorded(data, noise))

    def step(self, data: Data, noise: Noise) -> Data:
        """Takes one step and returns metrics."""
        losses, seen = self.model_losses(data, noise.filtered)
        loss = sum(scale * losses[name].mean() for name, scale in self.scales().items())
        metrics = {f"loss/{name}": term.mean() for name, term in losses.items()}
        metrics |= {
            "loss/model": loss,
            "train/grad_norm": self.model_opt.minimise(loss),
            "train/divergence": seen["kl"].mean(),
            "train/prior_entropy": self.latent.entropy(seen["prior"].detach()).mean(),
            "train/posterior_entropy": self.latent.entropy(seen["posterior"].detach()).mean(),
        }
        start = {name: seen[name].detach().flatten(0, 1) for name in ("deter", "stoch")}
        metrics |= self.learn_behaviour(start, data["is_terminal"].flatten(), noise)
        return {name: value.detach() for name, value in metrics.items()}

    def scales(self) -> dict[str, float]:
        """Returns the weight of each term of the world model's loss."""
        names = ("image", "reward", "continue", "dynamics", "representation")
        return {name: getattr(self.config, f"{name}_scale") for name in names}

    def model_losses(self, data: Data, noise: Tensor) -> tuple[Data, Data]:
        """Returns the terms of the world model's loss, (B, T) each, and all between.

        Args:
            data: a batch on the device, whose first rows are flagged is_first.
            noise: what latents are drawn with.
        """
        shape, free = data["reward"].shape, self.config.free_nats
        image = strided.centred(data["image"].flatten(0, 1))
        taken = categorical.one_hot(led(data["action"]), self.actions)
        with self.products():
            embedding = self.encoder(image).unflatten(0, shape)
            before = self.rssm.initial(shape[0])
            seen = self.rssm.observe(before, taken, embedding, data["is_first"], noise)
            feature = self.rssm.feature(seen)
            mean = self.decoder(feature.flatten(0, 1))
            reward, proceed = self.reward(feature), self.proceed(feature)[..., 0]
        prior, posterior, kl = seen["prior"], seen["posterior"], self.latent.kl
        dynamics, representation = kl(posterior.detach(), prior), kl(posterior, prior.detach())
        alive = (~data["is_terminal"]).float()
        losses = {
            "image": (mean - image).square().flatten(1).sum(-1).unflatten(0, shape),
            "reward": symlog_twohot.cross_entropy(reward, self.bins, data["reward"]),
            "continue": F.binary_cross_entropy_with_logits(proceed, alive, reduction="none"),
            "dynamics": dynamics.clamp(min=free),
            "representation": representation.clamp(min=free),
        }
        return losses, seen | {"feature": feature, "mean": mean, "kl": dynamics.detach()}

    def learn_behaviour(
        self, start: State, terminal: Bool[Tensor, " N"], noise: Noise
    ) -> dict[str, Tensor]:
        """Takes one step of actor and critic on play from given states."""
        policy, value, metrics = self.behaviour_losses(start, terminal, noise)
        norms = self.actor_opt.minimise(policy), self.critic_opt.minimise(value)
        pairs = (list(each.parameters()) for each in (self.slow, self.critic))
        with torch.no_grad():
            torch._foreach_lerp_(*pairs, self.config.slow_rate)
        return metrics | {
            "loss/policy": policy,
            "loss/value": value,
            "train/actor_grad_norm": norms[0],
            "train/value_grad_norm": norms[1],
        }

    def behaviour_losses(
        self, start: State, terminal: Bool[Tensor, " N"], noise: Noise
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""], dict[str, Tensor]]:
        """Returns the losses of actor and critic, and diagnostics.

        Args:
            start: states (N, ...) from which play is imagined.
            terminal: whether nothing comes after them.
            noise: what actions and latents are drawn with.
        """
        c, decode = self.config, lambda logits: symlog_twohot.mean(logits, self.bins)
        with torch.no_grad(), self.products():
            play = behaviour.imagine(
                self.rssm.imagine, self.rssm.feature, self.actor, start, noise.action,
                noise.imagined,
            )  # fmt: skip
            reward = decode(self.reward(play.feature))
            value, slow = decode(self.critic(play.feature)), decode(self.slow(play.feature[:-1]))
            alive = symlog_behaviour.continues(self.proceed(play.feature)[..., 0], terminal)
            judged = symlog_behaviour.judge(reward, alive, value, c.discount, c.lam)
            scale = self.scale.update(judged.target)
            advantage = (judged.target - value[:-1]) / scale
        with self.products():
            feature = play.feature[:-1]
            logits, critic = self.actor(feature), self.critic(feature)
        policy, entropy = symlog_behaviour.policy_loss(
            logits, play.action, advantage, judged.weight, c.entropy_scale
        )
        error = symlog_behaviour.value_loss(critic, self.bins, judged, slow, c.slow_scale)
        metrics = {
            "train/entropy": entropy.mean(),
            "train/advantage": advantage.mean(),
            "train/value": value.mean(),
            "train/slow_value": slow.mean(),
            "train/imagined_reward": reward[1:].mean(),
            "train/imagined_return": judged.target.mean(),
            "train/weight": judged.weight.mean(),
            "train/return_scale": scale,
        }
        return policy.mean(), error.mean(), metrics


def led(action: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """Returns the action that led to each row: that of the row before, -1 at the first."""
    return torch.cat([torch.full_like(action[:, :1], -1), action[:, :-1]], 1)


def require_windows(training: base.Training) -> None:
    """Refuses what this algorithm cannot learn from.

    Raises:
        ValueError: sampling is not uniform, or windows have rows that are not trained on.
    """
    if training.sampling != "uniform":
        raise ValueError(
            "training.sampling: DreamerV3 of 2023 learns from windows of streams and takes "
            f"'uniform', not {training.sampling!r}."
        )
    if training.context:
        raise ValueError(
            f"training.context: {training.context}; DreamerV3 of 2023 keeps no states with rows "
            "and begins every window anew, allowed is 0."
        )
