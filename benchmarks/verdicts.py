"""How often verdicts and intervals are wrong, on synthetic sweeps whose truth is known.

    python -m benchmarks.verdicts [--replications 500]

Runs of 26 games are drawn around the means and spreads that DreamerV3 published for Atari 100k, as
a normal distribution has them, with a long tail, or with one run in five that fails. Theirs are 5
seeds of the same truth, as runs or as a table of means and spreads; ours are 3, 5 or 10 seeds of
it, or unequal numbers of them (2, 3, 5 and 10 in turn, from game to game), moved by some
human-normalised score. A table may lack all spreads, and ours are taken for them. A verdict is
wrong that contradicts the truth: another word than "reproduced" or "inconclusive" where nothing was
moved, "reproduced" where everything was moved by the margin or more, and any word of the other
direction. "Inconclusive" is never wrong.

Beside them, how often the plain percentile bootstrap's interval of an IQM (`reverie aggregate`)
holds that of the distribution that the runs are drawn from.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from analysis import aggregates, bootstrap, comparison, decision, sides
from analysis.references import baselines, tables
from benchmarks import rounds

RESULTS = Path(__file__).parent / "results" / "verdicts.json"
SEEDS, THEIRS = (3, 5, 10), 5
UNEQUAL = (2, 3, 5, 10)
MARGIN = decision.MARGIN
MOVED = (0.0, -MARGIN, MARGIN, -0.3, 0.3)
RESAMPLES, TRUTH = 2_000, 20_000  # Of a plain interval; seeds that stand for a distribution.

Other = Literal["runs", "table", "table without spreads"]
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


@dataclass(frozen=True)
class Setting:
    """One kind of comparison."""

    runs: str  # A key of KINDS.
    seeds: int | None  # Of ours, in every game; None: UNEQUAL.
    theirs: Other

    def counts(self, games: int) -> np.ndarray:
        """Returns our seeds of each game."""
        return np.resize(UNEQUAL if self.seeds is None else self.seeds, games)

    def about(self) -> dict[str, object]:
        """Returns it as plain values."""
        seeds = "2 to 10" if self.seeds is None else self.seeds
        return {"runs": self.runs, "seeds": seeds, "theirs": self.theirs}


def settings() -> Iterator[Setting]:
    """Yields every kind of comparison."""
    for kind in KINDS:
        for seeds in (*SEEDS, None):
            yield Setting(kind, seeds, "runs")
            yield Setting(kind, seeds, "table")
            yield Setting(kind, seeds, "table without spreads")


def side(runs: np.ndarray, other: Other) -> sides.Side:
    """Returns runs (N, M), NaN after each game's own, as one side, or as the table of a paper."""
    packed, counts = bootstrap.pack(runs)
    known = other != "table without spreads"
    return sides.Side(
        name="synthetic", window=None, frames=400_000, protocol={},
        games=tuple(f"game {index}" for index in range(len(counts))),
        runs=packed if other == "runs" else None, means=np.nanmean(packed, 0),
        deviations=np.nanstd(packed, 0, ddof=1) if known else np.full(len(counts), np.nan),
        seeds=counts, source="drawn", notes=(),
    )  # fmt: skip


def replicate(rng: np.random.Generator, of: Setting) -> tuple[decision.Difference, np.ndarray]:
    """Returns one comparison of equals: the difference of IQMs, and the intervals of METRICS."""
    means, spreads = truth()
    draw, counts = KINDS[of.runs], of.counts(len(means))
    mine = means + spreads * draw(rng, (counts.max(), len(means)))
    mine[np.arange(len(mine))[:, None] >= counts] = np.nan
    ours = side(mine, "runs")
    theirs = side(means + spreads * draw(rng, (THEIRS, len(means))), of.theirs)
    found = comparison.weigh(ours, theirs, rng)
    return found.decided, found.spreads[2].interval()


def wrong(word: decision.Word, moved: float) -> bool:
    """Tells whether a verdict contradicts the truth."""
    if moved == 0:
        return word in ("not reproduced", "better")
    return word in ("reproduced", "better" if moved < 0 else "not reproduced")


def study(of: Setting, replications: int) -> Iterator[dict]:
    """Yields the outcome for each of MOVED, and how often intervals held the truth."""
    rng, about = bootstrap.generator(0, *map(str, of.about().values())), of.about()
    found = [replicate(rng, of) for _ in range(replications)]
    held = np.mean([(ends[0] <= 0) & (ends[1] >= 0) for _, ends in found], 0)
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


def plain(kind: str, seeds: int, replications: int) -> dict:
    """Returns how often a plain percentile interval of an IQM held the distribution's."""
    means, spreads = truth()
    rng, place = (
        bootstrap.generator(0, kind, str(seeds), "plain"),
        [*aggregates.METRICS].index("iqm"),
    )

    def drawn(n: int) -> np.ndarray:
        return means + spreads * KINDS[kind](rng, (n, len(means)))

    wanted = aggregates.estimate(drawn(TRUTH))[place]
    ends = [
        bootstrap.interval(aggregates.estimate, drawn(seeds), rng, RESAMPLES)[:, place]
        for _ in range(replications)
    ]
    rate = float(np.mean([low <= wanted <= high for low, high in ends]))
    return {"runs": kind, "seeds": seeds, "plain": rate, "interval": binomial(rate, replications)}


def binomial(rate: float, count: int) -> tuple[float, float]:
    """Returns Wilson's 95% interval of a rate."""
    z = 1.959964
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def table(found: list[dict]) -> str:
    """Returns the tables in Markdown."""
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
    lines += ["", "| runs | seeds | plain percentile interval of an IQM |", "|---|---|---|"]
    for row in (each for each in found if "plain" in each):
        low, high = row["interval"]
        lines.append(
            f"| {row['runs']} | {row['seeds']} | {row['plain']:.1%} ({low:.1%}..{high:.1%}) |"
        )
    return "\n".join(lines)


def main() -> None:
    """Replicates, prints the tables and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    found = []
    for of in settings():
        found += study(of, args.replications)
        print(f"  {', '.join(map(str, of.about().values()))}", flush=True)
    found += [plain(kind, seeds, args.replications) for kind in KINDS for seeds in SEEDS]
    print(f"\n{table(found)}")
    about = {"command": f"python -m benchmarks.verdicts --replications {args.replications}"}
    rounds.write(args.out, about | {"outcomes": found}, {})


if __name__ == "__main__":
    main()
