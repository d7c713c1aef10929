"""Agents out of run folders: which weights there are, and an agent that has them.

Only reads: a run may be going on in the folder, may have finished, or may have been killed. The
agent is built from the settings that the run's config.json holds, whatever its YAML says today.
"""

import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import agents
from agents import base
from launch import checkpoint, config
from suites import env, games, seeding
from suites.records import build, nearest
from suites.view import View

WEIGHTS = ("final", "best", "latest")
LISTED = 3  # Run folders that a message names.
DEEPEST = 5  # Folders below the one asked for in which runs are looked for.


@dataclass(frozen=True)
class Weights:
    """What an agent knew at some point of its run."""

    name: str  # One of WEIGHTS.
    file: str  # In the run folder.
    frame: int | None  # Of the run; None where nothing tells.
    note: str  # What the user should know about the choice, or nothing.
    state: base.Tree

    def __str__(self) -> str:
        """Says which weights these are."""
        at = "" if self.frame is None else f", frame {self.frame:,}"
        return f"{self.name} weights{at}"


@dataclass(frozen=True)
class Trained:
    """An agent as its run left it."""

    path: Path
    run: config.RunConfig
    weights: Weights
    agent: base.Agent


def load(path: Path, asked: str | None, device: str) -> Trained:
    """Returns the agent of a run folder.

    Args:
        path: the run folder.
        asked: "final", "best", "latest" (the newest checkpoint) or None (final where there are
            some, else latest).
        device: as the agent understands it.

    Raises:
        ValueError: it is no run folder, it has no such weights, or another version wrote it.
    """
    run = _configuration(path)
    weights = _weights(path, run, asked)
    module = agents.load(config.parse_label(run.agent).agent)
    settings = build(module.Config, run.agent_config, f"{path / 'config.json'}: agent_config")
    agent = _agent(module, settings, run, device)
    try:
        agent.load(weights.state)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path / weights.file}: these weights do not fit {run.agent} as this version builds "
            f"it ({_one_line(error)[:200]})"
        ) from error
    return Trained(path, run, weights, agent)


def untrained(run: config.RunConfig, name: str) -> tuple[base.Agent, View]:
    """Returns a fresh agent of another name for a run's game and task, and its view."""
    settings = agents.configure(name, run.suite, ())
    return _agent(agents.load(name), settings, run, "cpu"), settings.view


def _agent(
    module: ModuleType, settings: base.Config, run: config.RunConfig, device: str
) -> base.Agent:
    game = games.load(run.game)
    count = game.min_actions if run.task.actions == "minimal" else game.legal_actions
    seed = seeding.integer(run.agent, run.game, run.seed, "agent")
    return module.Agent(*env.spaces_of(settings.view, count), settings, seed, device)


def _configuration(path: Path) -> config.RunConfig:
    file = path / "config.json"
    if not path.is_dir():
        raise ValueError(f"{path}: there is no such folder{_similar(path)}")
    if not file.is_file():
        raise ValueError(f"{path}: is not a run folder, it has no config.json{_below(path)}")
    try:
        return config.read(file)
    except ValueError as error:
        raise ValueError(
            f"{_one_line(error)}. Was it written by another version of Reverie, or by hand?"
        ) from None


def _weights(path: Path, run: config.RunConfig, asked: str | None) -> Weights:
    final = path / "weights" / "final.npz"
    if asked == "latest" or (asked is None and not final.is_file()):
        return _latest(path, run, asked)
    if asked == "best":
        return _best(path, run)
    if not final.is_file():
        raise ValueError(
            f"{path}: has no final weights, because the run has not finished{_state(path)}; "
            "--weights latest takes those of its newest checkpoint"
        )
    return _final(path, "")


def _final(path: Path, note: str) -> Weights:
    file = "weights/final.npz"
    try:
        frame = json.loads((path / "receipt.json").read_text())["frames"]
    except (OSError, ValueError, KeyError):
        frame = None  # Killed between the two files.
    return Weights("final", file, frame, note, checkpoint.load(path / file))


def _best(path: Path, run: config.RunConfig) -> Weights:
    file = "weights/best.npz"
    if not (path / file).is_file():
        why = "no evaluation has ended yet" if run.evaluation.episodes else "its suite has none"
        raise ValueError(f"{path}: has no best weights: they are kept at evaluations, and {why}")
    return Weights("best", file, _best_frame(path), "", checkpoint.load(path / file))


def _best_frame(path: Path) -> int | None:
    """Returns the frame of the evaluation with the highest mean return, the first of equals."""
    file, returns = path / "evaluation.jsonl", {}
    for text in file.read_text().splitlines() if file.is_file() else ():
        try:
            line = json.loads(text)
        except ValueError:
            break  # The run is writing it.
        returns.setdefault(line["frame"], []).append(line["return"])
    means = {frame: sum(found) / len(found) for frame, found in returns.items()}
    return max(means, key=means.__getitem__, default=None)


def _latest(path: Path, run: config.RunConfig, asked: str | None) -> Weights:
    folder = path / "checkpoints"
    before = checkpoint.newest_first(folder)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = checkpoint.restore(folder)
    except ValueError:
        if checkpoint.newest_first(folder) == before:
            raise
        return _latest(path, run, asked)  # The run has put newer ones in their place.
    if found is None:
        return _instead_of_latest(path)
    file, tree = found
    if tree["hash"] != run.hash:
        raise ValueError(f"{file}: is a checkpoint of another configuration")
    notes = [str(each.message) for each in said]
    if asked is None:
        notes.append("The run has no final weights yet; these are its newest checkpoint's.")
    loop = tree["loop"]
    name = file.relative_to(path).as_posix()
    return Weights("latest", name, loop["counters"]["frames"], " ".join(notes), loop["agent"])


def _instead_of_latest(path: Path) -> Weights:
    if (path / "weights" / "final.npz").is_file():
        return _final(path, "The run has finished; its latest weights are the final ones.")
    raise ValueError(
        f"{path}: has no weights yet: neither a checkpoint nor an end has been reached"
        f"{_state(path)}"
    )


def _state(path: Path) -> str:
    """Returns why a run has not ended, where that is known."""
    try:
        failed = json.loads((path / "error.json").read_text())["error"]
    except (OSError, ValueError, KeyError):
        return ""
    return f" (it failed: {_one_line(failed)})"


def _similar(path: Path) -> str:
    parent = path.parent
    return nearest(path.name, _names(parent.iterdir())) if parent.is_dir() else ""


def _below(path: Path) -> str:
    """Returns the first run folders that lie in a folder, for a message."""
    for depth in range(1, DEEPEST + 1):
        found = _names(path.glob("*/" * depth + "config.json"), whole=True)
        if found:
            more = ", ..." if len(found) > LISTED else ""
            return f"; in it are {', '.join(found[:LISTED])}{more}"
    return "; a run folder is runs/<suite>/<agent>/<game>/<seed>"


def _names(paths: Iterable[Path], whole: bool = False) -> list[str]:
    return sorted(str(path.parent) if whole else path.name for path in paths)


def _one_line(error: object) -> str:
    lines = [line.strip().removeprefix("- ") for line in str(error).splitlines()]
    return "; ".join(line.rstrip(".") for line in lines if line)
