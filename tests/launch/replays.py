"""Replays for tests: a tape of numbered rows, small records, an agent that keeps latents.

Shapes: S streams, R rows.
"""

from pathlib import Path

import numpy as np

from agents import base
from launch.replay import choice
from launch.replay.feed import Feed, Rows

UNIFORM = base.Uniform(
    sampling="uniform", streams=2, prefill=0, start=8, ratio=2.0, batch=3, length=4, context=1,
    capacity=1_000, online=True, recent=1.0, latents="exact", storage="memory",
)  # fmt: skip
EPISODES = base.Episodes(
    sampling="episodes", streams=2, prefill=10, prefill_episodes=1, pretrain=2, every=4, updates=1,
    batch=3, length=3, capacity=1_000, shortest=2, starts="ends_weighted", continued=False,
    recent=1.0, storage="memory",
)  # fmt: skip


def make(training: base.Training, folder: Path, rows: int = 16, steps: int = 10**6) -> Feed:
    """Returns a feed whose blocks hold so many rows, all streams."""
    feed = choice.feed(
        training, np.zeros, np.random.default_rng(7), folder, steps, lambda text: None
    )
    if hasattr(feed, "store"):
        feed.store.length, feed.store.page = max(1, rows // training.streams), 3
    return feed


def row(number: int, streams: int, first: bool = False, last: bool = False) -> Rows:
    """Returns a row of every stream; the image holds the stream and the row's number."""
    image = np.zeros((streams, 1, 1, 4), np.uint8)
    image[:, 0, 0, 0] = np.arange(streams)
    image[:, 0, 0, 1], image[:, 0, 0, 2] = number % 256, number // 256
    return {
        "image": image,
        "reward": np.full(streams, number, np.float32),
        "is_first": np.full(streams, first),
        "is_last": np.full(streams, last),
        "is_terminal": np.full(streams, last),
    }


def where(batch: Rows) -> np.ndarray:
    """Returns stream and number of the rows of a batch (..., 2)."""
    image = batch["image"][..., 0, 0, :].astype(int)
    return np.stack([image[..., 0], image[..., 1] + 256 * image[..., 2]], -1)


def latent(number: int, streams: int) -> Rows:
    """Returns what a policy keeps: the row's number, and whether it was refreshed."""
    return {
        "deter": np.full((streams, 2), number, np.float32),
        "stoch": np.zeros((streams, 3), np.uint8),
    }


def play(feed: Feed, count: int, begin: int = 0, length: int = 0) -> list[int]:
    """Plays rows and returns the updates due for each; episodes have so many rows, or no end."""
    due = []
    for number in range(begin, begin + count):
        first = not number or (length > 0 and number % length == 0)
        last = length > 0 and number % length == length - 1
        owed = feed.observe(row(number, feed.streams, first, last))
        owed += feed.answer(np.full(feed.streams, number + 1), latent(number, feed.streams))
        due.append(owed)
    return due
