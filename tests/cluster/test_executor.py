"""The executor on a real Slurm, with jobs that only count how often they were started."""

import collections
import json
import os
import signal
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.conftest import HOW, Site

pytestmark = pytest.mark.slow

SNAKEFILE = """\
localrules: all
rule all:
    input: expand("out/{number}.txt", number=range(int(config["count"])))
rule one:
    output: "out/{number}.txt"
    params: seconds=config.get("seconds", 0)
    resources: mem_mb=50, runtime=10
    shell:
        "echo {wildcards.number} >> starts.txt; sleep {params.seconds}; "
        "test {wildcards.number} != " + str(config.get("broken", -1)) + "; hostname > {output}"
"""
BASE = ("--executor", "submitit", "--jobs", "unlimited", "--keep-going", "--nolock")
BASE += ("--rerun-incomplete",)


@pytest.fixture
def small(tmp_path: Path, cluster: slurm.Cluster) -> Site:
    """A workflow of jobs that do nothing."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return Site(tmp_path, cluster)


def starts(site: Site) -> dict[str, int]:
    """Returns how often each job was started."""
    return collections.Counter((site.folder / "starts.txt").read_text().split())


def ledger(site: Site) -> list[dict]:
    lines = (site.folder / ".snakemake/submitit/ledger.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def submissions(site: Site) -> list[list[str]]:
    """Returns the ids of every array."""
    return [line["ids"] for line in ledger(site) if line["event"] == "submitted"]


def test_jobs_that_ask_for_the_same_are_one_array_and_each_runs_once(small: Site) -> None:
    code, said = small.call(*BASE, "--config", "count=12")
    assert code == 0, said
    assert starts(small) == dict.fromkeys(map(str, range(12)), 1)
    assert [len(ids) for ids in submissions(small)] == [12]


def test_an_allocation_may_hold_several_jobs_each_with_a_log_and_a_marker(small: Site) -> None:
    code, said = small.call(*BASE, "--submitit-pack", "3", "--config", "count=7", "broken=4")
    assert code == 1 and "one 4" in said
    assert [len(ids) for ids in submissions(small)] == [3]
    folder = next((small.folder / ".snakemake/submitit/jobs").iterdir())
    markers = {path.stem: json.loads(path.read_text())["code"] for path in folder.glob("*.json")}
    assert sorted(markers) == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2", "2.0"]
    assert sorted(markers.values()) == [0] * 6 + [1], "the broken one, wherever Snakemake put it"
    assert sum((small.folder / f"out/{number}.txt").exists() for number in range(7)) == 6


def test_a_killed_main_process_leaves_nothing_to_start_twice(small: Site) -> None:
    words = (*BASE, "--config", "count=14", "seconds=6")  # Eight run at a time.
    main = small.start(*words)
    slurm.wait((small.folder / "starts.txt").exists, "the first job")
    os.killpg(main.pid, signal.SIGKILL)
    main.wait()
    waiting = small.cluster.run("squeue", "-h", "-r", "-t", "PD").splitlines()
    assert waiting, "some had not begun"
    code, said = small.call(*words)
    assert code == 0, said
    assert starts(small) == dict.fromkeys(map(str, range(14)), 1)
    assert len(submissions(small)) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_the_submission_itself_loses_and_doubles_nothing(
    small: Site, moment: str
) -> None:
    real = slurm.which("sbatch")
    act = {"before": "", "after": f'{real} "$@" > /dev/null; '}[moment]
    scripts = {"sbatch": f"#!/bin/sh\n{act}kill -9 $PPID\nexit 1\n"}
    with slurm.on_path(small.folder / "bin", scripts, small.environment) as env:
        code, _ = small.call(*BASE, "--config", "count=5", PATH=env["PATH"])
    assert code == -signal.SIGKILL
    # Killed right after sbatch, submitit could not say what its jobs are to do: they are cancelled.
    code, said = small.call(*BASE, "--config", "count=5")
    assert code == 0, said
    assert starts(small) == dict.fromkeys(map(str, range(5)), 1)


def test_an_edit_does_not_reach_what_was_handed_over_before(small: Site) -> None:
    room = small.folder / "room/__init__.py"
    room.parent.mkdir()
    room.write_text("WORD = 'before'")
    text = 'sleep 5; python -m room.say > {output}"'
    rule = SNAKEFILE.partition("sleep {params")[0] + text
    (small.folder / "Snakefile").write_text(rule)
    (room.parent / "say.py").write_text("import room\nprint(room.WORD)")
    main = small.start(*BASE, "--submitit-snapshot", "room", "--config", "count=1")
    slurm.wait((small.folder / "starts.txt").exists, "the job")
    room.write_text("WORD = 'after'")
    said, _ = main.communicate(timeout=120)
    assert main.returncode == 0, said
    assert (small.folder / "out/0.txt").read_text() == "before\n"
    code, said = small.call(*BASE, "--submitit-snapshot", "hall", "--config", "count=2")
    assert code == 1 and "--submitit-snapshot: no folder" in said


def test_an_sbatch_that_fails_is_called_again(small: Site) -> None:
    real = slurm.which("sbatch")
    script = f"#!/bin/sh\necho >> {small.folder}/calls\n"
    script += f'[ "$(wc -l < {small.folder}/calls)" -gt 3 ] || exit 1\nexec {real} "$@"\n'
    with slurm.on_path(small.folder / "bin", {"sbatch": script}, small.environment) as env:
        code, said = small.call(*BASE, "--config", "count=4", PATH=env["PATH"], REVERIE_PAUSE_S="1")
    assert code == 0, said
    assert said.count("trying again") == 3
    assert starts(small) == dict.fromkeys(map(str, range(4)), 1)


def test_what_slurm_will_never_take_is_said_once_and_not_tried_again(small: Site) -> None:
    words = ("--retries", "3", "--submitit-partition", "nope", "--config", "count=3")
    code, said = small.call(*BASE, *words)
    assert code == 1
    assert said.count("Slurm refuses one ") == 1 and "artition" in said
    assert [line["ended"] for line in ledger(small) if line["event"] == "ended"] == ["failed"] * 3
    assert small.call(*BASE, "--config", "count=3")[0] == 0


def test_ctrl_c_with_detach_leaves_jobs_to_the_next_call(small: Site) -> None:
    words = ("--config", "count=3", "seconds=8")
    main = small.start(*BASE, "--submitit-detach", *words)
    slurm.wait((small.folder / "starts.txt").exists, "the first job")
    os.killpg(main.pid, signal.SIGINT)
    assert main.wait(60) != 0
    code, said = small.call(*BASE, *words)
    assert code == 0, said
    assert starts(small) == dict.fromkeys("012", 1)


def test_ctrl_c_cancels_what_is_queued_and_running(small: Site) -> None:
    main = small.start(*BASE, "--config", "count=12", "seconds=60")
    slurm.wait((small.folder / "starts.txt").exists, "the first job")
    os.killpg(main.pid, signal.SIGINT)
    assert main.wait(60) != 0
    slurm.wait(lambda: not small.cluster.run("squeue", "-h"), "an empty queue", 30)


def test_a_job_that_slurm_forgot_is_noticed_without_accounting(small: Site) -> None:
    main = small.start(*BASE, "--retries", "1", "--config", "count=1", "seconds=20")
    slurm.wait((small.folder / "starts.txt").exists, "the job")
    # Everything of the job at once, so that nothing is left that could say how it ended.
    small.cluster.kill("submitit.core._submit", "sleep 20")
    said, _ = main.communicate(timeout=120)
    assert main.returncode == 0, said
    assert starts(small) == {"0": 2}


@pytest.mark.parametrize("accounting", [False, True], ids=["", "accounting"])
def test_scancel_means_stop(accounting: bool, tmp_path: Path) -> None:
    if gone := slurm.missing(accounting):
        pytest.skip(f"no {', '.join(gone)} here: {HOW}")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/Snakefile").write_text(SNAKEFILE)
    # With accounting, squeue may have forgotten the job by the time that somebody asks.
    age_s = 2 if accounting else 300
    with slurm.Cluster(tmp_path / "slurm", accounting=accounting, age_s=age_s) as cluster:
        site = Site(tmp_path / "site", cluster)
        main = site.start(*BASE, "--retries", "3", "--config", "count=1", "seconds=60")
        slurm.wait((site.folder / "starts.txt").exists, "the job")
        cluster.run("scancel", submissions(site)[0][0])
        said, _ = main.communicate(timeout=120)
    assert main.returncode == 1 and "cancelled" in said, said
    assert starts(site) == {"0": 1}
