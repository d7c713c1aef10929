"""The code that jobs run: as it was when the main process began, whatever is edited since.

Folders of Python packages are copied, once for each content and commit, to where all nodes see
them; jobs import from there. `origin.json` beside them names the commit, because git would name a
later one.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ORIGIN = "origin.json"
GIT_S = 20.0
REDIRECTS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # Set in hooks; they outdo `git -C`.


def take(root: Path, names: Sequence[str], folder: Path) -> Path:
    """Returns a folder that holds copies of some folders of `root`.

    Args:
        root: where the packages are now.
        names: of the packages.
        folder: that holds the snapshots.

    Raises:
        FileNotFoundError: one of the packages is not there.
    """
    texts = {
        path.relative_to(root): path.read_bytes() for name in names for path in files(root / name)
    }
    texts[Path(ORIGIN)] = json.dumps(origin(root)).encode()
    digest = hashlib.sha256()
    for path, text in texts.items():
        digest.update(f"{path}\0{len(text)}\0".encode() + text)
    found = folder / digest.hexdigest()[:16]
    if found.exists():
        return found
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"{found.name}.", dir=folder))
    aside.chmod(0o755)
    for path, text in texts.items():
        (aside / path).parent.mkdir(parents=True, exist_ok=True)
        (aside / path).write_bytes(text)
    try:
        aside.rename(found)
    except OSError:  # Another process was quicker.
        shutil.rmtree(aside)
    return found


def files(folder: Path) -> Iterator[Path]:
    """Yields the files of a package, in order, without what Python makes of them.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    for path in sorted(folder.iterdir()):
        if path.name == "__pycache__" or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.is_file():
            yield path


def origin(root: Path) -> dict[str, Any]:
    """Returns commit and dirty of a checkout, None outside of one."""
    head, changes = git(root, "rev-parse", "--verify", "HEAD"), git(root, "status", "--porcelain")
    return {"commit": head, "dirty": None if None in (head, changes) else bool(changes)}


def git(root: Path, *words: str) -> str | None:
    """Returns what git says; None where it fails."""
    environment = {key: value for key, value in os.environ.items() if key not in REDIRECTS}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=GIT_S,
            check=True, env=environment | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def environment(snapshot: Path, before: str) -> dict[str, str]:
    """Returns the variables with which Python imports from a snapshot before all else.

    Args:
        snapshot: the folder.
        before: PYTHONPATH as it was.
    """
    # Without the second, `python -m` would look into the folder that it is started in first.
    path = os.pathsep.join(filter(None, [str(snapshot), before]))
    return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
