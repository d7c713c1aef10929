"""What two sides did otherwise, so that like is compared with like.

A protocol is a mapping from fields to plain values; None, or no such field, is "not stated". That
is no difference, and is said to be unknown: most papers do not say which episodes their scores are
of. Of runs of ours it is what their receipts and config.json say, whatever the suite says today.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from suites import windows
from suites.records import digest, nearest
from suites.suite import Suite

FIELDS = {
    "frames": "budget of a run, in frames",
    "window": "which episodes make a score",
    "episodes": "training or evaluation episodes",
    "sticky": "probability that an action is repeated",
    "actions": "minimal or full action set",
    "frame_skip": "frames per agent step",
    "noops": "no-op frames after a reset",
    "cap": "frames per episode",
    "pooling": "last frames of a step that an image is of",
    "score": "which points an episode counts",
    "truncation_is_terminal": "whether the cap ends an episode as the game does",
    "stale_first_frame": "whether an episode opens with an old image",
    "task": "hash of the whole task, of our own runs",
}
WHOLE = ("frames", "window", "episodes", "task")  # Not of the task, or all of it.
OWN = ("pooling", "score", "truncation_is_terminal", "stale_first_frame", "task")  # No paper's.

Protocol = Mapping[str, Any]


@dataclass(frozen=True)
class Unlike:
    """A field in which the sides differ."""

    name: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        about = FIELDS.get(self.name, "a setting of the task")
        return f"{self.name} ({about}): ours {self.ours}, theirs {self.theirs}"


def of_task(task: Mapping[str, Any], task_hash: str, window: str) -> dict[str, Any]:
    """Returns the protocol of runs of ours.

    Args:
        task: As in their config.json; empty where nobody knows it.
        task_hash: Of it, as in their receipts.
        window: Name of the window that scores them.
    """
    kind = windows.parse(window).kind
    quirks = task.get("quirks") or {}
    plain = {key: value for key, value in task.items() if key != "quirks"}
    unknown = {"sticky": None, "actions": None}
    episodes = "evaluation" if kind == "evaluation" else "training"
    return {**unknown, **plain, **quirks, "episodes": episodes, "task": task_hash}


def of_suite(suite: Suite, window: str) -> dict[str, Any]:
    """Returns the whole protocol of a suite as its file says today, scored in a window."""
    task = of_task(suite.task.model_dump(mode="json"), suite.task_digest, window)
    return {**task, "frames": suite.frames, "window": window}


def hashed(stated: Protocol) -> dict[str, Any]:
    """Returns what a whole protocol states, and first a hash of that, for a file."""
    told = {name: value for name, value in stated.items() if value is not None}
    return {"hash": digest(told), **told}


def compare(ours: Protocol, theirs: Protocol) -> tuple[list[Unlike], list[str]]:
    """Returns the differences, and the fields that one of them does not state.

    The hash of the task is a difference only where no field of the task says what it is.
    """
    known = {*ours, *theirs}
    names = [*FIELDS, *sorted(known - set(FIELDS))]
    unknown = [name for name in names if None in (ours.get(name), theirs.get(name))]
    unlike = [
        Unlike(name, words(ours[name]), words(theirs[name]))
        for name in names
        if name not in unknown and words(ours[name]) != words(theirs[name])
    ]
    if any(each.name not in WHOLE for each in unlike):
        unlike = [each for each in unlike if each.name != "task"]
    return unlike, [name for name in unknown if name not in OWN]


def words(value: object) -> str:
    """Returns a value as it is read: 400,000 or 0.25 or 0 to 30."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return " to ".join(map(words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def refuse(unlike: Collection[Unlike], allowed: Collection[str]) -> None:
    """Refuses to compare what is unlike, unless each difference was allowed by name.

    Raises:
        ValueError: A difference was not allowed, or a name is no field.
    """
    fields = [*FIELDS, *(each.name for each in unlike if each.name not in FIELDS)]
    for name in allowed:
        if name not in fields:
            known = ", ".join(fields)
            raise ValueError(f"--allow: saw {name!r}; allowed are {known}{nearest(name, fields)}")
    open_ = [each for each in unlike if each.name not in allowed]
    if open_:
        names = ",".join(each.name for each in open_)
        raise ValueError(
            "the protocols are unlike, so the scores do not measure the same:\n  "
            + "\n  ".join(map(str, open_))
            + f"\nTo compare them all the same, and have that recorded: --allow {names}"
        )
