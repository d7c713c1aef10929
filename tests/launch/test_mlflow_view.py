"""What MLflow is told of a run follows from its folder alone."""

import math
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from launch import flock, mlflow_view
from tests.launch.run_folders import RunFolder


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin()
    return folder


def view(run):
    return mlflow_view.load(run.path, run.root)


def test_params_are_flat_and_dotted_and_the_agents_own_stand_as_in_its_yaml(run):
    params = view(run).params
    assert params["learning_rate"] == "0.00025"
    assert params["training.sampling"] == "fresh"
    assert params["task.noops"] == "[0, 30]"
    assert params["frames"] == "4000"
    assert not {"suite", "agent", "game", "seed", "hash", "runtime.device"} & set(params)


def test_a_setting_of_the_agent_that_has_a_name_of_the_runs_is_set_apart(tmp_path):
    run = RunFolder(tmp_path, agent_config={"frames": 4, "backend": "ale", "score": {"window": 3}})
    run.begin()
    params = view(run).params
    assert (params["frames"], params["agent.frames"]) == ("4000", "4")
    assert (params["score.window"], params["agent.score.window"]) == ("last_of_2_bins", "3")
    assert "agent.backend" not in params  # It says the same.


def test_what_is_too_long_or_not_allowed_in_mlflow_is_made_to_fit(tmp_path):
    run = RunFolder(tmp_path, agent_config={"text": "x" * 7000, "odd(key)": None, "empty": {}})
    run.begin()
    params = view(run).params
    assert len(params["text"]) == 6000
    assert params["text"].endswith("...")
    assert params["odd_key_"] == "null"
    assert params["empty"] == "{}"


def test_facts_that_are_not_known_are_no_tags(run):
    run.write("provenance.json", {"commit": None, "dirty": None, "attempts": run.attempts})
    assert not {"commit", "dirty"} & set(view(run).tags)
    assert view(run).tags["runtime.device"] == "cpu"


def test_a_run_outside_its_place_is_a_debug_run(run):
    assert view(run).experiment == "demo"
    elsewhere = mlflow_view.load(run.path, run.root / "runs")
    assert elsewhere.experiment == "debug"
    assert view(run).place == "runs/demo/ppo/pong/0"
    assert mlflow_view.load(run.path, run.root / "x").place == str(run.path)


@pytest.mark.parametrize("iso", [False, True])
def test_a_process_that_is_gone_or_is_another_now_means_killed(run, iso):
    here = {"host": socket.gethostname(), "pid": os.getpid(), "reason": None}
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    def status(**changes):
        unix = changes.pop("unix", time.time())
        told = datetime.fromtimestamp(unix, UTC).isoformat() if iso else unix
        run.attempts = [here | {"started": told} | changes]
        run._provenance()
        return view(run).status

    assert status() == "RUNNING"
    assert status(pid=gone.pid) == "KILLED"
    assert status(unix=time.time() - 86400) == "KILLED"  # This process has the number now.
    assert status(unix=time.time() - 86400, host="another") == "RUNNING"  # Cannot be known here.
    assert status(pid=None) == "RUNNING"


def test_a_process_that_nobody_has_waited_for_is_gone_too(run):
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    run.attempts[-1]["pid"] = zombie.pid
    run._provenance()
    end = time.monotonic() + 30
    while view(run).status == "RUNNING" and time.monotonic() < end:
        time.sleep(0.05)
    assert view(run).status == "KILLED"
    zombie.wait()


def test_the_end_of_a_killed_run_is_when_it_last_wrote(run):
    run.play(400)
    run.attempts[-1]["pid"] = 2**22 + 1
    run._provenance()
    for name in ("config.json", "metrics.jsonl", "evaluation.jsonl"):
        if (run.path / name).exists():
            os.utime(run.path / name, (1000.0, 1000.0))
    os.utime(run.path / "episodes.jsonl", (2000.0, 2000.0))
    assert view(run).ended == 2000.0


@pytest.mark.parametrize(
    ("backend", "device", "gpus", "upto"),
    [
        ("ale", "cpu", ["NVIDIA H200"], math.inf),
        ("ale", "auto", [], math.inf),
        ("ale", "auto", ["NVIDIA H200"], 799),
        ("ale", "cuda", ["NVIDIA H200"], 799),
        ("envpool", "cpu", [], 799),
    ],
)
def test_lines_that_a_resume_may_change_wait_for_a_checkpoint(
    tmp_path, backend, device, gpus, upto
):
    run = RunFolder(tmp_path, backend=backend, runtime={"device": device})
    run.machine = {"gpus": gpus}
    run.begin()
    run.play(1000)
    assert view(run).upto == (math.inf if upto == math.inf else -1)
    (run.path / "checkpoints").mkdir()
    for name in ("0400-0012.npz", "0800-0025.npz", "0900-0028.npz.part", "final.npz"):
        (run.path / "checkpoints" / name).touch()
    assert view(run).upto == upto
    run.end("finished")
    assert view(run).upto == math.inf


def test_a_folder_that_has_not_begun_is_no_run_yet(tmp_path):
    run = RunFolder(tmp_path)
    assert view(run) is None
    run.write("provenance.json", {"attempts": []})
    assert view(run) is None
    run.begin()
    assert view(run).name == "demo/ppo/pong/0"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("config.json", "{", "not JSON"), ("provenance.json", "[1]", "not an object"),
     ("config.json", '{"suite": "demo"}', "lacks agent, game, seed, hash")],
)  # fmt: skip
def test_a_damaged_file_is_named(run, name, text, said):
    (run.path / name).write_text(text)
    with pytest.raises(ValueError, match=name) as caught:
        view(run)
    assert said in str(caught.value)


def test_the_score_is_normalized_where_the_game_has_a_human(tmp_path):
    run = RunFolder(tmp_path)
    run.begin()
    assert mlflow_view.normalized(view(run)) is None
    run.end("finished")
    assert mlflow_view.normalized(view(run)) == pytest.approx((10 + 20.7) / (14.6 + 20.7))
    plain = RunFolder(tmp_path, seed=1, score={"window": "evaluation", "normalize": "none"})
    plain.begin()
    plain.end("finished")
    assert mlflow_view.normalized(view(plain)) is None


def test_a_lock_keeps_others_out_and_goes_with_its_holder(tmp_path):
    path = tmp_path / "lock"
    with (
        flock.held(path, 1.0),
        pytest.raises(TimeoutError, match="another process"),
        flock.held(path, 0.1),
    ):
        pass
    with flock.held(path, 0.0):
        pass
    code = "import sys, os; from launch import flock; from pathlib import Path\n"
    code += "with flock.held(Path(sys.argv[1]), 0.0): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -9
    with flock.held(path, 0.0):
        assert path.exists()
