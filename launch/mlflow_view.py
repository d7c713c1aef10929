"""How a run folder looks in MLflow: experiment, name, params, tags, status.

Everything here follows from the folder's files and nothing talks to MLflow. The folder is the
truth: what MLflow shows can be made anew from it at any time.
"""

import json
import math
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from launch import points

DEBUG = "debug"  # The experiment of runs that are no suite's.
LONGEST_PARAM, LONGEST_TAG, LONGEST_KEY = 6000, 5000, 250  # Characters; MLflow refuses more.
LATER = 60.0  # Seconds by which a process may seem younger than its attempt: clocks are set.
APART = {"suite", "agent", "game", "seed", "hash", "task_hash", "view_hash", "runtime"}
MEDIA = {".mp4", ".png", ".gif"}
STATUS = {"finished": "FINISHED", "stopped": "KILLED", "crashed": "FAILED"}


@dataclass(frozen=True)
class View:
    """What one run folder says about itself at one moment."""

    folder: Path
    root: Path  # Of the project.
    config: dict[str, Any]
    provenance: dict[str, Any]
    receipt: dict[str, Any] | None
    error: dict[str, Any] | None

    @property
    def name(self) -> str:
        """What MLflow calls the run."""
        return "/".join(str(self.config[key]) for key in ("suite", "agent", "game", "seed"))

    @property
    def place(self) -> str:
        """The folder, from the project's root where it is inside."""
        folder, root = self.folder.resolve(), self.root.resolve()
        return str(folder.relative_to(root) if folder.is_relative_to(root) else folder)

    @property
    def experiment(self) -> str:
        """The suite, for a run that stands in the suite's place."""
        return self.config["suite"] if self.place == f"runs/{self.name}" else DEBUG

    @property
    def identity(self) -> dict[str, str]:
        """Tags by which this folder's run is found again, and no other folder's."""
        keys = ("suite", "agent", "game", "seed")
        named = {key: str(self.config[key]) for key in keys}
        started = str(self.attempts[0].get("started"))
        return named | {"config": self.config["hash"], "folder": self.place, "started": started}

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Every process that worked on the run, in order."""
        return self.provenance["attempts"]

    @property
    def tags(self) -> dict[str, str]:
        """What may change while the run goes on, and what it is found by."""
        runtime = self.config.get("runtime") or {}
        facts = {
            "task": self.config.get("task_hash"),
            "view": self.config.get("view_hash"),
            "commit": self.provenance.get("commit"),
            "mlflow.source.git.commit": self.provenance.get("commit"),
            "dirty": self.provenance.get("dirty"),
            "attempts": len(self.attempts),
            "host": self.attempts[-1].get("host"),
            "error": (self.error or {}).get("error", ""),
        }
        facts |= {f"runtime.{key}": value for key, value in runtime.items()}
        given = {key: _text(value, LONGEST_TAG) for key, value in facts.items()}
        return self.identity | {key: value for key, value in given.items() if value != "null"}

    @property
    def params(self) -> dict[str, str]:
        """The configuration, flat and dotted; the agent's own settings as in its YAML."""
        run = {key: value for key, value in self.config.items() if key not in APART}
        agent = dict(_flat(run.pop("agent_config", {})))
        flat = dict(_flat(run))
        clash = {key for key in agent if key in flat and agent[key] != flat[key]}
        flat |= {f"agent.{key}" if key in clash else key: value for key, value in agent.items()}
        return {_key(key): _text(value, LONGEST_PARAM) for key, value in flat.items()}

    @cached_property
    def status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED; KILLED is also a run that was asked to stop."""
        last = self.attempts[-1]
        if self.receipt:
            return "FINISHED"
        if last.get("reason"):
            return STATUS.get(last["reason"], "FAILED")
        if self.error:
            return "FAILED"
        return "RUNNING" if _alive(last) else "KILLED"

    @property
    def started(self) -> float:
        """When the first attempt began, in unix seconds."""
        return _unix(self.attempts[0].get("started")) or 0.0

    @property
    def ended(self) -> float | None:
        """When the run ended, in unix seconds; None while it goes on."""
        if self.status == "RUNNING":
            return None
        told = [(self.receipt or {}).get("unix"), self.attempts[-1].get("ended")]
        told += [(self.error or {}).get("unix")]
        return next((unix for unix in map(_unix, told) if unix), None) or self._touched()

    @property
    def upto(self) -> float:
        """The last frame whose lines no resume will change.

        On a processor with exact emulators the same lines are played again, so all may be shown
        at once. Elsewhere the lines after the newest checkpoint may come out differently.
        """
        if self.status == "FINISHED" or self._exact:
            return math.inf
        stems = [path.stem.partition("-")[0] for path in self.folder.glob("checkpoints/*.npz")]
        # Lines of the checkpoint's own frame may come before or after it.
        return max((int(stem) - 1 for stem in stems if stem.isdigit()), default=-1)

    @property
    def media(self) -> list[str]:
        """Videos and pictures that no resume will make again, by their place in the folder."""
        found = sorted(path.name for path in self.folder.glob("media/*") if path.suffix in MEDIA)
        frames = {name: name.partition("-")[0] for name in found}
        return [
            f"media/{name}" for name, at in frames.items()
            if not at.isdigit() or int(at) <= self.upto
        ]  # fmt: skip

    @property
    def _exact(self) -> bool:
        device = (self.config.get("runtime") or {}).get("device")
        gpus = (self.provenance.get("machine") or {}).get("gpus")
        on_processor = device == "cpu" or (device == "auto" and gpus == [])
        return on_processor and self.config.get("backend") == "ale"

    def _touched(self) -> float:
        """When the last line was written, for a run that could not say that it ended."""
        names = (points.EPISODES, points.METRICS, points.EVALUATION, "config.json")
        times = [path.stat().st_mtime for path in map(self.folder.joinpath, names) if path.exists()]
        return max(times, default=self.started)


def load(folder: Path, root: Path) -> View | None:
    """Reads a run folder; None when it is none, or has not begun.

    Raises:
        ValueError: a file in it is damaged.
    """
    config = _read(folder / "config.json")
    provenance = _read(folder / "provenance.json")
    if not config or not provenance or not provenance.get("attempts"):
        return None
    receipt, error = _read(folder / "receipt.json"), _read(folder / "error.json")
    missing = [key for key in ("suite", "agent", "game", "seed", "hash") if key not in config]
    if missing:
        raise ValueError(f"{folder / 'config.json'}: lacks {', '.join(missing)}")
    return View(folder, root, config, provenance, receipt, error)


def normalized(view: View) -> float | None:
    """Returns the score on the scale from random play to human; None where there is none."""
    value = ((view.receipt or {}).get("score") or {}).get("value")
    if value is None or (view.config.get("score") or {}).get("normalize") != "human":
        return None
    from suites import games

    game = games.load(view.config["game"])
    if game.human is None or game.random is None:
        return None
    return (value - game.random) / (game.human - game.random)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise ValueError(f"{path}: not an object")
    return record


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _key(text: str) -> str:
    return re.sub(r"[^\w\-.:/ ]", "_", text)[:LONGEST_KEY]


def _text(value: Any, longest: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _unix(value: Any) -> float | None:
    """Reads a time that is written as unix seconds or as ISO 8601."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    return value


def _alive(attempt: Mapping[str, Any]) -> bool:
    """Says whether the process of an attempt still runs, as far as this machine can know."""
    if attempt.get("host") != socket.gethostname() or not attempt.get("pid"):
        return True
    try:
        stat = Path(f"/proc/{attempt['pid']}/stat").read_text()
        boot = re.search(r"^btime (\d+)", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:
        return not Path("/proc/self").exists()
    state, *fields = stat.rpartition(")")[2].split()
    born = int(boot[1]) + int(fields[18]) / os.sysconf("SC_CLK_TCK")
    started = _unix(attempt.get("started"))
    return state != "Z" and (started is None or born <= started + LATER)
