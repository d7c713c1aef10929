"""A private Slurm cluster for each module, and workflows that run on it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.cluster import slurm

ROOT = Path(__file__).parents[2]
ROOMS = ("suites", "agents", "launch", "analysis")
PATIENCE_S = 600
HOW = "apt-get install slurmctld slurmd slurm-client munge slurmdbd mariadb-server"


class Site:
    """A folder in which Snakemake hands jobs over to a cluster."""

    def __init__(self, folder: Path, cluster: slurm.Cluster):
        self.folder, self.cluster = folder, cluster
        path = [str(Path(sys.executable).parent), cluster.env["PATH"]]
        self.environment = cluster.env | {"PATH": os.pathsep.join(path)}

    @classmethod
    def of_project(cls, folder: Path, cluster: slurm.Cluster) -> Self:
        """Returns a site with the project, not to be edited, and results of its own."""
        for name in ("Snakefile", "slurm", *ROOMS):
            (folder / name).symlink_to(ROOT / name)
        site = cls(folder, cluster)
        site.environment |= {"PYTHONPATH": str(folder)}
        return site

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Starts Snakemake as a user would."""
        quick = ("--submitit-interval-s", "2", "--submitit-grace-s", "15")
        return subprocess.Popen(
            ["snakemake", *quick, *words], cwd=self.folder, env=self.environment | more, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def call(self, *words: str, **more: str) -> tuple[int, str]:
        """Calls Snakemake; returns exit code and what it wrote."""
        process = self.start(*words, **more)
        said, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, said

    def mlflow_runs(self) -> list[str]:
        """Returns the game of every run that MLflow has, sorted."""
        with sqlite3.connect(f"file:{self.folder}/mlflow.db?mode=ro", uri=True) as database:
            found = database.execute("select value from tags where key = 'game'").fetchall()
        return sorted(value for (value,) in found)


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    if gone := slurm.missing():
        pytest.skip(f"no Slurm here ({', '.join(gone)}): {HOW}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    with slurm.Cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, cluster: slurm.Cluster) -> Site:
    return Site.of_project(tmp_path, cluster)
