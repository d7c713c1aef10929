"""Small agents and made-up rollouts, for tests of agents.

Shapes: B streams, R rows, H W C image.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

import agents
from suites.game import image_shape

SHAPE, ACTIONS = (36, 36, 1), 3  # The smallest image that the encoder takes.
SMALL = {
    "view.size": list(SHAPE[:2]),
    "view.stack": SHAPE[2],
    "training.streams": 3,
    "training.length": 12,
    "training.epochs": 2,
    "training.minibatches": 2,
    "features": 16,
    "precision": "float32",
}

# What an agent with replay has of these becomes small: networks, and batches.
REPLAY = {
    "view.size": [64, 64],
    "training.streams": 3,
    "training.batch": 2,
    "training.length": 4,
    "training.shortest": 4,
    # Of these an agent sees nothing: they are the loop's.
    "training.prefill": 0,
    "training.prefill_episodes": 0,
    "training.pretrain": 0,
    "training.start": 1,
    "training.ratio": 1.0,
    "training.every": 1,
    "training.updates": 1,
    "training.capacity": 1000,
    "training.online": False,
    "training.recent": 1.0,
    "training.storage": "memory",
    "training.starts": "all_but_last",
    "deter": 16,
    "hidden": 8,
    "stoch": 4,
    "latents": 4,
    "classes": 4,
    "depth": 2,
    "units": 8,
    "horizon": 3,
}

Rows = dict[str, np.ndarray]
World = Callable[[np.ndarray, np.ndarray], np.ndarray]  # Images and actions to rewards.


def small(name: str, *blocks: str, seed: int = 0, **changes: Any) -> Any:
    """Returns a small agent; `quirks__inert=True` sets quirks.inert."""
    sets = SMALL | {key.replace("__", "."): value for key, value in changes.items()}
    config = agents.configure(name, "none", blocks, sets)
    return built(name, config, SHAPE, ACTIONS, seed)


def little(name: str, *blocks: str, seed: int = 0, actions: int = 4, **changes: Any) -> Any:
    """Returns a small agent that learns from replay; `training__context=2` sets such keys."""
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    sets = shrunk(agents.settings(name, "none", blocks)) | changes
    config = agents.configure(name, "none", blocks, sets)
    return built(name, config, image_shape(config.view), actions, seed)


def shrunk(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the keys of REPLAY that an agent's settings have."""
    nested = settings | {
        f"{group}.{key}": value
        for group in ("view", "training")
        for key, value in settings[group].items()
    }
    return {key: value for key, value in REPLAY.items() if key in nested}


def built(name: str, config: Any, shape: tuple[int, int, int], actions: int, seed: int) -> Any:
    obs_space = spaces.Dict({"image": spaces.Box(0, 255, shape, np.uint8)})
    return agents.load(name).Agent(obs_space, spaces.Discrete(actions), config, seed, "cpu")


def made_up(
    streams: int, count: int, rng: np.random.Generator, shape: tuple[int, int, int] = SHAPE
) -> Rows:
    """Returns R rows of random images and rewards, with terminals, truncations and resets."""
    size = (streams, count)
    first, last = np.zeros(size, bool), np.zeros(size, bool)
    for row in range(count):
        first[:, row] = last[:, row - 1] if row else True
        last[:, row] = (rng.random(streams) < 0.2) & ~first[:, row]
    reward = np.where(first, 0, rng.normal(size=size)).astype(np.float32)
    return {
        "image": rng.integers(0, 256, (*size, *shape), np.uint8),
        "reward": reward,
        "is_first": first,
        "is_last": last,
        "is_terminal": last & (rng.random(size) < 0.5),
    }


def answered(agent: Any, rows: Rows, rng: np.random.Generator, world: World | None = None) -> Rows:
    """Returns the rows with the agent's actions, and the world's rewards for them."""
    batch: Rows = {name: array.copy() for name, array in rows.items()}
    size = rows["reward"].shape
    count, carry = size[1], agent.init(size[0])
    for row in range(count):
        obs = {name: batch[name][:, row] for name in rows}
        carry, action, extra = agent.policy(carry, obs, "train", rng)
        for name, array in {"action": action, **extra}.items():
            shape = (*size, *array.shape[1:])
            batch.setdefault(name, np.zeros(shape, array.dtype))[:, row] = array
        if world and row + 1 < count:
            reward = world(obs["image"], action)
            batch["reward"][:, row + 1] = np.where(batch["is_first"][:, row + 1], 0, reward)
    return batch


def rollout(agent: Any, rng: np.random.Generator, world: World | None = None) -> Rows:
    """Returns a rollout of the size that the agent asks for."""
    training = agent.config.training
    return answered(agent, made_up(training.streams, training.length + 1, rng), rng, world)


def served(agent: Any, rng: np.random.Generator) -> Rows:
    """Returns a batch such as replay serves it, made up, in the way that the agent asks for."""
    training, shape = agent.config.training, image_shape(agent.config.view)
    if training.sampling == "episodes":
        return windows(training.batch, training.length, shape, agent.actions, rng)
    assert training.sampling == "uniform", training.sampling
    rows = made_up(training.batch, training.context + training.length, rng, shape)
    batch = answered(agent, rows, rng)
    kept = batch.keys() - rows.keys() - {"action"}
    cut = {name: batch[name][:, : training.context] for name in kept if training.context}
    return {name: array for name, array in batch.items() if name not in kept} | cut


def windows(
    count: int, length: int, shape: tuple[int, int, int], actions: int, rng: np.random.Generator
) -> Rows:
    """Returns windows inside episodes: the first begins one, the last ends one."""
    size = (count, length)
    flags = {name: np.zeros(size, bool) for name in ("is_first", "is_last", "is_terminal")}
    flags["is_first"][:, 0] = flags["is_last"][-1, -1] = flags["is_terminal"][-1, -1] = True
    before, after = rng.integers(0, actions, (2, *size))
    before[:, 1:], before[0, 0] = after[:, :-1], -1
    return flags | {
        "image": rng.integers(0, 256, (*size, *shape), np.uint8),
        "reward": np.tanh(rng.normal(size=size)).astype(np.float32),
        "previous_action": before,
        "action": after,
    }


def updates(agent: Any) -> int:
    """Returns how many updates a rollout owes."""
    return agent.config.training.epochs * agent.config.training.minibatches


def learn(agent: Any, batch: Rows, progress: float = 0.5) -> None:
    """Takes all the updates that a rollout owes."""
    for _ in range(updates(agent)):
        agent.train((), batch, progress)


def opened(agent: Any, batch: Rows, progress: float = 0.5) -> tuple[dict[str, Tensor], Tensor]:
    """Returns the losses of the first minibatch, with their graph, and its transitions."""
    data = {name: torch.from_numpy(array) for name, array in batch.items()}
    agent.begin(data)
    index = agent.minibatch()
    losses, _ = agent.losses(data, index, progress)
    return losses, index


def trained(agent: Any, seed: int, rollouts: int = 2) -> None:
    """Learns from some made-up rollouts."""
    rng = np.random.default_rng(seed)
    for _ in range(rollouts):
        learn(agent, rollout(agent, rng))


def weights(part: nn.Module) -> list[np.ndarray]:
    """Returns copies of a part's parameters."""
    return [param.detach().numpy().copy() for param in part.parameters()]


def reached(loss: Tensor, parts: dict[str, nn.Module]) -> set[str]:
    """Returns the names of the parts that a loss has a gradient for, not just a graph."""
    found = set()
    for name, part in parts.items():
        params = list(part.parameters())
        gradients = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
        if any(gradient is not None and gradient.any() for gradient in gradients):
            found.add(name)
    return found


def same(one: Any, other: Any) -> bool:
    """Tells whether two trees are equal bit for bit, the types of their arrays included."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and one == other
