"""Folders of TensorBoard event files: our own exports, and CleanRL's.

A folder that holds event files is a run. Whose it is says its path: AGENT/GAME/SEED, with or
without a last `tensorboard` (`reverie export --tensorboard` of a run folder writes there), or
CleanRL's ENV__EXPERIMENT__SEED__TIME. Our steps are frames; CleanRL's are agent steps, so that
frames = 4 x step unless said. A file's last record may be cut: its run was killed.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.imported import cleanrl, games
from analysis.imported.curves import MOST_RUNS, Curve, Found, listed
from analysis.imported.events import EventFile, Scalar
from analysis.imported.reading import Limits, Source, Stream

OURS, CLEANRL = "episode/return", cleanrl.RETURN
FILES = "events.out.tfevents.*"
BESIDE = "tensorboard"  # The folder in a run folder that an export writes to.


class Identity(NamedTuple):
    """Whose run a folder is."""

    method: str
    task: str
    seed: str
    tag: str  # of its returns


def folders(place: Path) -> list[Path]:
    """Returns the folders that hold event files, in order; of a file its own folder."""
    if place.is_file():
        return [place.parent]
    found = [Path(at) for at, _, _ in os.walk(place) if any(Path(at).glob(FILES))]
    return sorted(found)


def identify(folder: Path) -> Identity | None:
    """Returns whose run a folder is, by its path; None where that does not say it."""
    parts = folder.resolve().parts
    parts = parts[:-1] if parts[-1] == BESIDE else parts
    if name := cleanrl.parse(parts[-1]):
        return Identity(name.method, name.task, name.seed, CLEANRL)
    if len(parts) > 3 and parts[-1].isdigit() and games.known(parts[-2]):
        return Identity(parts[-3], parts[-2], parts[-1], OURS)
    return None


def read(place: Path, limits: Limits, per_step: int | None) -> Found:
    """Reads every run below a folder.

    Args:
        place: The folder, or one event file.
        limits: Of each file.
        per_step: Frames of a step; None for 1 of ours and 4 of CleanRL's.

    Raises:
        ValueError: A file is damaged, or a folder does not say whose run it is.
    """
    runs = _runs(place)
    tags = {identity.tag for identity in runs.values()}
    if len(tags) > 1:
        raise ValueError(f"{place}: runs of CleanRL and of ours together; import them apart")
    (tag,) = tags
    frames = per_step or (cleanrl.PER_STEP if tag == CLEANRL else 1)
    total, size, curves, notes = hashlib.sha256(), 0, [], []
    for folder, identity in runs.items():
        points: list[Scalar] = []
        for path in [place] if place.is_file() else sorted(folder.glob(FILES)):
            with Stream(path, limits) as stream:
                file = EventFile(stream)
                points += file.scalars({tag})
                source = stream.source()
            total.update(f"{folder.name}/{source.name} {source.sha256}\n".encode())
            size += source.bytes
            if file.cut >= 0:
                notes.append(f"{path.name} of {identity.task}, seed {identity.seed}: its last "
                             f"record, at byte {file.cut:,}, is cut and left out")  # fmt: skip
        if not points:
            notes.append(f"{identity.task}, seed {identity.seed}: no point of {tag}")
        curves.append(_curve(identity, folder.name, points, frames))
    clock = "step is frames" if frames == 1 else f"frames = {frames} x step"
    source = Source(place.resolve().name, total.hexdigest(), size)
    return Found(
        source, curves, clock, "episodes", tag == OURS and frames == 1, cleanrl.TRAINING, notes
    )


def _runs(place: Path) -> dict[Path, Identity]:
    if not place.exists():
        raise ValueError(f"{place}: there is no such file or folder")
    found = {folder: identify(folder) for folder in folders(place)}
    if not found:
        raise ValueError(f"{place}: no event file ({FILES}) in it")
    if len(found) > MOST_RUNS:
        raise ValueError(f"{place}: more than {MOST_RUNS:,} runs")
    if unclear := [str(folder) for folder, identity in found.items() if identity is None]:
        raise ValueError(
            f"{listed(unclear, 3)}: the path does not say whose run it is; allowed are "
            "AGENT/GAME/SEED, the same with /tensorboard, and ENV__EXPERIMENT__SEED__TIME"
        )
    return found


def _curve(identity: Identity, name: str, points: Sequence[Scalar], frames: int) -> Curve:
    if identity.tag == OURS:  # Written by time, whose milliseconds keep episodes apart.
        points = sorted(points, key=lambda point: (point.step, point.wall))
    where = f"{name} ({identity.task}, seed {identity.seed})"
    _refuse(points, where)
    steps = np.array([point.step for point in points], np.int64)
    values = np.array([point.value for point in points], float)
    return Curve(identity.method, identity.task, identity.seed, name, steps * frames, values)


def _refuse(points: Sequence[Scalar], where: str) -> None:
    for before, point in _pairs(points):
        if not np.isfinite(point.value):
            raise ValueError(
                f"{where}, record at byte {point.offset:,}: {point.tag}: saw {point.value}; "
                "allowed is a finite number"
            )
        if point.step < before:
            raise ValueError(
                f"{where}, record at byte {point.offset:,}: step {point.step} after {before}; "
                "allowed is to stay or to grow: files of several runs in one folder?"
            )


def _pairs(points: Sequence[Scalar]) -> Iterator[tuple[int, Scalar]]:
    before = 0
    for point in points:
        yield before, point
        before = point.step
