"""What is compared: one module and one YAML file an agent.

A module exposes exactly `Config` and `Agent` (the contract is in agents/base.py). The YAML holds
`defaults:` and named blocks that change some of them; a block with the name of a suite applies when
that suite runs, the others when they are asked for. This file imports no agent before one is
needed, so names and settings cost no torch.
"""

import copy
import importlib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from suites.records import build, nearest, read_yaml

FOLDER = Path(__file__).parent
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
DEFAULTS = "defaults"

Settings = dict[str, Any]


def names(folder: Path = FOLDER) -> list[str]:
    """Returns the names of all agents, sorted: every YAML file that has a module beside it."""
    paths = folder.glob("*.yaml")
    return sorted(path.stem for path in paths if path.with_suffix(".py").is_file())


def blocks(name: str, folder: Path = FOLDER) -> list[str]:
    """Returns the names of an agent's blocks, in the order of its file, without the defaults."""
    return [block for block in _read(name, folder) if block != DEFAULTS]


def settings(
    name: str,
    suite: str,
    asked: Sequence[str],
    sets: Mapping[str, Any] | None = None,
    folder: Path = FOLDER,
) -> Settings:
    """Returns an agent's settings as its YAML has them: merged, unchecked, without torch.

    Args:
        name: of the agent.
        suite: name of the suite; the block of this name applies first, if there is one.
        asked: blocks, in the order in which they apply.
        sets: values by dotted key, which apply last.
        folder: where agents are.

    Raises:
        ValueError: there is no such agent, block or key; the message names the nearest.
    """
    held = _read(name, folder)
    merged = copy.deepcopy(held[DEFAULTS])
    for block in [suite] * (suite in held) + list(asked):
        merged = _merge(merged, _block(held, block, name))
    for key, value in (sets or {}).items():
        _set(merged, key, value, name)
    return merged


def configure(
    name: str,
    suite: str,
    asked: Sequence[str],
    sets: Mapping[str, Any] | None = None,
    folder: Path = FOLDER,
) -> Any:
    """Returns an agent's checked `Config`; imports its module, hence torch.

    Raises:
        ValueError: as `settings`, or values that the agent's Config refuses, all in one message.
    """
    merged = settings(name, suite, asked, sets, folder)
    used = [block for block in [suite] if block in blocks(name, folder)] + list(asked)
    where = f"agents/{name}.yaml ({', '.join([DEFAULTS, *used, *_said(sets)])})"
    return build(load(name, folder).Config, merged, where)


def load(name: str, folder: Path = FOLDER) -> ModuleType:
    """Returns an agent's module.

    Raises:
        ValueError: there is no such agent; the message names the nearest.
    """
    _known(name, folder)
    if folder == FOLDER:
        return importlib.import_module(f"agents.{name}")
    spec = importlib.util.spec_from_file_location(f"agents.{name}", folder / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _known(name: str, folder: Path) -> None:
    known = names(folder)
    if name not in known:
        allowed = f"allowed are {', '.join(known)}"
        raise ValueError(f"unknown agent {name!r}; {allowed}{nearest(name, known)}")


_files: dict[Path, tuple[tuple[int, int], Settings]] = {}


def _read(name: str, folder: Path) -> Settings:
    """Returns an agent's YAML, read anew when it changed: sweeps ask thousands of times."""
    _known(name, folder)
    path = folder / f"{name}.yaml"
    status = path.stat()
    stamp = (status.st_mtime_ns, status.st_size)
    if path not in _files or _files[path][0] != stamp:
        _files[path] = (stamp, _checked(read_yaml(path), name))
    return _files[path][1]


def _checked(held: Any, name: str) -> Settings:
    where = f"agents/{name}.yaml"
    if not isinstance(held, dict) or not isinstance(held.get(DEFAULTS), dict):
        raise ValueError(f"{where}: allowed is a mapping that holds `{DEFAULTS}:` and named blocks")
    for block, values in held.items():
        if not NAME.fullmatch(block):
            raise ValueError(f"{where}: block {block!r}; allowed are lowercase letters, digits, _")
        if not isinstance(values, dict):
            raise ValueError(f"{where}: block {block!r} holds {values!r}; allowed is a mapping")
    return held


def _block(held: Settings, block: str, name: str) -> Settings:
    known = [key for key in held if key != DEFAULTS]
    if block not in known:
        raise ValueError(
            f"agents/{name}.yaml: unknown block {block!r}; "
            f"allowed are {', '.join(known) or 'none'}{nearest(block, known)}"
        )
    return held[block]


def _merge(base: Any, change: Any) -> Any:
    """Returns `change` laid over `base`: mappings key by key, all else replaced."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return copy.deepcopy(change)
    both = {key: _merge(base[key], change[key]) if key in change else base[key] for key in base}
    return both | {key: copy.deepcopy(change[key]) for key in change if key not in base}


def _set(merged: Settings, key: str, value: Any, name: str) -> None:
    *parents, last = key.split(".")
    here: Any = merged
    for part in parents:
        here = here.get(part) if isinstance(here, dict) else None
    if not isinstance(here, dict) or last not in here:
        known = list(_leaves(merged))
        raise ValueError(
            f"agents/{name}.yaml: unknown key {key!r} in --set; "
            f"allowed are {', '.join(known)}{nearest(key, known)}"
        )
    if isinstance(here[last], dict):
        known = [leaf for leaf in _leaves(merged) if leaf.startswith(f"{key}.")]
        raise ValueError(f"--set {key}: it holds several values; set one of {', '.join(known)}")
    here[last] = value


def _leaves(tree: Settings, above: str = "") -> list[str]:
    found = []
    for key, value in tree.items():
        path = f"{above}.{key}" if above else key
        found += _leaves(value, path) if isinstance(value, dict) else [path]
    return found


def _said(sets: Mapping[str, Any] | None) -> list[str]:
    return [f"--set {key}={value}" for key, value in (sets or {}).items()]
