"""The processes and servers around the sync: many at once, none at all, killed, unwilling."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from launch import mlflow_store, mlflow_sync, tracking
from launch.mlflow_store import Store
from tests.launch.run_folders import RunFolder, Shown

ROOT = Path(__file__).parents[2]
ENVIRON = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def root(project):
    return project


@pytest.fixture
def run(root):
    folder = RunFolder(root)
    folder.begin()
    return folder


def sync(root, **more):
    return tracking.sync(root, [root / "runs"], **more)


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "postgresql://a:hush@[::1]:1/x"])
def test_an_address_that_cannot_be_used_is_told_in_one_line(root, run, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    problem = tracking.prepare(root)
    assert "cannot be used" in problem
    said = []
    assert sync(root, say=said.append).code == tracking.UNAVAILABLE
    assert said == [f"{problem}. {tracking.LATER}"]
    assert "hush" not in problem


@pytest.mark.parametrize("mode", ["refuses", "hangs"])
def test_a_sweep_is_told_in_one_line_and_soon_that_mlflow_cannot_be_used(
    tmp_path, monkeypatch, mode
):
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{there.getsockname()[1]}")
        if mode == "hangs":
            there.listen()
        patience = 1.0 if mode == "hangs" else 120.0
        problem = tracking.prepare_apart(tmp_path, patience)
    told = {"refuses": "Connection refused", "hangs": "does not answer within 1 s"}
    assert problem.endswith(told[mode])
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os.kill(os.getpid(), 9)", "its process was killed by signal 9"),
        ("import os; os._exit(3)", "its process left with exit code 3, and said nothing"),
        ("raise OSError('no http://me:hush@host')", "OSError: no http://host"),
    ],
)
def test_a_process_that_should_prepare_mlflow_and_dies_is_told_in_one_line(
    tmp_path, monkeypatch, code, why
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hush@127.0.0.1:1")
    monkeypatch.setattr(tracking, "COMMAND", (sys.executable, "-c", code))
    told = f"MLflow at http://127.0.0.1:1 cannot be prepared: {why}"
    assert tracking.prepare_apart(tmp_path) == told


def test_warnings_of_a_process_that_has_prepared_mlflow_are_no_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "COMMAND", (sys.executable, "-c", "print('beware')"))
    assert tracking.prepare_apart(tmp_path) == ""


def test_a_process_that_follows_must_be_told_whose_end_is_its_own(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        tracking.apart(["--follow", str(tmp_path), "--root", str(tmp_path)])
    assert "--follow needs --parent" in capsys.readouterr().err


def test_without_the_driver_of_postgresql_the_message_says_how_to_get_it(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)  # As if it were not installed.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:hush@127.0.0.1:1/x")
    problem = tracking.prepare(root)
    assert problem.endswith("`pip install psycopg2-binary`")
    assert "hush" not in problem


def test_passwords_are_not_shown():
    assert mlflow_store.shown("https://me:hush@host:5000/x") == "https://host:5000/x"
    reason = mlflow_store._reason("cannot reach postgresql://me:hush@host/db\nmore")
    assert "hush" not in reason


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
    assert until(lambda: (run.path / "mlflow.json").exists(), 180)
    run.play(1900)
    parent.kill()
    parent.wait()
    assert until(lambda: not Path(f"/proc/{follower}").exists(), 180)
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
        assert until(self.answers, 240), (self.folder / "server.txt").read_text()

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
