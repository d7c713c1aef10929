"""CSV exports of CleanRL's and openrlbenchmark's runs from a tracker, long or wide.

Long: a row a point, with `global_step` (or `Step`), `charts/episodic_return`, and the run as
`env_id`, `exp_name`, `seed`, or as a name `ENV__EXPERIMENT__SEED__TIME`. Wide: a column a run,
`<that name> - charts/episodic_return`, its MIN and MAX beside it. An empty cell is no point: rows
hold other metrics, or other runs. Steps are agent steps, hence frames = 4 x step unless said.

Source: vwxyzjn/cleanrl cleanrl/ppo_atari.py (run names, global_step += num_envs).
"""

import csv
import re
from collections.abc import Sequence
from typing import NamedTuple

from analysis.imported.curves import Curve, Found, Key, Table, listed, short
from analysis.imported.plain import rows
from analysis.imported.reading import Stream

STEPS = ("global_step", "Step", "_step")
RETURN = "charts/episodic_return"
NAMES = ("run_name", "name", "Name", "run", "run_id")
WIDE = re.compile(rf"(?P<run>.+?) - {re.escape(RETURN)}")
TRAINING = {"episodes": "training"}  # Of the protocol: all that the name of the metric says.
PER_STEP = 4  # Frames of an agent step.
SAMPLED = 500  # Points of a run in an export that nobody asked to be whole.


class Name(NamedTuple):
    """What CleanRL's name of a run says."""

    task: str
    method: str
    seed: str


def parse(name: str) -> Name | None:
    """Reads ENV__EXPERIMENT__SEED__TIME; None where it is something else."""
    parts = name.rpartition("/")[2].split("__")
    if len(parts) < 4 or not parts[-2].isdigit() or not parts[-1].isdigit():
        return None
    return Name(parts[0], "__".join(parts[1:-2]), parts[-2])


def claims(header: Sequence[str]) -> bool:
    """Says whether a header is one of these."""
    known = RETURN in header or any(WIDE.fullmatch(name) for name in header)
    return known and any(name in header for name in STEPS)


def read(stream: Stream, per_step: int) -> Found:
    """Reads an export.

    Args:
        stream: The file.
        per_step: Frames of a step; PER_STEP unless the user says otherwise.

    Raises:
        ValueError: It is malformed, or does not say whose runs these are.
    """
    table, step = Table(stream.name, "", RETURN, per_step), ""
    runs: dict[str, Key] = {}
    for where, row in rows(stream, ()):
        if not step:
            step = table.step = _step(row, where)
            runs = _wide(row, where)
        if not runs:
            if row[RETURN].strip():
                table.add(_key(row, where), row[step], row[RETURN], where)
            continue
        for column, key in runs.items():
            if row[column].strip():
                table.add(key, row[step], row[column], where)
    if not step:
        raise ValueError(f"{stream.name}: no row below the header")
    curves, clock = table.curves(), f"frames = {per_step} x {step}"
    notes = _doubts(curves, step)
    return Found(stream.source(), curves, clock, "episodes", False, TRAINING, notes)


def _step(row: dict[str, str], where: str) -> str:
    if not claims(list(row)):
        raise ValueError(
            f"{where}: the header has no {STEPS[0]} or {STEPS[1]}, or no {RETURN} of a run; "
            f"saw {short(listed(list(row)))}"
        )
    return next(name for name in STEPS if name in row)


def _wide(row: dict[str, str], where: str) -> dict[str, Key]:
    """Returns the columns that are runs; none in a long table."""
    found = {}
    for column in row if RETURN not in row else ():
        if match := WIDE.fullmatch(column):
            name = parse(match["run"])
            if name is None:
                raise ValueError(
                    f"{where}: column {short(column)}: saw no ENV__EXPERIMENT__SEED__TIME; "
                    "export single runs, not groups"
                )
            found[column] = name.method, name.task, name.seed, match["run"]
    return found


def _key(row: dict[str, str], where: str) -> Key:
    run = next((row[name].strip() for name in NAMES if row.get(name, "").strip()), "")
    name = parse(run)
    task, method, seed = name or ("", "", "")
    said = {"env_id": task, "exp_name": method, "seed": seed}
    said = {key: row.get(key, "").strip() or value for key, value in said.items()}
    if missing := [key for key, value in said.items() if not value]:
        raise ValueError(
            f"{where}: no {', '.join(missing)}, and no run's name "
            "ENV__EXPERIMENT__SEED__TIME that would say it"
        )
    return said["exp_name"], said["env_id"], said["seed"], run


def _doubts(curves: Sequence[Curve], step: str) -> list[str]:
    said = []
    if step != STEPS[0]:
        said.append(
            f"x is the column {step}: taken for agent steps, but trackers also count their own "
            f"calls so; an export over {STEPS[0]} is certain"
        )
    counts = [len(curve.frames) for curve in curves]
    if counts and max(counts) == SAMPLED:
        said.append(f"no run has more than {SAMPLED} points: the export is a sample of them")
    return said


def header(first: str) -> list[str]:
    """Returns the columns that a first line names; none where it is no CSV."""
    try:
        return [name.strip() for name in next(csv.reader([first], strict=True), [])]
    except csv.Error:
        return []
