"""What stands between Snakemake and a run: whom it waits for, and when it ends."""

import argparse
import fcntl
import os
import pty
import subprocess
import sys
import time

import pytest

from launch import devices, job

ASKED = argparse.Namespace(
    agent="dreamer_ppo+aux", game="pong", seed=3, suite="demo", tracking="spool", threads=1
)


def test_a_label_becomes_agent_and_blocks():
    words = job.command(ASKED)
    assert words[:5] == [sys.executable, "-m", "launch.cli", "run", "dreamer_ppo"]
    assert words[-2:] == ["--block", "aux"]


def test_the_command_is_one_that_the_command_line_takes():
    from launch import cli

    args = cli.parser().parse_args(job.command(ASKED)[3:])
    assert (args.agent, args.block, args.suite, args.game) == (
        "dreamer_ppo",
        ["aux"],
        "demo",
        "pong",
    )
    assert (args.seed, args.tracking, args.threads, args.workers) == (3, "spool", 1, 0)


def test_a_run_of_one_thread_has_no_processes_beside_it():
    assert [job.workers(threads) for threads in (1, 2, 8)] == [0, 2, 8]


def test_a_job_waits_for_the_process_that_still_writes_to_the_folder(tmp_path, capsys):
    lock = (tmp_path / "lock").open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            lock.close()

    job.wait_for_writer(tmp_path, nap)
    assert len(naps) == 3
    assert capsys.readouterr().err.count("waiting for the process") == 1


def test_a_job_does_not_wait_for_a_folder_that_nobody_uses(tmp_path):
    job.wait_for_writer(tmp_path, pause=lambda seconds: pytest.fail("waited"))
    job.wait_for_writer(tmp_path / "new", pause=lambda seconds: pytest.fail("waited"))
    assert not (tmp_path / "lock").exists()


def test_an_agent_without_a_network_gets_no_device():
    assert job.device(0) == {"CUDA_VISIBLE_DEVICES": ""}


def test_a_run_gets_a_device_of_its_own_only_where_there_are_several(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "lock_folder", lambda: tmp_path)
    seen = {}
    for there in ([], ["0"], ["4", "7"]):
        monkeypatch.setattr(devices, "visible", lambda there=there: there)
        seen[len(there)] = job.device(1)
    assert seen == {0: {}, 1: {}, 2: {"CUDA_VISIBLE_DEVICES": "4"}}


def test_a_run_ends_when_the_process_that_started_it_is_killed(tmp_path):
    told = tmp_path / "told"
    child = (
        "import pathlib, signal, sys, time; from launch import job; job.die_with_parent();"
        f"signal.signal(15, lambda *_: (pathlib.Path({str(told)!r}).touch(), sys.exit()));"
        "print('ready', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])",
        ],
        stdout=subprocess.PIPE,
    )
    parent.stdout.readline()
    parent.kill()
    parent.wait()
    until = time.monotonic() + 20
    while not told.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert told.exists()


def test_runs_on_one_terminal_write_plain_lines():
    code = (
        "import sys; from launch import job; assert sys.stderr.isatty(); job.relay();"
        "assert not sys.stderr.isatty(); print('a whole line', file=sys.stderr)"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], stderr=theirs, timeout=30)
    os.close(theirs)
    assert os.read(ours, 1000).strip() == b"a whole line"
    os.close(ours)
    assert done.returncode == 0
