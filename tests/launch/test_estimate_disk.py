"""How much disk a sweep takes, and where that is known from."""

import os
import shutil

import pytest

from launch.cost import disk
from tests.launch.cost_runs import SMOKE, STEPS, Sweep, checkpoint

FRAME = 64 * 64 * 3  # Bytes of an image as dreamerv3 sees it.


def known(sweep: Sweep) -> disk.Disk:
    return disk.known(SMOKE, sweep.runs, sweep.root)


def fill(path, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * count)


def test_settings_alone_tell_of_the_frames_of_replay_and_of_nothing_else(tmp_path):
    found = known(Sweep(tmp_path, "dreamerv3"))
    assert found == disk.Disk(
        None, STEPS * (FRAME + disk.SMALL), True, "settings: frames of replay alone"
    )
    assert known(Sweep(tmp_path, "ppo")) == disk.Disk(None, None, False, "not measured")


def test_a_finished_folder_tells_what_stays(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.finish("ppo/catch/0", seconds=1.0)
    folder = tmp_path / sweep.run("ppo/catch/0").folder
    fill(folder / "weights" / "final.npz", 1 << 20)
    fill(folder / "weights" / "best.npz", 1 << 20)
    found = known(sweep)
    assert found.source == "finished folders (1)"
    assert 2 << 20 <= found.kept < 2.1 * (1 << 20)
    assert found.passing == pytest.approx(2 << 20), "two checkpoints, as large as the weights"
    cost = sweep.costs()["ppo"]
    assert estimate_line(sweep)[-4:] == [*f"{cost.disk.kept / 1e6:.3g} MB".split(), "2.1", "MB"]


def estimate_line(sweep: Sweep) -> list[str]:
    return sweep.text().splitlines()[1].split()


def test_a_folder_under_way_tells_of_its_checkpoints_and_of_its_replay_when_full(tmp_path):
    sweep = Sweep(tmp_path, "dreamerv3")
    folder = sweep.begin("dreamerv3/pong/0")
    checkpoint(folder, STEPS // 4, size=1 << 20)
    fill(folder / "replay" / "rows-00000000.bin", 3 << 20)
    found = known(sweep)
    assert found.source == "folders under way (1)"
    assert found.kept == pytest.approx(2 << 20), "final and best weights"
    assert found.passing == pytest.approx((2 << 20) + 4 * (3 << 20))
    assert not found.at_least


def test_the_space_of_mapped_files_is_taken_at_once_and_not_played_yet(tmp_path):
    fill(tmp_path / "rows-00000000.bin", 1 << 20)
    assert disk.replay_bytes(tmp_path, 64, 1024, mapped=False) == pytest.approx((1 << 20) / 64)
    assert disk.replay_bytes(tmp_path, 64, 1024, mapped=True) == pytest.approx(1024)
    assert disk.replay_bytes(tmp_path / "none", 0, 1024, mapped=False) == 0


def test_a_folder_that_vanishes_while_it_is_counted_is_left_out(tmp_path, monkeypatch):
    fill(tmp_path / "kept", 4096)
    fill(tmp_path / "replay" / "rows", 4096)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("replay"):
            shutil.rmtree(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert 4096 <= disk.size(tmp_path) < 3 * 4096
    assert not (tmp_path / "replay").exists()


def test_a_measurement_tells_of_weights_checkpoints_and_replay(tmp_path):
    sweep = Sweep(tmp_path, "dreamerv3")
    sweep.remember("dreamerv3/catch/0", 10.0, replay_bytes_a_row=13_000)
    found = known(sweep)
    assert (found.kept, found.passing) == (6_000_000, 8_000_000 + STEPS * 13_000)
    assert (found.at_least, found.source) == (False, "measured")


def test_the_end_says_how_much_there_is_at_a_time(tmp_path):
    sweep = Sweep(tmp_path, "random", "ppo")
    sweep.remember("random/catch/0", 10.0, checkpoint_bytes=1_000_000)
    sweep.remember("ppo/catch/0", 10.0, checkpoint_bytes=5_000_000)
    said = "Replay and checkpoints, gone when their runs end: "
    assert f"{said}up to 10 MB at a time." in sweep.text(at_once=1)
    assert f"{said}up to 22 MB at a time." in sweep.text(at_once=3)
    assert f"{said}at least 22 MB" in Sweep(tmp_path, "random", "ppo", "dreamer_ppo").text(3)
