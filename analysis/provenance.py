"""Provenance: what made each number, read from the run folders when they are still there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import files
from analysis.cells import Cell


@dataclass(frozen=True)
class Origin:
    """Where one run comes from."""

    cell: Cell
    config: dict[str, Any]  # RunConfig and runtime; empty without a run folder
    commit: str
    dirty: bool
    setting: str  # E1, E2, ...: one combination of Python, packages and machine; '' if unknown
    attempts: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Setting:
    """One combination of Python, packages and machine."""

    name: str
    python: str
    machine: dict[str, Any]
    packages: dict[str, str]


def read(cells: Sequence[Cell], runs: Path) -> tuple[list[Origin], list[Setting]]:
    """Reads where runs come from; a file that is missing or broken leaves its part empty."""
    settings: dict[str, Setting] = {}
    origins = []
    for cell in sorted(cells):
        told = _object(cell.folder(runs) / "provenance.json")
        name = _setting(settings, told) if "packages" in told else ""
        config = _object(cell.folder(runs) / "config.json")
        commit, dirty = str(told.get("commit") or ""), bool(told.get("dirty"))
        attempts = tuple(told.get("attempts", ()))
        origins.append(Origin(cell, config, commit, dirty, name, attempts))
    return origins, list(settings.values())


def _object(path: Path) -> dict[str, Any]:
    try:
        return files.read_json(path)
    except (OSError, ValueError):
        return {}


def _setting(known: dict[str, Setting], told: dict[str, Any]) -> str:
    parts = {key: told.get(key) for key in ("python", "machine", "packages")}
    key = json.dumps(parts, sort_keys=True)
    if key not in known:
        name = f"E{len(known) + 1}"
        machine, packages = parts["machine"] or {}, parts["packages"] or {}
        known[key] = Setting(name, str(parts["python"]), machine, packages)
    return known[key].name


def several_settings(origins: Sequence[Origin]) -> list[str]:
    """Returns the labels whose runs had more than one agent configuration, sorted.

    One label in one suite is one configuration; two are a sign of a changed YAML file.
    """
    seen: dict[str, set[str]] = {}
    for origin in origins:
        if "agent_config" in origin.config:
            text = json.dumps(origin.config["agent_config"], sort_keys=True)
            seen.setdefault(origin.cell.agent, set()).add(text)
    return sorted(agent for agent, configs in seen.items() if len(configs) > 1)
