"""Which feed an agent's record of training asks for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from agents import base
from launch.replay.episodes import Episodes
from launch.replay.feed import Buffer, Feed
from launch.replay.size import Announcement
from launch.replay.store import ROWS, Store
from launch.replay.uniform import Uniform
from launch.rollout import Rollout


def feed(
    training: base.Training,
    buffer: Buffer,
    rng: np.random.Generator,
    folder: Path,
    steps: int,
    say: Callable[[str], None],
) -> Feed:
    """Returns what feeds an agent.

    Args:
        training: how it wants to be fed.
        buffer: allocates arrays where it wants them.
        rng: draws the samples; nothing else does.
        folder: for the files of a replay.
        steps: agent steps of the run.
        say: shows a line to the user.

    Raises:
        ValueError: settings that contradict each other.
    """
    if training.sampling == "fresh":
        updates = training.epochs * training.minibatches
        return Rollout(training.streams, training.length, updates, buffer)
    if training.sampling == "none":
        return Feed(training.streams)
    rows = min(training.capacity, steps)
    store = Store(training.streams, folder, training.storage == "mapped", min(rows, ROWS))
    announce = Announcement(rows, say)
    kind = Uniform if training.sampling == "uniform" else Episodes
    return kind(training, buffer, rng, store, announce)
