"""What the Snakefile asks for, without Snakemake; tests/test_flow.py has the real one."""

import json
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import yte

from launch import flow, mlflow_store, plan

ASKED = {"suite": "smoke", "agents": "random"}


def workflow(main: bool = True, dry: bool = False) -> SimpleNamespace:
    asked = SimpleNamespace(cores=2, nodes=None, resources={}, overwrite_threads={"train": 2})
    return SimpleNamespace(
        is_main_process=main, output_settings=SimpleNamespace(dryrun=dry), resource_settings=asked
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flow, "_quieten", lambda: None)  # It would last longer than the test.
    return tmp_path


def finish(name: str, digest: str | None = None, seconds: float = 0.0) -> plan.Run:
    run = next(run for run in flow.Sweep(ASKED, workflow(main=False)).runs if run.name == name)
    run.receipt.parent.mkdir(parents=True, exist_ok=True)
    told = {"hash": digest or run.hash, "agent_steps": 2_048, "seconds": seconds}
    run.receipt.write_text(json.dumps(told))
    return run


def call() -> flow.Sweep:
    sweep = flow.Sweep(ASKED, workflow())
    sweep.lock.close()  # As the end of the process does.
    return sweep


def message(text: str) -> tuple[bool, str]:
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, text, (), None)
    return flow._worth_showing(record), str(record.msg)


def test_a_process_of_a_cluster_job_does_not_look_at_the_runs(project, monkeypatch, capsys):
    monkeypatch.setattr(plan, "survey", lambda *_: pytest.fail("looked"))
    flow.Sweep(ASKED, workflow(main=False))
    assert capsys.readouterr().err == ""
    assert list(project.iterdir()) == []


def test_the_main_process_says_what_there_is(project, capsys):
    finish("random/pong/0")
    flow.Sweep(ASKED, workflow())
    assert "reverie: smoke: random; 2 runs: 1 finished, 1 to do" in capsys.readouterr().err


def test_a_dry_run_changes_nothing(project, capsys):
    run = finish("random/pong/0", "0123456789abcdef")
    flow.Sweep(ASKED | {"rerun": "stale"}, workflow(dry=True))
    assert "1 stale runs would be moved aside" in capsys.readouterr().err
    assert run.receipt.exists()
    assert not Path(".snakemake").exists()


@pytest.mark.parametrize("uri", [None, "http://127.0.0.1:1"])
def test_mlflow_is_prepared_before_jobs_start_and_where_it_cannot_they_start_all_the_same(
    project, monkeypatch, capfd, uri
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri) if uri else None
    monkeypatch.setattr(flow.signal, "signal", lambda *_: None)
    prepared = []

    def follower(run: Path, root: Path) -> None:
        prepared.append(mlflow_store._has_tables(root / "mlflow.db"))

    monkeypatch.setattr(flow.tracking, "follower", follower)
    flow.Sweep(ASKED, workflow()).begin()
    assert prepared == [uri is None]
    told = [line for line in capfd.readouterr().err.splitlines() if "MLflow" in line]
    refused = f"reverie: MLflow at {uri} cannot be used: [Errno 111] Connection refused."
    assert told == ([f"{refused} {flow.tracking.LATER}"] if uri else [])


def test_a_dry_run_says_what_is_left_with_the_threads_that_snakemake_was_told(project, capsys):
    run = finish("random/pong/0", seconds=3600.0)
    flow.Sweep(ASKED, workflow(dry=True))
    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    [said] = [words for words in lines if words[:4] == ["random", "1", "of", "2"]]
    assert said == ["random", "1", "of", "2", "0", "2,048", "0.57", "1", "h", "2", *"-??"]
    assert run.receipt.exists()


@pytest.mark.parametrize("dry", [True, False])
def test_more_hours_than_are_allowed_are_refused_before_anything_is_changed(project, dry):
    finish("random/pong/0", seconds=3600.0)
    with pytest.raises(SystemExit, match=r"reverie: 2 core-hours are left .*; allowed are 1"):
        flow.Sweep(ASKED | {"max_hours": 1}, workflow(dry=dry))
    run = finish("random/pong/0", "0123456789abcdef")
    with pytest.raises(SystemExit, match=r"reverie: a limit of 1 hours cannot be checked: random "):
        flow.Sweep(ASKED | {"max_hours": 1, "rerun": "stale"}, workflow(dry=dry))
    assert run.receipt.exists(), "not moved aside"


def test_a_sweep_within_its_limit_starts(project):
    finish("random/pong/0", seconds=3600.0)
    sweep = flow.Sweep(ASKED | {"max_hours": 3}, workflow())
    assert len(sweep.receipts) == 2


def test_stale_runs_are_moved_aside_and_count_as_to_do(project):
    run = finish("random/pong/0", "0123456789abcdef")
    sweep = flow.Sweep(ASKED | {"rerun": "stale"}, workflow())
    assert str(run.receipt) in sweep.receipts
    assert [path.name for path in run.receipt.parent.iterdir()] == ["0.json.stale-0123456789abcdef"]


def test_a_report_that_the_flow_did_not_end_with_is_made_anew(project):
    for name in ("random/catch/0", "random/pong/0"):
        finish(name)
    sweep, results = call(), Path("results/smoke")
    for name in ("scores.csv", "report.html"):
        (results / name).write_text("complete")
    sweep.end()
    call()
    assert (results / "scores.csv").exists()
    (results / "report.html").write_text("partial")
    call()
    assert not (results / "scores.csv").exists()


def test_a_second_process_is_refused_while_the_first_one_lives(project):
    first = flow.Sweep(ASKED, workflow())
    with pytest.raises(
        SystemExit, match=f"process {os.getpid()} is already working on suite smoke"
    ):
        flow.Sweep(ASKED, workflow())
    first.lock.close()
    call()


def test_a_report_does_not_stand_for_the_runs_that_it_lacks(project):
    assert set(call().targets) > set(call().receipts)


def test_lines_that_come_with_every_job_are_not_shown():
    assert not message("Select jobs to execute...")[0]
    assert not message("Execute 3 jobs...")[0]
    assert message("3 of 17 steps (18%) done") == (True, "3 of 17 steps (18%) done")


def test_a_run_that_ended_badly_is_named_by_its_point_and_log():
    failed = (
        'RuleException:\nCalledProcessError in file "launch/rules/train.smk", line 30:\n'
        "Command 'set -euo pipefail; exec python -m launch.job ppo+float32 pong 1 --suite demo "
        "--folder runs/demo/ppo+float32/pong/1 --tracking spool --threads 1 --gpu 1' returned "
        "non-zero exit status 137."
    )
    log = "runs/demo/ppo+float32/pong/1/log.txt"
    expected = f"ppo+float32 pong 1  left with exit status 137; see {log}"
    assert message(failed) == (True, expected)


@pytest.mark.parametrize(("seen", "limit"), [("0,1,2", {"gpu": 3}), ("", None)])
def test_the_local_profile_runs_as_many_at_once_as_there_are_devices(
    repository, monkeypatch, seen, limit
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    profile = yte.process_yaml((repository / "local/config.yaml").read_text(), require_use_yte=True)
    assert profile.get("resources") == limit
    assert ("set-threads" in profile) == bool(limit)
