"""A small agent with a world model that needs no training, for tests of what shows a model.

It remembers what it saw, blurred; in imagination everything moves down by a pixel a step.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents import base
from agents.parts.world import WorldAgent
from launch import config, trained
from suites.records import build

VIEW = {"size": [64, 64], "color": "rgb", "resize": "bilinear", "stack": 1, "reward": "sign",
        "life_loss": False, "fire": False}  # fmt: skip


class Toy(WorldAgent):
    """Has no weights; what it does follows from what it saw and from the draws."""

    def __init__(self, shape: tuple[int, int, int], actions: int):
        settings = {"view": VIEW, "training": {"sampling": "none", "streams": 2}}
        super().__init__(build(base.Config, settings, "toy"), 0, "cpu")
        self.shape, self.actions = shape, actions

    def initial(self, count):
        return {"image": torch.zeros((count, *self.shape)), "age": torch.zeros(count)}

    def encode(self, image):
        return image.flatten(1).float() / 255

    def observe(self, state, action, embedding, first, rng):
        noise = torch.from_numpy(rng.normal(size=(len(first), *self.shape)).astype(np.float32))
        image = 0.95 * embedding.unflatten(1, self.shape) + 0.01 * noise
        age = torch.where(first, torch.zeros_like(state["age"]), state["age"] + 1)
        return {"image": image, "age": age}

    def imagine(self, state, action, rng):
        return {"image": state["image"].roll(1, 1), "age": state["age"] + 1}

    def decode(self, state):
        return state["image"]

    def policy_logits(self, state):
        return torch.nn.functional.one_hot(state["age"].long() % self.actions, self.actions) * 2.0

    def predict(self, state):
        return state["age"] / 100, torch.full_like(state["age"], 0.99)


def of_run(run: Path, game: str = "pong", view: dict[str, Any] | None = None) -> trained.Trained:
    """Returns the toy in the place of a run's agent, on a game of this view."""
    found = trained.load(run, None, "cpu")
    view = build(type(found.run.view), VIEW | (view or {}), "toy")
    held: config.RunConfig = found.run.model_copy(update={"game": game, "view": view})
    channels = (3 if view.color == "rgb" else 1) * view.stack
    actions = {"pong": 6, "breakout": 4, "catch": 3}[game]
    toy = Toy((*view.size, channels), actions)
    return trained.Trained(run, held, found.weights, toy)
