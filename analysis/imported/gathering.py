"""From curves of a source to an import: one method, our games and seeds, the suite's budget.

What does not fit is refused; what is odd but true of the source is kept and stands in the notes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis.imported import conventions, games, store
from analysis.imported.curves import Curve, Found, Kind, counted, listed
from analysis.imported.store import Points, Run
from suites import windows
from suites.records import nearest
from suites.suite import Suite

BEYOND = 1.2  # Times the budget: programs run some steps longer; more is another suite's.


@dataclass(frozen=True)
class Wish:
    """What the user asked for; None where the import decides."""

    format: str | None
    method: str | None
    kind: Kind | None
    frames_per_step: int | None
    skip_unknown: bool
    force: bool
    max_mib: int


class Gathered(NamedTuple):
    """What fits, and what is to be said of it."""

    facts: dict[str, object]  # of store.Facts, those that follow from the points
    points: dict[Run, Points]


def gather(found: Found, suite: Suite, wish: Wish) -> Gathered:
    """Returns the runs of one method as the suite has them.

    Raises:
        ValueError: Nothing was found, there are several methods, a game is unknown or not the
            suite's, a run is there twice, or points lie far beyond the budget.
    """
    curves = _of_method(found.curves, wish.method)
    notes = list(found.notes)
    curves = _known(curves, suite, wish.skip_unknown, notes)
    seeds, said = games.numbered(curve.seed for curve in curves)
    notes += [said] if said else []
    if words := games.renamed(curve.task for curve in curves):
        pairs = [f"{theirs} -> {ours}" for theirs, ours in words.items()]
        notes.append(f"games renamed: {listed(pairs)}")
    points = _runs(curves, seeds)
    points = _within(points, suite, found.exact, notes)
    kind = wish.kind or found.kind or conventions.kind(list(points.values()), suite.task.cap)
    choice = conventions.choose(found, curves, points, kind, suite)
    notes += choice.notes
    notes += [*_gaps(points, suite, kind), *_empty(points, suite, kind, choice.window)]
    return Gathered(_facts(curves[0].method, kind, choice, points, notes), points)


def _of_method(curves: Sequence[Curve], method: str | None) -> list[Curve]:
    methods = sorted({curve.method for curve in curves})
    if not methods:
        raise ValueError("no run in it")
    if method is None and len(methods) > 1:
        raise ValueError(
            f"{len(methods)} methods in it; `--method` takes one of: {listed(methods, 40)}"
        )
    if method is not None and method not in methods:
        raise ValueError(
            f"no run of method {method!r} in it; there are {listed(methods, 40)}"
            f"{nearest(method, methods)}"
        )
    return [curve for curve in curves if curve.method == (method or methods[0])]


def _known(curves: list[Curve], suite: Suite, skip: bool, notes: list[str]) -> list[Curve]:
    """Returns the runs of the suite's games; refuses others, or leaves them out by name."""
    tasks = {curve.task: games.known(curve.task) for curve in curves}
    strange = sorted(task for task, game in tasks.items() if game is None)
    outside = sorted({game for game in tasks.values() if game and game not in suite.games})
    if strange and not skip:
        place = next(curve.place for curve in curves if curve.task == strange[0])
        raise ValueError(f"{place}: {games.unknown(strange[0])}; `--skip-unknown` leaves it out")
    if outside and not skip:
        raise ValueError(
            f"{len(outside)} of its games are not in suite {suite.name}: {listed(outside)}; "
            "`--skip-unknown` leaves them out"
        )
    if strange or outside:
        notes.append(f"left out, not in suite {suite.name}: {listed([*strange, *outside], 60)}")
    kept = [curve for curve in curves if tasks[curve.task] in suite.games]
    if not kept:
        raise ValueError(f"none of its games is in suite {suite.name}")
    return kept


def _runs(curves: Sequence[Curve], seeds: Mapping[int | str, int]) -> dict[Run, Points]:
    places: dict[Run, str] = {}
    points = {}
    for curve in curves:
        run = games.known(curve.task), seeds[curve.seed]
        if run in places:
            raise ValueError(
                f"{run[0]}, seed {run[1]}, is there twice: {places[run]} and {curve.place}"
            )
        places[run], points[run] = curve.place, (curve.frames, curve.returns)
    return dict(sorted(points.items()))


def _within(
    points: dict[Run, Points], suite: Suite, exact: bool, notes: list[str]
) -> dict[Run, Points]:
    """Leaves out what lies beyond the budget, as published scores do; ours may overshoot it."""
    last = {run: int(frames[-1]) for run, (frames, _) in points.items() if len(frames)}
    over = {run: frame for run, frame in last.items() if frame > suite.frames}
    if not over:
        return points
    far = max(over, key=over.__getitem__)
    if over[far] > BEYOND * suite.frames:
        raise ValueError(
            f"{_name(far)} goes to frame {over[far]:,}; the budget of suite {suite.name} is "
            f"{suite.frames:,}. Is it another suite's, or are its steps no frames "
            "(`--frames-per-step`)?"
        )
    if exact:
        return points
    kept = {run: _cut(suite.frames, *pair) for run, pair in points.items()}
    gone = sum(len(points[run][0]) - len(kept[run][0]) for run in over)
    notes.append(
        f"{counted(gone, 'point')} of {counted(len(over), 'run')} left out: beyond the budget of "
        f"{suite.frames:,} frames (to {over[far]:,}, {_name(far)})"
    )
    return kept


def _cut(budget: int, frames: np.ndarray, returns: np.ndarray) -> Points:
    inside = frames <= budget
    return frames[inside], returns[inside]


def _gaps(points: Mapping[Run, Points], suite: Suite, kind: Kind) -> list[str]:
    """Says which games and seeds have less than the others."""
    said = []
    played = {game for game, _ in points}
    if absent := sorted(set(suite.games) - played):
        said.append(f"no run of {len(absent)} of {len(suite.games)} games: {listed(absent)}")
    # An episode, or a bin, that was under way at the end explains this much.
    slack = suite.task.cap if kind != "bins" else conventions.spacing(list(points.values()))
    early = []
    for run, (frames, returns) in points.items():
        last = frames[np.isfinite(returns)]
        if not len(last):
            early.append(f"{_name(run)} without any value")
        elif suite.frames - last[-1] > slack:
            early.append(f"{_name(run)} at {int(last[-1]):,}")
    if early:
        said.append(
            f"{len(early)} of {len(points)} runs end before the budget of {suite.frames:,} frames: "
            f"{listed(early)}"
        )
    return said


def _empty(points: Mapping[Run, Points], suite: Suite, kind: Kind, name: str) -> list[str]:
    """Says which games have fewer scores in the window than seeds."""
    window = windows.parse(name)
    found: dict[str, list[bool]] = {}
    for (game, _), pair in points.items():
        scored = store.score(window, suite.frames, kind, *pair).episodes > 0
        found.setdefault(game, []).append(scored)
    few = [
        f"{game} {sum(some)} of {len(some)} seeds" for game, some in found.items() if not all(some)
    ]
    if not few:
        return []
    gone = sum(some.count(False) for some in found.values())
    return [f"{gone} of {len(points)} runs have no point in {name}: {listed(few, 60)}"]


def _facts(
    method: str,
    kind: Kind,
    choice: conventions.Choice,
    points: Mapping[Run, Points],
    notes: Sequence[str],
) -> dict[str, object]:
    seeds: dict[str, list[int]] = {}
    for game, seed in points:
        seeds.setdefault(game, []).append(seed)
    frames = [frames for frames, _ in points.values() if len(frames)]
    return {
        "method": method,
        "kind": kind,
        "window": choice.window,
        "protocol": choice.protocol.model_dump(),
        "seeds": seeds,
        "runs": len(points),
        "points": sum(map(len, frames)),
        "nulls": sum(int(np.isnan(returns).sum()) for _, returns in points.values()),
        "first_frame": min((int(some[0]) for some in frames), default=None),
        "last_frame": max((int(some[-1]) for some in frames), default=None),
        "notes": list(notes),
    }


def _name(run: Run) -> str:
    return f"{run[0]} seed {run[1]}"
