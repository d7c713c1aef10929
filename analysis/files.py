"""Files read and written whole: results appear at once or not at all."""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

TAIL = 65_536  # bytes, far more than one line of metrics
TEXT = (
    "suite", "agent", "game", "hash", "task_hash", "view_hash", "commit", "window", "seeds",
    "note", "engine", "status", "reason", "policy", "metric",
)  # fmt: skip


def write(path: Path, content: str | bytes) -> bool:
    """Replaces a file in one step, and leaves it alone when it already says this.

    An equal file keeps its time stamp, so that nothing downstream is made again for nothing.

    Returns:
        Whether the file changed.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return True


def read_json(path: Path) -> dict[str, Any]:
    """Reads one JSON object.

    Raises:
        ValueError: The file is not a JSON object; the message names it.
    """
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}).") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path}: holds {type(data).__name__}, not a JSON object.")
    return data


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads a JSON object a line; a file that is not there holds none.

    A last line without its end is a write that was going on, or was cut by a kill: left out.

    Raises:
        ValueError: A whole line is not a JSON object; the message names file and line.
    """
    if not path.is_file():
        return []
    lines = path.read_text().split("\n")[:-1]
    try:
        return json.loads("[" + ",".join(lines) + "]")  # One call: files reach 10^5 lines.
    except ValueError:
        return [_object(line, path, number) for number, line in enumerate(lines, 1)]


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: not JSON ({error}).") from error


def last_line(path: Path) -> dict[str, Any] | None:
    """Reads the last whole line of a file that may be long, or None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        lines = file.read().decode(errors="replace").split("\n")[:-1]
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            return json.loads(line)
    return None


def below(first: "pd.DataFrame", second: "pd.DataFrame") -> "pd.DataFrame":
    """Returns one table below the other, the columns of the first."""
    return one_below_the_other([first, second], list(first.columns))


def one_below_the_other(parts: "Sequence[pd.DataFrame]", columns: Sequence[str]) -> "pd.DataFrame":
    """Returns tables as one; a column that is empty in one of them takes the others' type."""
    import pandas as pd

    held = [part for part in parts if len(part)]
    if len(held) < 2:
        return held[0][list(columns)] if held else pd.DataFrame(columns=list(columns))
    return pd.DataFrame(
        {name: [each for part in held for each in part[name].tolist()] for name in columns}
    )


def write_table(path: Path, table: "pd.DataFrame") -> bool:
    """Writes a table as CSV, numbers with all their digits."""
    return write(path, table.to_csv(index=False, lineterminator="\n"))


def read_table(path: Path) -> "pd.DataFrame":
    """Reads a table that `write_table` wrote: text stays text ('12e4' is a hash), '' is NaN."""
    import pandas as pd

    text = {name: str for name in TEXT}
    table = pd.read_csv(
        path, dtype=text, keep_default_na=False, na_values=[""], float_precision="round_trip"
    )
    found = [name for name in TEXT if name in table]
    return table.assign(**{name: table[name].fillna("").astype(object) for name in found})
