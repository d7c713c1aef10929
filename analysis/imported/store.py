"""What is kept of an import, and the only code that knows its files.

    results/<suite>/imports/<NAME>/import.json     where it came from and what it holds
    results/<suite>/imports/<NAME>/points.csv.gz   game, seed, frame, return; an empty return is
                                                   a point that has no value in the source

A folder appears whole or not at all; the checksum in import.json binds the two files together.
"""

import gzip
import hashlib
import io
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from analysis import files
from analysis.imported.curves import Kind
from suites import windows
from suites.records import Record, build

FACTS, POINTS = "import.json", "points.csv.gz"
COLUMNS = ("game", "seed", "frame", "return")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")

Run = tuple[str, int]  # game, seed
Points = tuple[np.ndarray, np.ndarray]  # (N,) int64 frames, (N,) float64 returns with NaN


class Source(Record):
    """What was read."""

    name: str  # file or folder, without its path; or mlflow:ADDRESS/EXPERIMENT
    sha256: str | None  # None of a server
    bytes: int | None


class Protocol(Record):
    """How the scores were made, as far as it is known; None where nobody says."""

    sticky: float | None  # probability that a frame repeats the frame before's action
    actions: Literal["minimal", "full"] | None
    episodes: Literal["training", "evaluation"] | None
    task: str | None  # hash of the task, of our own runs


class Facts(Record):
    """import.json."""

    name: str
    suite: str
    method: str  # as the source calls it
    format: str
    source: Source
    kind: Kind  # what a point is: a finished training episode, a bin's mean, an evaluation episode
    window: str  # of the source's published convention, else of the suite
    protocol: Protocol
    clock: str  # how frames were got from the source's x
    budget: int  # frames of the suite at the time of import
    seeds: dict[str, tuple[int, ...]]  # of each game; a run may have no point
    runs: int
    points: int
    nulls: int  # points without a value
    first_frame: int | None  # None without a point
    last_frame: int | None
    notes: tuple[str, ...]
    imported: float  # unix seconds
    commit: str | None  # of this program
    points_sha256: str


@dataclass(frozen=True)
class Import:
    """An import as it is used."""

    facts: Facts
    points: Mapping[Run, Points]  # a return is NaN where the source has none

    def scores(self, window: str | None = None) -> dict[Run, windows.Score]:
        """Returns every run's score; NaN where no point with a value is in the window.

        Args:
            window: Name; the import's own if None.
        """
        facts = self.facts
        chosen = windows.parse(window or facts.window)
        return {
            run: score(chosen, facts.budget, facts.kind, *points)
            for run, points in self.points.items()
        }


def score(
    window: windows.Window, budget: int, kind: Kind, frames: np.ndarray, returns: np.ndarray
) -> windows.Score:
    """Scores one run of an import.

    Args:
        window: Which points count.
        budget: Frames of the suite.
        kind: What a point is.
        frames: (N,), in order.
        returns: (N,), NaN where there is none; such a point never counts.
    """
    at = _near(window, budget, frames, np.isfinite(returns))
    pairs = zip(frames[at].tolist(), returns[at].tolist(), strict=True)
    lines = [{"frame": frame, "return": value, "end": "terminal"} for frame, value in pairs]
    episodes, evaluation = ([], lines) if kind == "evaluation" else (lines, [])
    return windows.score(window, budget, episodes, evaluation)


def _near(window: windows.Window, budget: int, frames: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Returns the places of all points that may be in the window: runs have up to a million."""
    if window.kind == "bins":
        return np.flatnonzero(there & (frames * window.count >= budget * (window.count - 1)))
    if window.kind == "frame":
        return np.flatnonzero(there & (frames <= window.count))[-1:]
    if window.kind == "evaluation":
        return np.flatnonzero(there)
    return np.flatnonzero(there)[-(window.count or 1) :]


def folder(results: Path, suite: str, name: str) -> Path:
    """Returns where an import is.

    Raises:
        ValueError: The name cannot be a folder's.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            f"name of an import: saw {name!r}; allowed are letters, digits, '_', '.', '+' and '-', "
            "the first a letter or digit"
        )
    return results / suite / "imports" / name


def names(results: Path, suite: str) -> list[str]:
    """Returns the names of a suite's imports, sorted."""
    found = (results / suite / "imports").glob(f"*/{FACTS}")
    return sorted(path.parent.name for path in found if NAME.fullmatch(path.parent.name))


def refuse_existing(place: Path, force: bool) -> None:
    """Refuses to replace an import that nobody asked to replace.

    Raises:
        ValueError: It is there, and `force` is not.
    """
    if place.exists() and not force:
        raise ValueError(f"{place} is there already; `--force` replaces it")


def write(
    place: Path, facts: Mapping[str, object], points: Mapping[Run, Points], force: bool
) -> Import:
    """Writes an import; what was there before stays until the new one is whole.

    Args:
        place: Its folder.
        facts: All of `Facts` but the checksum.
        points: Of every run.
        force: Whether an import that is there may be replaced.

    Raises:
        ValueError: It is there already.
    """
    refuse_existing(place, force)
    aside = place.with_name(f".{place.name}.part{os.getpid()}")
    old = place.with_name(f".{place.name}.old{os.getpid()}")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        total = _write_points(aside / POINTS, points)
        whole = build(Facts, {**facts, "points_sha256": total}, FACTS)
        _sync(aside / FACTS, (whole.model_dump_json(indent=2) + "\n").encode())
        _settle(aside)
        if force and place.exists():
            place.rename(old)
        try:
            aside.rename(place)
        except OSError as error:
            if old.exists():
                old.rename(place)
            raise ValueError(f"{place} cannot take the import: {error.strerror}") from None
        _settle(place.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
    return Import(whole, points)


def facts(place: Path) -> Facts:
    """Reads what import.json says, without the points.

    Raises:
        ValueError: It is not there.
    """
    if not (place / FACTS).is_file() or not (place / POINTS).is_file():
        raise ValueError(f"{place}: no import here; `reverie import` makes one")
    return build(Facts, files.read_json(place / FACTS), str(place / FACTS))


def read(place: Path) -> Import:
    """Reads an import.

    Args:
        place: Its folder.

    Raises:
        ValueError: It is not there, lacks something, or was changed since it was written.
    """
    import pandas as pd

    path, found = place / POINTS, facts(place)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != found.points_sha256:
        raise ValueError(f"{path}: not what {FACTS} speaks of; import it again")
    table = pd.read_csv(
        io.BytesIO(data), compression="gzip", keep_default_na=False, float_precision="round_trip",
        dtype={"game": str, "seed": "int64", "frame": "int64", "return": float},
        na_values={"return": [""]},
    )  # fmt: skip
    points = {run: (np.empty(0, np.int64), np.empty(0)) for run in _runs(found.seeds)}
    for (game, seed), rows in table.groupby(["game", "seed"], sort=False):
        points[str(game), int(seed)] = rows["frame"].to_numpy(), rows["return"].to_numpy()
    return Import(found, points)


def _runs(seeds: Mapping[str, Iterable[int]]) -> Iterator[Run]:
    return ((game, seed) for game, many in seeds.items() for seed in many)


def _write_points(path: Path, points: Mapping[Run, Points]) -> str:
    """Writes the points without a time stamp, and returns the file's checksum."""
    with path.open("wb") as raw:
        with (
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
        ):
            file.write(",".join(COLUMNS) + "\n")
            for (game, seed), run in sorted(points.items()):
                file.writelines(_lines(game, seed, *run))
        raw.flush()
        os.fsync(raw.fileno())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lines(game: str, seed: int, frames: np.ndarray, returns: np.ndarray) -> Iterator[str]:
    for frame, value in zip(frames.tolist(), returns.tolist(), strict=True):
        yield f"{game},{seed},{frame},{'' if math.isnan(value) else repr(value)}\n"


def _sync(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _settle(place: Path) -> None:
    """Has the disk remember what is in a folder, and under which name."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
