"""How often verdicts and intervals are wrong, on synthetic sweeps whose truth is known.

    python -m benchmarks.verdicts [--replications 500]

Runs of 26 games are drawn around the means and spreads that DreamerV3 published for Atari 100k, as
a normal distribution has them, with a long tail, or with one run in five that fails. Theirs are 5
seeds of the same truth, as runs or as a table of means and spreads; ours are 3, 5 or 10 seeds of
it, moved by some human-normalised score. A verdict is wrong that contradicts that: another word
than "reproduced" or "inconclusive" where nothing was moved, "reproduced" where everything was moved
by the margin or more, and any word of the other direction. "Inconclusive" is never wrong.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis import bootstrap, decision, sides, spread
from analysis.imported.store import Protocol
from analysis.references import baselines, tables
from benchmarks import rounds

RESULTS = Path(__file__).parent / "results" / "verdicts.json"
SEEDS, THEIRS = (3, 5, 10), 5
MARGIN = decision.MARGIN
MOVED = (0.0, -MARGIN, -0.3, 0.3)
UNSTATED = Protocol(sticky=None, actions=None, episodes=None, task=None)

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns standard normal numbers."""
    return rng.standard_normal(shape)


def tailed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns numbers of mean 0 and variance 1 with a long tail upwards: skewness 1.6."""
    k = 4 / 1.6**2
    return (rng.gamma(k, size=shape) - k) / math.sqrt(k)


def failing(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns numbers of mean 0 and variance 1, one in five of them far below the others."""
    failed = rng.random(shape) < 0.2
    return 0.8 * (0.2 - failed) / 0.4 + 0.6 * rng.standard_normal(shape)


KINDS: dict[str, Draw] = {"normal": normal, "tailed": tailed, "failing": failing}


def truth() -> tuple[np.ndarray, np.ndarray]:
    """Returns means and spreads of the games, human-normalised."""
    held = tables.published("atari100k", "dreamerv3")
    scales = baselines.scales([each.game for each in held])
    pairs = np.array([scales[each.game] for each in held], float)
    size = pairs[:, 1] - pairs[:, 0]
    means = (np.array([each.score for each in held]) - pairs[:, 0]) / size
    spreads = np.array([np.nan if each.spread is None else each.spread for each in held]) / size
    return means, np.where(np.isnan(spreads), np.nanmedian(spreads), spreads)


def side(runs: np.ndarray, as_table: bool) -> sides.Side:
    """Returns runs (N, M) as one side, or as the table that a paper would print of them."""
    seeds, count = runs.shape
    return sides.Side(
        name="synthetic", window=None, frames=400_000, protocol=UNSTATED,
        games=tuple(f"game {index}" for index in range(count)),
        runs=None if as_table else runs, means=runs.mean(0), deviations=runs.std(0, ddof=1),
        seeds=np.full(count, seeds), source="drawn", notes=(),
    )  # fmt: skip


def replicate(
    rng: np.random.Generator, draw: Draw, seeds: int, as_table: bool
) -> tuple[decision.Difference, np.ndarray]:
    """Returns one comparison of equals: the difference of IQMs, and the intervals of METRICS."""
    means, spreads = truth()
    mine, other = (means + spreads * draw(rng, (n, len(means))) for n in (seeds, THEIRS))
    first, second = sides.spreads(side(mine, False), side(other, as_table), rng)
    both = spread.difference(first, second)
    return decision.of(first, second, both, 0, seeds), both.interval()


def wrong(word: decision.Word, moved: float) -> bool:
    """Tells whether a verdict contradicts the truth."""
    if moved == 0:
        return word in ("not reproduced", "better")
    return word in ("reproduced", "better" if moved < 0 else "not reproduced")


def study(kind: str, seeds: int, as_table: bool, replications: int) -> Iterator[dict]:
    """Yields the outcome for each of MOVED, and how often intervals held the truth."""
    rng = bootstrap.generator(0, kind, str(seeds), str(as_table))
    found = [replicate(rng, KINDS[kind], seeds, as_table) for _ in range(replications)]
    held = np.mean([(ends[0] <= 0) & (ends[1] >= 0) for _, ends in found], 0)
    about = {"runs": kind, "seeds": seeds, "theirs": "table" if as_table else "runs"}
    yield about | {"held": dict(zip(sides.METRICS, held.tolist(), strict=True))}
    for moved in MOVED:
        # Moving all runs moves an IQM by as much, and changes no spread.
        words = [
            decision.decide(replace(each, estimate=each.estimate + moved), MARGIN).word
            for each, _ in found
        ]
        shares = {word: words.count(word) / len(words) for word in dict.fromkeys(words)}
        rate = float(np.mean([wrong(word, moved) for word in words]))
        ends = binomial(rate, len(words))
        yield about | {"moved": moved, "verdicts": shares, "wrong": rate, "interval": ends}


def binomial(rate: float, count: int) -> tuple[float, float]:
    """Returns Wilson's 95% interval of a rate."""
    z = 1.959964
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def table(found: list[dict]) -> str:
    """Returns both tables in Markdown."""
    lines = ["| runs | seeds | theirs | moved by | wrong | reproduced | not | better | open |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for row in (each for each in found if "moved" in each):
        low, high = row["interval"]
        words = ("reproduced", "not reproduced", "better", "inconclusive")
        shares = " | ".join(f"{row['verdicts'].get(word, 0):.0%}" for word in words)
        lines.append(
            f"| {row['runs']} | {row['seeds']} | {row['theirs']} | {row['moved']:+.1f} | "
            f"**{row['wrong']:.1%}** ({low:.1%}..{high:.1%}) | {shares} |"
        )
    lines += ["", "| runs | seeds | theirs | IQM | mean | median |", "|---|---|---|---|---|---|"]
    for row in (each for each in found if "held" in each):
        held = " | ".join(f"{row['held'][name]:.1%}" for name in sides.METRICS)
        lines.append(f"| {row['runs']} | {row['seeds']} | {row['theirs']} | {held} |")
    return "\n".join(lines)


def main() -> None:
    """Replicates, prints the tables and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    found = []
    for kind in KINDS:
        for seeds in SEEDS:
            for as_table in (False, True):
                found += study(kind, seeds, as_table, args.replications)
                print(f"  {kind}, {seeds} seeds, {found[-1]['theirs']}", flush=True)
    print(f"\n{table(found)}")
    about = {"command": f"python -m benchmarks.verdicts --replications {args.replications}"}
    rounds.write(args.out, about | {"outcomes": found}, {})


if __name__ == "__main__":
    main()
