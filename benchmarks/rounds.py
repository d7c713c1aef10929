"""Times candidates in turn, so that whatever slows the machine slows all of them."""

import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Result:
    """Speeds of one candidate over all rounds, in units a second."""

    speeds: list[float]
    ratios: list[float]  # To the baseline of the same round.

    @property
    def speed(self) -> float:
        """Returns the median speed."""
        return statistics.median(self.speeds)

    @property
    def ratio(self) -> float:
        """Returns the median ratio to the baseline."""
        return statistics.median(self.ratios)


def compare(
    candidates: Mapping[str, Callable[[], int]], baseline: str, rounds: int
) -> dict[str, Result]:
    """Runs every candidate once a round, after one round that does not count.

    Args:
        candidates: functions that do some work and return how many units it was.
        baseline: name of the candidate that the others are divided by.
        rounds: how many rounds count.
    """
    speeds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, work in candidates.items():
            began = time.perf_counter()
            units = work()
            speed = units / (time.perf_counter() - began)
            if turn:
                speeds[name].append(speed)
            print(f"  round {turn}/{rounds}  {name}: {speed:,.0f}/s", file=sys.stderr, flush=True)
    base = speeds[baseline]
    return {
        name: Result(found, [a / b for a, b in zip(found, base, strict=True)])
        for name, found in speeds.items()
    }


def table(results: Mapping[str, Result], unit: str) -> str:
    """Returns a Markdown table of medians, ranges and ratios."""
    lines = [f"| what | {unit} (min..max) | ratio (min..max) |", "|---|---|---|"]
    for name, found in results.items():
        speed = f"{found.speed:,.0f} ({min(found.speeds):,.0f}..{max(found.speeds):,.0f})"
        ratio = f"{found.ratio:.2f} ({min(found.ratios):.2f}..{max(found.ratios):.2f})"
        lines.append(f"| {name} | {speed} | {ratio} |")
    return "\n".join(lines)


def write(path: Path, about: dict[str, Any], results: Mapping[str, Mapping[str, Result]]) -> None:
    """Writes what was measured, where and on what."""
    from launch import provenance

    here = provenance.collect(Path(__file__))
    wanted = ("torch", "numpy", "ale-py", "envpool", "gymnasium", "opencv-python-headless")
    facts = {
        **about,
        **{name: here[name] for name in ("commit", "dirty", "python", "machine")},
        "packages": {name: here["packages"].get(name) for name in wanted},
        "date": time.strftime("%Y-%m-%d"),
    }
    tables = {
        part: {name: dataclasses.asdict(found) for name, found in rows.items()}
        for part, rows in results.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts | {"results": tables}, indent=1) + "\n")
