"""Videos and pictures of a run are artifacts in MLflow, each copied once."""

import shutil
from pathlib import Path

import pytest

from launch import tracking
from launch.mlflow_store import Store
from tests.launch.run_folders import RunFolder, Shown

EARLY, LATE = "000000000400-open_loop.mp4", "000000001200-reconstruction.png"


@pytest.fixture
def run(project) -> RunFolder:
    return begun(project)


def begun(project, **changes) -> RunFolder:
    folder = RunFolder(project, **changes)
    folder.begin()
    (folder.path / "media").mkdir()
    return folder


def sync(project):
    return tracking.sync(project, [project / "runs"])


def shown(project) -> dict[str, bytes]:
    """Returns the media that MLflow has of the only run, by name."""
    found = Shown(project)
    run_id = found.run().info.run_id
    held = {}
    for file in found.client.list_artifacts(run_id, "media"):
        place = found.client.download_artifacts(run_id, file.path)
        held[file.path] = Path(place).read_bytes()
    return held


@pytest.fixture
def copied(monkeypatch) -> list[str]:
    """Names of the media that were copied, in order."""
    names, upload = [], Store.upload

    def noted(store, run_id, folder, wanted):
        names.extend(name for name in wanted if name.startswith("media/"))
        upload(store, run_id, folder, wanted)

    monkeypatch.setattr(Store, "upload", noted)
    return names


def test_media_of_a_run_that_goes_on_are_in_mlflow_and_copied_once(project, run, copied):
    run.play(1000)
    (run.path / "media" / EARLY).write_bytes(b"a video")
    assert sync(project).code == 0
    assert shown(project) == {f"media/{EARLY}": b"a video"}
    (run.path / "media" / LATE).write_bytes(b"a picture")
    (run.path / "media" / "play.mp4").write_bytes(b"play")
    for _ in range(3):
        run.play(run.frame + 400)
        assert sync(project).code == 0
    run.end("finished")
    assert sync(project).code == 0
    assert copied == [f"media/{name}" for name in (EARLY, LATE, "play.mp4")]
    assert shown(project)[f"media/{LATE}"] == b"a picture"
    assert len(shown(project)) == 3


def test_a_changed_video_is_copied_again(project, run, copied):
    for content in (b"one", b"two"):
        (run.path / "media" / "play.mp4").write_bytes(content)
        sync(project)
    assert copied == ["media/play.mp4"] * 2
    assert shown(project) == {"media/play.mp4": b"two"}


def test_a_new_video_is_noticed_by_who_follows(project, run):
    work = tracking._Work(project, lambda line: None)
    work.once([project / "runs"])
    assert work._settled(run.path, tracking._fingerprint(run.path))
    (run.path / "media" / EARLY).write_bytes(b"a video")
    work.once([project / "runs"])
    assert list(shown(project)) == [f"media/{EARLY}"]


def test_a_video_that_is_being_written_is_left_alone(project, run):
    (run.path / "media" / f"{EARLY}.part77").write_bytes(b"half a vid")
    sync(project)
    assert shown(project) == {}


def test_what_a_resume_may_make_again_waits_for_a_checkpoint(project):
    run = begun(project, backend="envpool")
    run.play(1500)
    for name in (EARLY, LATE, "dream.gif"):
        (run.path / "media" / name).write_bytes(b"x")
    sync(project)
    assert list(shown(project)) == ["media/dream.gif"]
    (run.path / "checkpoints").mkdir()
    (run.path / "checkpoints" / "000000000800-0000000037.npz").touch()
    sync(project)
    assert sorted(shown(project)) == [f"media/{EARLY}", "media/dream.gif"]
    run.play(4000)
    run.end("finished")
    sync(project)
    assert len(shown(project)) == 3


def test_media_that_were_removed_here_stay_there(project, run):
    (run.path / "media" / EARLY).write_bytes(b"x")
    sync(project)
    shutil.rmtree(run.path / "media")
    assert sync(project).code == 0
    assert list(shown(project)) == [f"media/{EARLY}"]


def test_files_that_cannot_be_copied_are_named_and_come_later(project, run, monkeypatch):
    (run.path / "media" / EARLY).write_bytes(b"x")
    with monkeypatch.context() as patch:
        from mlflow import MlflowClient

        def refuse(self, run_id, path, place=None):
            raise OSError("no room")

        patch.setattr(MlflowClient, "log_artifact", refuse)
        report = sync(project)
    assert report.code == 1
    assert f"media/{EARLY} not copied" in report.notes[0]
    assert sync(project).code == 0
    assert list(shown(project)) == [f"media/{EARLY}"]
