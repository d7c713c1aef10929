"""The run folder: the files of one run, which are the truth about it.

One process owns a folder at a time. Lines are appended; a checkpoint remembers how long each file
was, and a resumed run cuts them back to that length, so that what was played twice stands once.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from launch.checkpoint import sync_folder

LINES = ("episodes", "metrics", "evaluation")


class Busy(ValueError):
    """Another process owns the folder."""


class RunFolder:
    """Owns a run folder while it is open."""

    def __init__(self, path: Path):
        """Takes the folder's lock, creating the folder if need be.

        Raises:
            Busy: another process holds it.
        """
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._lock = (path / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise Busy(
                f"{path}: another process is running this run. "
                "Wait for it, stop it, or choose another folder with --out."
            ) from None
        self._files: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the files and gives the lock back."""
        for file in self._files.values():
            file.close()
        self._lock.close()

    def adopt(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Writes config.json, or checks that the folder holds this very configuration.

        Returns:
            The configuration as the folder has it.

        Raises:
            ValueError: the folder is another run's; the message names what differs.
        """
        held = self.read("config.json")
        if held is None:
            self.write("config.json", config)
            return dict(config)
        if held.get("hash") != config["hash"]:
            raise ValueError(
                f"{self.path}: holds a run of another configuration: "
                f"{'; '.join(differences(held, config)) or 'config.json has no hash'}. "
                "Nothing was changed; choose another folder with --out, or move this one away."
            )
        return held

    def read(self, name: str) -> Any:
        """Returns the content of a JSON file, or None where there is none.

        Raises:
            ValueError: it is there and is not JSON.
        """
        path = self.path / name
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(
                f"{path}: is not readable as JSON ({error}). Nothing was changed; "
                "put the file right or move the folder away."
            ) from error

    def write(self, name: str, value: Any) -> None:
        """Writes a JSON file by rename."""
        write_json(self.path / name, value)

    def append(self, name: str, line: Mapping[str, Any]) -> None:
        """Adds a line to episodes, metrics or evaluation."""
        file = self._file(name)
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Returns the lines of episodes, metrics or evaluation."""
        path = self.path / f"{name}.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def lengths(self) -> dict[str, int]:
        """Returns how many bytes of each file count, after putting them on the disk."""
        for name in LINES:
            os.fsync(self._file(name).fileno())
        return {name: self._file(name).tell() for name in LINES}

    def cut(self, lengths: Mapping[str, int]) -> None:
        """Cuts the files back to remembered lengths.

        Raises:
            ValueError: a file is shorter than remembered, so lines were lost from outside.
        """
        for name in LINES:
            file, length = self._file(name), lengths.get(name, 0)
            if file.seek(0, os.SEEK_END) < length:
                raise ValueError(
                    f"{self.path / name}.jsonl: has {file.tell()} bytes, and the checkpoint was "
                    f"taken at {length}: lines are missing. Nothing was changed."
                )
        for name in LINES:
            file, length = self._file(name), lengths.get(name, 0)
            file.truncate(length)
            file.seek(length)

    def _file(self, name: str) -> Any:
        if name not in self._files:
            assert name in LINES, name
            self._files[name] = (self.path / f"{name}.jsonl").open("ab")
        return self._files[name]

    def tidy(self) -> None:
        """Removes what only a resume needs; weights and lines stay."""
        for name in ("checkpoints", "replay"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in ("stop", "error.json"):
            (self.path / name).unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file aside, syncs and renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        with aside.open("w") as file:
            file.write(json.dumps(value, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def differences(there: Any, here: Any, key: str = "") -> list[str]:
    """Returns what differs between two trees, one phrase a leaf, hashes and runtime left out."""
    if isinstance(there, dict) and isinstance(here, dict):
        found = []
        for name in dict.fromkeys([*there, *here]):
            if not key and (name.endswith("hash") or name == "runtime"):
                continue
            path = f"{key}.{name}" if key else name
            found += differences(there.get(name), here.get(name), path)
        return found
    # Through JSON, where a tuple is a list.
    same = json.loads(json.dumps(there)) == json.loads(json.dumps(here))
    return [] if same else [f"{key} is {there!r} there and {here!r} here"]
