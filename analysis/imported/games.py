"""Names of games and seeds in the files of others, as ours."""

import functools
import re
from collections.abc import Iterable, Mapping

from suites import games

# `ALE/Pong-v5`, `PongNoFrameskip-v4`, `PongDeterministic-v4`, `Pong-v5`, `atari_pong`, `pong`.
_BEFORE = re.compile(r"^(?:ALE/|atari_)")
_AFTER = re.compile(r"(?:NoFrameskip|Deterministic)?-v\d+$")
STICKY = {"-v0": 0.25, "-v4": 0.0}  # That ids of gym fix; -v5 leaves it to who makes the game.


def known(task: str) -> str | None:
    """Returns our name of a game; None where we have no such game."""
    bare = _AFTER.sub("", _BEFORE.sub("", task))
    return _squashed().get(_squash(bare))


def unknown(task: str) -> str:
    """Returns the message that refuses a game, with the nearest."""
    return games.unknown(_AFTER.sub("", _BEFORE.sub("", task)))


def renamed(tasks: Iterable[str]) -> dict[str, str]:
    """Returns the names that are other words than ours, not only another way to write ids."""
    bare = {_BEFORE.sub("", task): known(task) for task in sorted(set(tasks))}
    return {said: ours for said, ours in bare.items() if ours and said.islower() and said != ours}


def sticky(tasks: Iterable[str]) -> float | None:
    """Returns the probability of sticky actions where every id says the same one."""
    said = {STICKY.get(task[-3:]) if task[:1].isupper() else None for task in tasks}
    return said.pop() if len(said) == 1 else None


def numbered(seeds: Iterable[int | str]) -> tuple[dict[int | str, int], str]:
    """Returns the number of each seed, and a note where they are not numbers in the source.

    Whole numbers, also written as text, are themselves; if one of them is another text, all are
    numbered in sorted order.
    """
    said = sorted(set(seeds), key=str)
    if all(isinstance(seed, int) or (seed.isascii() and seed.isdigit()) for seed in said):
        return {seed: int(seed) for seed in said}, ""
    table = {seed: number for number, seed in enumerate(said)}
    return table, f"seeds are names in the source, here numbers in sorted order: {_shown(table)}"


def _shown(table: Mapping[int | str, int]) -> str:
    words = [f"{seed} = {number}" for seed, number in table.items()]
    return ", ".join(words[:10]) + (", ..." if len(words) > 10 else "")


def _squash(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@functools.cache
def _squashed() -> dict[str, str]:
    return {_squash(name): name for name in games.table()}
