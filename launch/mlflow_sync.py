"""Brings one run folder to MLflow, each point once.

mlflow.json in the folder remembers the run and how far each file was written. It is marked open
before points are sent and closed after; when it is found open, or lost, MLflow itself is asked
how far it is. So no point is lost or doubled, whoever dies in between.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from launch import flock, mlflow_view, points
from launch.mlflow_store import BATCH, RefusedError, Store, UnavailableError, shown
from launch.mlflow_view import View
from launch.points import Mark, Point, Reader, Step

PATIENCE_S = 60.0  # For another process that brings the same folder.
RECEIPT = "receipt.json"
# Copied to MLflow, all small, beside what is in media/.
FILES = ("config.json", "provenance.json", RECEIPT, "error.json")


@dataclass
class State:
    """What mlflow.json says."""

    uri: str = ""
    run_id: str | None = None
    synced: dict[str, Mark] = field(default_factory=dict)  # By file.
    open: bool = True  # Points may be in MLflow that are not in `synced`.
    described: str = ""  # Checksum of params and tags.
    settled: list[Any] = field(default_factory=list)  # Status and end.
    uploaded: dict[str, str] = field(default_factory=dict)  # Checksums of files.

    def save(self, folder: Path) -> None:
        """Replaces mlflow.json."""
        aside = folder / "mlflow.json.part"
        synced = {name: mark._asdict() for name, mark in self.synced.items()}
        aside.write_text(json.dumps(vars(self) | {"synced": synced}, indent=1), encoding="utf-8")
        aside.replace(folder / "mlflow.json")


def recall(folder: Path, uri: str) -> State:
    """Reads mlflow.json; one that is damaged or of another MLflow counts as lost."""
    try:
        held = json.loads((folder / "mlflow.json").read_bytes())
        synced = {name: Mark(**mark) for name, mark in held.pop("synced").items()}
        state = State(synced=synced, **held)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return State()
    return state if state.uri == shown(uri) else State()


class Done(NamedTuple):
    """What a push did."""

    points: int  # Written.
    notes: list[str]  # What had to be left out.
    status: str  # Of the run; empty before it has begun.


def push(store: Store, folder: Path, root: Path) -> Done:
    """Brings to MLflow what is new in a run folder.

    Raises:
        ValueError: a file of the folder is damaged.
        TimeoutError: another process is at the same folder.
        RefusedError: MLflow does not take this run.
        UnavailableError: MLflow does not answer; what was written is remembered.
    """
    with flock.held(folder / "mlflow.lock", PATIENCE_S):
        view = mlflow_view.load(folder, root)  # Before the files: what has ended is complete.
        if view is None:
            return Done(0, [], "")
        state = _described(store, view)
        count, notes = _write(store, view, state)
        notes += _upload(store, view, state)
        status = [view.status, view.ended]
        if state.settled != status:
            store.settle(state.run_id, *status)
            state.settled = status
        state.save(folder)
        return Done(count, notes, view.status)


def batches(steps: Iterable[Step]) -> Iterator[tuple[list[Point], dict[str, Mark]]]:
    """Groups steps to calls of at most BATCH points; no line is split over two."""
    batch, marks = [], {}
    for step in steps:
        if len(batch) + len(step.points) > BATCH:
            yield batch, marks
            batch, marks = [], {}
        batch.extend(step.points)
        marks[step.file] = step.mark
    if marks:
        yield batch, marks


def _described(store: Store, view: View) -> State:
    """Returns the state of the folder's run, found or made, with marks that can be trusted."""
    state = recall(view.folder, store.uri)
    run = store.attach(view, state.run_id)
    if run.how != "named":
        state = State(uri=shown(store.uri), run_id=run.run_id, open=run.how == "found")
    if state.open:
        reached = store.reached(run.run_id)
        state.synced = {name: points.START._replace(last=last) for name, last in reached.items()}
    described = _checksum(json.dumps([view.params, view.tags]).encode())
    if state.described != described:
        store.describe(run, view)
        state.described = described
    return state


def _write(store: Store, view: View, state: State) -> tuple[int, list[str]]:
    """Writes what is new, and remembers after every call how far it came."""
    episodes = (view.config.get("evaluation") or {}).get("episodes", 0)
    reader = Reader(view.folder, dict(state.synced), view.upto, view.ended, episodes)
    count = 0
    for batch, marks in batches(_steps(reader, view, state.synced)):
        if batch and (not count or not state.open):
            state.open = True
            state.save(view.folder)
        if batch:
            store.write(state.run_id, batch)
        state.synced |= marks
        count += len(batch)
        state.save(view.folder)
    state.open = False
    return count, reader.problems


def _steps(reader: Reader, view: View, synced: Mapping[str, Mark]) -> Iterator[Step]:
    yield from reader.steps()
    receipt = view.receipt
    if receipt and RECEIPT not in synced:
        mark = Mark(0, "", receipt["frames"], receipt["unix"])
        yield Step(RECEIPT, mark, points.score_points(receipt, mlflow_view.normalized(view)))


def _upload(store: Store, view: View, state: State) -> list[str]:
    """Copies files that changed; a place that cannot be written to is no reason to stop."""
    names = [*(FILES[:1] if view.status == "RUNNING" else FILES), *view.media]
    sums = {name: total for name in names if (total := _total(view.folder / name))}
    new = [name for name, total in sums.items() if state.uploaded.get(name) != total]
    try:
        if new:
            store.upload(state.run_id, view.folder, new)
    except (UnavailableError, RefusedError) as error:
        return [f"{', '.join(new)} not copied: {error}"]
    state.uploaded |= sums
    return []


def _total(path: Path) -> str:
    """Returns a file's checksum; nothing where there is none, or no more."""
    try:
        return _checksum(path.read_bytes())
    except FileNotFoundError:
        return ""


def _checksum(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"
