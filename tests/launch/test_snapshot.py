import json
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake_executor_plugin_submitit import snapshot

from launch import provenance


def checkout(root: Path) -> str:
    """Makes a repository with a package; returns its commit."""
    (root / "room/deep/__pycache__").mkdir(parents=True)
    (root / "room/__init__.py").write_text("WORD = 'before'\n")
    (root / "room/deep/data.yaml").write_text("a: 1\n")
    (root / "room/deep/__pycache__/x.pyc").write_text("")
    for words in (
        ["init", "-q"],
        ["add", "room/__init__.py", "room/deep/data.yaml"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    return snapshot.git(root, "rev-parse", "HEAD")


def test_what_is_edited_later_does_not_reach_a_snapshot(tmp_path: Path) -> None:
    head = checkout(tmp_path)
    taken = snapshot.take(tmp_path, ["room"], tmp_path / "code")
    copied = sorted(path.name for path in taken.rglob("*") if path.is_file())
    assert copied == ["__init__.py", "data.yaml", "origin.json"]
    (tmp_path / "room/__init__.py").write_text("WORD = 'after'\n")
    (tmp_path / "room/deep/data.yaml").unlink()
    said = subprocess.run(
        [sys.executable, "-c", "import room; print(room.WORD)"], cwd=tmp_path, text=True,
        env=snapshot.environment(taken, ""), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    assert said.stdout == "before\n", "although Python was started beside the edited one"
    assert json.loads((taken / "origin.json").read_text())["commit"] == head
    assert provenance.commit(taken / "room/__init__.py")["commit"] == head


def test_the_same_content_under_another_commit_is_another_snapshot(tmp_path: Path) -> None:
    checkout(tmp_path)
    first = snapshot.take(tmp_path, ["room"], tmp_path / "code")
    words = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "two", "--allow-empty"]
    subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    second = snapshot.take(tmp_path, ["room"], tmp_path / "code")
    commits = [json.loads((each / "origin.json").read_text())["commit"] for each in (first, second)]
    assert len({first, second}) == 2 == len({*commits})


def test_a_snapshot_is_taken_once_for_each_content(tmp_path: Path) -> None:
    checkout(tmp_path)
    (tmp_path / ".gitignore").write_text("code\n")
    first = snapshot.take(tmp_path, ["room"], tmp_path / "code")
    assert snapshot.take(tmp_path, ["room"], tmp_path / "code") == first
    (tmp_path / "room/deep/data.yaml").write_text("a: 2\n")
    assert snapshot.take(tmp_path, ["room"], tmp_path / "code") != first
    with pytest.raises(FileNotFoundError):
        snapshot.take(tmp_path, ["hall"], tmp_path / "code")
