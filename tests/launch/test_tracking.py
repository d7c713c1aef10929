"""MLflow shows what the run folders say: with a real database, a real server, and real deaths."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from launch import mlflow_store, mlflow_sync, tracking
from launch.mlflow_store import Store
from tests.launch.run_folders import CLOCKS, RunFolder

ROOT = Path(__file__).parents[2]
ENVIRON = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory):
    """An MLflow database with nothing in it; making one takes seconds, copying it none."""
    root = tmp_path_factory.mktemp("fresh")
    mlflow_store.prepare(f"sqlite:///{root / 'mlflow.db'}", root)
    return root / "mlflow.db"


@pytest.fixture
def root(tmp_path, fresh_database, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_bytes(fresh_database.read_bytes())
    return tmp_path


@pytest.fixture
def run(root):
    folder = RunFolder(root)
    folder.begin()
    return folder


class Shown:
    """What MLflow shows of a project."""

    def __init__(self, root, uri=None):
        self.client = Store(uri or tracking.address(root), root).client

    def runs(self):
        experiments = [e.experiment_id for e in self.client.search_experiments()]
        return list(self.client.search_runs(experiments))

    def run(self):
        (run,) = self.runs()
        return run

    def metrics(self, run=None):
        run = run or self.run()
        return [
            point
            for key in run.data.metrics
            for point in self.client.get_metric_history(run.info.run_id, key)
        ]

    def points(self, run=None):
        apart = (*CLOCKS, "score/final", "score/human_normalized")
        metrics = [m for m in self.metrics(run) if m.key not in apart]
        return sorted((m.key, m.step, m.value) for m in metrics)


def sync(root, *runs, **more):
    return tracking.sync(root, [run.path for run in runs] or [root / "runs"], **more)


def test_everything_a_finished_run_says_is_in_mlflow(root, run):
    run.play(4000)
    run.end("finished")
    report = sync(root)
    assert (report.runs, report.code, report.problem, report.notes) == (1, 0, "", [])
    shown = Shown(root)
    found = shown.run()
    assert shown.points() == run.expected()
    assert report.points == len(shown.metrics())
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "demo/ppo/pong/0"
    assert found.info.start_time == 1000 * run.attempts[0]["started"]
    assert found.info.end_time == 1000 * run.clock
    assert shown.client.get_experiment(found.info.experiment_id).name == "demo"
    assert found.data.params["training.streams"] == "8"
    assert found.data.params["view.size"] == "[84, 84]"
    assert found.data.params["score.window"] == "last_of_2_bins"
    told = {"suite": "demo", "agent": "ppo", "game": "pong", "seed": "0", "commit": "c0ffee"}
    told |= {"dirty": "false", "config": run.config["hash"], "task": "7a5c", "view": "f1e3"}
    assert told.items() <= found.data.tags.items()
    assert found.data.metrics["score/final"] == 10.0
    assert found.data.metrics["score/human_normalized"] == pytest.approx(
        (10 + 20.7) / (14.6 + 20.7)
    )
    files = {file.path for file in shown.client.list_artifacts(found.info.run_id)}
    assert files == {"config.json", "provenance.json", "receipt.json"}


def test_a_second_sync_writes_nothing(root, run):
    run.play(1000)
    sync(root)
    before = Shown(root).metrics()
    assert sync(root).points == 0
    assert Counter(map(str, Shown(root).metrics())) == Counter(map(str, before))


def test_a_run_that_is_killed_and_resumed_keeps_its_mlflow_run_and_has_no_point_twice(root, run):
    run.play(1900)
    sync(root)
    run.attempts[-1]["pid"] = 2**22 + 1  # No process has this number.
    run._provenance()
    sync(root)
    assert Shown(root).run().info.status == "KILLED"
    run.back(1200)
    run.begin()
    sync(root)
    assert Shown(root).run().info.status == "RUNNING"
    run.play(1500)
    sync(root)
    run.play(4000)
    run.end("finished")
    sync(root)
    assert Shown(root).points() == run.expected()
    assert Shown(root).run().info.status == "FINISHED"
    assert Shown(root).run().data.tags["attempts"] == "2"


@pytest.mark.parametrize("back", [None, 800])
def test_a_lost_memory_is_found_again_by_tag(root, run, back):
    run.play(1900)
    sync(root)
    (run.path / "mlflow.json").write_text("{ damaged")
    if back:
        run.back(back)
        run.begin()
    run.play(4000)
    run.end("finished")
    sync(root)
    assert Shown(root).points() == run.expected()  # Of the only run.


def test_a_folder_that_begins_anew_with_the_same_configuration_is_a_new_run(root, run):
    run.play(1000)
    sync(root)
    run.path.rename(root / "aside")
    again = RunFolder(root)
    again.clock += 5000.0
    again.begin()
    again.play(600)
    sync(root)
    first, second = sorted(Shown(root).runs(), key=lambda r: r.info.start_time)
    assert Shown(root).points(first) == sorted(run_points(root / "aside", run))
    assert Shown(root).points(second) == again.expected()


def run_points(path, run):
    run.path = path
    return run.expected()


@pytest.mark.parametrize(
    ("reason", "status"), [("stopped", "KILLED"), ("crashed", "FAILED"), ("finished", "FINISHED")]
)
def test_the_status_follows_the_files(root, run, reason, status):
    run.play(600)
    sync(root)
    assert Shown(root).run().info.status == "RUNNING"
    run.end(reason)
    sync(root)
    found = Shown(root).run()
    assert found.info.status == status
    assert found.info.end_time == 1000 * run.clock
    assert found.data.tags["error"] == ("loss/policy is nan" if reason == "crashed" else "")
    assert Shown(root).points() == run.expected()  # Episodes after the last clock included.


def test_a_debug_run_goes_to_an_experiment_of_its_own(root):
    run = RunFolder(root, place="runs/debug/demo/ppo,lr=1.0e-4/pong/0", agent="ppo,lr=1.0e-4")
    run.begin()
    run.play(400)
    sync(root)
    found = Shown(root).run()
    assert Shown(root).client.get_experiment(found.info.experiment_id).name == "debug"
    assert found.info.run_name == "demo/ppo,lr=1.0e-4/pong/0"


def test_where_a_resume_may_come_out_differently_only_what_is_saved_is_shown(root):
    run = RunFolder(root, backend="envpool")
    run.begin()
    run.play(1500)
    sync(root)
    assert Shown(root).points() == []
    (run.path / "checkpoints").mkdir()
    (run.path / "checkpoints" / "000000000001200.npz").touch()
    sync(root)
    assert max(step for _, step, _ in Shown(root).points()) == 1200
    run.back(1200)
    run._add("episodes.jsonl", run.episode(1200) | {"end": "cut"})
    run.episode = lambda frame: RunFolder.episode(run, frame) | {"return": 77.0}
    run.begin()
    run.play(4000)
    run.end("finished")
    sync(root)
    assert Shown(root).points() == run.expected()


class Dying:
    """A store whose connection breaks at one call, before or after MLflow has the points."""

    def __init__(self, monkeypatch, call, after, error):
        self.count, self.real = 0, Store.write
        monkeypatch.setattr(mlflow_sync, "BATCH", 50)

        def write(store, run_id, points):
            self.count += 1
            if self.count == call and not after:
                raise error
            self.real(store, run_id, points)
            if self.count == call:
                raise error

        monkeypatch.setattr(Store, "write", write)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("replayed", [False, True])
@pytest.mark.parametrize("error", [mlflow_store.UnavailableError("gone"), SystemExit()])
def test_a_sync_that_dies_in_a_call_loses_and_doubles_nothing(
    root, run, monkeypatch, after, replayed, error
):
    run.play(2000)
    with monkeypatch.context() as patch:
        Dying(patch, 2, after, error)
        if isinstance(error, SystemExit):
            with pytest.raises(SystemExit):
                sync(root)
        else:
            assert sync(root).code == tracking.UNAVAILABLE
    assert 0 < len(Shown(root).points()) < len(run.expected())
    if replayed:  # Other clocks: MLflow would take the same points for new ones.
        run.back(400)
        run.begin()
    run.play(4000)
    run.end("finished")
    sync(root)
    assert Shown(root).points() == run.expected()


def test_one_run_that_cannot_be_read_does_not_stop_the_others(root, run):
    bad, good = RunFolder(root, game="alien"), RunFolder(root, game="qbert")
    for folder in (bad, good):
        folder.begin()
        folder.play(400)
    run.play(400)
    (bad.path / "provenance.json").write_text("{")
    said = []
    report = sync(root, say=said.append)
    assert (report.runs, report.code) == (3, 1)
    assert report.notes == said
    assert "alien/0/provenance.json: not JSON" in said[0]
    assert len(Shown(root).runs()) == 2


def test_a_run_that_was_deleted_in_mlflow_stays_deleted(root, run):
    run.play(400)
    sync(root)
    shown = Shown(root)
    shown.client.delete_run(shown.run().info.run_id)
    run.play(800)
    report = sync(root, say=lambda line: None)
    assert "deleted in MLflow" in report.notes[0]
    assert shown.runs() == []


def test_a_database_that_was_removed_is_filled_again(root, run, fresh_database):
    run.play(1000)
    sync(root)
    (root / "mlflow.db").write_bytes(fresh_database.read_bytes())
    sync(root)
    assert Shown(root).points() == run.expected()


def test_folders_that_appear_later_are_followed_and_the_end_is_complete(root):
    passes = []

    def until():
        passes.append(1)
        if len(passes) == 2:
            run = RunFolder(root)
            run.begin()
            run.play(4000)
            run.end("finished")
            passes.append(run)
        return len(passes) > 6

    report = sync(root, follow=True, until=until, interval_s=0.01)
    run = next(item for item in passes if item != 1)
    assert Shown(root).points() == run.expected()
    assert report.points == len(Shown(root).metrics())


def test_many_points_go_in_few_calls(root, run, monkeypatch):
    calls = []
    real = Store.write
    monkeypatch.setattr(Store, "write", lambda *a: calls.append(len(a[2])) or real(*a))
    run.play(40_000)
    sync(root)
    assert sum(calls) == len(Shown(root).metrics()) > 2000
    assert max(calls) <= 1000
    assert len(calls) == -(-sum(calls) // 990)


def test_the_address_is_absolute_and_the_environment_decides(tmp_path):
    given = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}
    assert tracking.address(tmp_path, given) == "http://127.0.0.1:5000"
    assert tracking.address(tmp_path, {}) == f"sqlite:///{tmp_path}/mlflow.db"
    relative = {"MLFLOW_TRACKING_URI": "sqlite:///sub/other.db"}
    assert tracking.address(tmp_path, relative) == f"sqlite:///{tmp_path}/sub/other.db"
    absolute = {"MLFLOW_TRACKING_URI": "sqlite:////elsewhere/x.db"}
    assert tracking.address(tmp_path, absolute) == "sqlite:////elsewhere/x.db"


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "postgresql://a:hush@[::1]:1/x"])
def test_an_address_that_cannot_be_used_is_told_in_one_line(root, run, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    problem = tracking.prepare(root)
    assert "cannot be used" in problem
    said = []
    assert sync(root, say=said.append).code == tracking.UNAVAILABLE
    assert said == [f"{problem}. {tracking.LATER}"]
    assert "hush" not in problem


def test_passwords_are_not_shown():
    assert mlflow_store.shown("https://me:hush@host:5000/x") == "https://host:5000/x"
    reason = mlflow_store._reason("cannot reach postgresql://me:hush@host/db\nmore")
    assert "hush" not in reason


def test_waiting_grows_while_a_server_is_down_and_ends():
    waits = [tracking.pause(10.0, failures) for failures in range(8)]
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]
    assert tracking.pause(600.0, 3) == 600.0


def test_targets_are_suites_and_folders_and_typos_get_the_nearest(tmp_path):
    (tmp_path / "runs" / "demo" / "ppo").mkdir(parents=True)
    assert tracking.targets(tmp_path, []) == [tmp_path / "runs"]
    assert tracking.targets(tmp_path, ["demo"]) == [tmp_path / "runs" / "demo"]
    assert tracking.targets(tmp_path, ["runs/demo/ppo"]) == [tmp_path / "runs/demo/ppo"]
    with pytest.raises(ValueError, match="did you mean 'demo'"):
        tracking.targets(tmp_path, ["demi"])


def test_six_processes_that_begin_with_no_database_at_all_do_not_disturb_each_other(tmp_path):
    folders = [RunFolder(tmp_path, seed=seed) for seed in range(2)]
    for folder in folders:
        folder.begin()
        folder.play(1000)
    code = (
        "import sys; from pathlib import Path; from launch import tracking\n"
        "root = Path(sys.argv[1])\n"
        "assert tracking.prepare(root) == '', tracking.prepare(root)\n"
        "if len(sys.argv) > 2: sys.exit(tracking.sync(root, [Path(sys.argv[2])]).code)"
    )
    words = [[run.path] for run in folders] + [[]] * 4
    environ = {key: value for key, value in ENVIRON.items() if key != "MLFLOW_TRACKING_URI"}
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, *more], env=environ, stderr=-1)
        for more in words
    ]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [
        (b"", 0)
    ] * 6
    shown = Shown(tmp_path)
    found = {run.data.tags["seed"]: shown.points(run) for run in shown.runs()}
    assert found == {str(run.config["seed"]): run.expected() for run in folders}
    assert not (tmp_path / "mlflow.db.part").exists()
    assert [e.name for e in shown.client.search_experiments()] == ["demo", "Default"]


def test_preparing_twice_does_not_import_mlflow_and_nothing_imports_it_before_it_is_used(root):
    code = (
        "import sys; from pathlib import Path; from launch import tracking\n"
        "assert tracking.prepare(Path(sys.argv[1])) == ''\n"
        "heavy = ('mlflow', 'torch', 'numpy', 'pandas', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, root], env=ENVIRON, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_database_of_somebody_else_is_not_overwritten(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_bytes(b"not a database, but somebody's")
    assert "cannot be used" in tracking.prepare(tmp_path)
    assert (tmp_path / "mlflow.db").read_bytes() == b"not a database, but somebody's"


def test_without_mlflow_each_part_says_so_in_one_line_and_nothing_fails(tmp_path):
    (tmp_path / "site" / "mlflow").mkdir(parents=True)
    blocked = "raise ModuleNotFoundError(\"No module named 'mlflow'\", name='mlflow')"
    (tmp_path / "site" / "mlflow" / "__init__.py").write_text(blocked)
    run = RunFolder(tmp_path)
    run.begin()
    run.play(400)
    code = (
        "import sys; from pathlib import Path; from launch import tracking\n"
        "root = Path(sys.argv[1])\n"
        "print(tracking.prepare(root))\n"
        "print(tracking.sync(root, [root / 'runs'], follow=True).code)\n"
        "follower = tracking.follower(Path(sys.argv[2]), root, interval_s=600.0)\n"
        "print(tracking.finish(follower, 60.0))"
    )
    environ = ENVIRON | {"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path, run.path],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [tracking.MISSING, "69", "69"]
    assert done.stderr.splitlines() == [tracking.MISSING]
    assert (run.path / "mlflow.log").read_text().splitlines() == [tracking.MISSING]


def test_the_follower_of_a_run_that_is_killed_makes_a_last_pass_and_ends(root, run):
    code = (
        "import sys, time; from pathlib import Path; from launch import tracking\n"
        "run, root = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "print(tracking.follower(run, root, interval_s=0.5).pid, flush=True)\n"
        "time.sleep(600)"
    )
    words = [sys.executable, "-c", code, run.path, root]
    parent = subprocess.Popen(words, env=ENVIRON, stdout=subprocess.PIPE, text=True)
    run.attempts[-1]["pid"] = parent.pid
    run._provenance()
    run.play(1000)
    follower = int(parent.stdout.readline())
    assert until(lambda: (run.path / "mlflow.json").exists(), 60)
    run.play(1900)
    parent.kill()
    parent.wait()
    assert until(lambda: not Path(f"/proc/{follower}").exists(), 60)
    assert (run.path / "mlflow.log").read_text() == ""
    assert Shown(root).points() == run.expected()
    assert Shown(root).run().info.status == "KILLED"


def until(true, seconds):
    end = time.monotonic() + seconds
    while not (said := true()) and time.monotonic() < end:
        time.sleep(0.05)
    return said


class Server:
    """A real `mlflow server`, which can be killed and started again."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self):
        words = ["server", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        words += ["--artifacts-destination", str(self.folder / "artifacts"), "--workers", "1"]
        words += ["--host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "server.txt").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *words],
                env=ENVIRON | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        assert until(self.answers, 90), (self.folder / "server.txt").read_text()

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def test_a_server_that_dies_while_points_are_sent_has_them_all_after_it_is_back(
    root, run, monkeypatch, fresh_database
):
    run.play(12_000)
    sync(root)
    undisturbed = everything(Shown(root))
    folder = root / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(fresh_database.read_bytes())
    server = Server(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    calls, real = [], Store.write

    def write(store, run_id, points):
        calls.append(len(points))
        if len(calls) == 4:
            server.kill()
        real(store, run_id, points)

    said = []
    try:
        server.start()
        with monkeypatch.context() as patch:
            patch.setattr(mlflow_sync, "BATCH", 100)
            patch.setattr(Store, "write", write)
            report = sync(root, say=said.append)
        assert (report.code, len(calls)) == (tracking.UNAVAILABLE, 4)
        (line,) = said
        assert line == report.problem
        assert server.uri in line
        assert "Connection refused" in line
        assert line.endswith(tracking.LATER)
        server.start()
        assert sync(root).code == 0
        assert everything(Shown(root)) == undisturbed
        files = Shown(root).client.list_artifacts(Shown(root).run().info.run_id)
        assert [file.path for file in files] == ["config.json"]
    finally:
        server.kill()


def everything(shown):
    return sorted((m.key, m.step, m.value, m.timestamp) for m in shown.metrics())


class Grumpy(BaseHTTPRequestHandler):
    """Answers every request with an error that a proxy in front of a server may give."""

    status = 500

    def answer(self):
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"<html>\nInvalid Host header\n</html>")

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("status", [403, 500])
def test_a_server_that_answers_with_errors_is_told_in_one_line(root, run, monkeypatch, status):
    monkeypatch.setattr(Grumpy, "status", status)
    server = HTTPServer(("127.0.0.1", 0), Grumpy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    run.play(400)
    said = []
    report = sync(root, say=said.append)
    server.shutdown()
    server.server_close()
    assert report.code == tracking.UNAVAILABLE
    assert said == [report.problem]
    told = {403: "it answers 403: Invalid Host header.", 500: "too many 500 error responses."}
    assert told[status] in said[0]
    assert "\n" not in said[0]
    assert not (run.path / "mlflow.json").exists()
