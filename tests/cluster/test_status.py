"""What people ask of a sweep that is on a cluster: how far it is, go on, stop that."""

import os
import signal
import subprocess
import sys

import pytest

from tests.cluster import slurm
from tests.cluster.conftest import Site
from tests.cluster.test_sweeps import RUN, SMALL, attempts

pytestmark = pytest.mark.slow


def reverie(site: Site, *words: str) -> tuple[int, str]:
    """Calls the command; returns exit code and what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "launch.cli", *words], cwd=site.folder, env=site.environment,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def states(site: Site) -> dict[str, str]:
    """Returns the state of each run, from the table that people read."""
    code, said = reverie(site, "status", "smoke", "--agents", "ppo")
    assert code == 0, said
    rows = [line.split() for line in said.splitlines() if line.startswith("ppo/")]
    return {row[0]: row[1] for row in rows}


def test_a_sweep_whose_main_process_was_killed_is_seen_cancelled_and_gone_on_with(
    site: Site,
) -> None:
    main = site.start(*SMALL, "agents=ppo")
    slurm.wait((site.folder / RUN / "metrics.jsonl").exists, "a running run", 120)
    assert states(site)["ppo/pong/0"] == "running"
    os.killpg(main.pid, signal.SIGKILL)
    main.wait()
    assert states(site)["ppo/pong/0"] == "running", "jobs outlive the main process"

    code, said = reverie(site, "cancel", "ppo/pong/1")
    assert code == 2 and "'ppo/pong/1' is not queued or running" in said
    code, said = reverie(site, "cancel", "ppo/pong/0")
    assert code == 0 and "ppo/pong/0  job " in said
    slurm.wait(lambda: states(site)["ppo/pong/0"] == "stopped", "the cancelled run", 60)

    code, said = reverie(site, "attach")
    assert code == 0, said
    assert set(states(site).values()) == {"finished"}
    assert [each["reason"] for each in attempts(site)] == ["stopped", "finished"]
    assert reverie(site, "cancel", "--all") == (0, "nothing is queued or running\n")


def test_a_run_that_fails_is_named_with_its_reason_while_the_others_finish(site: Site) -> None:
    (site.folder / RUN).mkdir(parents=True)
    (site.folder / RUN / "checkpoints").write_text("a file where a folder should be")
    code, said = site.call(*SMALL, "agents=ppo", "--retries", "1")
    assert code == 1, said
    assert states(site) == {"ppo/pong/0": "failed", "ppo/catch/0": "finished"}
    _, said = reverie(site, "status")
    assert "runs/smoke/ppo/pong/0/checkpoints" in said and "1 failed, 1 finished" in said
    assert "ppo/pong/0" in (site.folder / "results/smoke/report.html").read_text()
