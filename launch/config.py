"""What one run is: a point of suite x agent x game x seed, resolved, checked and hashed.

An agent's label is `agent`, `agent+block` or `agent+block+block`; the values of `--set` follow as
`,key=value`. The same label stands in paths, receipts, tags, legends and colours.

The hash names everything that decides a run's numbers: suite, label, game, seed, budget, backend,
task, view, the agent's settings, evaluation and score window. It is taken over what the YAML says,
so that a sweep of thousands of runs is hashed without importing an agent, hence without torch.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

import agents
import suites
from suites import games
from suites.records import Record, build, digest, nearest, read_scalar
from suites.suite import Evaluation, Score, Suite
from suites.task import Task
from suites.view import View

LONGEST = 200  # Characters of a label; a file system takes 255 bytes for one name.
KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
VALUE = re.compile(r"[A-Za-z0-9_.+-]+")  # Safe in a path, a tag and a shell.
HASHES = {"hash", "task_hash", "view_hash"}

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Label:
    """The parts of an agent's label; `sets` is sorted by key, `blocks` keeps its order."""

    agent: str
    blocks: tuple[str, ...]
    sets: tuple[tuple[str, Scalar], ...]

    def __str__(self) -> str:
        """Writes the label, safe as a folder's name."""
        values = [f"{key}={written(value)}" for key, value in self.sets]
        return ",".join(["+".join([self.agent, *self.blocks]), *values])


class RunConfig(Record):
    """Everything that decides a run's numbers, as kept in its config.json."""

    suite: str
    agent: str  # The label.
    game: str
    seed: NonNegativeInt
    frames: PositiveInt  # Budget.
    backend: Literal["ale", "envpool"]
    task: Task
    view: View
    agent_config: dict[str, Any]  # As merged from the agent's YAML, its view included.
    evaluation: Evaluation
    score: Score
    hash: str  # Of all of the above.
    task_hash: str
    view_hash: str


class _Seen(Record):
    """The one part of an agent's settings that every agent has in this form."""

    view: View


def parse_label(text: str, sets: Sequence[str] = ()) -> Label:
    """Reads a label.

    Args:
        text: as in a path: `agent+block,key=value`.
        sets: further `key=value`, as on the command line.

    Raises:
        ValueError: it is not a label, or says something twice.
    """
    head, *inside = text.split(",")
    agent, *blocks = head.split("+")
    for word in [agent, *blocks]:
        if not agents.NAME.fullmatch(word):
            raise ValueError(
                f"label {text!r}: saw {word!r}; allowed is agent, agent+block or "
                "agent+block,key=value in lowercase letters, digits and _"
            )
    pairs = [_pair(item) for item in [*inside, *sets]]
    _refuse_twice(text, blocks)
    _refuse_twice(text, [key for key, _ in pairs])
    label = Label(agent, tuple(blocks), tuple(sorted(pairs, key=lambda pair: pair[0])))
    if len(str(label)) > LONGEST:
        raise ValueError(
            f"label {label}: {len(str(label))} characters; allowed are {LONGEST}. Write the values "
            f"as a block of agents/{agent}.yaml"
        )
    return label


def resolve(
    suite: Suite | str,
    label: str,
    game: str,
    seed: int,
    *,
    frames: int | None = None,
    backend: str | None = None,
    sets: Sequence[str] = (),
) -> RunConfig:
    """Returns the checked configuration of one run; imports the agent's module, hence torch.

    Args:
        suite: a suite, or its name.
        label: of the agent.
        game: one of the suite's.
        seed: any whole number from 0; need not be one of the suite's.
        frames: budget instead of the suite's.
        backend: instead of the suite's.
        sets: `key=value` over the agent's settings; they become part of the label.

    Raises:
        ValueError: a suite, game, agent, block, key or value that does not exist or is not
            allowed, or a setting that the backend cannot honour; the message says what is
            allowed, and the nearest.
    """
    suite, parts = _checked(suite, label, game, frames, backend, sets)
    # Before the rest: it tells of everything that is wrong with the agent's settings at once.
    agents.configure(parts.agent, suite.name, parts.blocks, dict(parts.sets))
    run = build(RunConfig, _content(suite, parts, game, seed), "this run")
    if run.backend == "envpool":
        from suites import envpool

        envpool.require_honoured(run.game, run.task, run.view, training=True)
    return run


def light_hash(
    suite: Suite | str,
    label: str,
    game: str,
    seed: int,
    *,
    frames: int | None = None,
    backend: str | None = None,
    sets: Sequence[str] = (),
) -> str:
    """Returns the hash that `resolve` would, without importing the agent.

    Raises:
        ValueError: as `resolve`, except for values that only the agent's Config can judge.
    """
    suite, parts = _checked(suite, label, game, frames, backend, sets)
    return _content(suite, parts, game, seed)["hash"]


def settings(suite: Suite, label: str) -> dict[str, Any]:
    """Returns an agent's settings on a suite as its YAML has them: unchecked, without torch."""
    parts = parse_label(label)
    return agents.settings(parts.agent, suite.name, parts.blocks, dict(parts.sets))


def is_debug(run: RunConfig, suite: Suite) -> bool:
    """Says whether a run is none of the suite's own, and so must not enter its results."""
    asked = (run.frames, run.backend) != (suite.frames, suite.backend)
    return asked or run.seed not in suite.seeds or bool(parse_label(run.agent).sets)


def read(path: Path) -> RunConfig:
    """Returns the configuration in a run folder's config.json.

    Raises:
        ValueError: the file is missing, is not such a configuration, or was changed by hand.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if isinstance(held, dict):
        held.pop("runtime", None)  # Where it ran, which decides no number.
    run = build(RunConfig, held, str(path))
    if run.hash != digest(run.model_dump(mode="json", exclude=HASHES)):
        raise ValueError(f"{path}: its content is not what its hash {run.hash} names")
    return run


def written(value: Scalar) -> str:
    """Returns a value the one way in which YAML and `--set` read it back: 1.0e-05, not 1e-05."""
    if isinstance(value, str):
        return value
    text = json.dumps(value)
    if isinstance(value, float) and "." not in text:  # 1e-05, which YAML would take for text.
        text = text.replace("e", ".0e")
    return text


def _checked(
    suite: Suite | str,
    label: str,
    game: str,
    frames: int | None,
    backend: str | None,
    sets: Sequence[str],
) -> tuple[Suite, Label]:
    """Returns suite and label as asked for, checked as far as that costs no import."""
    suite = _asked(suite if isinstance(suite, Suite) else suites.load(suite), frames, backend)
    parts = parse_label(label, sets)
    _check_game(suite, game)
    return suite, parts


def _content(suite: Suite, label: Label, game: str, seed: int) -> dict[str, Any]:
    """Returns what a RunConfig holds."""
    settings = agents.settings(label.agent, suite.name, label.blocks, dict(label.sets))
    where = f"agents/{label.agent}.yaml as {label}"
    view = build(_Seen, {"view": settings.get("view")}, where).view
    point = {"suite": suite.name, "agent": str(label), "game": game, "seed": seed}
    kept = {"frames", "backend", "task", "evaluation", "score"}
    run = point | suite.model_dump(mode="json", include=kept)
    run |= {"view": view.model_dump(mode="json"), "agent_config": settings}
    hashes = {"hash": digest(run), "task_hash": suite.task_digest, "view_hash": digest(view)}
    return run | hashes


def _asked(suite: Suite, frames: int | None, backend: str | None) -> Suite:
    over = {"frames": frames, "backend": backend}
    over = {key: value for key, value in over.items() if value is not None}
    if not over:
        return suite
    where = f"suite {suite.name} with {', '.join(f'{k}: {v}' for k, v in over.items())}"
    return build(Suite, suite.model_dump(mode="json") | over, where)


def _check_game(suite: Suite, game: str) -> None:
    if game in suite.games:
        return
    allowed = f"the games of suite {suite.name} are {', '.join(suite.games)}"
    if game in games.table():
        raise ValueError(f"game {game!r} is not in suite {suite.name}; {allowed}")
    meant = nearest(game, suite.games) or nearest(game, games.table())
    raise ValueError(f"unknown game {game!r}; {allowed}{meant}")


def _pair(text: str) -> tuple[str, Scalar]:
    key, mark, value = text.partition("=")
    if not mark or not KEY.fullmatch(key):
        raise ValueError(f"--set {text!r}; allowed is key=value with a dotted key, lr=1.0e-4")
    scalar = read_scalar(value, f"--set {key}")
    text = written(scalar)
    if not value or not VALUE.fullmatch(text) or read_scalar(text, f"--set {key}") != scalar:
        raise ValueError(
            f"--set {key}: saw {value!r}; allowed is a number, true, false, null or a word of "
            "letters, digits and _.+-, because it becomes part of a folder's name; anything else "
            "belongs in a block of the agent's YAML"
        )
    return key, scalar


def _refuse_twice(text: str, words: Sequence[str]) -> None:
    twice = [word for word in words if words.count(word) > 1]
    if twice:
        raise ValueError(f"label {text!r}: {twice[0]!r} is there twice")
