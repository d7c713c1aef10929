"""DreamerV3's update against what the machine can multiply, in one run.

    python -m benchmarks.dreamerv3 [--sizes size1m size12m] [--updates 7] [--plain]

A batch of 16 x 64 rows of 64 x 64 RGB, 15 imagined steps, 6 actions. Each case is a process of its
own; matrix products of 1024^3 in float32 are timed between its updates, and the ratio of the two is
what travels between machines. Operations are nominal: those of the published architecture as
written, whatever of them a better form saves.

Source of the operations an update: 108 GFLOP at size1m, 1377 at size12m, counted by operator over
an update of the same architecture.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import batches, rounds

RESULTS = Path(__file__).parent / "results" / "dreamerv3.json"
GFLOP = {"size1m": 108.0, "size12m": 1377.0}
TRAINED, SHAPE, ACTIONS, EDGE = 16 * 64, (64, 64, 3), 6, 1024  # TRAINED: rows an update


def main() -> None:
    """Measures every case in turn, prints a table and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(GFLOP), choices=list(GFLOP))
    parser.add_argument("--updates", type=int, default=7, help="that count, after two that do not")
    parser.add_argument("--plain", action="store_true", help="without compiled kernels")
    parser.add_argument("--case", nargs=3, metavar=("SIZE", "PRECISION", "THREADS"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    if args.case:
        size, precision, threads = args.case
        print(json.dumps(case(size, precision, int(threads), args.updates)))
        return
    found = []
    for size in args.sizes:
        for precision in ("float32", "bfloat16"):
            both = [asked(size, precision, threads, args) for threads in (1, 2)]
            found.append({"size": size, "precision": precision} | merged(*both))
            print(found[-1], file=sys.stderr, flush=True)
    print(table(found))
    about = {"command": "python -m benchmarks.dreamerv3" + " --plain" * args.plain}
    rounds.write(args.out, about | {"cases": found}, {})


def asked(size: str, precision: str, threads: int, args: argparse.Namespace) -> dict[str, Any]:
    """Returns what a process of its own measures."""
    words = [sys.executable, "-m", "benchmarks.dreamerv3", "--updates", str(args.updates)]
    words += ["--case", size, precision, str(threads)]
    more = {"OMP_NUM_THREADS": str(threads)} | ({"REVERIE_NATIVE": "0"} if args.plain else {})
    done = subprocess.run(
        words, env=os.environ | more, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def merged(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    """Returns processor seconds of one thread beside wall seconds of two."""
    return one | {"two_threads_wall_s": two["wall_s"], "two_threads_walls": two["walls"]}


def case(size: str, precision: str, threads: int, updates: int) -> dict[str, Any]:
    """Measures one size and precision in this process."""
    import torch

    if threads == 1:  # Pinned: a thread that moves between cores is slower, and noisier.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(threads)
    update, product = updater(size, precision), multiplier()
    for _ in range(2):
        update()
    rows = []
    for _ in range(updates):
        before = product()
        wall, cpu = time.perf_counter(), time.process_time()
        update()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        rows.append({"cpu": cpu, "wall": wall, "matmul": (before + product()) / 2})
    ratios = [GFLOP[size] / row["cpu"] / row["matmul"] for row in rows]
    cpu, wall = (statistics.median(row[name] for row in rows) for name in ("cpu", "wall"))
    return {
        "cpu_s": cpu,
        "wall_s": wall,
        "frames_per_s": TRAINED / cpu,
        "gflops": GFLOP[size] / cpu,
        "matmul_gflops": statistics.median(row["matmul"] for row in rows),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "walls": [row["wall"] for row in rows],
    }


def updater(size: str, precision: str) -> Callable[[], None]:
    """Returns a function that takes one update on a made-up batch."""
    import numpy as np
    from gymnasium import spaces

    import agents

    config = agents.configure("dreamerv3", "none", [size], {"precision": precision})
    space = spaces.Dict({"image": spaces.Box(0, 255, SHAPE, np.uint8)})
    agent = agents.load("dreamerv3").Agent(space, spaces.Discrete(ACTIONS), config, 0, "cpu")
    batch = batches.made_up(config, ACTIONS, seed=0)
    return lambda: agent.train((), batch, 0.0) and None


def multiplier() -> Callable[[], float]:
    """Returns a function that says how many GFLOP a second one thread multiplies."""
    import torch

    one, other = torch.rand(EDGE, EDGE), torch.rand(EDGE, EDGE)

    def measure() -> float:
        threads, rates = torch.get_num_threads(), []
        torch.set_num_threads(1)
        for _ in range(12):
            began = time.process_time()
            one @ other
            rates.append(2 * EDGE**3 / 1e9 / (time.process_time() - began))
        torch.set_num_threads(threads)
        return statistics.median(rates)

    return measure


def table(found: list[dict[str, Any]]) -> str:
    """Returns a Markdown table."""
    lines = [
        "| size | precision | processor s, 1 thread | wall s, 2 threads | replayed frames/s "
        "| GFLOP/s | matmul GFLOP/s | ratio (min..max) | peak MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        span = f"**{row['ratio']:.2f}** ({row['ratio_min']:.2f}..{row['ratio_max']:.2f})"
        cells = [
            row["size"], row["precision"], f"{row['cpu_s']:.2f}",
            f"{row['two_threads_wall_s']:.2f}", f"{row['frames_per_s']:,.0f}",
            f"{row['gflops']:.0f}", f"{row['matmul_gflops']:.0f}", span, f"{row['peak_mib']:,.0f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
