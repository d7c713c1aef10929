"""What `snakemake --profile slurm` would tell the executor, so that probes ask for the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_submitit import ExecutorSettings, WorkflowError, check

from suites.records import nearest, read_yaml

PROFILE = Path("slurm", "config.yaml")
OURS = Path(__file__).parents[1] / "profiles" / PROFILE
PREFIX = "submitit-"


def load(root: Path, said: Mapping[str, Any]) -> ExecutorSettings:
    """Returns the settings of the profile that a sweep would find, and what was said instead.

    Raises:
        ValueError: the profile has a setting or value that the executor does not know.
    """
    path = root / PROFILE if (root / PROFILE).exists() else OURS
    asked = {
        key.removeprefix(PREFIX).replace("-", "_"): value
        for key, value in (read_yaml(path) or {}).items()
        if key.startswith(PREFIX)
    }
    asked |= {key: value for key, value in said.items() if value is not None}
    known = ExecutorSettings.__dataclass_fields__
    for key in asked:
        if key not in known:
            name = PREFIX + key.replace("_", "-")
            raise ValueError(f"{path}: unknown key {name!r}{nearest(key, known)}")
    settings = ExecutorSettings(**asked)
    try:
        check(settings)
    except WorkflowError as error:
        raise ValueError(f"{path}: {error}") from error
    return settings
