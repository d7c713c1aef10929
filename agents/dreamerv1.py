"""Dreamer v1: a policy learns by gradients through a world model with Gaussian latents.

An update evaluates three losses on the weights as they are, then takes three steps: the model's on
sequences of real play, the value's and the policy's on play that the model imagines. Gradients of
imagined returns flow through values, rewards, latents and straight-through actions into the policy.

Source: Hafner et al. 2020, arXiv:1912.01603; danijar/dreamer@56d4d44, with the Atari settings of
google-research/dreamer@d517542.
Shapes: B sequences, T rows, N states, L imagined rows, S numbers of a latent, A actions, E
embedding, F features, H W C image.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int, UInt8
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from agents import base
from agents.parts import (
    behaviour,
    captured,
    categorical,
    dense,
    epsilon,
    gaussian,
    returns,
    strided,
    torch_agent,
    world,
)
from agents.parts.epsilon import Schedule
from agents.parts.keras_adam import KerasAdam
from agents.parts.world import State

__all__ = ["Agent", "Config"]

Fraction = Field(ge=0, le=1)


class Config(base.Config):
    """What Dreamer v1 needs to know; dreamerv1.yaml holds values and sources."""

    training: base.Episodes
    # Networks
    depth: PositiveInt  # filters of the first convolution
    stoch: PositiveInt  # numbers of a latent
    deter: PositiveInt  # recurrent units
    hidden: PositiveInt  # units of the recurrent model's dense layers
    units: PositiveInt  # of the heads' hidden layers
    reward_layers: PositiveInt
    continue_layers: PositiveInt
    value_layers: PositiveInt
    actor_layers: PositiveInt
    least_std: PositiveFloat  # is added to the standard deviation of latents
    # Model
    kl_scale: NonNegativeFloat
    free_nats: NonNegativeFloat
    free_nats_per_step: bool  # mean of what each step has above them, instead of max of the mean
    continue_head: bool  # without it an imagined episode never ends, and ends are starts as well
    continue_scale: NonNegativeFloat
    shared_noise: bool  # whether all latents of a time step are drawn with the same noise
    # Behaviour
    horizon: PositiveInt  # imagined states, the start not counted
    discount: float = Fraction  # per agent step
    lam: float = Fraction
    entropy_scale: NonNegativeFloat  # of the policy, per nat, at first
    entropy_span: NonNegativeFloat  # updates in which that falls to 0; 0: it stays
    epsilon: float = Fraction  # probability of a random action in training, at first
    epsilon_least: float = Fraction
    epsilon_schedule: Schedule  # down from the one to the other
    epsilon_span: PositiveFloat  # updates to 0 ("linear") or to a half ("halving")
    epsilon_evaluation: float = Fraction
    # Optimisers
    model_rate: PositiveFloat
    value_rate: PositiveFloat
    actor_rate: PositiveFloat
    adam_eps: PositiveFloat  # added to the root of the uncorrected second moment, as in Keras
    clip: PositiveFloat  # norm of the gradients of an optimiser
    precision: Literal["float32", "bfloat16", "auto"]  # of products; auto: bf16 where it is fast


class Rows(NamedTuple):
    """A batch on the device."""

    image: UInt8[Tensor, "B T H W C"]
    action: Float[Tensor, "B T A"]  # that led here, one-hot; zero where none did
    reward: Float[Tensor, "B T"]
    alive: Float[Tensor, "B T"]  # 0 at a terminal, 1 elsewhere


class Agent(world.WorldAgent):
    """Acts by the model's latents; one call of `train` is one update of model, value and policy."""

    config: Config

    def __init__(
        self,
        obs_space: spaces.Dict,
        act_space: spaces.Discrete,
        config: Config,
        seed: int,
        device: str,
    ):
        """Builds networks and optimisers from the seed."""
        super().__init__(config, seed, device)
        if config.training.continued:
            raise ValueError(
                "training.continued: true; Dreamer v1 begins every sequence with the zero state, "
                "and allows false."
            )
        c, shape = config, obs_space["image"].shape
        strided.check_size(shape)
        self.actions, self.updates = int(act_space.n), 0
        self.dtype = torch_agent.precision(c.precision, self.device)
        size = c.stoch + c.deter
        with torch_agent.seeded(seed):
            self.encoder = strided.Encoder(shape[2], c.depth, torch.relu_)
            self.rssm = gaussian.RSSM(
                c.stoch, c.deter, c.hidden, self.actions, self.encoder.size, c.least_std
            )
            self.decoder = strided.Decoder(size, c.depth, shape[2], torch.relu_)
            self.reward = dense.MLP(size, c.reward_layers, c.units, 1)
            if c.continue_head:
                self.proceed = dense.MLP(size, c.continue_layers, c.units, 1)
            self.value = dense.MLP(size, c.value_layers, c.units, 1)
            self.actor = dense.MLP(size, c.actor_layers, c.units, self.actions)
        names = ["encoder", "rssm", "decoder", "reward"] + ["proceed"] * c.continue_head
        parts = {name: getattr(self, name).to(self.device) for name in [*names, "value", "actor"]}
        groups = {"model": names, "value": ["value"], "actor": ["actor"]}
        rates = {"model": c.model_rate, "value": c.value_rate, "actor": c.actor_rate}
        self.optimisers = {}
        for group, members in groups.items():
            params = [param for name in members for param in parts[name].parameters()]
            self.optimisers[group] = KerasAdam(params, rates[group], c.adam_eps, c.clip, 0.0)
        self.parts = parts | {f"{name}_optimiser": opt for name, opt in self.optimisers.items()}
        self.recorded = captured.Captured(self.step, self.device)

    # Acting

    def initial(self, count: int) -> State:
        """Returns N states before anything was seen: zeros."""
        return self.rssm.initial(count)

    def encode(self, image: UInt8[Tensor, "N H W C"]) -> Float[Tensor, "N E"]:
        """Returns the embedding of images."""
        return self.encoder(strided.centred(image))

    def observe(
        self,
        state: State,
        action: Int[Tensor, " N"],
        embedding: Float[Tensor, "N E"],
        first: Bool[Tensor, " N"],
        rng: np.random.Generator,
    ) -> State:
        """Returns the states after an action and what was seen then; resets draw noise as well."""
        state = {name: world.masked(tensor, ~first) for name, tensor in state.items()}
        action = world.masked(categorical.one_hot(action, self.actions), ~first)
        return self.rssm.observe(state, action, embedding, self.normals(len(action), rng))

    def imagine(self, state: State, action: Int[Tensor, " N"], rng: np.random.Generator) -> State:
        """Returns states after an action, with nothing seen."""
        return self.rssm.imagine(
            state, categorical.one_hot(action, self.actions), self.normals(len(action), rng)
        )

    def decode(self, state: State) -> Float[Tensor, "N H W C"]:
        """Returns what a state looks like, in [0, 1]."""
        return self.decoder(gaussian.features(state)).float() + 0.5

    def policy_logits(self, state: State) -> Float[Tensor, "N A"]:
        """Returns the policy's logits."""
        return self.actor(gaussian.features(state)).float()

    def predict(self, state: State) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Returns the reward of arriving in a state, and the probability that it is no end."""
        reward, follow = self.outlook(gaussian.features(state))
        return reward, (follow / self.config.discount).clamp(max=1)

    def policy(
        self, carry: base.Carry, obs: base.Rows, mode: base.Mode, rng: np.random.Generator
    ) -> tuple[base.Carry, np.ndarray, base.Rows]:
        """Filters a row and draws an action; the carry holds the action that is done."""
        with self.products():
            after, action, kept = super().policy(carry, obs, mode, rng)
        if mode in ("sampled", "greedy"):
            action = epsilon.mix(action, self.actions, self.config.epsilon_evaluation, rng)
        return after | {"action": action}, action, kept

    def explore(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns random actions instead of some, by the schedule."""
        return epsilon.mix(action, self.actions, self.exploration(), rng)

    def exploration(self) -> float:
        """Returns the probability of a random action in training, as of now."""
        c = self.config
        return epsilon.scheduled(
            c.epsilon_schedule, c.epsilon, c.epsilon_least, c.epsilon_span, self.updates
        )

    def bonus(self) -> float:
        """Returns what a nat of the policy's entropy is worth, as of now."""
        c = self.config
        schedule = "linear" if c.entropy_span else "constant"
        return epsilon.scheduled(
            schedule, c.entropy_scale, 0.0, c.entropy_span or 1.0, self.updates
        )

    def report(self, batch: base.Rows, rng: np.random.Generator) -> base.Tree:
        """Returns what was seen beside what the model makes of it."""
        with self.products():
            return super().report(batch, rng)

    def dream(self, carry: base.Carry, steps: int, rng: np.random.Generator) -> base.Rows:
        """Plays the policy inside the model; the first image is where it begins."""
        with self.products():
            return super().dream(carry, steps, rng)

    # Learning

    def train(
        self, carry: base.Carry, batch: base.Rows, progress: float
    ) -> tuple[base.Carry, base.Rows]:
        """Takes one step each of model, value and policy; nothing is kept with the rows."""
        data, c = {name: torch.from_numpy(array) for name, array in batch.items()}, self.config
        count, length = data["reward"].shape
        starts = count * (length - c.continue_head)
        uniform = self.drawn(torch.rand, c.horizon, starts)
        seen, ahead = self.noise(length, count), self.noise(c.horizon, starts)
        bonus = self.pinned(torch.tensor(self.bonus()))
        metrics = self.recorded(data, seen, ahead, uniform, bonus)
        self.accumulate(metrics | {"train/epsilon": torch.tensor(self.exploration())})
        self.updates += 1
        return carry, {}

    def step(
        self, data: dict[str, Tensor], seen: Tensor, ahead: Tensor, chance: Tensor, bonus: Tensor
    ) -> dict[str, Tensor]:
        """Takes one step on a batch of the device; the others as `learn` has them, or shared."""
        count, starts = len(data["reward"]), chance.shape[1]
        seen, ahead = seen.expand(-1, count, -1), ahead.expand(-1, starts, -1)
        return self.learn(self.rows(data), seen, ahead, chance, bonus)

    def learn(
        self,
        rows: Rows,
        seen: Float[Tensor, " T B S"],
        ahead: Float[Tensor, " L N S"],
        chance: Float[Tensor, " L N ..."],
        bonus: Float[Tensor, ""],
    ) -> dict[str, Tensor]:
        """Takes one step each of model, value and policy, and returns metrics.

        Args:
            rows: of real play.
            seen: noise of the latents of real rows.
            ahead: noise of the latents of imagined states.
            chance: numbers in [0, 1) that draw the imagined actions, or these actions themselves.
            bonus: what a nat of the policy's entropy is worth.
        """
        with self.products():
            loss, state, metrics = self.model_loss(rows, seen)
        found = {"model": self.gradients(loss, "model")}
        with self.products():
            play = self.play(self.starts(state), ahead, chance)
            value_loss, policy_loss, more = self.behaviour_losses(play, bonus)
        found["value"] = self.gradients(value_loss, "value", retain=True)
        found["actor"] = self.gradients(policy_loss, "actor")
        # Only now: each of the losses is of the weights before this update.
        norms = {name: self.optimisers[name].step(grads) for name, grads in found.items()}
        metrics |= more | {"train/grad_norm": norms["model"]}
        metrics |= {f"train/{name}_grad_norm": norms[name] for name in ("value", "actor")}
        return {name: value.detach() for name, value in metrics.items()}

    def model_loss(
        self, rows: Rows, noise: Float[Tensor, " T B S"]
    ) -> tuple[Float[Tensor, ""], State, dict[str, Tensor]]:
        """Returns the model's loss, the states (B, T, ...) of real play, and metrics."""
        c, image = self.config, strided.centred(rows.image)
        embedding = self.encoder(image.flatten(0, 1)).unflatten(0, rows.reward.shape)
        state = self.rssm.filter(rows.action, embedding, noise)
        prior = self.rssm.prior(state["deter"])
        posterior = gaussian.Normal(state["mean"], state["std"])
        kl = gaussian.divergence(posterior, prior)
        seen = gaussian.features(state)
        mean = self.decoder(seen.flatten(0, 1)).float().unflatten(0, rows.reward.shape)
        losses = {
            "image": gaussian.nll(image, mean).sum((-3, -2, -1)).mean(),
            "reward": gaussian.nll(rows.reward, self.reward(seen).float()[..., 0]).mean(),
            "dynamics": gaussian.free(kl, c.free_nats, c.free_nats_per_step),
        }
        total = losses["image"] + losses["reward"] + c.kl_scale * losses["dynamics"]
        if c.continue_head:
            logit = self.proceed(seen).float()[..., 0]
            target = c.discount * rows.alive
            losses["continue"] = F.binary_cross_entropy_with_logits(logit, target)
            total = total + c.continue_scale * losses["continue"]
        metrics = {f"loss/{name}": value for name, value in (losses | {"model": total}).items()}
        metrics["train/divergence"] = kl.mean()
        metrics["train/prior_entropy"] = gaussian.entropy(prior).mean()
        metrics["train/posterior_entropy"] = gaussian.entropy(posterior).mean()
        return total, state, metrics

    def starts(self, state: State) -> State:
        """Returns the states (N, ...) from which play is imagined, cut from the model's graph.

        The last row of a sequence is none, as it may be a terminal.
        """
        end = -1 if self.config.continue_head else None
        return {name: tensor[:, :end].flatten(0, 1).detach() for name, tensor in state.items()}

    def play(
        self, start: State, noise: Float[Tensor, " L N S"], chance: Float[Tensor, " L N ..."]
    ) -> behaviour.Play:
        """Imagines play of the policy; gradients flow from every state to the actions before it."""
        return behaviour.imagine(
            self.rssm.imagine, gaussian.features, self.actor, start, chance, noise
        )

    def behaviour_losses(
        self, play: behaviour.Play, bonus: Float[Tensor, ""]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""], dict[str, Tensor]]:
        """Returns the losses of value and policy, and metrics; V of the start counts in neither."""
        seen = play.feature[1:]
        reward, follow = self.outlook(seen)
        value = self.value(seen).float()[..., 0]
        target = returns.lambda_return(reward[:-1], follow[:-1], value, self.config.lam)
        reached = returns.weights(follow[:-1]).detach()
        value_loss = (reached * gaussian.nll(target.detach(), value[:-1])).mean()
        paid = self.config.entropy_scale > 0
        with torch.set_grad_enabled(torch.is_grad_enabled() and paid):
            entropy = categorical.entropy(self.actor(play.feature[:-1].detach()))
        policy_loss = -(reached * target).mean() - bonus * entropy.mean()
        metrics = {
            "loss/value": value_loss,
            "loss/policy": policy_loss,
            "train/entropy": entropy.detach().mean(),
            "train/value": value.mean(),
            "train/imagined_return": target.mean(),
        }
        return value_loss, policy_loss, metrics

    def outlook(
        self, seen: Float[Tensor, "*N F"]
    ) -> tuple[Float[Tensor, "*N"], Float[Tensor, "*N"]]:
        """Returns the reward of states, and the discount of what follows them."""
        reward = self.reward(seen).float()[..., 0]
        if not self.config.continue_head:
            return reward, torch.full_like(reward, self.config.discount)
        return reward, self.proceed(seen).float()[..., 0].sigmoid()

    def gradients(
        self, loss: Float[Tensor, ""], name: str, retain: bool = False
    ) -> tuple[Tensor | None, ...]:
        """Returns the gradients of one optimiser's parameters; no others get any."""
        params = self.optimisers[name].params
        return torch.autograd.grad(loss, params, retain_graph=retain, allow_unused=True)

    # Numbers

    def rows(self, data: dict[str, Tensor]) -> Rows:
        """Returns what is read of a batch."""
        taken = categorical.one_hot(data["previous_action"], self.actions)
        return Rows(data["image"], taken, data["reward"], 1 - data["is_terminal"].float())

    def noise(self, steps: int, count: int) -> Float[Tensor, "{steps} N S"]:
        """Draws what latents of training are sampled with; N is 1 where all share it."""
        drawn = 1 if self.config.shared_noise else count
        return self.drawn(torch.randn, steps, drawn, self.config.stoch)

    def drawn(self, kind: Callable[..., Tensor], *shape: int) -> Tensor:
        """Draws from the agent's generator."""
        return self.pinned(kind(*shape, generator=self.generator))

    def normals(self, count: int, rng: np.random.Generator) -> Float[Tensor, "#N S"]:
        """Draws what latents of acting are sampled with."""
        shape = (1 if self.config.shared_noise else count, self.config.stoch)
        return self.tensor(rng.standard_normal(shape, np.float32))

    def save(self) -> base.Tree:
        """Returns everything, with the number of updates that the exploration goes by."""
        return super().save() | {"updates": self.updates}

    def load(self, state: base.Tree) -> None:
        """Goes back to a saved state."""
        super().load(state)
        self.updates = int(state["updates"])
