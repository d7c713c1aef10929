"""A project with an MLflow database of its own, for tests of tracking."""

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
