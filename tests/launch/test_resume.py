"""A run killed at any moment ends as one never interrupted, byte for byte (001#6 and all).

These tests use the command line, real Atari, real SIGKILLs.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import agents

FRAMES = 12_000
KILLS = 5


def command(agent: str, game: str, out: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "launch.cli", "run", agent, "--suite", "smoke", "--game", game]
    words += ["--seed", "0", "--frames", str(FRAMES), "--tracking", "off", "--out", str(out)]
    return [*words, "--checkpoint-every", "0.3", *more]


def start(words: list[str], cwd: Path) -> subprocess.Popen:
    with (cwd / "output.txt").open("a") as output:
        return subprocess.Popen(words, cwd=cwd, stdout=output, stderr=output)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def timeless(path: Path) -> list[dict]:
    """Returns metrics without what the clock and the attempts decide."""
    found = []
    for line in lines(path):
        metrics = {k: v for k, v in line["metrics"].items() if not k.startswith("time/")}
        kept = {k: v for k, v in line.items() if k not in ("seconds", "attempt", "unix")}
        found.append(kept | {"metrics": metrics})
    return found


def assert_same(one: Path, other: Path) -> None:
    for name in ("episodes.jsonl", "evaluation.jsonl", "weights/final.npz", "weights/best.npz"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert timeless(one / "metrics.jsonl") == timeless(other / "metrics.jsonl")


def attempts(run: Path) -> list[dict]:
    return json.loads((run / "provenance.json").read_text())["attempts"]


def saved(run: Path) -> int:
    """Returns the frame of the newest checkpoint, or 0."""
    names = (path.name for path in (run / "checkpoints").glob("[0-9]*.npz"))
    return int(max(names, default="0-").partition("-")[0])


def alone(folder: Path, seconds: float) -> float:
    """Returns how long a process took from its first checkpoint folder on; waits for it."""
    began = time.monotonic()
    while not (folder / "checkpoints").is_dir() and time.monotonic() - began < seconds:
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.parametrize("agent", ["ppo", "dreamer_ppo"])
def test_a_run_killed_five_times_equals_one_never_interrupted(agent: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "A", tmp_path / "B"
    began = time.monotonic()
    assert start(command(agent, "pong", whole), tmp_path).wait() == 0
    length = time.monotonic() - began
    moments = random.Random(agent)
    for _ in range(KILLS):
        process = start(command(agent, "pong", killed), tmp_path)
        alone(killed, length)
        time.sleep(moments.uniform(0, 0.35 * length))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(command(agent, "pong", killed), tmp_path).wait() == 0
    assert_same(whole, killed)
    assert len(attempts(killed)) > 2
    assert any(attempt["from_frame"] for attempt in attempts(killed)), "nothing was resumed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "frames", "sets"),
    [
        ("dreamerv3", 1600, ["training.storage=memory"]),
        ("dreamerv3", 1600, ["training.storage=mapped", "training.latents=compact"]),
        ("dreamerv3_2023", 1600, ["training.storage=memory"]),
        ("dreamerv2", 2400, ["training.storage=mapped"]),
        ("dreamerv1", 1200, ["training.storage=memory"]),
    ],
    ids=str,
)
def test_a_dreamer_killed_at_any_moment_equals_one_never_interrupted(
    agent: str, frames: int, sets: list[str], tmp_path: Path
) -> None:
    if agent not in agents.names():
        pytest.skip(f"left out: {agent}, which is not here")
    whole, killed = tmp_path / "A", tmp_path / "B"
    more = ["--block", "debug", "--frames", str(frames), "--workers", "0"]
    more += ["--set", *sets]
    assert start(command(agent, "catch", whole, *more), tmp_path).wait() == 0
    words, moments = command(agent, "catch", killed, *more), random.Random(f"{agent} {sets}")
    for share in (moments.uniform(0.25, 0.45), moments.uniform(0.5, 0.7)):
        process = start(words, tmp_path)
        while process.poll() is None and saved(killed) < share * frames:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(words, tmp_path).wait() == 0
    assert_same(whole, killed)
    assert not (killed / "replay").exists(), "only a resume needs it"
    assert any(attempt["from_frame"] for attempt in attempts(killed)), "nothing was resumed"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2", "SIGINT"])
def test_a_signal_saves_and_leaves_with_its_own_code(name: str, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "A", tmp_path / "B"
    process = start(command("ppo", "catch", stopped, "--checkpoint-every", "1000"), tmp_path)
    while not (stopped / "episodes.jsonl").is_file() or not lines(stopped / "episodes.jsonl"):
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.Signals[name])
    assert process.wait() == 75
    assert attempts(stopped)[-1]["reason"] == "stopped"
    assert list((stopped / "checkpoints").glob("*.npz"))
    assert start(command("ppo", "catch", stopped), tmp_path).wait() == 0
    assert start(command("ppo", "catch", whole), tmp_path).wait() == 0
    assert_same(whole, stopped)
    assert attempts(stopped)[-1]["from_frame"] > 0


def test_a_stop_file_saves_and_leaves(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(command("random", "pong", run), tmp_path)
    alone(run, 20)
    (run / "stop").touch()
    assert process.wait() == 75
    assert start(command("random", "pong", run), tmp_path).wait() == 0, "the stop file was used up"


def test_a_second_process_refuses_a_live_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = start(command("random", "pong", run), tmp_path)
    alone(run, 20)
    second = subprocess.run(
        command("random", "pong", run), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert "another process is running this run" in second.stderr
    assert "Traceback" not in second.stderr
    assert first.wait() == 0


def test_a_finished_run_says_so_and_changes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert start(command("random", "catch", run), tmp_path).wait() == 0
    before = {path: path.read_bytes() for path in run.rglob("*.json*") if path.is_file()}
    again = subprocess.run(
        command("random", "catch", run), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0
    assert "finished" in again.stderr
    assert before == {path: path.read_bytes() for path in before}


def test_a_folder_of_another_configuration_is_refused_by_what_differs(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert start(command("random", "catch", run), tmp_path).wait() == 0
    before = (run / "episodes.jsonl").read_bytes()
    other = subprocess.run(
        [*command("random", "catch", run), "--frames", "4000"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert other.returncode == 2
    assert f"frames is {FRAMES} there and 4000 here" in other.stderr
    assert (run / "episodes.jsonl").read_bytes() == before


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    for workers in ("0", "2"):
        words = command("ppo", "pong", tmp_path / workers, "--workers", workers)
        assert start(words, tmp_path).wait() == 0
    assert_same(tmp_path / "0", tmp_path / "2")


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    for seed in ("0", "1"):
        words = [*command("ppo", "catch", tmp_path / seed), "--seed", seed]
        assert start(words, tmp_path).wait() == 0
    one, other = ((tmp_path / seed / "episodes.jsonl").read_bytes() for seed in ("0", "1"))
    assert one != other


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a POSIX machine")
def test_workers_end_when_their_run_is_killed(tmp_path: Path) -> None:
    process = start(command("random", "pong", tmp_path / "run", "--workers", "2"), tmp_path)
    alone(tmp_path / "run", 20)
    listing = ["ps", "-o", "pid=", "--ppid", str(process.pid)]
    children = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    assert children
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline, "workers outlived their run"
        time.sleep(0.05)
