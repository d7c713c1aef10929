"""What `reverie doctor` makes of a node's answers, of odd Slurms, and of none at all."""

import errno
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from snakemake_executor_plugin_submitit import bucket

from launch import cli
from launch.doctor import checkup, here, node, settings, sight, trial
from launch.doctor.finding import Finding, guarded


def one(findings: Iterator[Finding]) -> Finding:
    (found,) = findings
    return found


def test_what_sbatch_says_is_told_once_and_without_its_name() -> None:
    text = "sbatch: error: Memory too large\nallocation failure: Memory too large\nsbatch: no\n"
    assert trial.spoken(text) == "Memory too large; no"
    assert trial.spoken("") == "refused without a reason"


def test_runs_are_tried_with_what_launch_config_says_they_need(tmp_path: Path) -> None:
    wanted = settings.load(tmp_path, {"partition": "main"})
    asks = trial.asks(wanted, gpus=True)
    assert {name for names in asks.values() for name in names} >= {"default", "random", "ppo"}
    assert {ask.partition for ask in asks} == {"main"}
    assert {ask.gpus for ask in asks} == {0, 1}
    assert {ask.gpus for ask in trial.asks(wanted, gpus=False)} == {0}


# The two sides of the probe job, with files in between


class Side:
    """A node whose clock and file system are a test's."""

    def __init__(self, files: Path, ahead_s: float = 0.0, again: str = "taken", deaf: bool = False):
        self.files, self.ahead_s, self.again, self.deaf = files, ahead_s, again, deaf

    def get(self, name: str, seconds: float = 0.0) -> Any:
        if self.deaf:
            return None
        return self.again if name == "lock.again" else time.time() + self.ahead_s


FACTS = {"host": "n1", "lock": "held"}


def exchanged(side: Side, **facts: str) -> dict[str, Finding]:
    done = []
    found = sight.locks(side, FACTS | facts, lambda: done.append(True))
    by_subject = {finding.subject: finding for finding in found}
    assert done == [True]
    return by_subject


def test_files_clocks_and_locks_are_judged_by_what_the_node_answers(tmp_path: Path) -> None:
    marks = {name: finding.mark for name, finding in exchanged(Side(tmp_path)).items()}
    assert marks == {"shared disk": "ok", "clocks": "ok", "locks": "ok"}
    clocks = exchanged(Side(tmp_path, ahead_s=60.0))["clocks"]
    assert clocks.mark == "warn" and "60.0" in clocks.fact and "ahead" in clocks.fact
    assert "behind" in exchanged(Side(tmp_path, ahead_s=-9.0))["clocks"].fact
    deaf = exchanged(Side(tmp_path, deaf=True))
    assert (deaf["shared disk"].mark, deaf["locks"].mark) == ("FAIL", "FAIL")


@pytest.mark.parametrize(
    ("lock", "again", "word"),
    [
        ("taken", "taken", "no lock on the node"),
        ("No locks available", "taken", "flock fails on the node: No locks available"),
        ("held", "held", "not free on the node: held"),
    ],
)
def test_a_lock_that_does_not_reach_across_hosts_fails(
    lock: str, again: str, word: str, tmp_path: Path
) -> None:
    found = exchanged(Side(tmp_path, again=again), lock=lock)["locks"]
    assert found.mark == "FAIL" and word in found.fact


def test_a_slow_file_system_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "SLOW_S", -1.0)
    assert exchanged(Side(tmp_path))["shared disk"].mark == "warn"


def test_another_python_or_project_on_the_node_fails(tmp_path: Path) -> None:
    facts = node.facts(tmp_path)
    assert one(sight.python(facts)).mark == "ok"
    (moved,) = sight.python(facts | {"digest": "other"})
    assert moved.mark == "FAIL" and "digest other (here" in moved.fact
    home = list(sight.python(facts | {"home": False}))[1]
    assert home.mark == "warn" and "XDG_CACHE_HOME" in home.todo


@pytest.mark.parametrize(
    ("cuda", "torch", "mark"),
    [
        ("0", "torch 2.11.0 sees NVIDIA H100", "ok"),
        ("not set", "torch 2.11.0 sees NVIDIA H100", "warn"),
        ("0", "torch 2.11.0+cpu sees no device", "FAIL"),
        ("0", "ModuleNotFoundError: No module named 'torch'", "FAIL"),
    ],
)
def test_a_device_that_was_given_must_be_seen_by_torch(cuda: str, torch: str, mark: str) -> None:
    seen = {"cuda": cuda, "torch": torch, "driver": "GPU 0: NVIDIA H100"}
    assert one(sight.devices(seen)).mark == mark


def test_a_lock_is_held_across_processes_until_it_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("a") as file:
        assert node.lock(path, 0.0) == "taken"
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        assert node.lock(path, 0.0) == "held"
    assert node.lock(path, 0.0) == "taken"
    assert "No such file" in node.lock(tmp_path / "none" / "lock", 0.0)


@pytest.fixture
def brief_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has a node leave at once, and gives its signals back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    monkeypatch.setattr(node, "PATIENCE_S", 0.0)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_node_says_what_it_is_but_nothing_when_it_is_started_again(
    tmp_path: Path, brief_node: None
) -> None:
    node.put(tmp_path / "node", "said before")
    node.main(tmp_path, False)
    assert node.get(tmp_path / "node") == "said before"
    node.main(tmp_path / "gone", False)
    assert not (tmp_path / "gone").exists()
    (tmp_path / "node").unlink()
    node.main(tmp_path, False)
    assert node.get(tmp_path / "node")["host"] == socket.gethostname()


def test_a_disk_that_refuses_a_node_for_a_moment_does_not_end_it(
    tmp_path: Path, brief_node: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refusals = node.put, iter([OSError(errno.ESTALE, "Stale file handle")])

    def put(path: Path, facts: Any) -> None:
        if path.name == "pong.0" and (refusal := next(refusals, None)):
            raise refusal
        real(path, facts)

    monkeypatch.setattr(node, "put", put)
    monkeypatch.setattr(node, "PATIENCE_S", 0.5)
    node.put(tmp_path / "ping.0", 0.0)
    node.main(tmp_path, False)
    assert next(refusals, None) is None and node.get(tmp_path / "pong.0")


def test_a_file_that_cannot_be_read_says_nothing_yet(tmp_path: Path) -> None:
    assert node.get(tmp_path / "none") is None
    assert node.get(tmp_path) is None  # Is a directory: whatever a disk has against reading.
    node.put(tmp_path / "there", 3)
    assert node.get(tmp_path / "there") == 3


# The whole


def test_the_documentation_explains_every_line(repository: Path) -> None:
    folder = repository / "launch" / "doctor"
    text = "".join(path.read_text() for path in sorted(folder.glob("*.py")))
    made = re.findall(r'Finding\(\s*(?:"[\w ]+"|mark|[^",]+), "([\w ]+)"', text)
    page = (repository / "docs" / "slurm.md").read_text()
    rows = page.split("| line |")[1].split("##")[0].splitlines()
    first = [row.split("|")[1] for row in rows if row.startswith("| `")]
    explained = {name for cell in first for name in re.findall(r"`([\w ]+)`", cell)}
    assert len(set(made)) > 15
    assert set(made) | set(checkup.CLUSTER) == explained


def test_a_probe_that_breaks_is_a_line() -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("ok", "first", "fine")
        raise TypeError("list index\nout of range")

    first, second = guarded("second", broken)
    assert first.mark == "ok"
    assert str(second).startswith("warn      second        could not be found out: list index out")


def test_without_slurm_the_cluster_is_left_out_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(here, "FULL_GB", 0.0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["doctor"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    out = [line for line in lines if line.startswith("left out")]
    assert len(out) == len(checkup.CLUSTER) and all("no sbatch on PATH" in line for line in out)
    assert {line.split()[1] for line in lines if line not in out} == {"python", "disk", "mlflow"}
    assert f"0 FAIL, {len(out)} left out" in last
    assert list(tmp_path.iterdir()) == []


Programs = Callable[..., None]


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Puts programs of a test's own, which all do the same, before the real ones."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(script: str, *names: str) -> None:
        for name in names:
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    return put


ALIVE = 'case "$*" in *ping*|*--version*) echo "it is UP"; exit;; esac; '


def test_garbage_from_every_command_of_slurm_is_lines_and_no_traceback(
    on_path: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    on_path(rf'{ALIVE} echo "%garbage\0|x"', *checkup.COMMANDS, "sacct", "sacctmgr")
    assert cli.main(["doctor", "--no-job"]) == 1
    said = capsys.readouterr()
    assert "FAIL      partition     none is the default" in said.out
    for subject in ("requeue", "preemption", "time limit", "arrays", "accounting", "limits"):
        line = next(line for line in said.out.splitlines() if f"  {subject} " in line)
        assert line.startswith("warn") and "could not be found out: Slurm does not say" in line
    assert "left out  probe job     --no-job" in said.out
    assert said.err == ""


def test_a_controller_that_answers_and_tells_nothing_fails_once(
    on_path: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    on_path(f"{ALIVE} echo 'Invalid user id' >&2; exit 1", *checkup.COMMANDS)
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "FAIL      slurm         it does not tell of itself: scontrol: Invalid user id" in said
    assert said.count("FAIL  ") == 1
    assert "left out  probe job     Slurm does not tell of itself" in said


def test_commands_without_a_cluster_behind_them_fail_once(
    on_path: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    on_path("echo 'fatal: no configuration' >&2; exit 1", *checkup.COMMANDS)
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert said.count("FAIL  ") == 1 and "fatal: no configuration" in said
    assert "left out  probe job     the controller does not answer" in said


def test_a_trial_asks_sbatch_for_what_the_executor_would(on_path: Programs) -> None:
    on_path('echo "sbatch: error: $*" >&2; exit 1', "sbatch")
    ask = bucket.ask(2, {"mem_mb": 500, "gpu": 1, "partition": "main"}, {"minutes": 7})
    said = trial.refused(ask, "gpus-per-node")
    for word in ("--test-only", "--cpus-per-task=2", "--mem=500MB", "--time=7", "--partition=main"):
        assert word in said
    assert "--gpus-per-node=1" in said and "--gres" not in said
    assert "--gres=gpu:1" in trial.refused(ask, "gres")


@pytest.mark.parametrize(
    ("taken", "mark", "word"),
    [
        ("--gpus-per-node=1", "ok", "asked for by gpus-per-node"),
        ("--gres=gpu:1", "FAIL", "set submitit-gpu-flag to gres"),
        ("nothing", "FAIL", "name another with --partition"),
    ],
)
def test_how_a_site_wants_to_be_asked_for_devices_is_found(
    taken: str, mark: str, word: str, tmp_path: Path, on_path: Programs
) -> None:
    on_path(f'case "$*" in *{taken}*) ;; *) echo "sbatch: error: no"; exit 1;; esac', "sbatch")
    found = one(trial.devices(["gpu:a100:4|3", "(null)|9"], settings.load(tmp_path, {})))
    assert found.mark == mark and word in str(found)
    assert "3 nodes with gpu:a100:4" in found.fact
    assert one(trial.devices(["(null)|9"], settings.load(tmp_path, {}))).mark == "left out"
