"""Files of others, read in pieces: no gzip bomb and no endless line takes the machine down.

What is decompressed is counted, and what has to be held at once (a line, a run of a JSON list, a
record) is bounded, so memory is too. Raw bytes are hashed on the way: no file is read twice.
"""

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

MIB = 1 << 20
DEFAULT_MIB = 256  # The largest official file has some 10 MiB.
PARTS = 16  # No line, JSON run or record may be more than this part of the whole limit.
CHUNK = 1 << 18  # Bytes read at once.
DEEPEST = 8  # Brackets within brackets; a list of runs has three.

_GZIP, _MARK = b"\x1f\x8b", b"\xef\xbb\xbf"
_BRACKET = re.compile(rb'["{}\[\]]')
_QUOTE = re.compile(rb'["\\]')
_SPACE = re.compile(rb"[ \t\r\n]*")


class Limits(NamedTuple):
    """Most bytes of a file, after decompression, and of what is held at once."""

    total: int
    item: int

    @classmethod
    def of(cls, mib: int) -> "Limits":
        """Returns the limits that `--max-mib` stands for."""
        return cls(mib * MIB, mib * MIB // PARTS)


class Source(NamedTuple):
    """What an import was read from; a server has neither checksum nor size."""

    name: str
    sha256: str | None
    bytes: int | None


class _Hashed(io.RawIOBase):
    """A file whose bytes are hashed and counted as they are read."""

    def __init__(self, path: Path):
        self.file = path.open("rb")
        self.sum, self.count = hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.file.read(len(buffer))
        buffer[: len(data)] = data
        self.sum.update(data)
        self.count += len(data)
        return len(data)

    def close(self) -> None:
        self.file.close()
        super().close()


class Stream:
    """The bytes of a file, decompressed where it is gzip, whatever its name says."""

    def __init__(self, path: Path, limits: Limits):
        """Opens the file.

        Raises:
            ValueError: There is no such file.
        """
        if not path.is_file():
            # A device or a pipe has no end that we know of.
            what = "this is no regular file" if path.exists() else "there is no such file"
            raise ValueError(f"{path}: {what}")
        self.name, self.limits, self.count = path.name, limits, 0
        self._raw = _Hashed(path)
        buffered = io.BufferedReader(self._raw, CHUNK)
        packed = buffered.peek(2)[:2] == _GZIP
        self._file = gzip.GzipFile(fileobj=buffered) if packed else buffered
        self.unit = "byte of the decompressed data" if packed else "byte"
        self._ahead = b""

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._raw.close()

    def read(self, size: int = CHUNK) -> bytes:
        """Returns the next bytes, at most `size`; none at the end.

        Raises:
            ValueError: The gzip is broken, or there is more than the limit allows.
        """
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        try:
            data = self._file.read(min(size, CHUNK))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{self.name}: broken gzip after {self.count:,} decompressed bytes: {error}"
            ) from None
        self.count += len(data)
        if self.count > self.limits.total:
            raise ValueError(
                f"{self.name}: more than {self.limits.total // MIB} MiB, "
                f"{'decompressed; ' if isinstance(self._file, gzip.GzipFile) else ''}"
                f"`--max-mib` allows more"
            )
        return data

    def peek(self, size: int) -> bytes:
        """Returns the first bytes without taking them; called before anything is read."""
        data = b""
        while len(data) < size and (more := self.read(size - len(data))):
            data += more
        self._ahead = data + self._ahead
        return data

    def exactly(self, size: int) -> bytes:
        """Returns `size` bytes, fewer at the end of the file."""
        parts = []
        while size and (data := self.read(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def source(self) -> Source:
        """Returns what was read, once all of it was."""
        while self._raw.read(CHUNK):
            pass
        return Source(self.name, self._raw.sum.hexdigest(), self._raw.count)

    def held(self, size: int, where: str) -> None:
        """Refuses to hold more at once than the limit allows.

        Raises:
            ValueError: `size` bytes are too many.
        """
        if size > self.limits.item:
            raise ValueError(
                f"{self.name}, {where}: longer than {self.limits.item / MIB:g} MiB; "
                "`--max-mib` allows more (a sixteenth of it)"
            )


def lines(stream: Stream) -> Iterator[str]:
    """Yields the lines of a text, each with its end.

    Raises:
        ValueError: A line is too long, or is not UTF-8.
    """
    number, rest = 0, b""
    while chunk := stream.read():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            yield _text(stream, line, number)
        stream.held(len(rest), f"line {number + 1}")
    if rest:
        yield _text(stream, rest, number + 1)


def _text(stream: Stream, line: bytes, number: int) -> str:
    stream.held(len(line), f"line {number}")
    if number == 1:
        line = line.removeprefix(_MARK)
    try:
        return line.decode() + "\n"
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{stream.name}, line {number}: byte {error.start + 1} is not UTF-8"
        ) from None


class Items:
    """The objects of a JSON list, one at a time."""

    def __init__(self, stream: Stream):
        self.stream = stream
        self.data, self.at, self.base = bytearray(), 0, 0  # `base`: bytes before `data`

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yields where each object begins, in bytes, and its text.

        Raises:
            ValueError: It is no list of objects, or one of them is too long.
        """
        if self.stream.peek(3) == _MARK:
            self.base = len(self.stream.exactly(3))
        self._take(b"[", "a list of runs, [{...}, ...]")
        if self._next() == b"]":
            self._take(b"]", "]")
        else:
            while True:
                yield self._object()
                if self._take(b",]", "a comma or the end of the list") == b"]":
                    break
        if rest := self._next():
            raise self._wrong(rest, "nothing after the list")

    def _next(self) -> bytes:
        """Returns the next byte that is no space, without taking it."""
        while True:
            self.at = _SPACE.match(self.data, self.at).end()
            if self.at < len(self.data):
                return bytes(self.data[self.at : self.at + 1])
            self._drop()
            if not self._more():
                return b""

    def _take(self, allowed: bytes, words: str) -> bytes:
        found = self._next()
        if not found or found not in allowed:
            raise self._wrong(found, words)
        self.at += 1
        return found

    def _object(self) -> tuple[int, bytes]:
        if (found := self._next()) != b"{":
            raise self._wrong(found, "a run, {...}")
        self._drop()
        offset, end = self.base, self._end()
        text = bytes(self.data[:end])
        self.at = end
        return offset, text

    def _end(self) -> int:
        """Returns where the object at the beginning of `data` ends."""
        at, depth, quoted = 0, 0, False
        while True:
            found = (_QUOTE if quoted else _BRACKET).search(self.data, at)
            if found is None:
                at = len(self.data)
                self._more_of_object()
                continue
            at, mark = found.end(), found[0]
            if mark == b"\\":
                while at >= len(self.data):
                    self._more_of_object()
                at += 1  # Whatever is escaped ends no string.
            elif mark == b'"':
                quoted = not quoted
            else:
                depth += 1 if mark in b"{[" else -1
            if depth > DEEPEST:
                raise ValueError(
                    f"{self.stream.name}, {self.stream.unit} {self.base + at:,}: brackets within "
                    f"brackets; a run is flat lists"
                )
            if not depth:
                return at

    def _more_of_object(self) -> None:
        self.stream.held(len(self.data), f"the run at {self.stream.unit} {self.base + 1:,}")
        if not self._more():
            raise self._wrong(b"", f"the end of the run that begins at {self.base + 1:,}")

    def _more(self) -> bool:
        chunk = self.stream.read()
        self.data += chunk
        return bool(chunk)

    def _drop(self) -> None:
        self.base += self.at
        del self.data[: self.at]
        self.at = 0

    def _wrong(self, found: bytes, words: str) -> ValueError:
        at = self.base + (self.at if found else len(self.data)) + 1
        saw = repr(found.decode("latin-1")) if found else "the end of the file"
        return ValueError(
            f"{self.stream.name}, {self.stream.unit} {at:,}: saw {saw}; allowed is {words}"
        )
