"""Shows a run in other tools: writes its curves as TensorBoard event files.

The format is small and has not changed since 2015, so it is written here: records of length,
checksum, data, checksum, whose data is a protocol buffer `Event`. That saves a dependency, and
tensorboard's and tensorboardX's own writers import torch where they find it.

Source: tensorflow/tensorflow tensorflow/core/lib/io/record_writer.cc and core/util/event.proto.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from launch import mlflow_view, points
from launch.points import Point, Reader

SUFFIX = ".reverie"  # Of files that may be replaced: they are ours.
VERSION = b"brain.Event:2"
CASTAGNOLI = 0x82F63B78  # CRC-32C, bits reversed.
DELTA = 0xA282EAD8  # TFRecord masks its checksums, lest data with checksums in it mislead.


def tensorboard(run: Path, out: Path | None = None) -> Path:
    """Writes the curves of a run as an event file; an earlier one of ours is replaced.

    Args:
        run: the run folder, finished or not.
        out: where to write; `tensorboard` in the run folder when None.

    Returns:
        The folder to show: `tensorboard --logdir FOLDER`.

    Raises:
        ValueError: it is no run folder, or one of its files is damaged.
    """
    curves = sorted(_points(run), key=lambda point: (point.unix_ms, point.step))
    folder = out or run / "tensorboard"
    folder.mkdir(parents=True, exist_ok=True)
    begun = curves[0].unix_ms // 1000 if curves else 0
    aside = folder / f"export{SUFFIX}.part"  # TensorBoard does not read it yet.
    with aside.open("wb") as file:
        file.writelines(map(record, events(curves)))
    for old in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
        old.unlink()
    aside.rename(folder / f"events.out.tfevents.{begun:010d}{SUFFIX}")
    return folder


def events(curves: Sequence[Point]) -> Iterator[bytes]:
    """Yields the messages of an event file: its version, then the points of every moment."""
    begun = curves[0].unix_ms if curves else 0
    yield _double(1, begun / 1000) + _bytes(3, VERSION)
    for (unix_ms, step), group in groupby(curves, lambda point: (point.unix_ms, point.step)):
        values = b"".join(_bytes(1, _scalar(point)) for point in group)
        yield _double(1, unix_ms / 1000) + _integer(2, step) + _bytes(5, values)


def record(data: bytes) -> bytes:
    """Frames a message as a TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def crc32c(data: bytes) -> int:
    """Returns the Castagnoli checksum."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _points(run: Path) -> Iterable[Point]:
    view = mlflow_view.load(run, run)
    if view is None:
        raise ValueError(f"{run} is no run folder: it has no config.json or no provenance.json")
    episodes = (view.config.get("evaluation") or {}).get("episodes", 0)
    reader = Reader(run, {}, float("inf"), view.ended, episodes)
    found = [point for step in reader.steps() for point in step.points]
    if reader.problems:
        raise ValueError("\n".join(f"{run}: {problem}" for problem in reader.problems))
    if view.receipt:
        found += points.score_points(view.receipt, mlflow_view.normalized(view))
    return found


def _scalar(point: Point) -> bytes:
    """Encodes a Summary.Value: its tag, and its number as a 32-bit float."""
    return _bytes(1, point.key.encode()) + _key(2, 5) + struct.pack("<f", point.value)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _double(field: int, value: float) -> bytes:
    return _key(field, 1) + struct.pack("<d", value)


def _integer(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    assert value >= 0, value
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _masked(data: bytes) -> bytes:
    value = crc32c(data)
    rotated = (value >> 15 | value << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + DELTA) & 0xFFFFFFFF)


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (CASTAGNOLI if value & 1 else 0)
    return value


_TABLE = tuple(map(_row, range(256)))
