"""Batches of noise, of the shape that an agent's settings ask for."""

from typing import Any

import numpy as np

from suites.game import image_shape


def made_up(config: Any, actions: int, seed: int) -> dict[str, np.ndarray]:
    """Returns a batch (B, T, ...) as replay hands it out.

    Args:
        config: of a Dreamer.
        actions: how many there are.
        seed: of the numbers.
    """
    training, rng = config.training, np.random.default_rng(seed)
    context = getattr(training, "context", 0)
    shape = (training.batch, training.length + context)
    batch = {
        "image": rng.integers(0, 256, (*shape, *image_shape(config.view)), np.uint8),
        "reward": rng.normal(size=shape).astype(np.float32),
        "is_first": rng.random(shape) < 0.01,
        "is_last": rng.random(shape) < 0.01,
        "is_terminal": rng.random(shape) < 0.005,
        "action": rng.integers(0, actions, shape),
    }
    if training.sampling == "episodes":
        batch["previous_action"] = rng.integers(0, actions, shape)
    if context:
        batch["deter"] = np.zeros((training.batch, context, config.deter), np.float32)
        batch["stoch"] = np.zeros((training.batch, context, config.latents), np.uint8)
    return batch
