"""DreamerV3 as it is today: one loss, one optimiser, a world model, an actor and a critic.

An update filters a batch of rows from stored states, trains the model on them, plays the actor
inside the model from every one of them, and trains actor and critic on that play; the critic also
learns from the rows, which shapes the representation. What the rows were filtered to goes back to
replay one update later.

Source: danijar/dreamerv3@e3f0224; Hafner et al. 2025, Nature 640, "Mastering diverse control tasks
through world models".
Shapes: B sequences, T rows, N = B T starts, L imagined steps, H W C image, D memory, V latents,
K classes, F features, A actions.
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
    block_dream,
    block_rssm,
    block_scan,
    block_world,
    blocks,
    captured,
    categorical,
    laprop,
    norms,
    percentiles,
    pooled,
    torch_agent,
    twohot,
    twohot_behaviour,
    unimix,
    world,
)

__all__ = ["Agent", "Config"]

LEARNT = ("encoder", "model", "decoder", "reward", "proceed", "actor", "critic")
OBSERVED = ("image", "reward", "is_first", "is_last", "is_terminal")
Data = dict[str, Tensor]


class Config(base.Config):
    """What each number means; dreamerv3.yaml holds the values and their sources."""

    deter: PositiveInt  # numbers of the memory
    hidden: PositiveInt  # units inside the model
    classes: int = Field(gt=0, le=256)  # of each latent; replay keeps a byte
    latents: PositiveInt
    groups: PositiveInt  # blocks of the memory
    depth: PositiveInt  # of the image networks; channels are multiples of it
    units: PositiveInt  # of the heads' layers
    head_layers: PositiveInt  # of reward and continue head
    actor_layers: PositiveInt
    critic_layers: PositiveInt
    actor_scale: float = Field(ge=0)  # of the actor's initial output layer
    discount_horizon: float = Field(gt=1)  # agent steps; the discount is 1 - 1 / horizon
    lam: float = Field(ge=0, le=1)  # of returns, imagined and replayed
    horizon: PositiveInt  # imagined agent steps
    free_nats: float = Field(ge=0)  # of each row, after latents are summed
    dynamics_scale: float = Field(ge=0)
    representation_scale: float = Field(ge=0)
    image_scale: float = Field(ge=0)
    reward_scale: float = Field(ge=0)
    continue_scale: float = Field(ge=0)
    policy_scale: float = Field(ge=0)
    value_scale: float = Field(ge=0)
    replay_value_scale: float = Field(ge=0)
    entropy_scale: float = Field(ge=0)  # per nat
    slow_scale: float = Field(ge=0)  # of the critic's pull towards its slow copy
    slow_rate: float = Field(gt=0, le=1)  # of the slow copy, each update
    return_rate: float = Field(gt=0, le=1)  # of the percentiles of returns, each update
    return_limit: PositiveFloat  # least scale of returns
    learning_rate: PositiveFloat
    warmup: int = Field(ge=0)  # updates in which the learning rate grows from 0
    clip: PositiveFloat  # of a gradient, in norms of its parameter
    betas: tuple[float, float]  # of momentum and second moment
    eps: PositiveFloat
    precision: Literal["float32", "bfloat16", "auto"]  # of products; auto: bf16 where it is fast


class Agent(world.WorldAgent):
    """DreamerV3; one call of `train` is one update."""

    config: Config

    def __init__(
        self,
        obs_space: spaces.Dict,
        act_space: spaces.Discrete,
        config: Config,
        seed: int,
        device: str,
    ):
        """Builds networks and optimiser from the seed."""
        super().__init__(config, seed, device)
        require_streams(config.training)
        require_groups(config)
        self.actions, self.shape = int(act_space.n), obs_space["image"].shape
        self.dtype = torch_agent.precision(config.precision, self.device)
        with torch_agent.seeded(seed):
            networks = self.build()
        networks |= {"slow": copy.deepcopy(networks["critic"])}
        self.networks = nn.ModuleDict(networks).to(self.device)
        c, learnt = config, [p for name in LEARNT for p in self.networks[name].parameters()]
        self.opt = laprop.LaProp(learnt, c.learning_rate, c.warmup, c.clip, c.betas, c.eps)
        self.frozen = torch_agent.Frozen(networks, self.dtype)
        self.scale = percentiles.Percentiles(c.return_rate, c.return_limit).to(self.device)
        self.bins = twohot.bins(self.device)
        self.world = block_world.World(config, networks, self.dtype, self.bins)
        self.behaviour = twohot_behaviour.Behaviour(
            config, networks, self.frozen, self.scale, self.bins
        )
        self.parts = {"networks": self.networks, "opt": self.opt, "scale": self.scale}
        self.fresh = torch_agent.Late({})  # What the last batch was filtered to, for replay.
        self.recorded = captured.Captured(self.learn, self.device)

    def build(self) -> dict[str, nn.Module]:
        """Returns the networks by name; called with torch's generator seeded."""
        c = self.config
        self.sizes = block_rssm.Sizes(c.deter, c.hidden, c.latents, c.classes, c.groups)
        wide, encoder = self.sizes.features, pooled.Encoder(self.shape, c.depth)
        head = lambda layers, outputs, scale: blocks.MLP(wide, layers, c.units, outputs, scale)  # noqa: E731
        binned = lambda layers: blocks.BinMLP(wide, layers, c.units, twohot.COUNT, 0.0)  # noqa: E731
        return {
            "encoder": encoder,
            "model": block_rssm.BlockRSSM(self.sizes, self.actions, encoder.outputs),
            "decoder": pooled.Decoder(
                c.deter, self.sizes.latent, self.shape, c.depth, c.units, c.groups
            ),
            "reward": binned(c.head_layers),
            "proceed": head(c.head_layers, 1, 1.0),
            "actor": head(c.actor_layers, self.actions, c.actor_scale),
            "critic": binned(c.critic_layers),
        }

    # Learning

    def train(
        self, carry: base.Carry, batch: base.Rows, progress: float
    ) -> tuple[base.Carry, base.Rows]:
        """Takes one update and returns what the batch before was filtered to."""
        data = {name: torch.from_numpy(array) for name, array in batch.items()}
        metrics, fresh = self.recorded(data | self.noise())
        self.accumulate(metrics)
        before, self.fresh = self.fresh, torch_agent.Late(fresh)
        return carry, before.arrays()

    def learn(self, data: Data) -> tuple[Data, Data]:
        """Takes one step; returns metrics, and what replay shall keep with the trained rows.

        Args:
            data: a batch on the device, and `noise`.
        """
        losses, metrics, seen = self.losses(data)
        total = sum(scale * losses[name] for name, scale in self.scales().items())
        norm = self.opt.minimise(total)
        self.follow()
        self.frozen.refresh()
        metrics |= {f"loss/{name}": loss.detach() for name, loss in losses.items()}
        return metrics | {"train/grad_norm": norm}, self.refreshed(seen.states)

    def refreshed(self, states: block_scan.Observed) -> Data:
        """Returns what replay shall keep with the trained rows."""
        return self.pack({"deter": states.deter.detach(), "stoch": states.index})

    def scales(self) -> dict[str, float]:
        """Returns the weight of each term of the loss."""
        names = ("image", "reward", "continue", "dynamics", "representation")
        names += ("policy", "value", "replay_value")
        return {name: getattr(self.config, f"{name}_scale") for name in names}

    @torch.no_grad()
    def follow(self) -> None:
        """Moves the slow critic towards the critic."""
        pairs = (list(self.networks[name].parameters()) for name in ("slow", "critic"))
        torch._foreach_lerp_(*pairs, self.config.slow_rate)

    def losses(self, data: Data) -> tuple[Data, Data, block_world.Seen]:
        """Returns every term of the loss as a mean, diagnostics, and the filtered rows."""
        rows, seen = self.trained(data), self.filter(data, self.draw_posterior(data))
        terms, metrics = self.world.losses(rows, seen)
        dream = self.dream_from(seen.states, *self.draw_dream(data))
        more, diagnostics, judged = self.behaviour.losses(dream)
        terms |= more | {"replay_value": self.behaviour.replay_loss(rows, seen, judged.target[0])}
        return {name: term.mean() for name, term in terms.items()}, metrics | diagnostics, seen

    def trained(self, data: Data) -> Data:
        """Returns the rows after the context."""
        start = self.config.training.context
        return {name: data[name][:, start:] for name in OBSERVED}

    def filter(self, data: Data, draw: block_scan.Draw) -> block_world.Seen:
        """Filters the rows of a batch from the stored state of its context."""
        context = self.config.training.context
        action = data["action"][:, context - 1 : -1]
        state = self.unpack(data["deter"][:, -1], data["stoch"][:, -1])
        return self.world.filter(self.trained(data), action, state["deter"], state["stoch"], draw)

    def dream_from(
        self, states: block_scan.Observed, draw_action: block_dream.Draw,
        draw_latent: block_dream.Draw,
    ) -> block_dream.Dream:  # fmt: skip
        """Plays the actor inside the model from every filtered row."""
        deter, index = states.deter.detach().flatten(0, 1), states.index.flatten(0, 1)
        model, actor = self.frozen["model"], self.networks["actor"]
        return block_dream.imagine(
            model, actor, deter, index, self.config.horizon, draw_action, draw_latent
        )

    # Randomness

    def noise(self) -> Data:
        """Returns numbers in [0, 1) for all draws of an update, the same for every device."""
        c, t = self.config, self.config.training
        starts = t.batch * t.length
        shapes = {
            "noise/posterior": (t.length, t.batch, c.latents),
            "noise/action": (c.horizon, starts, 1),
            "noise/latent": (c.horizon, starts, c.latents),
        }
        return {
            name: self.pinned(torch.rand(shape, generator=self.generator))
            for name, shape in shapes.items()
        }

    def draw_posterior(self, noise: Data) -> block_scan.Draw:
        """Returns what draws the latents of rows."""
        uniform = noise["noise/posterior"]
        return lambda probs, row: categorical.choose(probs, uniform[row])

    def draw_dream(self, noise: Data) -> tuple[block_dream.Draw, block_dream.Draw]:
        """Returns what draws actions, and latents."""
        act, step = noise["noise/action"], noise["noise/latent"]
        return (
            lambda probs, k: categorical.choose(probs[:, None], act[k])[:, 0],
            lambda logits, k: unimix.draw(logits, step[k]),
        )

    # The world model, for acting, reports and dreams

    def initial(self, count: int) -> world.State:
        """Returns N states before anything was seen; an episode's first row resets them."""
        return {
            "deter": torch.zeros(count, self.config.deter, device=self.device),
            "stoch": torch.zeros(count, self.config.latents, dtype=torch.uint8, device=self.device),
        }

    def encode(self, image: UInt8[Tensor, "N H W C"]) -> Float[Tensor, "N E"]:
        """Returns the tokens of images."""
        return self.frozen["encoder"](norms.centred(image, self.dtype))

    def observe(
        self,
        state: world.State,
        action: Int[Tensor, " N"],
        embedding: Float[Tensor, "N E"],
        first: Bool[Tensor, " N"],
        rng: np.random.Generator,
    ) -> world.State:
        """Returns the states after an action and what was seen then."""
        model, keep = self.frozen["model"], (~first).to(self.dtype)[:, None]
        taken = F.one_hot(action, self.actions) * keep
        deter, latent = self.dense(state)
        deter = model.step(deter * keep, latent * keep, taken)
        return self.drawn(deter, model.posterior_logits(deter, embedding), rng)

    def imagine(
        self, state: world.State, action: Int[Tensor, " N"], rng: np.random.Generator
    ) -> world.State:
        """Returns states after an action, with nothing seen."""
        model, taken = self.frozen["model"], F.one_hot(action, self.actions).to(self.dtype)
        deter = model.step(*self.dense(state), taken)
        return self.drawn(deter, model.prior_logits(deter), rng)

    def drawn(
        self, deter: Float[Tensor, "N D"], logits: Float[Tensor, "N V K"], rng: np.random.Generator
    ) -> world.State:
        """Returns states with latents drawn from a generator."""
        uniform = torch.from_numpy(rng.random(logits.shape[:-1], np.float32)).to(self.device)
        index = unimix.draw(logits, uniform)
        return {"deter": deter.float(), "stoch": index.to(torch.uint8)}

    def dense(self, state: world.State) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N Z"]]:
        """Returns memory and one-hot latents of states."""
        latent = unimix.one_hot(state["stoch"], self.config.classes, self.dtype)
        return state["deter"].to(self.dtype), latent

    def feature(self, state: world.State) -> Float[Tensor, "N F"]:
        """Returns what heads see of states."""
        return torch.cat(self.dense(state), -1)

    def decode(self, state: world.State) -> Float[Tensor, "N H W C"]:
        """Returns what states look like."""
        return norms.spread(self.frozen["decoder"](*self.dense(state)).float().sigmoid())

    def policy_logits(self, state: world.State) -> Float[Tensor, "N A"]:
        """Returns the policy's logits."""
        return self.frozen["actor"](self.feature(state))

    def predict(self, state: world.State) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Returns rewards, and the probabilities that the episode goes on."""
        feature = self.feature(state)
        proceed = self.frozen["proceed"](feature)[..., 0].float().sigmoid()
        discount = 1 - 1 / self.config.discount_horizon
        reward = twohot.mean(self.frozen["reward"](feature), self.bins)
        return reward, (proceed / discount).clamp(max=1)

    # What replay keeps

    def kept(self, state: world.State) -> base.Rows:
        """Returns memory and latents as replay keeps them."""
        return {name: world.numpy(tensor) for name, tensor in self.pack(state).items()}

    def pack(self, state: world.State) -> Data:
        """Returns memory as float32 or the bits of bfloat16, and latents as classes."""
        deter, stoch = state["deter"], state["stoch"].to(torch.uint8)
        if self.config.training.latents == "exact":
            return {"deter": deter.float(), "stoch": stoch}
        return {"deter": deter.bfloat16().view(torch.uint16), "stoch": stoch}

    def unpack(self, deter: Tensor, stoch: Tensor) -> world.State:
        """Returns the state that `pack` packed."""
        if deter.dtype == torch.uint16:
            deter = deter.view(torch.bfloat16)
        return {"deter": deter.float(), "stoch": stoch}

    # State

    def save(self) -> base.Tree:
        """Returns everything, what is on its way to replay included."""
        fresh = {name: array.copy() for name, array in self.fresh.arrays().items()}
        return super().save() | {"fresh": fresh}

    def load(self, state: base.Tree) -> None:
        """Goes back to a saved state."""
        super().load(state)
        fresh = {name: torch.from_numpy(array.copy()) for name, array in state["fresh"].items()}
        self.fresh = torch_agent.Late(fresh)
        self.frozen.refresh()


def require_streams(training: base.Training) -> None:
    """Refuses what DreamerV3 cannot learn from.

    Raises:
        ValueError: sampling is not uniform, or windows have no context to begin from.
    """
    if training.sampling != "uniform":
        raise ValueError(
            "training.sampling: DreamerV3 learns from windows of streams and takes 'uniform', "
            f"not {training.sampling!r}."
        )
    if not training.context:
        raise ValueError("training.context: 0; DreamerV3 begins at stored states, allowed from 1.")


def require_groups(config: Config) -> None:
    """Refuses what cannot be cut into the memory's blocks.

    Raises:
        ValueError: memory, or the channels of the decoder's smallest map, are no multiples.
    """
    for name, width in (("deter", config.deter), ("depth", 4 * config.depth)):
        if width % config.groups:
            raise ValueError(
                f"{name}: {getattr(config, name)} makes {width} numbers, which groups: "
                f"{config.groups} does not divide; allowed are multiples of it."
            )
