"""A project with an MLflow database of its own, for tests of tracking; a run that has finished."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from launch import mlflow_store


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory) -> Path:
    """An MLflow database with nothing in it; making one takes seconds, copying it none."""
    root = tmp_path_factory.mktemp("fresh")
    mlflow_store.prepare(f"sqlite:///{root / 'mlflow.db'}", root)
    return root / "mlflow.db"


@pytest.fixture
def project(tmp_path, fresh_database, monkeypatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_bytes(fresh_database.read_bytes())
    return tmp_path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of PPO on Catch, not to be written to."""
    out = tmp_path_factory.mktemp("finished") / "run"
    words = [sys.executable, "-m", "launch.cli", "run", "ppo", "--suite", "smoke"]
    words += ["--game", "catch", "--seed", "0", "--frames", "2000", "--tracking", "off"]
    subprocess.run([*words, "--workers", "0", "--out", str(out)], cwd=out.parent, check=True)
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run, to do anything with."""
    return shutil.copytree(finished, tmp_path / "run")
