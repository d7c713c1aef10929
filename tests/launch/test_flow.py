"""What the Snakefile asks for, without Snakemake; tests/test_flow.py has the real one."""

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import yte

from launch import flow, mlflow_store, plan

ASKED = {"suite": "smoke", "agents": "random"}


def workflow(main: bool = True, dry: bool = False) -> SimpleNamespace:
    return SimpleNamespace(is_main_process=main, output_settings=SimpleNamespace(dryrun=dry))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flow, "_quieten", lambda: None)  # It would last longer than the test.
    return tmp_path


def finish(name: str, digest: str | None = None) -> plan.Run:
    run = next(run for run in flow.Sweep(ASKED, workflow(main=False)).runs if run.name == name)
    run.receipt.parent.mkdir(parents=True, exist_ok=True)
    run.receipt.write_text(f'{{"hash": "{digest or run.hash}"}}')
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
