"""Runs on a machine with several graphics processors: one each, and nobody keeps it for ever."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launch import devices

HOLDER = (
    "import os, sys; from pathlib import Path; from launch import devices;"
    "taken = devices.claim(['0', '1'], Path(sys.argv[1]));"
    "os.execv(sys.executable, [sys.executable, '-c', 'import sys, time;'"
    " 'print(sys.argv[1], flush=True); time.sleep(60)', taken])"
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose nvidia-smi lists two devices."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'GPU 0: H200 (UUID: GPU-1)'\necho 'GPU 1: H200 (UUID: GPU-2)'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def hold(folder: Path) -> tuple[subprocess.Popen, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


def test_devices_are_those_of_the_driver(machine):
    assert devices.visible() == ["0", "1"]


def test_a_machine_without_a_driver_has_no_devices(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.visible() == []


@pytest.mark.parametrize(("said", "seen"), [("3,5", ["3", "5"]), ("", []), ("-1", [])])
def test_what_the_environment_allows_stands_over_the_driver(machine, monkeypatch, said, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert devices.visible() == seen


def test_runs_side_by_side_get_different_devices_until_all_are_taken(tmp_path):
    holders = [hold(tmp_path) for _ in range(4)]
    for process, _ in holders:
        process.kill()
        process.wait()
    taken = [device for _, device in holders]
    assert taken == ["0", "1", "0", "1"]


def test_a_killed_run_gives_its_device_back(tmp_path):
    first, device = hold(tmp_path)
    assert device == "0"
    first.send_signal(signal.SIGKILL)
    first.wait()
    second, device = hold(tmp_path)
    second.kill()
    second.wait()
    assert device == "0"
