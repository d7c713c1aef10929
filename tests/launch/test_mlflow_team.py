"""MLflow on PostgreSQL, as docs/mlflow.md starts it: first writers, deaths, moves, its requests."""

import collections
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from launch import mlflow_sync, tracking
from launch.mlflow_store import Store
from tests.cluster import slurm
from tests.cluster.postgres import Team
from tests.launch.run_folders import RunFolder, Shown

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXPERIMENTS = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with Team.running() as team:
        yield team


@pytest.fixture
def root(project: Path) -> Path:
    return project


def sync(root: Path, **more) -> tracking.Report:
    return tracking.sync(root, [root / "runs"], **more)


def played(root: Path, seed: int, upto: int = 4000) -> RunFolder:
    """Returns a run that has finished."""
    run = RunFolder(root, seed=seed)
    run.begin()
    run.play(upto)
    run.end("finished")
    return run


def everything(shown: Shown, run=None) -> list[tuple]:
    return sorted((m.key, m.step, m.value, m.timestamp) for m in shown.metrics(run))


def environ(uri: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri}


def start(words: list[str], cwd: Path, uri: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "launch.cli", *words], cwd=cwd, env=environ(uri), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_names_that_the_page_allows_are_served_and_no_others(team):
    asked = (None, f"login01:{team.port}", "login01:80", "elsewhere")
    assert [team.ask(EXPERIMENTS, host) for host in asked] == [200, 200, 403, 403]


def test_folders_on_many_machines_that_begin_with_an_empty_postgresql_take_turns(team, tmp_path):
    team.run('createdb -h "$PWD/db" -U mlflow empty')
    uri = team.database_uri.replace("/mlflow?", "/empty?")
    runs = [played(tmp_path / str(seed), seed, 600) for seed in range(4)]  # No lock file is shared.
    processes = [start(["sync"], run.root, uri) for run in runs]
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    shown = Shown(tmp_path, uri)
    found = {run.data.tags["seed"]: shown.points(run) for run in shown.runs()}
    assert found == {str(run.config["seed"]): run.expected() for run in runs}
    assert {e.name for e in shown.client.search_experiments()} == {"demo", "Default"}


def test_runs_that_start_at_once_on_a_fresh_server_are_one_experiment_and_one_run_each(
    team, tmp_path
):
    words = ["run", "random", "--suite", "smoke", "--game", "catch", "--frames", "4_000"]
    words += ["--workers", "0", "--tracking", "auto", "--seed"]
    processes = [start([*words, str(seed)], tmp_path, team.uri) for seed in range(4)]
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    shown = Shown(tmp_path, team.uri)

    def settled() -> list:
        (experiment,) = shown.client.search_experiments(filter_string="name = 'debug'") or [None]
        runs = shown.client.search_runs([experiment.experiment_id]) if experiment else []
        return sorted(run.data.tags["seed"] for run in runs if run.info.status == "FINISHED")

    slurm.wait(lambda: settled() == ["0", "1", "2", "3"], "four runs in MLflow", 240)
    logs = list(tmp_path.rglob("mlflow.log"))
    assert [path.read_text() for path in logs] == [""] * 4


def test_all_that_a_file_had_goes_to_a_server_although_its_database_dies(team, root, monkeypatch):
    run = played(root, 10)
    sync(root)
    in_file = everything(Shown(root))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", team.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    calls, real, said = [], Store.write, []

    def write(store: Store, run_id: str, points: list) -> None:
        calls.append(len(points))
        if len(calls) == 2:
            team.kill_database()
        real(store, run_id, points)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow_sync, "BATCH", 50)
        patch.setattr(Store, "write", write)
        try:
            report = sync(root, say=said.append)
        finally:
            team.start_database()
    assert report.code == tracking.UNAVAILABLE
    assert said == [report.problem] and "\n" not in report.problem
    assert sync(root).code == 0
    shown = Shown(root)
    (found,) = [each for each in shown.runs() if each.data.tags["folder"].endswith("/10")]
    assert everything(shown, found) == in_file
    assert shown.points(found) == run.expected()
    files = {file.path for file in shown.client.list_artifacts(found.info.run_id)}
    assert files == {"config.json", "provenance.json", "receipt.json"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> collections.Counter:
    """Counts the requests that this process sends."""
    counts, real = collections.Counter(), requests.Session.send

    def send(session: requests.Session, request: requests.PreparedRequest, **more):
        path = request.path_url.partition("?")[0]
        counts["artifacts" if "artifacts" in path else path.partition("/mlflow/")[2]] += 1
        return real(session, request, **more)

    monkeypatch.setattr(requests.Session, "send", send)
    return counts


def test_a_sync_of_many_points_takes_few_requests(team, root, monkeypatch, asked, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", team.uri)
    for seed in range(20, 25):
        played(root, seed, upto=18_000)
    points = sync(root).points
    assert points > 5 * 1000
    assert asked["runs/log-batch"] == 5 * (1 + 2), "once for params and tags, twice for points"
    once = sum(n for path, n in asked.items() if "experiments" in path)
    assert once <= 3, "an experiment is looked up once, not once a run"
    files = 3  # Of each run.
    assert asked.total() - once == 5 * (5 + 2 + files), "docs/mlflow.md says so"
    asked.clear()
    assert sync(root).points == 0
    assert asked == {"runs/get": 5, "experiments/search": 1}
    assert "View run" not in capfd.readouterr().out, "MLflow says two lines a run, unless told"


def test_a_process_that_follows_asks_for_nothing_where_nothing_is_new(
    team, root, monkeypatch, asked
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", team.uri)
    run = RunFolder(root, seed=30)
    run.begin()
    run.play(1000)
    seen = []

    def until() -> bool:
        seen.append(dict(asked))
        asked.clear()
        if len(seen) == 2:  # An episode that waits for its clock: the file grew, MLflow gets none.
            run._add("episodes.jsonl", run.episode(1100))
        if len(seen) == 3:
            run.play(1400)
        return len(seen) == 4

    sync(root, follow=True, until=until, interval_s=0.0)
    assert seen[0]["runs/log-batch"] == 2
    assert seen[1:] == [{}, {}, {"runs/log-batch": 1}]
