"""PPO end to end against a plain loop: environments, policy, learning, everything.

    python -m benchmarks.ppo [--threads 1] [--rounds 5]

A unit of work is one rollout of 8 x 128 agent steps with its 16 updates. Both have the same
network, batch and number of torch threads; ours steps its environments in as many worker processes
as there are cores, which is part of what is measured (`--workers 1` takes that away).
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from benchmarks import rounds

RESULTS = Path(__file__).parent / "results" / "ppo.json"


def plain(game: str) -> tuple[Callable[[], int], Callable[[], None]]:
    """Returns an iteration of the plain loop, and a function that closes it."""
    import ale_py
    import gymnasium
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

    from benchmarks.plain_ppo import STREAMS, PlainPPO
    from suites import games

    gymnasium.register_envs(ale_py)

    def make() -> gymnasium.Env:
        name = f"ALE/{games.load(game).envpool_id}"
        one = gymnasium.make(name, frameskip=1, repeat_action_probability=0.0)
        one = AtariPreprocessing(one, noop_max=30, terminal_on_life_loss=True)
        return FrameStackObservation(one, 4)

    world = gymnasium.vector.SyncVectorEnv([make] * STREAMS)
    return PlainPPO(world).iteration, world.close


def ours(game: str, blocks: str, workers: int) -> tuple[Callable[[], int], Callable[[], None]]:
    """Returns an iteration of our loop, and a function that closes it."""
    import numpy as np

    from launch import config, session
    from launch.loop import Loop, Plan
    from launch.replay import choice

    wanted = config.resolve("demo", "ppo" + blocks, game, 0)
    options = session.Options(
        root=Path(), out=Path(), threads=1, workers=workers, device="cpu", checkpoint_every_s=1e9
    )
    world, agent, training = session.build(wanted, options, "train")
    plan = Plan(frames=10**9, frame_skip=4, log_every=10**9, evaluate_at=())
    rng = np.random.default_rng(0)
    feed = choice.feed(training, agent.buffer, rng, Path(), 10**9, print)
    loop = Loop(
        plan, agent, world, feed, np.random.default_rng(0),
        write=lambda name, line: None, evaluate=lambda frame: 0.0, between=lambda: None,
    )  # fmt: skip

    def iteration() -> int:
        before = loop.counters.agent_steps
        while not loop.owed:
            loop.act()
            loop.step()
        while loop.owed:
            loop.update()
        return loop.counters.agent_steps - before

    return iteration, world.close


def main() -> None:
    """Measures, prints a table and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", default="pong")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)  # Before torch is imported.
    worlds = {
        "plain loop on SyncVectorEnv": plain(args.game),
        "ppo, float32": ours(args.game, "+float32", args.workers),
        "ppo": ours(args.game, "", args.workers),
    }
    work = {name: iteration for name, (iteration, _) in worlds.items()}
    try:
        found = rounds.compare(work, "plain loop on SyncVectorEnv", args.rounds)
    finally:
        for _, close in worlds.values():
            close()
    part = f"{args.game}, 8 environments, {args.threads} torch threads, {args.workers} workers"
    print(f"\n{part}\n\n{rounds.table(found, 'agent steps/s')}")
    rounds.write(args.out, {"command": "python -m benchmarks.ppo"}, {part: found})


if __name__ == "__main__":
    main()
