"""MLflow shows what the run folders say: every point once, whatever happens."""

import argparse
from collections import Counter

import pytest

from launch import mlflow_store, mlflow_sync, tracking
from launch.mlflow_store import Store
from tests.launch.run_folders import RunFolder, Shown


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
    (run.path / "checkpoints" / "000000001200-0000000037.npz").touch()
    sync(root)
    assert max(step for _, step, _ in Shown(root).points()) == 1100
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


def test_what_somebody_deletes_while_a_process_follows_is_noticed(root, run, fresh_database):
    passes, said = [], []

    def until():
        passes.append(1)
        if len(passes) == 1:
            shown = Shown(root)
            shown.client.delete_run(shown.run().info.run_id)
        if len(passes) == 3:
            (root / "mlflow.db").write_bytes(fresh_database.read_bytes())
        run.play(600 + 400 * len(passes))
        return len(passes) == 6

    run.play(600)
    sync(root, follow=True, until=until, interval_s=0.0, say=said.append)
    assert any("deleted" in line for line in said)
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


def test_the_command_syncs_where_it_is_called_and_says_what_it_did(root, run, monkeypatch, capsys):
    run.play(400)
    monkeypatch.chdir(root)
    args = argparse.Namespace(targets=["demo"], follow=False)
    assert tracking.main(args) == 0
    points = len(Shown(root).metrics())
    said = f"1 runs, {points} new points in sqlite:///{root / 'mlflow.db'}"
    assert capsys.readouterr().out.strip() == said
