"""Evaluation: a function of weights, seed and frame, on environments of its own.

Nothing of training is touched: the environments, their random numbers and the draws of the policy
are made for the evaluation and thrown away after it.

Shapes: B environments.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from agents import base
from launch.loop import OBSERVED
from suites import env, seeding
from suites.task import Task
from suites.view import View

ENVS = 8  # At most, side by side.


def play(
    agent: base.Agent,
    game: str,
    task: Task,
    view: View,
    names: tuple[str | int, ...],
    *,
    episodes: int,
    policy: str,
    backend: str,
    workers: int,
    between: Callable[[int], None] = lambda done: None,
) -> Iterator[dict[str, Any]]:
    """Yields one line an episode, in a fixed order whatever ends first.

    Every environment plays a fixed share of the episodes, so that short ones are not preferred.

    Args:
        agent: acts; nothing of it changes.
        game: name in the games table.
        task: what is measured.
        view: what the agent sees; life loss and FIRE do not apply here.
        names: what the random numbers are for.
        episodes: how many.
        policy: "sampled" or "greedy".
        backend: of the environments.
        workers: of the environments.
        between: called between steps with the number of episodes that are done; may raise to
            leave.

    Yields:
        episode, return (unclipped points), length (frames), end ("terminal" or "truncated").
    """
    count = min(ENVS, episodes)
    world = env.make(
        game, task, view, count, names, backend=backend, workers=workers, training=False
    )
    try:
        found = collect(
            agent, world, episodes, policy, seeding.generator(*names, "policy"), between
        )
    finally:
        world.close()
    for episode, line in enumerate(found):
        yield {"episode": episode} | line


def collect(
    agent: base.Agent,
    world: env.VectorEnv,
    episodes: int,
    policy: str,
    rng: np.random.Generator,
    between: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Returns the first share of episodes of every environment, environment by environment."""
    count = min(ENVS, episodes)
    share = [len(part) for part in np.array_split(np.arange(episodes), count)]
    found: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    carry, action, returns = agent.init(count), np.zeros(count, np.int64), np.zeros(count)
    while any(len(lines) < wanted for lines, wanted in zip(found, share, strict=True)):
        between(sum(map(len, found)))
        rows = world.step(action)
        returns += rows["points"]
        for index in np.flatnonzero(rows["over"]):
            if len(found[index]) < share[index]:
                end = "truncated" if rows["truncated"][index] else "terminal"
                length = int(rows["duration"][index])
                found[index].append({"return": float(returns[index]), "length": length, "end": end})
            returns[index] = 0.0
        carry, action, _ = agent.policy(carry, {k: rows[k] for k in OBSERVED}, policy, rng)
    return [line for lines in found for line in lines]
