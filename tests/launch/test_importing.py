"""`reverie import` from words to files, and from an MLflow of another machine."""

import json
import re
import subprocess
import sys

import pytest

import suites
from analysis.imported import main, reading, store
from analysis.imported.curves import Kind
from launch import cli, importing, mlflow_store, tracking
from tests.analysis import published
from tests.launch.run_folders import RunFolder, Shown
from tests.launch.test_mlflow_store import Server

DEMO = suites.load("demo")


@pytest.fixture
def reverie(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = cli.main(["import", *map(str, words)])
        return code, *capsys.readouterr()

    return call


def test_a_file_becomes_an_import_that_can_be_read(reverie, tmp_path):
    path = published.write(tmp_path / "atari100k-ppo.json.gz", published.atari100k("ppo"))
    code, out, err = reverie(path, "--suite", "atari100k", "--as", "ppo_2024")
    assert (code, err) == (0, "")
    assert out.startswith("imported as ppo_2024: results/atari100k/imports/ppo_2024\n")
    assert "gopher 4 of 5 seeds" in out
    facts = store.read(tmp_path / "results/atari100k/imports/ppo_2024").facts
    assert facts.source.name == "atari100k-ppo.json.gz"
    assert facts.source.bytes == path.stat().st_size
    assert abs(facts.imported - path.stat().st_mtime) < 600
    assert facts.commit is None or re.fullmatch("[0-9a-f]{40}", facts.commit)


def test_out_is_where_it_goes_and_force_is_what_replaces(reverie, tmp_path):
    path = published.write(tmp_path / "a.json", published.atari100k()[:5])
    words = (path, "--suite", "atari100k", "--as", "x", "--out", tmp_path / "else")
    assert reverie(*words)[0] == 0
    code, out, err = reverie(*words)
    assert (code, out) == (2, "")
    assert err.endswith("else/atari100k/imports/x is there already; `--force` replaces it\n")
    assert reverie(*words, "--force")[0] == 0
    assert not (tmp_path / "results").exists()


REFUSED = {
    ("nowhere", "--suite", "demo", "--as", "x"): "nowhere: there is no such file",
    ("a.json", "--suite", "dmo", "--as", "x"): "did you mean 'demo'?",
    ("a.json", "--suite", "demo", "--as", "../x"): "allowed are letters, digits",
    (".", "--format", "csv", "--suite", "demo", "--as", "x"): ".: this is no regular file",
    ("mlflow:", "--suite", "demo", "--as", "x"): "allowed is mlflow:http://HOST:PORT/EXPERIMENT",
    ("mlflow:http://a", "--suite", "demo", "--as", "x"): "allowed is mlflow:http://HOST:PORT/EXP",
    ("mlflow:demo", "--suite", "demo", "--as", "x"): "mlflow.db: there is no such database",
    ("mlflow:demo", "--suite", "demo", "--as", "x", "--frames-per-step", "4"): "leave out `--fra",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_imported_is_said_in_one_line(reverie, tmp_path, words):
    (tmp_path / "a.json").write_text("[]")
    code, out, err = reverie(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("reverie import: ") and REFUSED[words] in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_place_that_cannot_be_written_to_is_said_in_one_line(reverie, tmp_path):
    path = published.write(tmp_path / "a.json", published.atari100k()[:5])
    code, out, err = reverie(path, "--suite", "atari100k", "--as", "x", "--out", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Not a directory" in err


def test_the_verb_offers_what_the_room_can_do():
    assert set(importing.FORMATS) == set(main.FORMATS)
    assert set(importing.KINDS) == set(Kind.__args__)
    assert importing.MAX_MIB == reading.DEFAULT_MIB


def test_an_import_loads_no_torch_and_no_figures(tmp_path):
    path = published.write(tmp_path / "a.json", published.atari100k()[:5])
    code = (
        "import sys; from launch.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'mlflow', 'pandas', 'matplotlib', 'rliable'} & set(sys.modules); "
        "assert not heavy, heavy; sys.exit(code)"
    )
    words = ["import", str(path), "--suite", "atari100k", "--as", "x"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def sweep(project):
    """A finished sweep of two games and two seeds, with another agent's run and one going on."""
    facts = {"frames": DEMO.frames, "task_hash": DEMO.task_digest}
    facts["score"] = {"window": "last_10_episodes", "normalize": "human"}
    facts["task"] = {"sticky": 0.0, "actions": "minimal"}
    for game in ("pong", "breakout"):
        for seed in (0, 1):
            run = RunFolder(project, game, seed, **facts)
            run.begin()
            run.play(4000)
            run.end("finished")
    going = RunFolder(project, "pong", 2, **facts)
    going.begin()
    going.play(1000)
    other = RunFolder(project, "pong", 0, agent="random", **facts)
    other.begin()
    other.play(2000)
    other.end("finished")
    return project


EPISODES = [(frame, float(frame // 100 % 3)) for frame in range(100, 4001, 100)]


def points(place, run):
    frames, returns = store.read(place).points[run]
    return list(zip(frames.tolist(), returns.tolist(), strict=True))


def test_a_sweep_in_mlflow_comes_back_as_the_episodes_that_were_played(sweep, reverie):
    tracking.sync(sweep, [sweep / "runs"])
    words = ("--suite", "demo", "--as", "far")
    code, _, err = reverie("mlflow:demo", *words)
    assert code == 2 and "2 methods in it; `--method` takes one of: ppo, random" in err
    code, out, err = reverie("mlflow:demo", *words, "--method", "ppo")
    assert (code, err) == (0, "")
    place = sweep / "results/demo/imports/far"
    facts = store.read(place).facts
    assert facts.seeds == {"breakout": (0, 1), "pong": (0, 1)}
    assert all(points(place, run) == EPISODES for run in store.read(place).points)
    assert (facts.protocol.sticky, facts.protocol.actions) == (0.0, "minimal")
    assert (facts.protocol.task, facts.window) == (DEMO.task_digest, DEMO.score.window)
    assert (facts.source.sha256, facts.kind) == (None, "episodes")
    assert "1 runs left out that have not finished: ppo/pong/2 RUNNING" in out


def test_a_score_that_its_points_do_not_give_is_said(sweep, reverie):
    path = sweep / "runs/demo/ppo/pong/1/receipt.json"
    receipt = json.loads(path.read_text())
    found = sum(value for _, value in EPISODES[-10:]) / 10
    for name, value in (("pong/1", found), ("pong/0", 10.0)):
        receipt["score"] = {"window": "last_10_episodes", "value": value, "episodes": 10}
        (sweep / f"runs/demo/ppo/{name}/receipt.json").write_text(json.dumps(receipt))
    tracking.sync(sweep, [sweep / "runs"])
    _, out, _ = reverie("mlflow:demo", "--suite", "demo", "--as", "far", "--method", "ppo")
    (line,) = [line for line in out.splitlines() if "another score" in line]
    assert f"ppo/pong/0 {found:g}, said 10" in line and "pong/1" not in line


def test_runs_of_another_budget_or_of_two_tasks_are_refused(sweep, reverie, monkeypatch):
    tracking.sync(sweep, [sweep / "runs"])
    words = ("mlflow:demo", "--as", "far", "--method", "ppo", "--suite")
    code, _, err = reverie(*words, "atari100k")
    assert code == 2 and "runs of 80,000 frames; the budget of suite atari100k is 400,000" in err
    shown = Shown(sweep)
    run = next(run for run in shown.runs() if run.data.tags["game"] == "breakout")
    shown.client.set_tag(run.info.run_id, "task", "another")
    code, _, err = reverie(*words, "demo")
    assert code == 2 and f"its runs differ in task: {DEMO.task_digest}, another" in err
    code, _, err = reverie("mlflow:dmo", *words[1:], "demo")
    assert code == 2 and "there is no such experiment; there are Default, demo" in err
    assert not (sweep / "results").exists()


def test_a_server_gives_what_its_database_has_and_its_absence_is_one_line(sweep, reverie):
    tracking.sync(sweep, [sweep / "runs"])
    words = ("--suite", "demo", "--method", "ppo", "--as")
    reverie(f"mlflow:sqlite:///{sweep / 'mlflow.db'}/demo", *words, "file")
    server = Server(sweep)
    try:
        server.start()
        code, out, err = reverie(f"mlflow:{server.uri}/demo", *words, "server")
    finally:
        server.kill()
    assert (code, err) == (0, "")
    assert f"mlflow:{server.uri}/demo (mlflow)" in out
    places = [sweep / "results/demo/imports" / name for name in ("file", "server")]
    assert len({(place / store.POINTS).read_bytes() for place in places}) == 1
    code, out, err = reverie(f"mlflow:{server.uri.replace('//', '//me:secret@')}/demo", *words, "z")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "MLflow cannot be used" in err and "secret" not in err


def test_a_password_is_not_kept(monkeypatch):
    from analysis.imported import mlflow_source

    place = mlflow_source.address("https://me:secret@host:5000/demo", "sqlite:///x")
    assert place.uri == "https://me:secret@host:5000" and place.experiment == "demo"
    assert place.shown == "mlflow:https://host:5000/demo"
    assert mlflow_store.shown(place.uri) == "https://host:5000"
