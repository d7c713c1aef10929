"""`reverie evaluate`: how well a run's agent plays, beside measured random play.

Both play the same number of episodes on environments of their own, with random numbers that
depend on the game and the seed of the evaluation alone: every agent meets the same starts. The
result goes to a file of its own in the run folder; nothing of the training is touched.

Shapes: N episodes, R resamples.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from agents import base
from launch import aside, evaluation, provenance, trained
from launch.config import RunConfig
from launch.progress import duration
from launch.ticker import Ticker
from suites import games, seeding
from suites.view import View

Lines = list[dict[str, Any]]
Result = dict[str, Any]

RESAMPLES = 10_000
BLOCK = 1 << 20  # Resampled returns in memory at once.
INTERVAL = (2.5, 97.5)  # Percentiles.


def main(
    path: Path,
    *,
    episodes: int,
    policy: str,
    weights: str | None,
    seed: int,
    device: str,
    workers: int,
) -> str:
    """Evaluates a run, keeps the result in its folder and returns it as text.

    Args:
        path: the run folder.
        episodes: how many, of the agent and of random play each.
        policy: "sampled" or "greedy".
        weights: "final", "best", "latest" or None; see `trained.load`.
        seed: of the evaluation.
        device: of the agent.
        workers: of the environments; changes nothing but the speed.

    Raises:
        ValueError: it is no run folder or has no such weights.
    """
    found = trained.load(path, weights, device)
    run = found.run
    if found.weights.note:
        print(found.weights.note, file=sys.stderr)
    floor, floor_view = trained.untrained(run, "random")
    played = _play(run, run.agent, found.agent, run.view, episodes, policy, seed, workers)
    random = _play(run, "random play", floor, floor_view, episodes, "sampled", seed, workers)
    result = summary(found, policy, seed, played, random)
    name = f"{found.weights.name}-{policy}-{episodes}-{seed}.json"
    return f"{text(result)}\n{_keep(path / 'evaluations' / name, result)}"


def _play(
    run: RunConfig,
    name: str,
    agent: base.Agent,
    view: View,
    episodes: int,
    policy: str,
    seed: int,
    workers: int,
) -> Lines:
    def line(seconds: float) -> str:
        left = seconds / done * (episodes - done) if done else None
        progress = f"{done}/{episodes} episodes  {duration(seconds)}  ETA {duration(left)}"
        return f"{name} on {run.game}  {progress}"

    def between(ended: int) -> None:
        nonlocal done
        done = ended
        ticker.show(line)

    done = 0
    with Ticker(sys.stderr) as ticker:
        lines = evaluation.play(
            agent, run.game, run.task, view, ("evaluate", run.game, seed),
            episodes=episodes, policy=policy, backend=run.backend, workers=workers,
            between=between,
        )  # fmt: skip
        return list(lines)


def summary(found: trained.Trained, policy: str, seed: int, played: Lines, random: Lines) -> Result:
    """Returns everything that is known of an evaluation, as kept in its file.

    No clock is in it: the same command gives the same file.
    """
    run, game = found.run, games.load(found.run.game)
    points = ("suite", "agent", "game", "seed", "hash", "task_hash", "view_hash", "backend")
    weights = {key: getattr(found.weights, key) for key in ("name", "file", "frame")}
    measured = statistics(played)
    known = game.random is not None and game.human is not None
    return {
        **{key: getattr(run, key) for key in points},
        **provenance.commit(Path(__file__)),
        "weights": weights,
        "policy": policy,
        "episodes": len(played),
        "evaluation_seed": seed,
        "cap": run.task.cap,
        "measured": measured,
        "measured_random": statistics(random),
        "table": {"random": game.random, "human": game.human, "source": game.source},
        "human_normalized_mean": (
            (measured["mean"] - game.random) / (game.human - game.random) if known else None
        ),
    }


def statistics(lines: Lines) -> Result:
    """Returns the returns of N episodes and their statistics; spread needs two of them."""
    returns = np.array([line["return"] for line in lines])
    lengths = np.array([line["length"] for line in lines])
    several = len(returns) > 1
    return {
        "mean": float(returns.mean()),
        "std": float(returns.std(ddof=1)) if several else None,
        "mean_95": interval(returns) if several else None,
        "min": float(returns.min()),
        "median": float(np.median(returns)),
        "max": float(returns.max()),
        "length": {
            "mean": float(lengths.mean()),
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "max": int(lengths.max()),
        },
        "truncated": sum(line["end"] == "truncated" for line in lines),
        "returns": returns.tolist(),
        "lengths": lengths.tolist(),
        "ends": [line["end"] for line in lines],
    }


def interval(values: np.ndarray) -> list[float]:
    """Returns the 95% percentile-bootstrap interval of the mean of (N,) values.

    Source: Efron and Tibshirani 1993, chapter 13; here from a generator of its own, so that equal
    values have equal intervals.
    """
    rng = seeding.generator("bootstrap", "mean")
    rows = max(1, BLOCK // len(values))
    means = [
        rng.choice(values, (min(rows, RESAMPLES - start), len(values))).mean(1)
        for start in range(0, RESAMPLES, rows)
    ]
    return [float(bound) for bound in np.percentile(np.concatenate(means), INTERVAL)]


def text(result: Result) -> str:
    """Returns a result for people."""
    weights, table = result["weights"], result["table"]
    frame = "" if weights["frame"] is None else f" (frame {weights['frame']:,})"
    agent = f"{result['agent']}, {result['policy']}"
    rows = [["points", "mean", "std", "95% of the mean", "min", "median", "max"]]
    rows += [_row(agent, result["measured"])]
    rows += [_row("random, measured", result["measured_random"])]
    rows += [[f"{who}, table", _number(table[who])] for who in ("random", "human")]
    count = result["episodes"]
    return "\n".join(
        [
            f"{result['agent']} on {result['game']}, suite {result['suite']}, "
            f"seed {result['seed']}: {weights['name']} weights{frame}",
            f"{count:,} episode{'s' * (count > 1)} each on environments of their own, "
            f"evaluation seed {result['evaluation_seed']}",
            "",
            *_aligned(rows),
            "",
            _normalized(result),
            *_lengths(result),
        ]
    )


def _row(name: str, found: Result) -> list[str]:
    low, high = found["mean_95"] or (None, None)
    between = "-" if low is None else f"{_number(low)} to {_number(high)}"
    middle = [_number(found["mean"]), _number(found["std"]), between]
    return [name, *middle, *(f"{found[key]:,.10g}" for key in ("min", "median", "max"))]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _aligned(rows: list[list[str]]) -> list[str]:
    rows = [row + [""] * (len(rows[0]) - len(row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _normalized(result: Result) -> str:
    value = result["human_normalized_mean"]
    if value is None:
        return f"Human-normalised mean: none, the table has no human score of {result['game']}."
    cut = result["measured"]["truncated"]
    but = (
        f"; {cut} of {result['episodes']} games were cut short, the table's are whole"
        if cut
        else ""
    )
    return f"Human-normalised mean: {value:.3f} (0 is the table's random play, 1 its human){but}."


def _lengths(result: Result) -> list[str]:
    lines = []
    for name, key in ((result["agent"], "measured"), ("random", "measured_random")):
        found, length = result[key], result[key]["length"]
        lines.append(
            f"Frames an episode, {name}: mean {length['mean']:,.0f}, median "
            f"{length['median']:,.0f}, {length['min']:,} to {length['max']:,}; "
            f"{found['truncated']} of {result['episodes']} truncated at {result['cap']:,}."
        )
    return lines


def _keep(path: Path, result: Result) -> str:
    try:
        with aside.written(path) as file:
            file.write(json.dumps(result).encode() + b"\n")
    except OSError as error:
        return f"Not kept: {path} cannot be written ({error.strerror})."
    return f"Kept in {path}"
