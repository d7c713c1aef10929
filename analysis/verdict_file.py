"""A comparison as a file, beside the results of its suite: all that it rests on.

results/SUITE/verdicts/OURS~KIND-THEIRS.json   KIND: published, import or against
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis import files, protocols
from analysis.comparison import Comparison
from analysis.sides import METRICS
from analysis.spread import Spread

BOTH = ("ours", "theirs")


def keep(found: Comparison, results: Path) -> Path:
    """Writes a comparison, and returns the file's path.

    Raises:
        ValueError: It cannot be written.
    """
    name = f"{found.ours.name}~{found.kind}-{found.label}.json"
    path = results / found.suite / "verdicts" / name.replace("/", "_")
    try:
        files.write(path, json.dumps(record(found), indent=2) + "\n")
    except OSError as error:
        raise ValueError(f"the verdict cannot be kept: {error}") from error
    return path


def record(found: Comparison) -> dict[str, Any]:
    """Returns everything as plain values; an unknown number is None."""
    wish, pair = found.wish, (found.ours, found.theirs)
    return {
        "suite": found.suite,
        "ours": found.ours.name,
        "theirs": found.theirs.name,
        "opponent": found.opponent,
        "kind": found.kind,
        "against": None if wish.against is None else str(wish.against.resolve()),
        "verdict": found.verdict.word,
        "reason": found.verdict.reason,
        "more_seeds": found.verdict.needed,
        "remedy": found.verdict.remedy,
        "metric": METRICS[0],
        "margin": wish.margin,
        "seed": wish.seed,
        "human": wish.human,
        "window": {name: side.window for name, side in zip(BOTH, pair, strict=True)},
        "commits": {name: list(side.commits) for name, side in zip(BOTH, pair, strict=True)},
        "sources": {name: side.source for name, side in zip(BOTH, pair, strict=True)},
        "protocol": dict(zip(BOTH, map(protocols.hashed, found.stated), strict=True)),
        "allowed": [asdict(each) for each in found.unlike],
        "not_stated": found.unknown,
        "games": list(found.ours.games),
        "lacking": [game for game in found.every if game not in found.ours.games],
        "metrics": _metrics(found),
        "by_game": [_plain(asdict(row)) for row in found.rows],
        "notes": found.notes,
    }


def _metrics(found: Comparison) -> dict[str, Any]:
    parts = dict(zip((*BOTH, "difference"), found.spreads, strict=True))
    return {
        metric: {name: _numbers(each, index) for name, each in parts.items()}
        for index, metric in enumerate(METRICS)
    }


def _numbers(found: Spread, index: int) -> dict[str, float | None]:
    low, high = found.interval()[:, index]
    told = {"estimate": found.estimate[index], "low": low, "high": high}
    return _plain({key: float(value) for key, value in told.items()})


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    def plain(value: object) -> object:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {key: plain(value) for key, value in told.items()}
