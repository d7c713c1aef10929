"""What `reverie doctor` makes of a node's answers, of odd Slurms, and of none at all."""

import os
import re
import time
from collections.abc import Iterator
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


def test_a_node_that_is_started_again_has_nothing_to_do(tmp_path: Path) -> None:
    node.put(tmp_path / "node", {})
    assert node.main(tmp_path, False) == 0
    assert node.main(tmp_path / "gone", False) == 0


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


FAKE = (
    '#!/bin/sh\ncase "$*" in *ping*|*--version*) echo "it is UP";; *) echo "%garbage\\0|x";; esac\n'
)


def test_garbage_from_every_command_of_slurm_is_lines_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*checkup.COMMANDS, "sacct", "sacctmgr"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert cli.main(["doctor", "--no-job"]) == 1
    said = capsys.readouterr()
    assert "FAIL      partition     none is the default" in said.out
    for subject in ("requeue", "preemption", "time limit", "arrays", "accounting", "limits"):
        line = next(line for line in said.out.splitlines() if f"  {subject} " in line)
        assert line.startswith("warn") and "could not be found out: Slurm does not say" in line
    assert "left out  probe job     --no-job" in said.out
    assert said.err == ""


def test_commands_without_a_cluster_behind_them_fail_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in checkup.COMMANDS:
        (tmp_path / name).write_text("#!/bin/sh\necho 'fatal: no configuration' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert said.count("FAIL  ") == 1 and "fatal: no configuration" in said
    assert "left out  probe job     the controller does not answer" in said


def test_a_trial_asks_sbatch_for_what_the_executor_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbatch").write_text('#!/bin/sh\necho "sbatch: error: $*" >&2\nexit 1\n')
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    ask = bucket.ask(2, {"mem_mb": 500, "gpu": 1, "partition": "main"}, {"minutes": 7})
    said = trial.refused(ask, "gpus-per-node")
    for word in ("--test-only", "--cpus-per-task=2", "--mem=500MB", "--time=7", "--partition=main"):
        assert word in said
    assert "--gpus-per-node=1" in said and "--gres" not in said
    assert "--gres=gpu:1" in trial.refused(ask, "gres")


SITE = '#!/bin/sh\ncase "$*" in *FLAG*) exit 0;; *) echo "sbatch: error: no"; exit 1;; esac\n'


@pytest.mark.parametrize(
    ("taken", "mark", "word"),
    [
        ("--gpus-per-node=1", "ok", "asked for by gpus-per-node"),
        ("--gres=gpu:1", "FAIL", "set submitit-gpu-flag to gres"),
        ("nothing", "FAIL", "name another with --partition"),
    ],
)
def test_how_a_site_wants_to_be_asked_for_devices_is_found(
    taken: str, mark: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbatch").write_text(SITE.replace("FLAG", taken))
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = one(trial.devices(["gpu:a100:4|3", "(null)|9"], settings.load(tmp_path, {})))
    assert found.mark == mark and word in str(found)
    assert "3 nodes with gpu:a100:4" in found.fact
    assert one(trial.devices(["(null)|9"], settings.load(tmp_path, {}))).mark == "left out"
