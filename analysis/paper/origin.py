"""What a file says of the runs behind it: in its own metadata, and in a JSON file beside it.

Nothing in it depends on when or where it was drawn, so that equal figures are equal bytes.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from analysis import files, protocols
from analysis.contenders import Contender
from analysis.grids import span
from analysis.paper.material import Material
from analysis.sides import Side


def record(
    kind: str, of: Material, games: Collection[str], caption: str, numbers: dict[str, Any]
) -> dict[str, Any]:
    """Returns what is behind a figure or table.

    Args:
        kind: Of figure or table.
        of: Its material.
        games: That are in it.
        caption: Its words.
        numbers: That it shows.
    """
    told = {
        "kind": kind,
        "suite": of.suite.name,
        "task": of.suite.task_digest,
        "frames": of.suite.frames,
        "games": list(games),
        "human": of.wish.human,
        "resamples": of.wish.resamples,
        "seed": of.wish.seed,
        "contenders": [_contender(each, of, games) for each in of.found],
        "published": _published(of),
        "caption": caption,
        "numbers": numbers,
    }
    return _plain(told)


def _contender(each: Contender, of: Material, games: Collection[str]) -> dict[str, Any]:
    rows = each.scores[each.scores["game"].isin(games)]
    found = of.imports.get(each.name)
    place = f"{of.suite.name}/imports" if found else of.suite.name
    ids = [
        (f"{place}/{each.name}/{game}/{seed}", score)
        for game, seed, score in rows[["game", "seed", "score"]].itertuples(index=False)
    ]
    counts = rows.groupby("game").size().tolist()
    return {
        "name": each.name,
        "window": each.window,
        "protocol": _protocol(each),
        "commits": list(each.commits),
        "seeds": span(counts),
        "runs": [name for name, _ in ids],
        "without_score": [name for name, score in ids if score != score],
        "imported": None if found is None else {
            "method": found.facts.method, "source": found.facts.source.model_dump(),
            "kind": found.facts.kind, "points_sha256": found.facts.points_sha256,
        },
    }  # fmt: skip


def _published(of: Material) -> dict[str, Any] | None:
    held = of.published
    return held and {
        "name": held.name, "window": held.window, "protocol": _protocol(held),
        "source": held.source, "seeds": span([int(n) for n in held.seeds if n]),
        "notes": list(held.notes),
    }  # fmt: skip


def _protocol(of: Contender | Side) -> dict[str, Any]:
    return protocols.hashed({**of.protocol, "frames": of.frames, "window": of.window})


def _plain(value: Any) -> Any:
    """Returns plain values; a number that is none is None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if abs(value) < float("inf") else None
    return value


def line(told: dict[str, Any]) -> str:
    """Returns a record as one line of ASCII, for the metadata of a file."""
    return json.dumps(told, separators=(",", ":"))


def write(told: dict[str, Any], stem: Path) -> Path:
    """Writes a record beside a figure or table, and returns its path."""
    path = stem.with_name(f"{stem.name}.json")
    files.write(path, json.dumps(told, indent=2) + "\n")
    return path
