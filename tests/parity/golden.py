"""Numbers from the official programs, and what it means to agree with them.

They lie in `tests/parity/golden`, or wherever GOLDEN_DIR points: a folder that holds `dreamerv1`,
`dreamerv2` and `dreamerv3`, or the folder of one of them. Tests read every size from the files,
so that other files of the same kind, with other seeds and widths, test the same things.
"""

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent / "golden"

# A file that only one agent has: by it a folder without subfolders is recognised.
MARKS = {"dreamerv1": "value_grads.npz", "dreamerv2": "slow_target.npz", "dreamerv3": "units.npz"}

VALUES = 1e-5  # of a tensor's largest entry
GRADIENTS = 1e-4  # of a tensor's largest entry

Arrays = dict[str, np.ndarray]


def path(agent: str, name: str) -> Path:
    """Returns where a file is; the test is skipped if there is none."""
    root = Path(os.environ.get("GOLDEN_DIR") or HERE)
    flat = root.name == agent or (root / MARKS[agent]).is_file()
    found = root / name if flat and not (root / agent).is_dir() else root / agent / name
    if not found.is_file():
        pytest.skip(f"no {agent}/{name} in {root}")
    return found


def load(agent: str, name: str) -> Arrays:
    """Returns the arrays of a file, copies of their own."""
    return {key: array.copy() for key, array in _load(path(agent, name)).items()}


def config(agent: str, name: str = "config_small.json") -> dict[str, Any]:
    """Returns what a JSON file holds."""
    return json.loads(path(agent, name).read_text())


def sub(arrays: Arrays, prefix: str) -> Arrays:
    """Returns the arrays whose names begin with a prefix such as "grad/", without it."""
    found = {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}
    assert found, f"nothing begins with {prefix!r}; there are {sorted(arrays)}"
    return found


def close(found: Any, wanted: Any, of_max: float = VALUES, name: str = "tensor") -> None:
    """Asserts that a tensor is the wanted one, to a share of the wanted one's largest entry."""
    found, wanted = numpy(found), numpy(wanted)
    assert found.shape == wanted.shape, f"{name}: {found.shape}, wanted {wanted.shape}"
    assert np.isfinite(found).all(), f"{name}: not finite"
    if not wanted.size:
        return
    largest = np.abs(wanted).max() or 1.0
    off = np.abs(found - wanted)
    worst = np.unravel_index(off.argmax(), off.shape)
    assert off[worst] <= of_max * largest, (
        f"{name}{[int(each) for each in worst]}: {found[worst]:.8g}, wanted {wanted[worst]:.8g};"
        f" off by {off[worst] / largest:.2e} of the largest entry, allowed {of_max:.0e}"
    )


def all_close(found: Mapping[str, Any], wanted: Mapping[str, Any], of_max: float = VALUES) -> None:
    """Asserts that there are the wanted tensors, by name, and no others."""
    assert set(found) == set(wanted), f"only on one side: {sorted(set(found) ^ set(wanted))}"
    for name in wanted:
        close(found[name], wanted[name], of_max, name)


def gradients_close(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Asserts that gradients agree, which add up more roundings than values do."""
    all_close(found, wanted, GRADIENTS)


def within(found: Mapping[str, Any], wanted: Mapping[str, Any], absolute: float) -> None:
    """Asserts that tensors are the wanted ones up to an absolute difference."""
    assert set(found) == set(wanted), f"only on one side: {sorted(set(found) ^ set(wanted))}"
    for name in wanted:
        a, b = numpy(found[name]), numpy(wanted[name])
        assert a.shape == b.shape, f"{name}: {a.shape}, wanted {b.shape}"
        worst = np.abs(a - b).max()
        assert worst <= absolute, f"{name}: off by {worst:.2e}, allowed {absolute:.0e}"


def numpy(value: Any) -> np.ndarray:
    """Returns an array or tensor in float64, so that comparing adds no rounding."""
    value = value.detach().cpu().double().numpy() if hasattr(value, "detach") else value
    return np.asarray(value, np.float64)


@functools.lru_cache(maxsize=8)
def _load(file: Path) -> Arrays:
    with np.load(file, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored}
