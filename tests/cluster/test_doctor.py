"""`reverie doctor` on real clusters: a healthy one, an odd one, and one without a controller."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.conftest import HOW, ROOT

pytestmark = pytest.mark.slow

# What this machine has: its disk and its home are not what is tested here.
OWN = {"python", "disk", "mlflow", "node home"}
ENOUGH_MB = 64_000  # For the hungriest agent of launch/config.yaml.
LIMITED = {"AccountingStorageEnforce": "limits", "KillWait": "30"}


class Doctor:
    """The command, called in an empty folder in which it must leave nothing."""

    def __init__(self, folder: Path, cluster: slurm.Cluster):
        self.folder, self.cluster = folder, cluster

    def start(self, *words: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(ROOT), str(ROOT / "launch" / "executor")])
        return subprocess.Popen(
            [sys.executable, "-m", "launch.cli", "doctor", *words], cwd=self.folder, text=True,
            env=self.cluster.env | {"PYTHONPATH": path}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def call(self, *words: str) -> tuple[int, dict[str, str], str]:
        """Returns exit code, marks by subject, and all that was said."""
        process = self.start(*words)
        said, errors = process.communicate(timeout=400)
        assert "Traceback" not in errors, errors
        lines = [line for line in said.splitlines()[:-1] if line[10:11].strip()]
        marks = {line[10:24].strip(): line[:8].strip() for line in lines}
        return process.returncode, marks, said

    def left_nothing(self) -> bool:
        return not self.cluster.run("squeue", "-h").strip() and not list(self.folder.iterdir())


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    """A cluster with accounting that enforces limits."""
    if gone := slurm.missing(accounting=True):
        pytest.skip(f"no {', '.join(gone)} here: {HOW}")
    folder = tmp_path_factory.mktemp("limited")
    with slurm.Cluster(folder, accounting=True, memory_mb=ENOUGH_MB, settings=LIMITED) as running:
        yield running


@pytest.fixture
def doctor(limited: slurm.Cluster, tmp_path: Path) -> Doctor:
    return Doctor(tmp_path, limited)


def test_a_healthy_cluster_is_found_healthy_with_every_signal_delivered(doctor: Doctor) -> None:
    code, marks, said = doctor.call()
    ours = {subject: mark for subject, mark in marks.items() if subject not in OWN}
    assert ours.pop("gpus") == "left out"
    wanted = {"slurm", "partition", "requeue", "preemption", "saving", "arrays", "accounting"}
    wanted |= {"limits", "submission", "probe job", "node python", "shared disk", "clocks"}
    wanted |= {"locks", "signals", "requeued", "nesting", "time limit"}
    assert ours == dict.fromkeys(wanted, "ok"), said
    assert code == int("FAIL" in marks.values()), said
    assert "a command in its own session" in said and "requeued from its node" in said
    assert doctor.left_nothing()


def test_a_limit_of_the_user_comes_with_the_words_that_respect_it(doctor: Doctor) -> None:
    user = doctor.cluster.run("id", "-un").strip()
    set_limit = ("sacctmgr", "-i", "modify", "user", user, "set", "maxsubmitjobs=")
    doctor.cluster.run(*set_limit[:-1], f"{set_limit[-1]}7")
    _, marks, said = doctor.call("--no-job")
    doctor.cluster.run(*set_limit[:-1], f"{set_limit[-1]}-1")
    assert marks["limits"] == "warn" and "`--jobs 7`" in said, said
    assert marks["probe job"] == "left out"


def test_what_the_partition_refuses_fails_before_a_sweep_meets_it(doctor: Doctor) -> None:
    code, marks, said = doctor.call("--no-job", "--partition", "nowhere")
    assert code == 1
    assert (marks["partition"], marks["submission"]) == ("FAIL", "FAIL")
    assert "name one with --partition: main, urgent" in said
    assert "invalid partition specified: nowhere" in said


@pytest.fixture
def drained(doctor: Doctor) -> Iterator[Doctor]:
    """A cluster that starts nothing."""
    nodes = ("scontrol", "update", "nodename=n1,n2")
    doctor.cluster.run(*nodes, "state=drain", "reason=test")
    yield doctor
    doctor.cluster.run(*nodes, "state=resume")


def test_a_job_that_does_not_start_in_time_is_a_warning_and_cancelled(drained: Doctor) -> None:
    _, marks, said = drained.call("--wait", "3")
    assert marks["probe job"] == "warn" and "pending for 3 s (" in said, said
    assert "signals" not in marks
    assert drained.left_nothing()


def test_ctrl_c_takes_the_job_with_it(drained: Doctor) -> None:
    process = drained.start("--wait", "600")
    slurm.wait(lambda: "reverie" in drained.cluster.run("squeue", "-h", "-o", "%j"), "the job")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors, errors
    assert drained.left_nothing()


def test_without_requeue_accounting_and_srun_each_is_said_and_the_warning_still_comes(
    tmp_path: Path,
) -> None:
    (tmp_path / "site").mkdir()
    odd = slurm.Cluster(
        tmp_path / "slurm", memory_mb=ENOUGH_MB, gpus=1, settings={"JobRequeue": "0"}
    )
    with odd as cluster:
        doctor = Doctor(tmp_path / "site", cluster)
        code, marks, said = doctor.call("--no-srun")
        assert marks["requeue"] == "warn" and "JobRequeue=0" in said
        assert (marks["accounting"], marks["limits"]) == ("warn", "left out")
        assert marks["gpus"] == "ok" and "2 nodes with gpu:1" in said, said
        assert "CUDA_VISIBLE_DEVICES 0; " in said, "Slurm gave the job a device that is not there"
        assert marks["node gpu"] == "FAIL" and code == 1
        assert marks["signals"] == "ok" and "without srun" in said, said
        assert marks["requeued"] == "ok", "jobs ask for it"
        assert doctor.left_nothing()
        cluster.run("scontrol", "shutdown", "slurmctld")
        code, marks, said = doctor.call()
        assert code == 1 and marks["slurm"] == "FAIL", said
        assert {marks[name] for name in ("requeue", "arrays", "probe job")} == {"left out"}
