"""What the files of a run folder say, as points of curves.

MLflow and TensorBoard both show these points. Lines become points in the order of the files; marks
remember how far each file was read, so that a line is served once even when the run was killed, cut
back to its checkpoint and played again. Only the standard library is used here.

episodes.jsonl and evaluation.jsonl hold no clock, so their points take the time of the first line
of metrics.jsonl that is as far, and wait for it while the run goes on.
"""

import json
import statistics
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from launch import vocabulary

EPISODES, METRICS, EVALUATION = "episodes.jsonl", "metrics.jsonl", "evaluation.jsonl"
COUNTERS = {"agent_step": "time/agent_steps", "row": "time/rows", "update": "time/updates"}
CUT = "cut"  # An episode that was lost to a resume: it counts nowhere.
TAIL = 256  # Bytes before a mark that must be unchanged for the mark to hold.

Record = dict[str, Any]


class Point(NamedTuple):
    """A value of a metric at a step, which is in frames."""

    key: str
    value: float
    step: int
    unix_ms: int


class Mark(NamedTuple):
    """How far a file was served; it never goes back."""

    offset: int  # Bytes.
    tail: str  # Checksum of the bytes just before the offset.
    last: int  # Frame of the last line; of episodes, how many were served, less one.
    unix: float  # Clock of the last line, where lines have one.


class Step(NamedTuple):
    """What one line adds, and the mark of its file once that is served."""

    file: str
    mark: Mark
    points: tuple[Point, ...]


class Line(NamedTuple):
    """A line of a file with the offset and checksum of its end."""

    record: Record
    offset: int
    tail: str


START = Mark(0, f"{zlib.crc32(b''):08x}", -1, 0.0)


@dataclass
class Reader:
    """Reads what is new in one run folder."""

    folder: Path
    marks: Mapping[str, Mark]  # By file; a file without a mark is read from its beginning.
    upto: float  # Frames; later lines wait.
    ended: float | None  # Unix seconds; None while the run goes on.
    evaluation_episodes: int  # That make an evaluation complete.
    problems: list[str] = field(default_factory=list)  # Lines and names that were left out.

    def steps(self) -> Iterator[Step]:
        """Yields what is new, file by file, each in its order."""
        _, lines = self._lines(METRICS)
        clock = _clock(self._mark(METRICS), [line.record for line in lines], self.ended)
        yield from self._guarded(METRICS, self._metrics(lines))
        yield from self._guarded(EPISODES, self._episodes(clock))
        yield from self._guarded(EVALUATION, self._evaluations(clock))

    def _metrics(self, lines: list[Line]) -> Iterator[Step]:
        done = self._mark(METRICS).last
        for record, offset, tail in lines:
            frame = int(record["frame"])
            if frame > self.upto:
                return
            if frame > done:
                mark = Mark(offset, tail, frame, float(record["unix"]))
                yield Step(METRICS, mark, self._known(metric_points(record)))

    def _episodes(self, clock: "Clock") -> Iterator[Step]:
        begin, lines = self._lines(EPISODES)
        done, index = self._mark(EPISODES).last, begin.last
        for record, offset, tail in lines:
            frame = int(record["frame"])
            unix = clock.at(frame)
            if frame > self.upto or unix is None:
                return
            if record["end"] == CUT:
                continue
            index += 1
            if index > done:
                mark = Mark(offset, tail, index, 0.0)
                yield Step(EPISODES, mark, episode_points(record, index, unix))

    def _evaluations(self, clock: "Clock") -> Iterator[Step]:
        """Reads the whole file, which is short; an evaluation that is not complete waits."""
        done = self._mark(EVALUATION).last
        _, lines = self._lines(EVALUATION, START)
        for frame, group in groupby(lines, lambda line: int(line.record["frame"])):
            *_, last = played = list(group)
            unix = clock.at(frame)
            if frame > self.upto or unix is None or len(played) < self.evaluation_episodes:
                return
            if frame > done:
                returns = [float(line.record["return"]) for line in played]
                mark = Mark(last.offset, last.tail, frame, 0.0)
                yield Step(EVALUATION, mark, evaluation_points(frame, returns, unix))

    def _known(self, points: Sequence[Point]) -> tuple[Point, ...]:
        refusals = {vocabulary.unknown(point.key) for point in points} - {""}
        self.problems += [f"left out: {refusal}" for refusal in sorted(refusals)]
        return tuple(point for point in points if not vocabulary.unknown(point.key))

    def _mark(self, name: str) -> Mark:
        return self.marks.get(name, START)

    def _lines(self, name: str, mark: Mark | None = None) -> tuple[Mark, list[Line]]:
        """Returns the complete lines after the mark, and the mark that they begin at."""
        begin, before, data = _rest(self.folder / name, mark or self._mark(name))
        lines, at = [], 0
        while (end := data.find(b"\n", at) + 1) > 0:
            record, offset = _parse(data[at:end]), begin.offset + end
            if record is None:
                self.problems.append(f"{name}: the line that ends at byte {offset} is damaged")
                break
            window = data[end - TAIL : end] if end >= TAIL else (before + data[:end])[-TAIL:]
            lines.append(Line(record, offset, _checksum(window)))
            at = end
        return begin, lines

    def _guarded(self, name: str, steps: Iterator[Step]) -> Iterator[Step]:
        """Stops at a line that lacks something, and says so."""
        try:
            yield from steps
        except (KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}"
            self.problems.append(f"{name}: a line is not as expected ({what})")


class Clock(NamedTuple):
    """When frames were reached."""

    frames: list[int]
    unix: list[float]
    ended: float | None

    def at(self, frame: int) -> float | None:
        """Returns the time of the first line that is as far; None while that is to come."""
        index = bisect_left(self.frames, frame)
        if index < len(self.frames):
            return self.unix[index]
        return self.ended


def metric_points(record: Record) -> list[Point]:
    """Returns the points of a line of metrics.jsonl: its metrics, and its counters as clocks."""
    clocks = {COUNTERS[key]: record[key] for key in COUNTERS if key in record}
    if "seconds" in record:
        clocks["time/hours"] = record["seconds"] / 3600
    values = record["metrics"] | clocks
    step, unix_ms = int(record["frame"]), round(1000 * record["unix"])
    return [Point(key, float(v), step, unix_ms) for key, v in values.items() if v is not None]


def episode_points(record: Record, index: int, unix: float) -> tuple[Point, ...]:
    """Returns the points of a training episode.

    Episodes that ended in the same frame with the same return would be one point: the index, in
    milliseconds, keeps them apart.
    """
    step, unix_ms = int(record["frame"]), round(1000 * unix) + index % 1000
    named = {"episode/return": record["return"], "episode/length": record["length"]}
    return tuple(Point(key, float(value), step, unix_ms) for key, value in named.items())


def evaluation_points(frame: int, returns: Sequence[float], unix: float) -> tuple[Point, ...]:
    """Returns the points of an evaluation that was completed."""
    values = {
        "eval/return": statistics.fmean(returns),
        "eval/return_std": statistics.pstdev(returns),
        "eval/episodes": float(len(returns)),
    }
    return tuple(Point(key, value, frame, round(1000 * unix)) for key, value in values.items())


def score_points(receipt: Record, normalized: float | None) -> tuple[Point, ...]:
    """Returns the final score; nothing when no episode ended in the score window."""
    value = (receipt.get("score") or {}).get("value")
    named = {"score/final": value, "score/human_normalized": normalized}
    step, unix_ms = int(receipt["frames"]), round(1000 * receipt["unix"])
    return tuple(Point(key, float(v), step, unix_ms) for key, v in named.items() if v is not None)


def _clock(mark: Mark, records: list[Record], ended: float | None) -> Clock:
    """Knows the last line that was served and those that are new."""
    known = [(mark.last, mark.unix)] if mark.unix else []
    read = [(record.get("frame"), record.get("unix")) for record in records]
    known += [pair for pair in read if all(isinstance(number, int | float) for number in pair)]
    known.sort()
    return Clock([frame for frame, _ in known], [unix for _, unix in known], ended)


def _parse(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _rest(path: Path, mark: Mark) -> tuple[Mark, bytes, bytes]:
    """Returns where reading begins, a few bytes before that, and everything after.

    That is the file's beginning when it is no longer what the mark saw: a resume has cut it.
    """
    if not path.exists():
        return START, b"", b""
    with path.open("rb") as file:
        if not mark.offset:
            return START, b"", file.read()
        back = max(0, mark.offset - TAIL)
        file.seek(back)
        before = file.read(mark.offset - back)
        if len(before) == mark.offset - back and _checksum(before) == mark.tail:
            return mark, before, file.read()
        file.seek(0)
        return START, b"", file.read()


def _checksum(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"
