"""Checkpoints: trees of arrays and plain values in one file, without pickle.

A file is written aside, synced and renamed, so a reader sees a whole file or none; the two newest
are kept, and a damaged newest one falls back to the one before it. Equal trees give equal bytes.

Format: an uncompressed zip of tree.json and one .npy an array, as numpy.load reads them.
"""

import io
import json
import math
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

KEPT = 2  # The newest, and one to fall back to.
EPOCH = (1980, 1, 1, 0, 0, 0)  # The zip format's zero: no clock in the file.


def save(path: Path, tree: dict) -> None:
    """Writes a tree so that `path` is always whole.

    Raises:
        OSError: the disk is full or read-only; what was at `path` is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            _write(file, tree)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def load(path: Path) -> dict:
    """Reads a tree.

    Raises:
        ValueError: the file is damaged (every entry carries a checksum).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            structure = json.loads(archive.read("tree.json"))
            return _join(structure, archive)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: damaged or not a checkpoint ({error}).") from error


def store(folder: Path, name: str, tree: dict) -> Path:
    """Adds a checkpoint to a folder and removes all but the newest two; names sort by age."""
    path = folder / f"{name}.npz"
    save(path, tree)
    for old in newest_first(folder)[KEPT:]:
        old.unlink()
    return path


def forget_newer(path: Path) -> None:
    """Removes the checkpoints after one that a run goes on from.

    They could not be read; left there, they would take the place of one that can.
    """
    for each in newest_first(path.parent):
        if each.name > path.name:
            each.unlink()


def restore(folder: Path) -> tuple[Path, dict] | None:
    """Returns the newest checkpoint that can be read, or None where there is none.

    Raises:
        ValueError: there are checkpoints, and all are damaged; none is touched.
    """
    paths, problems = newest_first(folder), []
    for path in paths:
        try:
            tree = load(path)
        except ValueError as problem:
            problems.append(str(problem))
            continue
        for text in problems:
            warnings.warn(f"{text} Going on from {path.name}, the one before it.", stacklevel=2)
        return path, tree
    if problems:
        raise ValueError(f"No checkpoint can be read: {' '.join(problems)}")
    return None


def newest_first(folder: Path) -> list[Path]:
    """Returns the checkpoints of a folder."""
    return sorted(folder.glob("[0-9]*.npz"), reverse=True)


def not_finite(tree: Any, name: str = "") -> str | None:
    """Returns the name of the first number in a tree that is NaN or infinite."""
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    elif isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
        return None if np.isfinite(tree).all() else name
    else:
        return name if isinstance(tree, float) and not math.isfinite(tree) else None
    found = (not_finite(value, f"{name}.{key}" if name else str(key)) for key, value in items)
    return next((text for text in found if text), None)


def sync_folder(folder: Path) -> None:
    """Makes a rename in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(file: io.BufferedIOBase, tree: dict) -> None:
    arrays: list[np.ndarray] = []
    structure = json.dumps(_split(tree, arrays))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("tree.json", EPOCH), structure)
        for index, array in enumerate(arrays):
            with archive.open(zipfile.ZipInfo(f"{index}.npy", EPOCH), "w", force_zip64=True) as out:
                np.lib.format.write_array(out, np.asanyarray(array), allow_pickle=False)


def _split(tree: Any, arrays: list[np.ndarray]) -> Any:
    """Returns a tree as JSON values, its arrays moved into a list and replaced by their index."""
    if isinstance(tree, np.ndarray):
        arrays.append(tree)
        return {"array": len(arrays) - 1}
    if isinstance(tree, dict):
        assert all(isinstance(key, str) for key in tree), f"keys must be text: {list(tree)}"
        return {"dict": {key: _split(value, arrays) for key, value in tree.items()}}
    if isinstance(tree, list | tuple):
        return [_split(value, arrays) for value in tree]
    if isinstance(tree, np.generic):
        return tree.item()
    assert tree is None or isinstance(tree, str | int | float | bool), f"cannot store {tree!r}"
    return tree


def _join(structure: Any, archive: zipfile.ZipFile) -> Any:
    if isinstance(structure, list):
        return [_join(value, archive) for value in structure]
    if not isinstance(structure, dict):
        return structure
    if "dict" in structure:
        return {key: _join(value, archive) for key, value in structure["dict"].items()}
    with archive.open(f"{structure['array']}.npy") as file:
        # Through memory: reading to the end is what checks the checksum.
        return np.lib.format.read_array(io.BytesIO(file.read()), allow_pickle=False)
