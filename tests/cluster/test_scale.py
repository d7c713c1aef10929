"""A sweep as large as they come, on a real Slurm: what the main process costs everybody else.

1,425 jobs are the 57 games with five agents and five seeds. They do nothing, and 25 share an
allocation, so that two cores start them all in minutes.
"""

import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.conftest import PATIENCE_S, ROOT, Site
from tests.cluster.test_executor import SNAKEFILE, starts

pytestmark = pytest.mark.slow

JOBS = 57 * 5 * 5
MOST_SUBMISSIONS, MOST_QUESTIONS, MOST_MIB = 20, 6, 400


def counted(site: Site, names: tuple[str, ...]) -> dict[str, str]:
    """Returns programs that note the time of every call and do what the real ones do."""
    note = "date +%s.%N >> {folder}/{name}.calls"
    return {
        name: f"#!/bin/sh\n{note.format(folder=site.folder, name=name)}\n"
        f'exec {slurm.which(name)} "$@"\n'
        for name in names
    }


def calls(site: Site, name: str) -> list[float]:
    """Returns when a program was called."""
    path = site.folder / f"{name}.calls"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def peak_mib(process: int) -> float:
    """Returns the most memory that a process has had."""
    text = Path(f"/proc/{process}/status").read_text()
    held = text.partition("VmHWM:")[2].split()  # Nothing once it has ended.
    return int(held[0]) / 1024 if held else 0.0


def most_in_a_minute(times: list[float]) -> int:
    """Returns how many fall into the fullest minute."""
    return max(sum(start <= each < start + 60 for each in times) for start in times)


def test_a_large_sweep_costs_the_controller_and_the_login_node_little(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/Snakefile").write_text(SNAKEFILE)
    with slurm.Cluster(tmp_path / "slurm", cpus=64) as cluster:
        site, began = Site(tmp_path / "site", cluster), time.time()
        scripts = counted(site, ("sbatch", "squeue", "sacct"))
        with slurm.on_path(site.folder / "bin", scripts, site.environment) as env:
            main = site.start(
                "--profile", str(ROOT / "slurm"), "--quiet", "all", "--submitit-interval-s", "15",
                "--submitit-pack", "25", "--submitit-snapshot", "", "--config", f"count={JOBS}",
                PATH=env["PATH"],
            )  # fmt: skip
            mib, said = 0.0, None
            while said is None and time.time() < began + PATIENCE_S:
                mib = max(mib, peak_mib(main.pid))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    said, _ = main.communicate(timeout=0.5)
    assert main.returncode == 0, said
    assert starts(site) == dict.fromkeys(map(str, range(JOBS)), 1)
    submissions = calls(site, "sbatch")
    questions = most_in_a_minute(sorted(calls(site, "squeue") + calls(site, "sacct")))
    with capsys.disabled():
        print(
            f"\n{JOBS} jobs: {len(submissions)} sbatch calls, the last after "
            f"{submissions[-1] - began:.0f} s; at most {questions} questions a minute; "
            f"main process {mib:.0f} MiB; all done after {time.time() - began:.0f} s"
        )
    assert len(submissions) <= MOST_SUBMISSIONS
    assert questions <= MOST_QUESTIONS
    assert mib < MOST_MIB
