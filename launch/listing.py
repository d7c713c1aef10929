"""What there is: the texts of `reverie suites` and `reverie agents`.

Everything is read from YAML and from the first lines of modules; no agent is imported, so both
answer at once.
"""

import ast
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import agents as agents_room
import suites as suites_room
from launch import config
from suites import games
from suites.records import build
from suites.suite import Suite
from suites.task import Task
from suites.view import View

Row = Sequence[str]

WIDTH = 100  # Of running text, in characters.
NONE = "-"  # A setting that is not there.
POOLED = {1: "the last frame of a step", 2: "maximum over the last 2 frames of a step"}
REPORTED = {"human": "human-normalised: (score - random) / (human - random)", "none": "raw points"}


def suites(name: str | None = None) -> str:
    """Returns all suites as a table, or everything about one.

    Raises:
        ValueError: there is no such suite; the message names the nearest.
    """
    return _all_suites() if name is None else _one_suite(suites_room.load(name))


def agents(name: str | None = None) -> str:
    """Returns all agents as a table, or everything about one.

    Raises:
        ValueError: there is no such agent; the message names the nearest.
    """
    return _all_agents() if name is None else _one_agent(name)


def table(head: Row, rows: Iterable[Row], numbers: Sequence[int] = ()) -> str:
    """Returns aligned columns; those in `numbers` are flush right."""
    lines = [[cell.upper() for cell in head], *([*row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index in numbers else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _all_suites() -> str:
    held = [suites_room.load(name) for name in suites_room.names()]
    head = ["suite", "games", "seeds", "frames", "task", "score", "title"]
    rows = [
        [
            suite.name,
            str(len(suite.games)),
            str(len(suite.seeds)),
            f"{suite.frames:,}",
            _task_in_short(suite.task),
            suite.score.window,
            suite.title,
        ]
        for suite in held
    ]
    return f"""{table(head, rows, [1, 2, 3])}

A suite is one file, suites/<name>.yaml: which games, for how many frames a run, under which task,
scored how. Scores are compared only between runs of the same task.

  everything about one:   reverie suites atari100k
  one run of it:          reverie run ppo --suite demo --game pong --seed 0
  all of it:              snakemake --profile local --config suite=demo agents=random,ppo
"""


def _one_suite(suite: Suite) -> str:
    budget = f"{suite.frames:,} frames, {suite.frames // suite.task.frame_skip:,} agent steps"
    count = f"{len(suite.games) * len(suite.seeds)} an agent"
    facts = [
        ("source", suite.source),
        ("budget", f"{budget} a run; resets and no-ops do not count"),
        ("seeds", ", ".join(map(str, suite.seeds))),
        ("runs", f"{count}: games ({len(suite.games)}) x seeds ({len(suite.seeds)})"),
        ("backend", suite.backend),
        ("evaluation", _evaluation(suite)),
        ("score", f"{suite.score.window}, {REPORTED[suite.score.normalize]}"),
    ]
    return f"""{suite.name}: {suite.title}

{_facts(facts)}

Task {suite.task_digest}: scores are compared only where it is the same.

{_facts(_task_in_full(suite.task))}

{_game_table(suite)}

Every value with its source: suites/{suite.name}.yaml
"""


def _game_table(suite: Suite) -> str:
    held = [games.load(name) for name in suite.games]
    full = suite.task.actions == "full"
    rows = [
        [
            game.name,
            str(game.legal_actions if full else game.min_actions),
            _points(game.random),
            _points(game.human),
        ]
        for game in held
    ]
    without = [game.name for game in held if game.human is None]
    said = [f"{game.name}: {game.notes}" for game in held if game.notes]
    if without:
        said.append(f"no human score, left out where scores are normalised: {', '.join(without)}")
    notes = [textwrap.fill(text, WIDTH, subsequent_indent="  ") for text in said]
    listed = table(["game", "actions", "random", "human"], rows, [1, 2, 3])
    return "\n\n".join([listed, *(["\n".join(notes)] if notes else [])])


def _task_in_short(task: Task) -> str:
    low, high = task.noops
    return f"sticky {task.sticky:g}, {task.actions} actions, no-ops {low}-{high}"


def _task_in_full(task: Task) -> list[tuple[str, str]]:
    low, high = task.noops
    quirks = [key.replace("_", " ") for key, on in task.quirks if on]
    return [
        ("frame skip", f"{task.frame_skip} frames an agent step"),
        ("pooling", POOLED[task.pooling]),
        ("sticky", f"{task.sticky:g}, the chance that a frame repeats the action before"),
        ("actions", f"{task.actions} set of each game"),
        ("no-ops", f"{low} to {high} frames after a reset"),
        ("cap", f"{task.cap:,} frames an episode, then it is truncated"),
        ("score", "unclipped points of a whole game, over all its lives"),
        ("quirks", ", ".join(quirks) or "none"),
    ]


def _evaluation(suite: Suite) -> str:
    held = suite.evaluation
    if not held.episodes:
        return "none"
    points = ", ".join(f"{point:.0%}" for point in held.at)
    return f"{held.episodes} {held.policy} episodes at {points} of the budget"


def _all_agents() -> str:
    names = agents_room.names()
    head = ["agent", "view", "streams", "blocks", "what it is"]
    rows = [
        [
            name,
            _view_in_short(_view(name)),
            str(_defaults(name).get("training", {}).get("streams", "")),
            ", ".join(agents_room.blocks(name)) or "-",
            _first_line(name),
        ]
        for name in names
    ]
    return f"""{table(head, rows, [2])}

An agent is agents/<name>.py and agents/<name>.yaml. A block is a named change of its settings:
`ppo+float32` is the agent ppo with its block float32. A block with the name of a suite applies by
itself when that suite runs.

  everything about one:   reverie agents ppo
  with a block:           reverie run ppo --block float32 --suite demo --game pong --seed 0
  with another value:     reverie run ppo --set discount=0.98 --suite demo --game pong --seed 0
"""


def _one_agent(name: str) -> str:
    blocks = agents_room.blocks(name)
    base = _leaves(_defaults(name))
    changed = [_leaves(agents_room.settings(name, "", [block])) for block in blocks]
    keys = list(dict.fromkeys(key for leaves in [base, *changed] for key in leaves))
    rows = [
        [key, _value(base.get(key, NONE)), *(_change(base, leaves, key) for leaves in changed)]
        for key in keys
    ]
    own = [block for block in blocks if block in suites_room.names()]
    said = f"\nApplies by itself on the suite of its name: {', '.join(own)}." if own else ""
    asked = " ".join(["", *(f"--block {block}" for block in blocks if block not in own)][:2])
    return f"""{name}: {_first_line(name)}

{table(["setting", "defaults", *(f"+{block}" for block in blocks)], rows)}

A dot is the default.{said}
Every value with its source: agents/{name}.yaml; what each means: Config in agents/{name}.py.
One run: reverie run {name}{asked} --suite demo --game pong --seed 0
"""


def _defaults(name: str) -> dict[str, Any]:
    return agents_room.settings(name, "", [])


def _view(name: str) -> View:
    return build(View, _defaults(name).get("view"), f"agents/{name}.yaml: view")


def _view_in_short(view: View) -> str:
    height, width = view.size
    extras = [f"x {view.stack}"] * (view.stack > 1)
    return " ".join([f"{height}x{width}", view.color, *extras])


def _first_line(name: str) -> str:
    """Returns the first line of a module's docstring, without running the module."""
    path = Path(agents_room.FOLDER, f"{name}.py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".")


def _leaves(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= (
            _leaves(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
        )
    return found


def _change(base: dict[str, Any], leaves: dict[str, Any], key: str) -> str:
    return "." if leaves.get(key, NONE) == base.get(key, NONE) else _value(leaves.get(key, NONE))


def _value(value: Any) -> str:
    return str(value) if isinstance(value, list) else config.written(value)


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:,.10g}"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    width = max(len(key) for key, _ in facts)
    return "\n".join(f"  {key.ljust(width)}  {value}" for key, value in facts)
