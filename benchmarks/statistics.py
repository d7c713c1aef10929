"""Seconds of aggregates and of a probability of improvement, beside rliable's.

    python -m benchmarks.statistics [--resamples 50000] [--reference 500]

Five agents x 57 games x 5 seeds, four aggregates. rliable makes as many resamples as --reference
says, and its seconds are scaled to the same number: all 50,000 take it minutes. Seconds are of the
processor, in turn with ours.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis import aggregates, bootstrap, improvement
from benchmarks import rounds

RESULTS = Path(__file__).parent / "results" / "statistics.json"
AGENTS, GAMES, SEEDS = 5, 57, 5
ROUNDS = 3


def scores() -> list[np.ndarray]:
    """Returns scores of all agents, human-normalised."""
    rng = np.random.default_rng(0)
    return [rng.gamma(1.0, 0.7, (SEEDS, GAMES)) for _ in range(AGENTS)]


def seconds(work: Callable[[], object]) -> float:
    """Returns the processor seconds of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def ours(resamples: int) -> None:
    """Makes the intervals of all agents."""
    for index, each in enumerate(scores()):
        rng = bootstrap.generator(0, str(index))
        bootstrap.interval(aggregates.estimate, each, rng, resamples)


def theirs(resamples: int) -> None:
    """Makes the same with rliable."""
    for each in scores():
        aggregates.rliable_interval(aggregates.estimate, each, [0], resamples)


def our_pair(resamples: int) -> None:
    """Makes the interval of a probability of improvement."""
    first, second, *_ = scores()
    improvement.interval(first, second, bootstrap.generator(0), resamples)


def their_pair(resamples: int) -> None:
    """Makes the same with rliable."""
    from rliable import library, metrics

    first, second, *_ = scores()
    with aggregates.global_generator([0]):
        library.get_interval_estimates(
            {"pair": (first, second)}, metrics.probability_of_improvement, reps=resamples
        )


def main() -> None:
    """Measures, prints a table and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resamples", type=int, default=50_000)
    parser.add_argument("--reference", type=int, default=500, help="resamples of rliable")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    scale, found = args.resamples / args.reference, {}
    print("| what | ours, s | rliable, s | ratio (min..max) |\n|---|---|---|---|")
    for name, mine, other in (
        ("four aggregates of five agents", ours, theirs),
        ("probability of improvement of a pair", our_pair, their_pair),
    ):
        pairs = [
            (seconds(lambda f=mine: f(args.resamples)), seconds(lambda f=other: f(args.reference)))
            for _ in range(ROUNDS)
        ]
        found[name] = [(a, b * scale) for a, b in pairs]
        ratios = sorted(b / a for a, b in found[name])
        a, b = (float(np.median(column)) for column in zip(*found[name], strict=True))
        ends = f"{ratios[0]:.0f}..{ratios[-1]:.0f}"
        print(f"| {name} | {a:.2f} | {b:,.0f} | **{np.median(ratios):.0f}** ({ends}) |")
    command = f"python -m benchmarks.statistics --resamples {args.resamples}"
    rounds.write(args.out, {"command": command, "seconds": found}, {})


if __name__ == "__main__":
    main()
