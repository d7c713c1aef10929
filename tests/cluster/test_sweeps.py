"""Whole sweeps with `snakemake --profile slurm`, and what happens to them on a cluster."""

import json
import signal
import sys
import time
from collections.abc import Callable

import pytest

from tests.cluster import slurm
from tests.cluster.conftest import Site

pytestmark = pytest.mark.slow

SMALL = ("--profile", "slurm", "--config", "suite=smoke", "tracking=off")
RUN = "runs/smoke/ppo/pong/0"
Harm = Callable[[slurm.Cluster, str], None]


def episodes(site: Site) -> str:
    return (site.folder / RUN / "episodes.jsonl").read_text()


def attempts(site: Site) -> list[dict]:
    return json.loads((site.folder / RUN / "provenance.json").read_text())["attempts"]


def ledger(site: Site) -> list[dict]:
    lines = (site.folder / ".snakemake/submitit/ledger.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def job_of(site: Site, word: str) -> str:
    """Returns Slurm's id of the job whose name holds a word."""
    known = {line["token"]: line["ids"] for line in ledger(site) if line["event"] == "submitted"}
    made = [each for line in ledger(site) if line["event"] == "intent" for each in line["entries"]]
    entry = next(each for each in made if word in each["name"])
    return known[entry["token"]][entry["index"]]


@pytest.fixture(scope="module")
def undisturbed(cluster: slurm.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The suite from nothing to a report."""
    site = Site.of_project(tmp_path_factory.mktemp("whole"), cluster)
    code, said = site.call(*SMALL)
    assert code == 0, said
    return site


def test_a_suite_goes_through_arrays_to_a_report(undisturbed: Site) -> None:
    assert (undisturbed.folder / "results/smoke/report.html").is_file()
    arrays = [line["ids"] for line in ledger(undisturbed) if line["event"] == "submitted"]
    assert sorted(map(len, arrays)) == [2, 2], "two agents ask for two kinds of resources"
    assert [each["from_frame"] for each in attempts(undisturbed)] == [0]


def requeue(cluster: slurm.Cluster, job: str) -> None:
    cluster.run("scontrol", "requeue", job)


def preempt(cluster: slurm.Cluster, job: str) -> None:
    cluster.run(
        "sbatch", "-p", "urgent", "-N2", "--exclusive", "--wrap", "sleep 3", "-o", "/dev/null"
    )


def kill(cluster: slurm.Cluster, job: str) -> None:
    cluster.kill("launch.cli run ppo.*pong")


def warn(cluster: slurm.Cluster, job: str) -> None:
    """Sends what Slurm sends before the time is over."""
    cluster.run("scancel", "--signal=USR2", job)


def down(cluster: slurm.Cluster, job: str) -> None:
    """Takes the job's node away, which comes back with the job's processes and cannot start it.

    Slurm drains such a node and holds the job until somebody releases it.
    """
    node = cluster.run("squeue", "-h", "-j", job, "-o", "%N").strip()
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")


HARMS = (requeue, preempt, kill, warn, down)


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_a_run_that_is_harmed_ends_as_if_nothing_had_happened(
    site: Site, undisturbed: Site, harm: Harm
) -> None:
    main = site.start("--profile", "slurm", "--config", "suite=smoke", "agents=ppo")
    slurm.wait((site.folder / RUN / "metrics.jsonl").exists, "a running run", 120)
    harm(site.cluster, job_of(site, "pong"))
    until = time.monotonic() + 240
    while main.poll() is None and time.monotonic() < until:
        site.cluster.hurry()
        time.sleep(1)
    if main.poll() is None:
        main.send_signal(signal.SIGINT)
    said, _ = main.communicate(timeout=60)
    assert main.returncode == 0, said
    assert episodes(site) == episodes(undisturbed)
    assert len(attempts(site)) == 2
    assert site.mlflow_runs() == ["catch", "pong"], "one for each run, whatever happened to it"


def test_what_was_measured_on_a_node_is_what_the_dry_run_counts_with(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.folder)
    monkeypatch.setitem(site.cluster.env, "PYTHONPATH", str(site.folder))
    asked = ["estimate", "smoke", "--agents", "random", "--measure", "8"]
    site.cluster.run("srun", "-n1", sys.executable, "-m", "launch.cli", *asked)
    code, said = site.call(*SMALL, "agents=random", "--dry-run")
    assert code == 0, said
    assert "random  measured on " in said
    assert "at once (as many as the executor's arrays let run" in said
