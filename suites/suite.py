"""A suite: which games, for how long, under which task, scored how. One YAML file each.

A suite names no agent. What an agent's author tuned for a suite is a block of the suite's name in
the agent's YAML.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from suites import games, windows
from suites.records import Record, build, digest, nearest, read_yaml
from suites.task import Task

FOLDER = Path(__file__).parent
NAME = re.compile(r"[a-z0-9_]+")


def _repeated(values: tuple[Any, ...]) -> list[str]:
    twice = sorted({value for value in values if values.count(value) > 1})
    return [f"saw {', '.join(map(repr, twice))} more than once; allowed is once each"] * bool(twice)


def _seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    return _refuse(_repeated(seeds)) or seeds


def _games(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [games.unknown(name) for name in dict.fromkeys(names) if name not in games.table()]
    return _refuse(unknown + _repeated(names)) or names


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise ValueError("; and ".join(wrong))


def _window(name: str) -> str:
    windows.parse(name)
    return name


class Evaluation(Record):
    """Episodes on separate environments, which never touch training."""

    episodes: NonNegativeInt  # At each point; 0 is no evaluation.
    policy: Literal["sampled", "greedy"]  # Draw from the policy, or take its likeliest action.
    at: tuple[Annotated[float, Field(gt=0, le=1)], ...]  # Points, as fractions of the budget.

    @field_validator("at")
    @classmethod
    def _points_fit(cls, at: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if list(at) != sorted(set(at)):
            raise ValueError(f"saw {list(at)}; allowed are fractions that increase")
        if bool(at) != bool(info.data.get("episodes", len(at))):
            raise ValueError(
                f"saw {list(at)} with episodes: {info.data['episodes']}; allowed is at least one "
                "point where there are episodes, and [] where there are 0"
            )
        return at


class Score(Record):
    """Which episodes make a run's score, and on which scale suites report it."""

    window: Annotated[str, AfterValidator(_window)]
    normalize: Literal["human", "none"]  # (score - random) / (human - random), or raw points.


class Suite(Record):
    """Games x seeds under one task, to a budget, scored one way."""

    # The file's name without .yaml, and a folder in runs/ and results/; not written in the file.
    name: Annotated[str, Field(json_schema_extra={"readOnly": True})]
    title: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]  # Where the protocol comes from.
    frames: PositiveInt  # Budget of a run: frame_skip x agent steps; resets do not count.
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1), AfterValidator(_seeds)]
    games: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_games)]
    backend: Literal["ale", "envpool"]  # Where the emulators run; ale resumes exactly.
    task: Task
    evaluation: Evaluation
    score: Score

    @field_validator("task")
    @classmethod
    def _whole_steps(cls, task: Task, info: ValidationInfo) -> Task:
        frames = info.data.get("frames", 0)
        if frames % task.frame_skip:
            raise ValueError(
                f"saw frame_skip {task.frame_skip} with frames: {frames}; allowed is a budget of "
                "whole agent steps, a multiple of frame_skip"
            )
        return task

    @field_validator("score")
    @classmethod
    def _window_has_episodes(cls, score: Score, info: ValidationInfo) -> Score:
        evaluation, frames = info.data.get("evaluation"), info.data.get("frames", 0)
        window = windows.parse(score.window)
        if window.kind == "frame" and window.count > frames > 0:
            raise ValueError(
                f"saw window {window.name!r} with frames: {frames}; allowed is a frame up to that"
            )
        if score.window == "evaluation" and evaluation and not evaluation.episodes:
            raise ValueError(
                "saw window 'evaluation' with evaluation.episodes: 0; allowed is a window over "
                "training episodes, or at least 1 evaluation episode"
            )
        return score

    @property
    def task_digest(self) -> str:
        """The task's name; scores are compared only where it is the same."""
        return digest(self.task)


def load(name: str | Path, folder: Path = FOLDER) -> Suite:
    """Returns a suite.

    Args:
        name: of a suite, or the path of a YAML file.
        folder: where names are looked up.

    Raises:
        ValueError: there is no such suite, or its file is wrong; one message with everything.
    """
    path = Path(name)
    if path.suffix != ".yaml":
        if name not in names(folder):
            raise ValueError(
                f"unknown suite {str(name)!r}; allowed are {', '.join(names(folder))}"
                f"{nearest(name, names(folder))}"
            )
        path = folder / f"{name}.yaml"
    return _read(path)


def names(folder: Path = FOLDER) -> list[str]:
    """Returns the names of all suites, sorted: every YAML file of the folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _read(path: Path) -> Suite:
    data = read_yaml(path)
    where = _shown(path)
    if not NAME.fullmatch(path.stem):
        raise ValueError(f"{where}: a suite's file name is lowercase letters, digits and _")
    if isinstance(data, dict):
        if "name" in data:
            raise ValueError(f"{where}: name: leave it out; the file's name is the suite's")
        data = {"name": path.stem} | data
    return build(Suite, data, where)


def _shown(path: Path) -> str:
    return f"suites/{path.name}" if path.parent == FOLDER else str(path)
