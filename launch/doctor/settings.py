"""What `snakemake --profile slurm` would tell the executor, so that probes ask for the same."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_submitit import ExecutorSettings, WorkflowError, check

from suites.records import nearest, read_yaml

PROFILE = Path("slurm", "config.yaml")
OURS = Path(__file__).parents[1] / "profiles" / PROFILE
PREFIX = "submitit-"
KNOWN = {
    PREFIX + field.name.replace("_", "-"): field for field in dataclasses.fields(ExecutorSettings)
}
SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def load(root: Path, said: Mapping[str, Any]) -> ExecutorSettings:
    """Returns the settings of the profile that a sweep would find, and what was said instead.

    Raises:
        ValueError: the profile has a setting or value that the executor does not know.
    """
    path = root / PROFILE if (root / PROFILE).exists() else OURS
    asked = of_profile(path) | {key: value for key, value in said.items() if value is not None}
    settings = ExecutorSettings(**asked)
    try:
        check(settings)
    except WorkflowError as error:
        raise ValueError(f"{path}: {error}") from error
    return settings


def of_profile(path: Path) -> dict[str, Any]:
    """Returns what a profile tells the executor, each value as Snakemake would pass it on.

    Raises:
        ValueError: a key looks like one of the executor's and is none, or a value is of another
            type.
    """
    profile = read_yaml(path)
    if not isinstance(profile, dict | None):
        raise ValueError(f"{path}: saw {profile!r}; allowed are lines of the form `key: value`")
    found = {}
    for key, value in (profile or {}).items():
        if key in KNOWN:
            if value is not None:  # Without a value it is as if it were not there.
                found[KNOWN[key].name] = read(value, KNOWN[key].type, f"{path}: {key}")
        elif (hint := nearest(key.replace("_", "-"), KNOWN)) or key.startswith(PREFIX):
            raise ValueError(f"{path}: unknown key {key!r}{hint}")
    return found


def read(value: Any, kind: Any, where: str) -> Any:
    """Returns a value of the type that a setting has.

    Raises:
        ValueError: it is none.
    """
    try:
        if kind is bool:
            return SWITCHES[str(value).lower()]
        if not isinstance(value, list | dict):
            return kind(str(value))
    except (ValueError, KeyError):
        pass
    allowed = {int: "a whole number", bool: "true or false"}.get(kind, "a single text")
    raise ValueError(f"{where}: saw {value!r}; allowed is {allowed}")
