"""TensorBoard's event files: framed records, each an `Event` with scalars.

Read here as they are written in launch/export.py, by a few lines of our own: tensorboard is no
dependency. A record is length, checksum, data, checksum; checksums are CRC-32C, masked.

Source: tensorflow/tensorflow core/lib/io/record_writer.cc, core/util/event.proto,
core/framework/{summary,tensor}.proto.
"""

import struct
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from analysis.imported.reading import Stream

HEAD, TAIL = struct.Struct("<QI"), struct.Struct("<I")
DELTA = 0xA282EAD8
BATCH = 1 << 20  # Bytes of records whose checksums are reckoned together.
FLOAT, DOUBLE = 1, 2  # Of DataType.
VARINT, WIDE, BYTES, NARROW = 0, 1, 2, 5  # Wire types.


class Scalar(NamedTuple):
    """A point of a curve."""

    tag: str
    step: int
    value: float
    offset: int  # Byte at which its record begins.
    wall: float  # unix seconds


def begins(data: bytes) -> bool:
    """Says whether bytes are the beginning of an event file."""
    return len(data) >= HEAD.size and _sound([data[:8]], [HEAD.unpack(data[: HEAD.size])[1]])[0]


class EventFile:
    """The scalars of one file; `cut` is where a last record begins that is not whole."""

    def __init__(self, stream: Stream):
        self.stream, self.cut = stream, -1

    def scalars(self, tags: Collection[str]) -> Iterator[Scalar]:
        """Yields the points of some tags, in the order of the file.

        Raises:
            ValueError: A record is damaged; the message says at which byte.
        """
        marks = [tag.encode() for tag in tags]
        for offset, data in self._records():
            if any(mark in data for mark in marks):
                try:
                    yield from (one for one in _scalars(data, offset) if one.tag in tags)
                except (ValueError, IndexError, struct.error) as error:
                    raise self._wrong(offset, f"no event ({error})") from None

    def _records(self) -> Iterator[tuple[int, bytes]]:
        batch: list[tuple[int, bytes, int]] = []
        offset = size = 0
        while head := self.stream.exactly(HEAD.size):
            if len(head) < HEAD.size:
                self.cut = offset
                break
            length, check = HEAD.unpack(head)
            if not _sound([head[:8]], [check])[0]:
                raise self._wrong(offset, "the checksum of its length is another")
            self.stream.held(length, f"the record at byte {offset:,}")
            body = self.stream.exactly(length + TAIL.size)
            if len(body) < length + TAIL.size:
                self.cut = offset
                break
            batch.append((offset, body[:length], TAIL.unpack(body[length:])[0]))
            offset, size = offset + HEAD.size + len(body), size + length
            if size > BATCH:
                yield from self._checked(batch)
                batch, size = [], 0
        yield from self._checked(batch)

    def _checked(self, batch: Sequence[tuple[int, bytes, int]]) -> Iterator[tuple[int, bytes]]:
        sound = _sound([data for _, data, _ in batch], [check for *_, check in batch])
        for (offset, data, _), well in zip(batch, sound, strict=True):
            if not well:
                raise self._wrong(offset, "the checksum of its data is another")
            yield offset, data

    def _wrong(self, offset: int, words: str) -> ValueError:
        return ValueError(f"{self.stream.name}, record at byte {offset:,}: {words}")


def _scalars(data: bytes, offset: int) -> Iterator[Scalar]:
    event = _fields(data)
    step = next((value for number, kind, value in event if (number, kind) == (2, VARINT)), 0)
    wall = next((value for number, kind, value in event if (number, kind) == (1, WIDE)), bytes(8))
    if step >= 1 << 63:
        raise ValueError("its step is negative")
    for summary in _within(event, 5):
        for one in _within(_fields(summary), 1):
            fields = _fields(one)
            tag = next(iter(_within(fields, 1)), b"").decode()
            value = next((_float(raw) for n, k, raw in fields if (n, k) == (2, NARROW)), None)
            for tensor in _within(fields, 8):
                value = _of_tensor(_fields(tensor))
            if value is not None:
                yield Scalar(tag, step, value, offset, struct.unpack("<d", wall)[0])


def _of_tensor(fields: list[tuple[int, int, int | bytes]]) -> float | None:
    """Returns the number of a tensor that holds one, as newer writers have scalars."""
    kind = next((value for number, _, value in fields if number == 1), 0)
    layout = {FLOAT: ("<f", 5), DOUBLE: ("<d", 6)}.get(kind)
    if layout is None:
        return None
    raw = [value for number, _, value in fields if number in (4, layout[1])]
    if len(raw) != 1 or len(raw[0]) != struct.calcsize(layout[0]):
        return None
    return struct.unpack(layout[0], raw[0])[0]


def _within(fields: list[tuple[int, int, int | bytes]], wanted: int) -> list[bytes]:
    return [value for number, kind, value in fields if (number, kind) == (wanted, BYTES)]


def _fields(data: bytes) -> list[tuple[int, int, int | bytes]]:
    """Returns a message's fields: number, wire type, and a number or raw bytes."""
    found, at = [], 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
        elif kind in (WIDE, NARROW, BYTES):
            size = {WIDE: 8, NARROW: 4}.get(kind)
            if size is None:
                size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(data):
            raise ValueError("a field is longer than the record")
        found.append((key >> 3, kind, value))
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number without end")


def _float(raw: int | bytes) -> float:
    return struct.unpack("<f", raw)[0]


def _sound(datas: Sequence[bytes], checks: Sequence[int]) -> list[bool]:
    """Says of records whether their masked CRC-32C is as written.

    Records of equal length are reckoned together, byte by byte, as most have few lengths.
    """
    sums = np.zeros(len(datas), np.uint32)
    lengths = np.array([len(data) for data in datas])
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        block = np.frombuffer(b"".join(datas[at] for at in places), np.uint8)
        sums[places] = _crc(block.reshape(len(places), length))
    rotated = (sums >> np.uint32(15)) | (sums << np.uint32(17))
    masked = rotated + np.uint32(DELTA)  # Arrays wrap, as the format wants.
    return (masked == np.array(checks, np.uint32)).tolist()


def _crc(block: np.ndarray) -> np.ndarray:
    """Returns the CRC-32C of each row of bytes (R, L) as (R,) uint32."""
    if len(block) < 16:
        return np.array([_crc_of(row.tobytes()) for row in block], np.uint32)
    value = np.full(len(block), 0xFFFFFFFF, np.uint32)
    for column in block.T:
        value = _WIDE_TABLE[(value ^ column) & np.uint32(0xFF)] ^ (value >> np.uint32(8))
    return value ^ np.uint32(0xFFFFFFFF)


def _crc_of(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # Castagnoli's, bits reversed.
    return value


_TABLE = tuple(map(_row, range(256)))
_WIDE_TABLE = np.array(_TABLE, np.uint32)
