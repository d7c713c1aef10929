"""What two sides did otherwise, so that like is compared with like.

A field that one side does not state is no difference, and is said to be unknown: most papers do not
say which episodes their scores are of.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from analysis.imported.store import Protocol
from analysis.sides import Side
from suites.records import nearest

FIELDS = {
    "frames": "budget of a run, in frames",
    "window": "which episodes make a score",
    "episodes": "training or evaluation episodes",
    "sticky": "probability that an action is repeated",
    "actions": "minimal or full action set",
    "task": "hash of the whole task, of our own runs",
}


@dataclass(frozen=True)
class Unlike:
    """A field in which the sides differ."""

    name: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.name} ({FIELDS[self.name]}): ours {self.ours}, theirs {self.theirs}"


@dataclass(frozen=True)
class Terms:
    """How scores come about, of a suite or an import, with or without any scores."""

    window: str
    frames: int
    protocol: Protocol


def compare(ours: Side | Terms, theirs: Side | Terms) -> tuple[list[Unlike], list[str]]:
    """Returns the differences, and the fields that one of them does not state."""
    mine, other = stated(ours), stated(theirs)
    unknown = [name for name in FIELDS if None in (mine[name], other[name])]
    unlike = [
        Unlike(name, str(mine[name]), str(other[name]))
        for name in FIELDS
        if name not in unknown and mine[name] != other[name]
    ]
    return unlike, [name for name in unknown if name != "task"]  # Others have none.


def stated(side: Side | Terms) -> Mapping[str, object]:
    """Returns what a side states of each field, None where it does not."""
    found = side.protocol
    sticky = None if found.sticky is None else f"{found.sticky:g}"
    return {
        "frames": f"{side.frames:,}", "window": side.window, "episodes": found.episodes,
        "sticky": sticky, "actions": found.actions, "task": found.task,
    }  # fmt: skip


def refuse(unlike: Collection[Unlike], allowed: Collection[str]) -> None:
    """Refuses to compare what is unlike, unless each difference was allowed by name.

    Raises:
        ValueError: A difference was not allowed, or a name is none of FIELDS.
    """
    for name in allowed:
        if name not in FIELDS:
            known = ", ".join(FIELDS)
            raise ValueError(f"--allow: saw {name!r}; allowed are {known}{nearest(name, FIELDS)}")
    open_ = [each for each in unlike if each.name not in allowed]
    if open_:
        names = ",".join(each.name for each in open_)
        raise ValueError(
            "the protocols are unlike, so the scores do not measure the same:\n  "
            + "\n  ".join(map(str, open_))
            + f"\nTo compare them all the same, and have that recorded: --allow {names}"
        )
