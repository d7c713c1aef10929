"""DreamerV2: categorical latents, KL balancing, and an actor that learns inside the model.

An update trains the world model on rows of episodes. Then actor and critic learn from what the
updated model imagines from the states that were filtered before it was updated.
Source: Hafner et al. 2021, arXiv:2010.02193; danijar/dreamerv2@07d906e.
Shapes: B sequences, T rows, N = B T starts, L imagined steps, H W C image, A actions, F features.
"""

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
    dense,
    epsilon,
    gaussian,
    keras_adam,
    recurrent,
    returns,
    strided,
    torch_agent,
    world,
)
from agents.parts.behaviour import Noise

__all__ = ["Agent", "Config"]

Share = Field(ge=0, le=1)
MODEL = ("encoder", "rssm", "decoder", "reward", "discount")
State = world.State


class Config(base.Config):
    """What DreamerV2 needs to know; the YAML holds values and sources."""

    latent: recurrent.Kind
    stoch: PositiveInt  # variables of a latent
    classes: PositiveInt  # of each variable, if it is categorical
    deter: PositiveInt  # numbers of the memory
    hidden: PositiveInt  # units between memory and latents
    depth: PositiveInt  # filters of the encoder's first layer and the decoder's last but one
    layers: PositiveInt  # hidden ones of every head
    units: PositiveInt  # of each of them
    kl_scale: float = Field(ge=0)
    kl_balance: float = Share  # of the divergence that trains the prior; 0.5: none is set apart
    kl_free: float = Field(ge=0)  # nats below which nothing is trained
    kl_forward: bool  # KL(prior || posterior), not KL(posterior || prior)
    kl_free_of_mean: bool  # whether the mean may be below, not each row
    reward_scale: float = Field(ge=0)
    discount_scale: float = Field(ge=0)
    discount: float = Field(gt=0, le=1)  # per agent step
    discount_head: bool  # whether the model foresees ends; else the discount is constant
    lam: float = Share  # 0 is one step, 1 is the whole imagined play
    horizon: PositiveInt  # imagined steps
    starts: Literal["all", "all_but_last"]  # rows of a sequence from which play is imagined
    first_discount: Literal["data", "predicted"]  # of the start, which is a real row
    actor_gradient: behaviour.Gradient
    actor_mix: float = Share  # share of the dynamics where the gradient is "both"
    entropy_scale: float = Field(ge=0)  # per nat
    advantage: Literal["next", "same"]  # an action in s_k is judged by R_{k+1}, or by R_k
    baseline: Literal["slow", "fast"]  # critic that is subtracted
    slow_every: PositiveInt  # updates between two moves of the slow critic
    slow_fraction: float = Field(gt=0, le=1)  # of the way to the critic
    noise: float = Share  # probability of a random action in training
    model_rate: PositiveFloat
    actor_rate: PositiveFloat
    critic_rate: PositiveFloat
    adam_eps: PositiveFloat  # Keras' epsilon hat
    clip: PositiveFloat  # of the norm of each optimiser's gradients
    decay: float = Field(ge=0, lt=1)  # share of every parameter that an update takes away
    precision: Literal["float32", "bfloat16", "auto"]  # of products; auto: bf16 where it is fast


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
        if config.training.sampling != "episodes":
            raise ValueError(
                "training.sampling: DreamerV2 learns from windows of episodes and takes "
                f"'episodes', not {config.training.sampling!r}."
            )
        strided.check_size(obs_space["image"].shape)
        self.actions, self.updates = int(act_space.n), 0
        self.dtype = torch_agent.precision(config.precision, self.device)
        self.latent = recurrent.distribution(config.latent, config.stoch, config.classes)
        with torch_agent.seeded(seed):
            modules = self.build(obs_space["image"].shape[-1])
        for module in modules.values():
            module.to(self.device)
        self.model_opt = self.optimiser(config.model_rate, modules, *MODEL)
        self.actor_opt = self.optimiser(config.actor_rate, modules, "actor")
        self.critic_opt = self.optimiser(config.critic_rate, modules, "critic")
        names = ("model_opt", "actor_opt", "critic_opt")
        self.parts = modules | {name: getattr(self, name) for name in names}
        self.recorded = captured.Captured(self.step, self.device)

    def build(self, channels: int) -> dict[str, nn.Module]:
        """Returns the networks by name; called with torch's generator seeded."""
        c = self.config
        self.encoder = strided.Encoder(channels, c.depth, dense.elu)
        self.rssm = recurrent.RSSM(self.latent, self.actions, self.encoder.size, c.deter, c.hidden)
        features = self.rssm.features
        self.decoder = strided.Decoder(features, c.depth, channels, dense.elu)
        self.reward = dense.MLP(features, c.layers, c.units, 1)
        modules = {name: getattr(self, name) for name in MODEL[:-1]}
        if c.discount_head:
            self.discount = modules["discount"] = dense.MLP(features, c.layers, c.units, 1)
        self.actor = dense.MLP(features, c.layers, c.units, self.actions)
        self.critic = dense.MLP(features, c.layers, c.units, 1)
        self.slow = dense.MLP(features, c.layers, c.units, 1).requires_grad_(False)
        return modules | {"actor": self.actor, "critic": self.critic, "slow": self.slow}

    def optimiser(
        self, rate: float, modules: dict[str, nn.Module], *names: str
    ) -> keras_adam.KerasAdam:
        """Returns an optimiser of some networks, which exist on their device by now."""
        c = self.config
        params = [p for name in names if name in modules for p in modules[name].parameters()]
        return keras_adam.KerasAdam(params, rate, c.adam_eps, c.clip, c.decay)

    # Acting and showing

    def initial(self, count: int) -> State:
        """Returns N states before anything was seen: zeros."""
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
        noise = self.latent.noise(generator(rng), len(first), 1).to(self.device)
        taken = categorical.one_hot(action, self.actions)
        with self.products():
            found = self.rssm.observe(
                state, taken[:, None], embedding[:, None], first[:, None], noise
            )
        return {name: found[name][:, 0] for name in state}

    def imagine(self, state: State, action: Int[Tensor, " N"], rng: np.random.Generator) -> State:
        """Returns states after an action, with nothing seen."""
        noise = self.latent.noise(generator(rng), len(action)).to(self.device)
        with self.products():
            found = self.rssm.imagine(state, categorical.one_hot(action, self.actions), noise)
        return {name: found[name] for name in state}

    def decode(self, state: State) -> Float[Tensor, "N H W C"]:
        """Returns what a state looks like, in [0, 1]."""
        with self.products():
            return self.decoder(self.rssm.feature(state)).float() + 0.5

    def policy_logits(self, state: State) -> Float[Tensor, "N A"]:
        """Returns the policy's logits."""
        with self.products():
            return self.actor(self.rssm.feature(state)).float()

    def predict(self, state: State) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Returns the reward of arriving in a state, and the probability that it is no end."""
        feature = self.rssm.feature(state)
        with self.products():
            reward, discount = self.rewards(feature), self.discounts(feature)
        # The head predicts the discount times this probability.
        return reward, (discount / self.config.discount).clamp(max=1)

    def explore(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns actions of which some are replaced by random ones, if so configured."""
        return epsilon.mix(action, self.actions, self.config.noise, rng)

    # Learning

    def train(
        self, carry: base.Carry, batch: base.Rows, progress: float
    ) -> tuple[base.Carry, base.Rows]:
        """Takes one step of the world model, then one of actor and critic."""
        data = {name: torch.from_numpy(array) for name, array in batch.items()}
        state = self.rssm.initial(len(data["reward"]))
        state |= {name: torch.from_numpy(array) for name, array in dict(carry).items()}
        last = self.update(data, state, self.draws(*data["reward"].shape))
        if not self.config.training.continued:
            return (), {}  # Nothing goes on where this batch ended.
        return {name: world.numpy(tensor) for name, tensor in last.items()}, {}

    def draws(self, count: int, rows: int) -> Noise:
        """Draws all the noise of an update at once."""
        c = self.config
        starts = count * (rows - (c.starts == "all_but_last"))
        noise = Noise(
            self.latent.noise(self.generator, count, rows),
            torch.rand(c.horizon, starts, generator=self.generator),
            self.latent.noise(self.generator, c.horizon, starts),
        )
        return Noise(*map(self.pinned, noise))

    def update(self, data: dict[str, Tensor], state: State, noise: Noise) -> State:
        """Takes one step with given noise; returns the states after the last rows.

        Args:
            data: a batch.
            state: before the first rows, where they do not begin an episode.
            noise: what is drawn with.
        """
        metrics, last = self.recorded(data, state, noise)
        every, fraction = self.config.slow_every, self.config.slow_fraction
        behaviour.follow(self.slow, self.critic, self.updates, every, fraction)
        self.updates += 1
        self.accumulate(metrics)
        return last

    def step(
        self, data: dict[str, Tensor], state: State, noise: Noise
    ) -> tuple[dict[str, Tensor], State]:
        """Takes one step but for the slow critic; returns metrics and the states at the end."""
        losses, seen = self.model_losses(data, state, noise.filtered)
        metrics = {f"loss/{name}": loss.mean() for name, loss in losses.items()}
        loss = self.model_loss(losses)
        metrics |= {
            "loss/model": loss,
            "train/grad_norm": self.model_opt.minimise(loss),
            "train/divergence": seen["kl"].mean(),
            "train/prior_entropy": self.latent.entropy(seen["prior"].detach()).mean(),
            "train/posterior_entropy": self.latent.entropy(seen["posterior"].detach()).mean(),
        }
        states = {name: seen[name].detach() for name in state}
        end = -1 if self.config.starts == "all_but_last" else None
        start = {name: tensor[:, :end].flatten(0, 1) for name, tensor in states.items()}
        metrics |= self.learn_behaviour(start, data["is_terminal"][:, :end].flatten(), noise)
        metrics = {name: value.detach() for name, value in metrics.items()}
        return metrics, {name: tensor[:, -1] for name, tensor in states.items()}

    def model_losses(
        self, data: dict[str, Tensor], state: State, noise: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Returns the terms of the world model's loss, (B, T) each but `dynamics`, and all between.

        Args:
            data: a batch on the device.
            state: before the first rows.
            noise: what latents are drawn with.
        """
        c, shape = self.config, data["reward"].shape
        image = strided.centred(data["image"].flatten(0, 1))
        action = categorical.one_hot(data["previous_action"], self.actions)
        with self.products():
            embedding = self.encoder(image).unflatten(0, shape)
            seen = self.rssm.observe(state, action, embedding, data["is_first"], noise)
            feature = self.rssm.feature(seen)
            mean = self.decoder(feature.flatten(0, 1)).float()
            reward = self.rewards(feature)
            logit = self.discount(feature)[..., 0].float() if c.discount_head else None
        kl, value = recurrent.balanced(
            self.latent.kl, seen["posterior"], seen["prior"], c.kl_balance, c.kl_free,
            c.kl_forward, c.kl_free_of_mean,
        )  # fmt: skip
        losses = {
            "dynamics": kl,
            "image": gaussian.nll(image, mean).flatten(1).sum(-1).unflatten(0, shape),
            "reward": gaussian.nll(data["reward"], reward),
        }
        seen |= {"embedding": embedding, "feature": feature, "mean": mean, "reward": reward}
        if logit is not None:
            label = c.discount * (~data["is_terminal"]).float()
            losses["continue"] = F.binary_cross_entropy_with_logits(logit, label, reduction="none")
            seen["logit"] = logit
        return losses, seen | {"kl": value}

    def model_loss(self, losses: dict[str, Tensor]) -> Float[Tensor, ""]:
        """Returns the world model's loss: scaled means of its terms."""
        c = self.config
        scales = {"dynamics": c.kl_scale, "reward": c.reward_scale, "continue": c.discount_scale}
        return sum(scales.get(name, 1.0) * loss.mean() for name, loss in losses.items())

    def rewards(self, feature: Float[Tensor, "*N F"]) -> Float[Tensor, "*N"]:
        """Returns the reward of arriving."""
        return self.reward(feature)[..., 0].float()

    def discounts(self, feature: Float[Tensor, "*N F"]) -> Float[Tensor, "*N"]:
        """Returns the discount of what comes after a state: 0 if nothing does."""
        if not self.config.discount_head:
            return torch.full_like(feature[..., 0], self.config.discount, dtype=torch.float32)
        return self.discount(feature)[..., 0].float().sigmoid()

    def learn_behaviour(
        self, start: State, terminal: Bool[Tensor, " N"], noise: Noise
    ) -> dict[str, Tensor]:
        """Takes one step of actor and critic on play from given states."""
        actor, critic, found = self.behaviour_losses(start, terminal, noise)
        norms = self.actor_opt.minimise(actor.loss), self.critic_opt.minimise(critic)
        return {
            "loss/policy": actor.loss,
            "loss/value": critic,
            "train/actor_grad_norm": norms[0],
            "train/value_grad_norm": norms[1],
            "train/entropy": actor.entropy.mean(),
            "train/advantage": actor.advantage.mean(),
            "train/imagined_reward": found["reward"].mean(),
            "train/imagined_reward_std": found["reward"].std(correction=0),
            "train/imagined_return": found["target"].mean(),
            "train/slow_value": found["slow_value"].mean(),
            "train/value": found["value"].mean(),
        }

    def behaviour_losses(
        self, start: State, terminal: Bool[Tensor, " N"], noise: Noise
    ) -> tuple[behaviour.Objective, Float[Tensor, ""], dict[str, Tensor]]:
        """Returns the actor's objective, the critic's loss, and all between.

        Without gradients through the dynamics nothing of the play is kept for a backward pass:
        the actor is asked once more about all states together.

        Args:
            start: states (N, ...) from which play is imagined.
            terminal: whether nothing comes after them.
            noise: what actions and latents are drawn with.
        """
        c = self.config
        known = terminal if c.first_discount == "data" and c.discount_head else None
        with torch.set_grad_enabled(c.actor_gradient != "reinforce"), self.products():
            play = behaviour.imagine(
                self.rssm.imagine, self.rssm.feature, self.actor, start, noise.action,
                noise.imagined,
            )  # fmt: skip
            reward = self.rewards(play.feature)
            discount = behaviour.discounts(self.discounts(play.feature), known, c.discount)
            slow = self.slow(play.feature)[..., 0].float()
            target = behaviour.target(reward, discount, slow, c.lam)
            weight = returns.weights(discount.detach())
        feature = play.feature[:-1].detach()
        with self.products():
            logits = self.actor(feature).float()
            value = self.critic(feature)[..., 0].float()
        baseline = slow[:-1] if c.baseline == "slow" else value
        objective = behaviour.actor_objective(
            logits, play.action, target, baseline, weight[:-1], c.actor_gradient, c.actor_mix,
            c.entropy_scale, c.advantage == "next",
        )  # fmt: skip
        critic = behaviour.critic_loss(value, target, weight[:-1])
        found = {
            "feature": play.feature, "action": play.action, "logits": logits, "reward": reward,
            "discount": discount, "slow_value": slow, "target": target, "weight": weight,
            "value": value,
        }  # fmt: skip
        return objective, critic, found

    # State

    def save(self) -> base.Tree:
        """Returns everything, the number of updates included."""
        return super().save() | {"updates": self.updates}

    def load(self, state: base.Tree) -> None:
        """Goes back to a saved state."""
        super().load(state)
        self.updates = state["updates"]


def generator(rng: np.random.Generator) -> torch.Generator:
    """Returns a generator of torch's that a generator of NumPy's seeds."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))
