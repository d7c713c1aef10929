"""Small agents of DreamerV3 as of January 2023, and made-up batches, for its tests."""

import numpy as np
import torch

import agents
from tests.agents import toys

AGENT, SHAPE, ACTIONS = "dreamerv3_2023", (64, 64, 3), 3
MODEL = {"encoder", "rssm", "decoder", "reward", "proceed"}
GAMMA = 332 / 333


def small(*blocks, seed=0, actions=ACTIONS, **changes):
    sets = {"training.batch": 3, "training.length": 6} | changes
    config = agents.configure(AGENT, "none", ["debug", *blocks], sets)
    return toys.built(AGENT, config, SHAPE, actions, seed)


def made_up(agent, seed=0):
    """Returns a batch as replay hands it out."""
    rng, training = np.random.default_rng(seed), agent.config.training
    size = (training.batch, training.length)
    rows = {
        "image": rng.integers(0, 256, (*size, *SHAPE), np.uint8),
        "reward": rng.normal(size=size).astype(np.float32),
        "is_first": rng.random(size) < 0.2,
        "is_last": rng.random(size) < 0.2,
        "is_terminal": rng.random(size) < 0.2,
        "action": rng.integers(0, agent.actions, size),
    }
    rows["is_first"][:, 0] = True
    return rows


def tensors(rows):
    return {name: torch.from_numpy(array) for name, array in rows.items()}


def networks(agent):
    return {k: v for k, v in agent.parts.items() if not k.endswith("_opt") and k != "scale"}


def opened(agent, seed=0):
    """Returns the losses of world model, actor and critic, and the states between."""
    data = tensors(made_up(agent, seed))
    noise = agent.draws(*data["reward"].shape)
    losses, seen = agent.model_losses(data, noise.filtered)
    start = {name: seen[name].flatten(0, 1).detach() for name in ("deter", "stoch")}
    policy, value, metrics = agent.behaviour_losses(start, data["is_terminal"].flatten(), noise)
    return losses, policy, value, metrics, seen


def shaken(agent, seed=0):
    """Gives every network other weights than the initial ones, so that no layer is zero."""
    torch.manual_seed(seed)
    for part in networks(agent).values():
        for param in part.parameters():
            param.data.add_(0.1 * torch.randn(param.shape))
    return agent


def norm(x, gain=1.0, offset=0.0):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-3).sqrt() * gain + offset


def silu_norm(x, layer):
    found = norm(x, layer.norm.weight, layer.norm.bias)
    return found * found.sigmoid()
