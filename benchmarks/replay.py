"""Sequences a second of the replay against plain slice copies; seconds of a checkpoint.

    python -m benchmarks.replay [--rows 100000] [--streams 4] [--rounds 7] [--folder FOLDER]

The baseline is what cannot be done faster in NumPy: one contiguous array for every column and
stream, slices of it copied into a batch that was allocated before. A row is that of Dreamer v3 with
12M parameters: a frame of 64x64x3, 2,048 + 32 latents kept compact, and the small columns.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agents import base
from benchmarks import rounds
from launch.replay import choice
from launch.replay.feed import Feed, Rows

RESULTS = Path(__file__).parent / "results" / "replay.json"
BATCH, LENGTH, CONTEXT, EPISODE = 16, 64, 1, 800
BATCHES = 40  # Of a candidate in a round.
ROWS_OF_A_CHECKPOINT = 1_000_000  # What times are scaled to.


def uniform(streams: int, storage: str) -> base.Uniform:
    """Returns settings as those of Dreamer v3."""
    return base.Uniform(
        sampling="uniform", streams=streams, prefill=0, start=1_024, ratio=1e-6, batch=BATCH,
        length=LENGTH, context=CONTEXT, capacity=10**8, online=False, recent=1.0,
        latents="compact", storage=storage,
    )  # fmt: skip


def episodes(streams: int, storage: str) -> base.Episodes:
    """Returns settings as those of Dreamer v2, with windows as long as the others'."""
    return base.Episodes(
        sampling="episodes", streams=streams, prefill=0, prefill_episodes=1, pretrain=0,
        every=10**9, updates=1, batch=BATCH, length=LENGTH + CONTEXT, capacity=10**8, shortest=50,
        starts="ends_weighted", continued=False, recent=1.0, storage=storage,
    )  # fmt: skip


def filled(training: base.Training, folder: Path, rows: int) -> tuple[Feed, float]:
    """Returns a replay with so many rows, and how many rows a second went in."""
    feed = choice.feed(training, np.zeros, np.random.default_rng(0), folder, rows, print)
    streams = training.streams
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (64, streams, 64, 64, 3), np.uint8)
    kept = {
        "deter": rng.integers(0, 1 << 16, (streams, 2048), np.uint16),
        "stoch": rng.integers(0, 64, (streams, 32), np.uint8),
    }
    began = time.perf_counter()
    for row in range(rows // streams):
        at = row % EPISODE
        feed.observe(
            {
                "image": frames[row % 64],
                "reward": np.zeros(streams, np.float32),
                "is_first": np.full(streams, at == 0),
                "is_last": np.full(streams, at == EPISODE - 1),
                "is_terminal": np.full(streams, at == EPISODE - 1),
            }
        )
        feed.answer(np.zeros(streams, np.int64), kept)
    return feed, rows / (time.perf_counter() - began)


def plain(streams: int, rows: int) -> Callable[[], int]:
    """Returns the baseline: it knows where everything is, and copies."""
    each = rows // streams
    columns = {
        "image": ((64, 64, 3), np.uint8), "reward": ((), np.float32), "is_first": ((), bool),
        "is_last": ((), bool), "is_terminal": ((), bool), "action": ((), np.int64),
    }  # fmt: skip
    kept = {"deter": ((2048,), np.uint16), "stoch": ((32,), np.uint8)}
    held = {n: np.ones((streams, each, *s), k) for n, (s, k) in (columns | kept).items()}
    window = LENGTH + CONTEXT
    long = {name: window for name in columns} | {name: CONTEXT for name in kept}
    sets: list[Rows] = [
        {n: np.zeros((BATCH, long[n], *a.shape[2:]), a.dtype) for n, a in held.items()}
        for _ in range(2)
    ]
    rng = np.random.default_rng(0)

    def work() -> int:
        for turn in range(BATCHES):
            out = sets[turn % 2]
            starts = rng.integers(each - window, size=BATCH).tolist()
            of = rng.integers(streams, size=BATCH).tolist()
            for index in range(BATCH):
                for name, array in out.items():
                    end = starts[index] + long[name]
                    array[index] = held[name][of[index], starts[index] : end]
        return BATCHES * BATCH

    return work


def served(feed: Feed) -> Callable[[], int]:
    """Returns work that takes batches and gives latents back, where there are such."""
    refreshed = {
        "deter": np.zeros((BATCH, LENGTH, 2048), np.uint16),
        "stoch": np.zeros((BATCH, LENGTH, 32), np.uint8),
    }

    def work() -> int:
        for _ in range(BATCHES):
            feed.batch()
            feed.trained(refreshed)
        return BATCHES * BATCH

    return work


def gathered(feed: Feed) -> Callable[[], int]:
    """Returns work that takes batches alone."""

    def work() -> int:
        for _ in range(BATCHES):
            feed.batch()
        return BATCHES * BATCH

    return work


def checkpoints(feed: Feed, rows: int) -> dict[str, float]:
    """Returns seconds of the first checkpoint, and of one after every row's latents changed."""
    found = {}
    for name in ("first", "all latents changed", "nothing changed"):
        if name == "all latents changed":
            for number in feed.store.latents.held:
                feed.store.latents.touched(number)[:] = True
        began = time.perf_counter()
        feed.save((len(found), 0))
        feed.saved()
        found[name] = (time.perf_counter() - began) * ROWS_OF_A_CHECKPOINT / rows
    began = time.perf_counter()
    feed.load(feed.save((9, 0)))
    found["reading it again"] = (time.perf_counter() - began) * ROWS_OF_A_CHECKPOINT / rows
    return found


def speeds(args: argparse.Namespace, root: Path) -> tuple[dict, dict, dict]:
    """Returns results of all candidates, rows a second that went in, seconds of checkpoints."""
    work = {"plain slice copies": plain(args.streams, args.rows)}
    inserted, saved = {}, {}
    for kind, settings in {"uniform": uniform, "episodes": episodes}.items():
        for storage in ("memory", "mapped"):
            name = f"{kind}, {storage}"
            training = settings(args.streams, storage)
            feed, inserted[name] = filled(training, root / name, args.rows)
            work[name] = gathered(feed)
            if kind == "uniform":
                work[f"{name}, with latents written back"] = served(feed)
                saved[storage] = checkpoints(feed, args.rows)
    return rounds.compare(work, "plain slice copies", args.rounds), inserted, saved


def main() -> None:
    """Measures, prints tables and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: a new one")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        found, inserted, saved = speeds(args, Path(folder))
    part = f"{args.rows} rows, {args.streams} streams, {len(os.sched_getaffinity(0))} cores"
    print(f"\n{part}\n\n{rounds.table(found, 'sequences/s')}\n")
    print("| what | rows in a second |\n|---|---|")
    for name, speed in inserted.items():
        print(f"| {name} | {speed:,.0f} |")
    print("\n| checkpoint, seconds for 1M rows | memory | mapped |\n|---|---|---|")
    for name in saved["memory"]:
        print(f"| {name} | {saved['memory'][name]:.1f} | {saved['mapped'][name]:.1f} |")
    about = {
        "command": f"python -m benchmarks.replay --rows {args.rows} --streams {args.streams}",
        "rows_a_second": inserted,
        "checkpoint_seconds_for_1M_rows": saved,
    }
    rounds.write(args.out, json.loads(json.dumps(about)), {part: found})


if __name__ == "__main__":
    main()
