"""What the real Snakemake says before it starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.launch.cost_runs import STEPS, Sweep

ROOMS = ("Snakefile", "local", "slurm", "suites", "agents", "launch", "analysis")


@pytest.fixture
def sweep(tmp_path: Path, repository: Path) -> Sweep:
    """A checkout in which an hour of PPO is left twice."""
    for name in ROOMS:
        (tmp_path / name).symlink_to(repository / name)
    made = Sweep(tmp_path, "ppo")
    made.remember("ppo/catch/0", STEPS / 3600)
    return made


def snakemake(sweep: Sweep, *words: str) -> tuple[int, str]:
    program = Path(sys.executable).with_name("snakemake")
    done = subprocess.run(
        [program, *words], cwd=sweep.root, text=True, check=False, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


ASKED = ("--config", "suite=smoke", "agents=ppo")


def test_a_dry_run_for_slurm_ends_as_many_at_once_as_its_executor_has_going(sweep):
    more = ("--submitit-array-parallelism", "1", "--submitit-pack", "2")
    code, said = snakemake(sweep, "--profile", "slurm", *ASKED, "--dry-run", *more)
    assert code == 0, said
    assert "Done in about 1 h with 2 at once (as many as the executor's arrays let run" in said
    assert said.count("Using profile slurm") == 1
    more = ("--submitit-array-parallelism", "1", "--submitit-array-limit", "2")
    code, said = snakemake(sweep, "--profile", "slurm", *ASKED, "--dry-run", *more)
    assert "Done in about 2 h with 1 at once (as many as the executor's arrays let run" in said
    code, said = snakemake(sweep, "--profile", "slurm", *ASKED, "--dry-run", *more, "--jobs", "1")
    assert "with 1 at once (" in said


def test_a_dry_run_refuses_what_the_executor_would_refuse(sweep):
    code, said = snakemake(sweep, "--profile", "slurm", *ASKED, "--dry-run", "--submitit-pack", "0")
    assert code == 1
    assert said.splitlines()[-1] == "reverie: --submitit-pack: saw 0; it must be at least 1"


def test_a_dry_run_here_counts_cores_and_threads_as_snakemake_was_told(sweep):
    more = ("--cores", "4", "--set-threads", "train=2")
    code, said = snakemake(sweep, "--profile", "local", *ASKED, "--dry-run", *more)
    assert code == 0, said
    assert "Done in about 1 h with 2 at once (2 of 4 cores each)" in said
    assert "  4  " in next(line for line in said.splitlines() if line.startswith("ppo    2 of 2"))


def test_a_dry_run_without_an_executor_has_as_many_at_once_as_jobs(sweep):
    code, said = snakemake(sweep, "-j2", *ASKED, "--dry-run")
    assert code == 0, said
    assert "Done in about 1 h with 2 at once (--jobs)" in said


@pytest.mark.parametrize("how", [(), ("--dry-run",)])
def test_too_many_hours_are_refused_and_nothing_is_started(sweep, how):
    code, said = snakemake(sweep, "--profile", "local", *ASKED, "max_hours=1.5", *how)
    assert code != 0
    assert said.splitlines()[-1] == (
        "reverie: 2 core-hours are left of smoke (ppo 2); allowed are 1.5"
    )
    assert not (sweep.root / "runs").exists()
    assert not (sweep.root / "results").exists()
