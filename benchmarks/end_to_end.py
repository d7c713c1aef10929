"""How much of a DreamerV3 run is training: environments, acting, replay and updates in one loop.

    python -m benchmarks.end_to_end [--size size1m] [--ratio 32] [--streams 4] [--updates 12]

The loop is the one that runs use, on real Pong, float32, one torch thread; environments step in
worker processes, as many as there are cores.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from benchmarks import rounds
from launch.loop import Loop

RESULTS = Path(__file__).parent / "results" / "end_to_end.json"


def main() -> None:
    """Measures, prints a line and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="size1m")
    parser.add_argument("--ratio", type=float, default=32.0)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # Before torch is imported.
    with tempfile.TemporaryDirectory() as folder:
        found = measured(args, Path(folder))
    print(" ".join(f"{name}={value}" for name, value in found.items()))
    facts = {key: value for key, value in vars(args).items() if key != "out"}
    about = {"command": "python -m benchmarks.end_to_end", "cases": [facts | found]}
    rounds.write(args.out, about, {})


def measured(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Returns where the time of some updates and the play between them goes."""
    import numpy as np

    from launch import config, session
    from launch.loop import Plan
    from launch.replay import choice

    sets = [f"training.ratio={args.ratio}", f"training.streams={args.streams}"]
    sets += [f"precision={args.precision}"]
    wanted = config.resolve("atari100k", f"dreamerv3+{args.size}", "pong", 0, sets=sets)
    options = session.Options(
        root=folder, out=folder, threads=1, workers=len(os.sched_getaffinity(0)), device="cpu",
        checkpoint_every_s=1e9,
    )  # fmt: skip
    world, agent, training = session.build(wanted, options, "train")
    plan = Plan(frames=10**9, frame_skip=4, log_every=10**9, evaluate_at=())
    feed = choice.feed(
        training, agent.buffer, np.random.default_rng(0), folder, 400_000, lambda text: None
    )
    loop = Loop(
        plan, agent, world, feed, np.random.default_rng(0),
        write=lambda name, line: None, evaluate=lambda frame: 0.0, between=lambda: None,
    )  # fmt: skip
    try:
        return timed(loop, args.updates)
    finally:
        world.close()


def timed(loop: Loop, updates: int) -> dict[str, float]:
    """Plays until updates are due, takes two that do not count, then counts."""
    training = acting = 0.0
    done, began, steps = -2, 0.0, 0
    while done < updates:
        start = time.perf_counter()
        if loop.owed:
            loop.update()
            training += time.perf_counter() - start
            done += 1
        else:
            loop.act()
            loop.step()
            acting += time.perf_counter() - start
        if done <= 0:
            training = acting = 0.0
            began, steps = time.perf_counter(), loop.counters.agent_steps
    seconds, played = time.perf_counter() - began, loop.counters.agent_steps - steps
    return {
        "train_share": round(training / (training + acting), 4),
        "seconds": round(seconds, 2),
        "update_s": round(training / updates, 3),
        "agent_step_ms": round(1000 * acting / max(played, 1), 3),
        "agent_steps_per_s": round(played / seconds, 2),
        "agent_steps_per_update": round(played / updates, 1),
    }


if __name__ == "__main__":
    main()
