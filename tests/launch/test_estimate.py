"""What a sweep will cost: every hour comes from a speed that was measured."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from launch import cli, devices, job
from launch.cost import ask, estimate, probe, speeds
from launch.folder import RunFolder
from tests.launch.cost_runs import H100, SMOKE, STEPS, Sweep, checkpoint

# Agent step, update, seconds, attempt: prefill at 1,000 steps a second, then 50 after a slow start.
TRAINING = [(0, 0, 0.0, 1), (500, 0, 0.5, 1), (750, 9, 20.0, 1), (1000, 20, 25.0, 1)]


def rate(sweep: Sweep, label: str = "ppo") -> float | None:
    speed = sweep.costs()[label].speed
    return speed and speed.steps_per_s


def test_without_a_measurement_there_are_no_hours_and_the_text_says_how_to_get_them(tmp_path):
    sweep = Sweep(tmp_path, "random", "ppo")
    sweep.remember("random/catch/0", 4096.0)
    said = sweep.text()
    [ppo] = [line.split() for line in said.splitlines() if line.startswith("ppo     2 of 2")]
    assert ppo[5:9] == ["4,096", "not", "measured", "?"]
    assert "Not measured, and in no hours: ppo." in said
    assert "reverie estimate smoke --agents ppo --measure" in said
    assert "Done (random alone) in about" in said
    [total] = [line for line in said.splitlines() if line.startswith("total")]
    assert "0.00028 + ?" in total, "the sum says that it lacks something"


def test_finished_runs_cost_nothing_and_tell_how_long_the_others_take(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.finish("ppo/catch/0", seconds=3600.0)
    cost = sweep.costs()["ppo"]
    assert cost.agent_steps == STEPS
    assert cost.core_hours == pytest.approx(1.0)
    assert cost.speed.source.startswith("1 finished run on node1 (cpu, 1 thread), ")
    assert "longest run takes 1 h." in sweep.text()


def test_a_half_done_run_costs_the_rest_after_its_newest_checkpoint(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.finish("ppo/catch/0", seconds=1000.0)
    folder = sweep.begin("ppo/pong/0")
    checkpoint(folder, 100)
    checkpoint(folder, STEPS // 4)
    cost = sweep.costs()["ppo"]
    assert cost.agent_steps == STEPS * 3 // 4
    assert cost.seconds == pytest.approx(750.0)
    assert sweep.text().splitlines()[1].split()[4] == "1", "half-done"


def test_threads_multiply_core_hours(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.remember("ppo/catch/0", STEPS / 3600)
    assert sweep.costs()["ppo"].core_hours == pytest.approx(2.0)
    assert sweep.costs(threads=4)["ppo"].core_hours == pytest.approx(8.0)


def test_threads_that_a_speed_was_seen_with_count_where_runs_have_fewer(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.remember("ppo/catch/0", STEPS / 3600, threads=4)
    assert sweep.costs()["ppo"].core_hours == pytest.approx(8.0)
    assert "Runs of ppo have 1 thread, its speed was seen with 4: " in sweep.text()
    sweep.remember("ppo/catch/0", STEPS / 3600)
    assert "its speed was seen with" not in sweep.text()


def test_a_measurement_of_another_machine_or_of_other_threads_is_made_again(tmp_path):
    sweep, here = Sweep(tmp_path, "ppo"), os.uname().nodename

    def wanted() -> bool:
        return ask.wanted(sweep.costs()["ppo"])

    assert wanted()
    sweep.remember("ppo/catch/0", 10.0, host=here)
    assert not wanted()
    sweep.remember("ppo/catch/0", 10.0, host=here, threads=2)
    assert wanted()
    sweep.remember("ppo/catch/0", 10.0, host="login01")
    assert wanted()
    sweep.log("ppo/pong/0", TRAINING)
    assert not wanted(), "what runs show is better than any measurement, wherever that was"


def test_the_speed_of_a_run_under_way_is_that_after_its_first_updates(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.log("ppo/pong/0", TRAINING)
    cost = sweep.costs()["ppo"]
    assert cost.speed.steps_per_s == pytest.approx(50.0), "neither prefill nor the first update"
    assert cost.speed.before_per_s == pytest.approx(1000.0)
    assert "1 run under way on node1" in cost.speed.source
    assert "49% done" in cost.speed.source


def test_the_speed_is_that_of_the_newest_attempt_which_may_run_elsewhere(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.log("ppo/pong/0", [*TRAINING, (1200, 30, 27.0, 2), (1400, 40, 28.0, 2)])
    assert rate(sweep) == pytest.approx(200.0)
    sweep.log("ppo/pong/0", [*TRAINING, (1200, 30, 27.0, 2)])
    assert rate(sweep) == pytest.approx(50.0), "one line is no stretch of time"


def test_the_device_of_an_attempt_on_another_machine_than_the_last_one_is_not_known(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.log("ppo/pong/0", [*TRAINING, (1200, 30, 27.0, 2)], hosts=["old", "new"], gpu=H100)
    cost = sweep.costs()["ppo"]
    assert (cost.speed.device, cost.speed.hosts) == ("", ("old",))
    assert cost.gpu_hours > 0, "what is not known is not left out of the bill"


def test_a_run_that_has_not_learnt_yet_is_no_measurement_unless_it_never_learns(tmp_path):
    sweep = Sweep(tmp_path, "random", "ppo")
    for name in ("random/pong/0", "ppo/pong/0"):
        sweep.log(name, TRAINING[:2])
    assert rate(sweep, "ppo") is None
    assert rate(sweep, "random") == pytest.approx(1000.0)


def test_finished_runs_come_before_runs_under_way_and_these_before_measurements(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.remember("ppo/catch/0", 10.0)
    sweep.remember("ppo/catch/0", 20.0)
    assert rate(sweep) == 20.0, "the newest"
    sweep.log("ppo/pong/0", TRAINING)
    assert rate(sweep) == pytest.approx(50.0)
    sweep.finish("ppo/catch/0", seconds=STEPS / 80)
    assert rate(sweep) == pytest.approx(80.0)


def test_a_measurement_says_whether_the_machine_was_busy(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.remember("ppo/catch/0", 10.0)
    assert sweep.costs()["ppo"].speed.source.endswith("30 s of catch, alone")
    sweep.remember("ppo/catch/0", 10.0, load=9.25)
    assert sweep.costs()["ppo"].speed.source.endswith("30 s of catch, beside others (load 9.2)")


def test_what_ran_with_other_settings_does_not_count(tmp_path):
    sweep, other = Sweep(tmp_path, "ppo"), "0123456789abcdef"
    sweep.remember("ppo/catch/0", 10.0, hash=other)
    sweep.finish("ppo/catch/0", seconds=5.0, digest=other)
    sweep.log("ppo/pong/0", TRAINING)
    sweep.begin("ppo/pong/0", digest=other)
    assert rate(sweep) is None
    assert sweep.costs()["ppo"].left == (), "stale runs stay as they are"
    assert len(sweep.costs(again=True)["ppo"].left) == 2, "unless they are trained again"


def test_a_stale_run_that_is_trained_again_begins_anew(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    checkpoint(sweep.begin("ppo/pong/0", digest="0123456789abcdef"), STEPS // 2)
    assert sweep.costs(again=True)["ppo"].agent_steps == 2 * STEPS


def test_a_prefill_is_counted_at_its_own_speed():
    speed = speeds.Speed(10.0, 1000.0, "measured", 1, "cpu", 1, ("here",), 0.0)
    assert speed.seconds(0, 5_000, prefill=1_000) == pytest.approx(1 + 400)
    assert speed.seconds(500, 5_000, prefill=1_000) == pytest.approx(0.5 + 400)
    assert speed.seconds(2_000, 5_000, prefill=1_000) == pytest.approx(300)
    assert speed.seconds(0, 500, prefill=1_000) == pytest.approx(0.5)
    whole = speeds.Speed(10.0, None, "finished", 1, "cpu", 1, ("here",), 0.0)
    assert whole.seconds(0, 5_000, prefill=1_000) == pytest.approx(500), "it is in there already"


def test_devices_are_counted_where_the_speed_was_seen_on_one(tmp_path):
    sweep = Sweep(tmp_path, "random", "ppo")
    for name in ("random/catch/0", "ppo/catch/0"):
        sweep.finish(name, seconds=3600.0, gpu=H100)
    found = sweep.costs()
    assert found["ppo"].gpu_hours == pytest.approx(1.0)
    assert found["ppo"].speed.device == H100
    assert found["random"].gpu_hours == 0, "it takes none"
    sweep.finish("ppo/catch/0", seconds=3600.0)
    assert sweep.costs()["ppo"].gpu_hours == 0, "a processor's speed"


def test_runs_on_other_devices_than_the_newest_one_are_left_out(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    sweep.finish("ppo/catch/0", seconds=STEPS / 10, unix=5.0)
    sweep.finish("ppo/pong/0", seconds=STEPS / 500, unix=9.0, gpu=H100)
    assert rate(sweep) == pytest.approx(500.0)


def test_runs_end_as_if_started_one_after_another_and_none_is_split(tmp_path):
    sweep = Sweep(tmp_path, "random", "ppo")
    sweep.remember("random/catch/0", STEPS / 10)
    sweep.remember("ppo/catch/0", STEPS / 100)
    found = list(sweep.costs().values())  # Two runs of 10 s, two of 100 s, the long ones first.
    assert estimate.finish(SMOKE, found, 1) == pytest.approx((220, 100))
    assert estimate.finish(SMOKE, found, 2) == pytest.approx((110, 100))
    assert estimate.finish(SMOKE, found, 3) == pytest.approx((100, 100))
    assert estimate.finish(SMOKE, found, 256) == pytest.approx((100, 100))


def test_a_machine_takes_as_many_runs_as_cores_and_devices_allow(tmp_path):
    sweep = Sweep(tmp_path, "ppo")
    found = list(sweep.costs().values())
    assert estimate.local(found, cores=8, gpus=0).runs == 8
    assert estimate.local(found, cores=8, gpus=2).runs == 2
    assert estimate.local(found, cores=2, gpus=4).runs == 2
    assert estimate.local(sweep.costs(threads=4).values(), cores=8, gpus=0).runs == 2
    assert estimate.local(Sweep(tmp_path, "random").costs().values(), cores=8, gpus=2).runs == 8


def test_arrays_hold_back_runs_each_for_itself(tmp_path):
    found = list(Sweep(tmp_path, "random", "ppo", "dreamerv3").costs().values())  # 2 runs each.
    apart = len({(c.resources.threads, c.resources.mem_mb, c.resources.gpu) for c in found})
    assert apart == 3, "agents that ask for the same would share arrays"
    assert estimate.arrays(found, parallelism=256, pack=1, limit=1000).runs == 6
    assert estimate.arrays(found, parallelism=1, pack=1, limit=1000).runs == 3
    assert estimate.arrays(found, parallelism=1, pack=2, limit=1000).runs == 6
    assert estimate.arrays(found, parallelism=1, pack=1, limit=1).runs == 6
    many = [replace(found[0], left=found[0].left * 550)]  # 1,100 runs.
    assert estimate.arrays(many, parallelism=256, pack=1, limit=1000).runs == 256 + 100
    assert estimate.arrays(many, parallelism=256, pack=2, limit=1000).runs == 512
    assert estimate.arrays(many, parallelism=256, pack=1, limit=100).runs == 1100


def test_a_limit_counts_device_hours_where_devices_are_taken_and_core_hours_elsewhere(tmp_path):
    sweep = Sweep(tmp_path, "random", "ppo")
    sweep.finish("random/catch/0", seconds=3 * 3600.0, gpu=H100)
    sweep.finish("ppo/catch/0", seconds=5 * 3600.0, gpu=H100)
    found = list(sweep.costs().values())
    estimate.check(SMOKE, found, 5.0)
    with pytest.raises(ValueError, match=r"5 GPU-hours are left of smoke \(ppo 5\); allowed are 4"):
        estimate.check(SMOKE, found, 4.0)
    with pytest.raises(ValueError, match=r"3 core-hours are left of smoke \(random 3\)"):
        estimate.check(SMOKE, found[:1], 2.0)


def test_a_limit_cannot_be_kept_with_an_agent_that_nobody_measured(tmp_path):
    sweep = Sweep(tmp_path, "random", "ppo")
    sweep.remember("random/catch/0", 1000.0)
    with pytest.raises(ValueError, match=r"ppo not measured; .* --agents ppo --measure"):
        estimate.check(SMOKE, list(sweep.costs().values()), 1e9)
    for name in ("ppo/catch/0", "ppo/pong/0"):
        sweep.finish(name, seconds=1e9)
    estimate.check(SMOKE, list(sweep.costs().values()), 1.0)


def test_evaluations_are_named_where_they_are_in_no_speed(tmp_path):
    sweep = Sweep(tmp_path, "random", "ppo")
    sweep.remember("random/catch/0", 1000.0)
    sweep.finish("ppo/catch/0", seconds=10.0)
    assert "Evaluations (2 episodes at 50%, 100% of a run) come on top for random:" in sweep.text()


def test_evaluations_on_the_way_are_in_the_speed_of_runs_under_way(tmp_path):
    sweep = Sweep(tmp_path, "random", "ppo")
    sweep.remember("random/catch/0", 1000.0)
    sweep.log("ppo/pong/0", TRAINING)
    assert (
        "of a run) come on top for random, and are in the speed of ppo as far as runs under way "
        "played them: only finished" in sweep.text()
    )


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999.7e3, "1,000 kB"), (1e6, "1 MB"), (2.14e6, "2.14 MB")]
)
def test_bytes_are_told_without_powers_of_ten(count, said):
    assert estimate._bytes(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "1 s"),
        (59.6, "1 min"),
        (725, "12 min 5 s"),
        (4 * 3600 + 125, "4 h 2 min"),
        (86_400 * 3 + 3600 * 4 + 50, "3 d 4 h"),
        (86_400 * 3 + 50, "3 d"),
    ],
)
def test_durations_are_told_in_their_two_largest_units(seconds, said):
    assert estimate.spell(seconds) == said


def reverie(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "launch.cli", "estimate", "smoke", *words]
    return subprocess.run(line, cwd=root, capture_output=True, text=True, check=False)


def test_a_real_measurement_is_remembered_and_used_from_then_on(tmp_path):
    done = reverie(tmp_path, "--agents", "random,ppo", "--measure", "20", "--parallel", "3")
    assert done.returncode == 0, done.stderr
    assert "measuring ppo on catch, for 20 s at most\nppo: " in done.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [tmp_path / speeds.FILE], "the run itself is gone"
    lines = {line["agent"]: line for line in map(json.loads, left[0].read_text().splitlines())}
    for line in lines.values():
        assert line["steps_per_s"] > 0 and line["device"] and line["host"] and line["threads"] == 1
    assert lines["ppo"]["rounds"] >= 1
    assert lines["ppo"]["weights_bytes"] > 1_000_000
    again = reverie(tmp_path, "--agents", "random,ppo", "--measure", "--parallel", "3")
    assert (again.stdout, again.stderr) == (done.stdout, ""), "nothing was measured twice"
    assert "with 3 at once (as asked)" in again.stdout
    refused = reverie(tmp_path, "--agents", "random,ppo", "--max-hours", "1e-9")
    assert refused.returncode == 2
    assert "core-hours are left of smoke (random " in refused.stderr
    assert refused.stdout.startswith("smoke: random, ppo; 4 runs"), "the numbers are shown too"


def test_a_probe_holds_a_device_as_long_as_it_lives_and_nobody_else_does(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,8")
    monkeypatch.setattr(devices, "lock_folder", lambda: tmp_path / "locks")
    seen = []

    def run(words: list[str], **_) -> subprocess.CompletedProcess:
        seen.append(words[words.index("launch.cost.probe") + 1 :])
        return subprocess.CompletedProcess(words, ask.REFUSED, "", "no")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", run)
        ask.measure(SMOKE, Sweep(tmp_path, "ppo").costs()["ppo"], 1.0, tmp_path, load=0.0)
    assert not (tmp_path / "locks").exists()
    monkeypatch.setattr(probe, "measure", lambda *_: seen.append(os.environ.copy()))
    monkeypatch.setattr(job, "die_with_parent", lambda: None)
    assert probe.main(seen[0]) == 0
    assert seen[1]["CUDA_VISIBLE_DEVICES"] == "7"


def test_a_measured_checkpoint_holds_emulators_as_one_of_a_run_does(tmp_path):
    words = ["random", "pong", "0", "--suite", "smoke", "--threads", "1", "--gpu", "0"]
    words += ["--seconds", "3", "--folder", str(tmp_path / "run")]
    line = [sys.executable, "-m", "launch.cost.probe", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["checkpoint_bytes"] > 200_000


def test_the_load_of_others_is_read_before_anything_is_measured(tmp_path, monkeypatch):
    loads, measured = iter([0.1, 5.0, 9.0]), []
    monkeypatch.setattr(os, "getloadavg", lambda: (next(loads), 0.0, 0.0))
    monkeypatch.setattr(ask, "measure", lambda *args: measured.append(args[-1]))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["estimate", "smoke", "--agents", "random,ppo", "--measure", "1"]) == 0
    assert measured == [0.1, 0.1]


def test_a_measurement_that_saw_too_little_is_none(tmp_path):
    done = reverie(tmp_path, "--agents", "dreamerv2+paper", "--measure", "1")  # 50,000 steps first.
    assert done.returncode == 0
    assert "dreamerv2+paper is not measured: 1 s were over before a round" in done.stderr
    assert "--measure 4" in done.stderr
    assert "not measured" in done.stdout
    assert not (tmp_path / speeds.FILE).exists()


def test_what_a_killed_measurement_left_is_removed_unless_it_lives(tmp_path):
    for name in ("measuring-dead", "measuring-alive", "jobs"):
        (tmp_path / name).mkdir()
    later = time.time() + ask.LEFT_S + 60
    with RunFolder(tmp_path / "measuring-alive"):
        ask.sweep_up(tmp_path, time.time())
        assert len(list(tmp_path.iterdir())) == 3, "it may just have begun"
        ask.sweep_up(tmp_path, later)
    assert {path.name for path in tmp_path.iterdir()} == {"measuring-alive", "jobs"}


def test_a_limit_is_a_number_above_0(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for seen in ("0", "nan", "-3"):
        assert cli.main(["estimate", "smoke", f"--max-hours={seen}"]) == 2
        assert f"--max-hours: saw {seen}; allowed is" in capsys.readouterr().err
