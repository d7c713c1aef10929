"""What was handed to the cluster, and how it ended: one line each, written before it is believed.

A main process begins with the command that it was called with. The lines of a submission are an
intent (with a token that is the name of the job in Slurm), then the ids that Slurm gave. A main
process that is killed in between leaves an intent without ids; the next one asks Slurm for a job of
that name. So nothing is started twice, whenever the process dies.

Only the main process of a workflow writes; anybody may read.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

Ended = Literal["success", "failed", "cancelled", "lost"]


@dataclass
class Entry:
    """One job of the workflow, handed over once."""

    key: str  # of what is made: rule and outputs
    token: str  # of the submission
    index: int  # of the array's task
    slot: int  # inside that task, where several jobs share one
    rule: str
    name: str  # for people
    outputs: list[str]
    attempt: int
    submitted: float  # seconds since the epoch
    resources: dict[str, Any] = field(default_factory=dict)
    id: str = ""  # Slurm's, once it is known: 12 or 12_3
    ended: str = ""  # Ended, or nothing
    reason: str = ""
    finished: float = 0.0

    @property
    def open(self) -> bool:
        """Tells whether it is queued or running, as far as is known."""
        return not self.ended


class Ledger:
    """The entries of a folder, and the file that they are read from and added to."""

    def __init__(self, folder: Path):
        """Reads what there is."""
        self.folder, self.path = folder, folder / "ledger.jsonl"
        self.entries: list[Entry] = []
        self.tokens: dict[str, list[Entry]] = {}
        self.command: list[str] = []  # The last main process's.
        self.file: IO[str] | None = None
        for line in self.lines():
            self.apply(line)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yields the lines; a last one that was cut off by a kill is left out."""
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def apply(self, line: dict[str, Any]) -> None:
        """Takes a line into the entries."""
        if line["event"] == "began":
            self.command = line["command"]
        elif line["event"] == "intent":
            for entry in (Entry(**each) for each in line["entries"]):
                self.entries.append(entry)
                self.tokens.setdefault(entry.token, []).append(entry)
        elif line["event"] == "submitted":
            for entry in self.of_token(line["token"]):
                entry.id = line["ids"][entry.index]
        elif line["event"] == "ended":
            for entry in self.of_token(line["token"]):
                if (entry.index, entry.slot) == (line["index"], line["slot"]):
                    entry.ended, entry.reason = line["ended"], line["reason"]
                    entry.finished = line["time"]

    def of_token(self, token: str) -> list[Entry]:
        """Returns the entries of a submission."""
        return self.tokens.get(token, [])

    def newest(self, key: str) -> Entry | None:
        """Returns the last entry of what is made."""
        return next((entry for entry in reversed(self.entries) if entry.key == key), None)

    def open(self) -> list[Entry]:
        """Returns what has not ended."""
        return [entry for entry in self.entries if entry.open]

    def marker(self, entry: Entry) -> Path:
        """Returns where a job says how it ended; its log stands beside it."""
        return self.folder / "jobs" / entry.token / f"{entry.index}.{entry.slot}.json"

    def busy(self) -> bool:
        """Tells whether a main process is writing."""
        try:
            with self.path.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    # Writing

    def begin(self, command: list[str]) -> None:
        """Writes down who writes from here on.

        Raises:
            BlockingIOError: another main process does.
        """
        self.write({"event": "began", "command": command})

    def intend(self, entries: Iterable[Entry]) -> None:
        """Writes down what is about to be submitted."""
        self.write({"event": "intent", "entries": [asdict(entry) for entry in entries]})

    def submitted(self, token: str, ids: list[str]) -> None:
        """Writes down the ids of a submission, one a task."""
        self.write({"event": "submitted", "token": token, "ids": ids})

    def end(self, entry: Entry, ended: Ended, reason: str = "") -> None:
        """Writes down how an entry ended."""
        place = {"token": entry.token, "index": entry.index, "slot": entry.slot}
        self.write({"event": "ended", **place, "ended": ended, "reason": reason})

    def write(self, line: dict[str, Any]) -> None:
        """Adds a line and has it on the disk before it counts."""
        if self.file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a")
            try:
                lock(file)
            except BlockingIOError:
                file.close()
                raise
            heal(self.path, file)
            self.file = file
        line = line | {"time": time.time()}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.apply(line)

    def close(self) -> None:
        """Lets others write."""
        if self.file is not None:
            self.file.close()
            self.file = None


def lock(file: IO[str]) -> None:
    """Locks a file; who only asks whether it is locked holds it for a moment.

    Raises:
        BlockingIOError: another process holds it for longer.
    """
    for pause_s in (0.1, 0.3, 0.6, None):
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if pause_s is None:
                raise
            time.sleep(pause_s)


def heal(path: Path, file: IO[str]) -> None:
    """Ends a line that a kill cut off, so that the next one begins anew."""
    with path.open("rb") as reading:
        reading.seek(0, os.SEEK_END)
        if reading.tell():
            reading.seek(-1, os.SEEK_END)
            if reading.read(1) != b"\n":
                file.write("\n")
