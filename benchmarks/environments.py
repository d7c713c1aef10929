"""Agent steps a second of both backends against gymnasium's SyncVectorEnv.

    python -m benchmarks.environments [--game pong] [--rounds 5] [--seconds 2]

The baseline is what most PyTorch code steps: SyncVectorEnv over AtariPreprocessing (OpenCV's area
resize; needs the extra `benchmark`), here with the same task: frame skip 4, maximum of two frames,
no sticky actions, no-ops up to 30, minimal actions, whole games.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import rounds
from suites import env, games
from suites.task import Quirks, Task
from suites.view import View

TASK = Task(
    frame_skip=4,
    pooling=2,
    sticky=0.0,
    actions="minimal",
    noops=(1, 30),
    cap=108_000,
    score="game_return",
    quirks=Quirks(truncation_is_terminal=False, stale_first_frame=False),
)
SHAPES = {"64x64 RGB": ((64, 64), "rgb", 1), "84x84 gray x 4": ((84, 84), "gray", 4)}
ENVS = (1, 8, 16)
RESULTS = Path(__file__).parent / "results" / "environments.json"


def ours(game: str, backend: str, shape: str, envs: int, cores: int) -> tuple[Callable, Callable]:
    """Returns a function that steps one of our backends, and one that closes it."""
    size, color, stack = SHAPES[shape]
    view = View(
        size=size, color=color, resize="area", stack=stack, reward="raw",
        life_loss=False, fire=False,
    )  # fmt: skip
    # One environment gains nothing from a process of its own.
    workers = 0 if envs == 1 else cores
    world = env.make(
        game, TASK, view, envs, ("benchmark", game, envs), backend=backend, workers=workers,
        training=False,
    )  # fmt: skip
    actions = int(world.act_space.n)
    rng = np.random.default_rng(0)
    return lambda: world.step(rng.integers(actions, size=envs)), world.close


def gymnasium_sync(game: str, shape: str, envs: int) -> tuple[Callable, Callable]:
    """Returns a function that steps the baseline, and one that closes it."""
    import ale_py
    import gymnasium
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

    gymnasium.register_envs(ale_py)
    (size, _), color, stack = SHAPES[shape]
    name = games.load(game).envpool_id

    def make() -> gymnasium.Env:
        one = gymnasium.make(f"ALE/{name}", frameskip=1, repeat_action_probability=0.0)
        one = AtariPreprocessing(
            one, noop_max=30, frame_skip=4, screen_size=size, grayscale_obs=color == "gray"
        )
        return FrameStackObservation(one, stack) if stack > 1 else one

    world = gymnasium.vector.SyncVectorEnv([make] * envs)
    world.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = int(world.single_action_space.n)
    return lambda: world.step(rng.integers(actions, size=envs)), world.close


def timed(step: Callable[[], object], envs: int, seconds: float) -> Callable[[], int]:
    """Returns work that steps for a while and counts agent steps."""

    def work() -> int:
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            step()
            count += envs
        return count

    return work


def measure(game: str, shape: str, envs: int, turns: int, seconds: float, cores: int):
    """Returns results of all candidates for one shape and number of environments."""
    worlds = {
        "gymnasium SyncVectorEnv": gymnasium_sync(game, shape, envs),
        "ale": ours(game, "ale", shape, envs, cores),
        "envpool": ours(game, "envpool", shape, envs, cores),
    }
    try:
        work = {name: timed(step, envs, seconds) for name, (step, _) in worlds.items()}
        return rounds.compare(work, "gymnasium SyncVectorEnv", turns)
    finally:
        for _, close in worlds.values():
            close()


def main() -> None:
    """Measures, prints tables and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", default="pong")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a candidate in a round")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    results = {}
    for shape in SHAPES:
        for envs in ENVS:
            part = f"{args.game}, {shape}, {envs} environments, {cores} cores"
            found = measure(args.game, shape, envs, args.rounds, args.seconds, cores)
            results[part] = found
            print(f"\n{part}\n\n{rounds.table(found, 'agent steps/s')}", flush=True)
    rounds.write(args.out, {"command": "python -m benchmarks.environments"}, results)


if __name__ == "__main__":
    main()
