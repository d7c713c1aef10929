"""What goes wrong is said in one line, with a code, and nothing that was written is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def run(cwd: Path, *words: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    command = [*prefix, sys.executable, "-m", "launch.cli", "run", *words]
    command += ["--seed", "0", "--tracking", "off", "--workers", "0"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


CATCH = ("ppo", "--suite", "smoke", "--game", "catch", "--frames", "4000")


def refused(done: subprocess.CompletedProcess, *texts: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for text in texts:
        assert text in done.stderr, done.stderr


def test_a_diverged_run_says_which_number_and_keeps_its_files(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run(tmp_path, *CATCH, "--set", "learning_rate=1.0e+30", "--out", str(out))
    assert done.returncode == 1
    assert "the run has diverged" in done.stderr
    assert "Traceback" not in done.stderr
    error = json.loads((out / "error.json").read_text())
    assert "diverged" in error["error"]
    assert "Traceback" in error["traceback"]
    assert (out / "episodes.jsonl").read_text()
    assert not (out / "receipt.json").exists()
    assert not (out / "weights").exists()
    for line in (out / "metrics.jsonl").read_text().splitlines():
        assert "NaN" not in line


def test_an_unreadable_configuration_is_refused_and_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_text("{ half")
    (out / "episodes.jsonl").write_text("precious\n")
    refused(run(tmp_path, *CATCH, "--out", str(out)), "config.json", "not readable as JSON")
    assert (out / "config.json").read_text() == "{ half"
    assert (out / "episodes.jsonl").read_text() == "precious\n"


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """Returns a run folder that stopped at its first evaluation, with checkpoints."""
    out = tmp_path / "run"
    words = [sys.executable, "-m", "launch.cli", "run", *CATCH, "--seed", "0", "--tracking", "off"]
    words += ["--workers", "0", "--out", str(out), "--checkpoint-every", "0.05"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while len(list((out / "checkpoints").glob("*.npz"))) < 2:
        assert process.poll() is None
    process.kill()
    process.wait()
    return out


def test_a_damaged_checkpoint_falls_back_to_the_one_before(stopped: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    newest = sorted((stopped / "checkpoints").glob("*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:5000])
    done = run(tmp_path, *CATCH, "--out", str(stopped))
    assert done.returncode == 0
    assert f"{newest.name}: damaged" in done.stderr
    assert "Going on from" in done.stderr
    assert run(tmp_path, *CATCH, "--out", str(whole)).returncode == 0
    for name in ("episodes.jsonl", "weights/final.npz"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


def test_only_damaged_checkpoints_stop_the_run_and_lose_no_line(
    stopped: Path, tmp_path: Path
) -> None:
    for path in (stopped / "checkpoints").glob("*.npz"):
        path.write_bytes(b"")
    before = (stopped / "episodes.jsonl").read_bytes()
    done = run(tmp_path, *CATCH, "--out", str(stopped))
    assert done.returncode == 1
    assert "No checkpoint can be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert (stopped / "episodes.jsonl").read_bytes() == before


def test_lines_that_were_removed_from_outside_are_noticed(stopped: Path, tmp_path: Path) -> None:
    (stopped / "episodes.jsonl").write_bytes(b"")
    done = run(tmp_path, *CATCH, "--out", str(stopped))
    assert done.returncode == 1
    assert "lines are missing" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path):
    """Returns a folder on a file system of 4 MiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("left out: a full disk, because this user may not mount a small one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    out = small_disk / "run"
    done = run(tmp_path, *CATCH, "--out", str(out))  # The weights alone are larger than the disk.
    assert done.returncode == 1
    assert "disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (out / "receipt.json").exists()
    moved = tmp_path / "roomy"
    shutil.copytree(out, moved)
    assert run(tmp_path, *CATCH, "--out", str(moved)).returncode == 0


def test_a_run_needs_no_network_no_key_and_no_tracker(tmp_path: Path) -> None:  # 001#1 #2, 003#13
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(
        "import socket, sys\n"
        "NAMES = ('mlflow', 'wandb', 'mujoco', 'snakemake', 'pandas', 'matplotlib', 'seaborn',\n"
        "         'rliable', 'arch', 'submitit', 'tensorboard')\n"
        "sys.modules.update(dict.fromkeys(NAMES))  # As if not installed.\n"
        "def refuse(self, address):\n"
        "    if self.family in (socket.AF_INET, socket.AF_INET6):\n"
        "        raise OSError(f'no network: {address}')\n"
        "    return connect(self, address)\n"
        "connect, socket.socket.connect = socket.socket.connect, refuse\n"
    )
    words = [sys.executable, "-m", "launch.cli", "run", *CATCH, "--seed", "0", "--out", "run"]
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(blocked), "HOME": str(tmp_path)}
    done = subprocess.run(
        words, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "receipt.json").is_file()
