"""What a Slurm job does when it is told to stop, with real processes and signals."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake_executor_plugin_submitit import runner

OBEYS = "trap 'exit 75' TERM; touch ready; while :; do sleep 0.1; done"
PROGRAM = """
import signal, sys
from snakemake_executor_plugin_submitit import runner
task = runner.Task(sys.argv[1], "marker.json", "log", {})
job = runner.Job([task], ".", 600.0)
signal.signal(signal.SIGUSR2, lambda *_: (print(type(job.checkpoint())), sys.exit(0)))
job()
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, runner.PREEMPTED), (signal.SIGUSR2, 0)]
)
def test_a_job_leaves_as_soon_as_its_commands_have_saved(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", PROGRAM, OBEYS]
    job = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "ready").exists():
            assert job.poll() is None, "it ended before it began"
        job.send_signal(number)
        job.communicate(timeout=60)  # It would wait for ten minutes, were they thought to run.
    finally:
        job.kill()
    assert job.returncode == code
    assert not (tmp_path / "marker.json").exists(), "a command that was stopped has not ended"


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", -9), ("true", 0)])
def test_a_marker_says_how_a_command_ended(command: str, code: int, tmp_path: Path) -> None:
    task = runner.Task(command, str(tmp_path / "marker.json"), str(tmp_path / "log"), {})
    job, before = runner.Job([task], str(tmp_path), 1.0), signal.getsignal(signal.SIGTERM)
    try:
        if code:
            with pytest.raises(RuntimeError, match=f"1 of 1 commands failed: .{code}"):
                job()
        else:
            job()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert runner.read(tmp_path / "marker.json")["code"] == code
