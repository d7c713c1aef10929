"""A plain CSV: agent, game, seed, frame, return, in any order, one row a point.

Rows of a run are in order of frames; runs may be mixed. An empty return is a point without a value.
Other columns are left alone.
"""

import csv
from collections.abc import Iterator

from analysis.imported.curves import Found, Table, listed, short
from analysis.imported.reading import Stream, lines

COLUMNS = ("agent", "game", "seed", "frame", "return")

Row = tuple[str, dict[str, str]]  # where it stands, and its fields by column


def read(stream: Stream, per_step: int) -> Found:
    """Reads a table.

    Args:
        stream: The file.
        per_step: Frames of one unit of the column frame; 1 unless the user says otherwise.

    Raises:
        ValueError: It is malformed; the message says where.
    """
    table = Table(stream.name, "frame", "return", per_step)
    for where, row in rows(stream, COLUMNS):
        for column in ("agent", "game", "seed"):
            if not row[column].strip():
                raise ValueError(f"{where}: {column}: saw nothing; allowed is text")
        key = row["agent"].strip(), row["game"].strip(), row["seed"].strip(), ""
        table.add(key, row["frame"], row["return"], where)
    clock = "frame as it is" if per_step == 1 else f"frames = {per_step} x frame"
    return Found(stream.source(), table.curves(), clock, "episodes", False, {}, [])


def rows(stream: Stream, wanted: tuple[str, ...]) -> Iterator[Row]:
    """Yields the rows of a CSV below its header.

    Raises:
        ValueError: The header lacks a wanted column or has one twice, or a row does not fit it.
    """
    reader = csv.reader(lines(stream), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if missing := [name for name in wanted if name not in header]:
            raise ValueError(
                f"{stream.name}, line 1: no column {', '.join(missing)}; "
                f"saw {short(listed(header)) or 'nothing'}"
            )
        if twice := sorted({name for name in header if name and header.count(name) > 1}):
            raise ValueError(f"{stream.name}, line 1: column {short(twice[0])} is there twice")
        for row in reader:
            where = f"{stream.name}, line {reader.line_num}"
            if not row:
                continue
            if len(row) != len(header):
                raise ValueError(f"{where}: {len(row)} fields; the header has {len(header)}")
            yield where, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise ValueError(f"{stream.name}, line {reader.line_num}: {error}") from None
