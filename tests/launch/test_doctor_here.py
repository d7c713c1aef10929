"""What `reverie doctor` makes of this machine, of its MLflow, and of the profile of a sweep."""

import http.server
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from launch.doctor import here, settings
from launch.doctor.finding import Finding


def one(findings: Iterator[Finding]) -> Finding:
    (found,) = findings
    return found


def test_a_shell_inside_a_job_and_words_to_sbatch_are_seen() -> None:
    assert one(here.nesting({})).mark == "ok"
    inside = one(here.nesting({"SLURM_JOB_ID": "12", "SBATCH_QOS": "x"}))
    assert inside.mark == "warn" and "part of job 12" in inside.fact
    assert "SBATCH_PARTITION=gpu" in one(here.nesting({"SBATCH_PARTITION": "gpu"})).fact


def test_a_full_disk_fails_and_a_small_one_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "LOW_GB", 0.0)
    monkeypatch.setattr(here, "FULL_GB", 0.0)
    monkeypatch.setattr(here, "LOW_INODES", 0)
    (tmp_path / "runs").mkdir()
    assert one(here.disk(tmp_path)).mark == "ok"
    assert f"free in {tmp_path / 'runs'}" in one(here.disk(tmp_path)).fact
    monkeypatch.setattr(here, "LOW_GB", 1e9)
    assert one(here.disk(tmp_path)).mark == "warn"
    monkeypatch.setattr(here, "FULL_GB", 1e9)
    assert one(here.disk(tmp_path)).mark == "FAIL"


class Tracker(http.server.BaseHTTPRequestHandler):
    """A server that has no experiments, for those who know the password; a stranger elsewhere."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = self.headers["Authorization"] == f"Basic {b64encode(b'me:hush').decode()}"
        theirs = self.path.startswith("/mlflow/api/2.0/mlflow/experiments/search")
        self.send_response(200 if known and theirs else 403)
        self.end_headers()
        self.wfile.write(b"{}" if known and theirs else b"<html>who are you?</html>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Tracker) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Finding]:
    """Says what is found of MLflow at an address; nothing is left in the folder by asking."""
    root = tmp_path / "root"
    root.mkdir()

    def found(uri: str) -> Finding:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        finding = one(here.mlflow(root))
        assert list(root.iterdir()) == []
        return finding

    return found


def test_an_mlflow_server_must_answer_what_a_sweep_asks_it_first(
    server: str, tracker: Callable[[str], Finding]
) -> None:
    assert tracker(f"http://me:hush@{server}/mlflow").mark == "ok"
    unknown = tracker(f"http://me:wrong@{server}/mlflow")
    assert unknown.mark == "warn" and "it answers 403: who are you?" in unknown.fact
    assert "wrong" not in str(unknown)


def test_a_database_is_tried_at_its_port_or_its_socket(
    tmp_path: Path, tracker: Callable[[str], Finding]
) -> None:
    gone = tracker("postgresql://u:secret@127.0.0.1:9/db")
    assert gone.mark == "warn" and "no answer from 127.0.0.1:9" in gone.fact
    assert "secret" not in str(gone)
    by_query = "postgresql://mlflow@/mlflow?host={}&port=9"
    assert "no answer from localhost:9" in tracker(by_query.format("localhost")).fact
    assert f"from {tmp_path}/.s.PGSQL.9: " in tracker(by_query.format(tmp_path)).fact
    with socket.socket(socket.AF_UNIX) as database:
        database.bind(f"{tmp_path}/.s.PGSQL.5432")
        database.listen()
        assert tracker(f"postgresql+psycopg2://mlflow@/mlflow?host={tmp_path}").mark == "ok"
    assert "nor a database with its host" in tracker("postgresql://mlflow@/mlflow").fact


def test_without_an_address_mlflow_is_a_file_that_can_be_written(
    tmp_path: Path, tracker: Callable[[str], Finding]
) -> None:
    assert tracker("").fact == f"sqlite:///{tmp_path}/root/mlflow.db can be used"
    assert tracker("sqlite:////nowhere/at/all/mlflow.db").mark == "warn"


# The profile


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """The place of a profile that a sweep in this folder would find."""
    (tmp_path / "slurm").mkdir()
    return tmp_path / "slurm" / "config.yaml"


def test_settings_are_those_of_the_profile_that_snakemake_would_find(
    tmp_path: Path, profile: Path
) -> None:
    profile.write_text("jobs: 5\nsubmitit-partition: a100\nsubmitit-no-srun: true\n")
    found = settings.load(tmp_path, {"account": "lab", "qos": None, "no_srun": None})
    assert (found.partition, found.account, found.qos, found.no_srun) == ("a100", "lab", "", True)
    assert settings.load(tmp_path, {"partition": "cpu"}).partition == "cpu"


def test_values_of_a_profile_have_the_types_that_snakemake_would_give_them(
    tmp_path: Path, profile: Path
) -> None:
    lines = ("partition: 7", "minutes: '60'", "no-srun: 'yes'", "qos:", "folder: jobs")
    profile.write_text("".join(f"submitit-{line}\n" for line in lines))
    found = settings.load(tmp_path, {})
    assert (found.partition, found.minutes, found.no_srun, found.qos) == ("7", 60, True, "")
    assert found.folder == Path("jobs")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("submitit-partitoin: a100", "key 'submitit-partitoin'; did you mean 'submitit-partition'"),
        ("submitit_partition: a100", "did you mean 'submitit-partition'"),
        ("submitt-minutes: 60", "did you mean 'submitit-minutes'"),
        ("submitit-nonsense: 1", "unknown key 'submitit-nonsense'"),
        ("submitit-gpu-flag: gpus", "allowed: gpus-per-node, gres"),
        ("submitit-minutes: long", "minutes: saw 'long'; allowed is a whole number"),
        ("submitit-pack: 1.5", "pack: saw 1.5; allowed is a whole number"),
        ("submitit-no-srun: 7", "no-srun: saw 7; allowed is true or false"),
        ("submitit-snapshot: [agents]", "saw \\['agents'\\]; allowed is a single text"),
        ("- jobs", "allowed are lines of the form `key: value`"),
    ],
)
def test_a_profile_that_the_executor_would_not_understand_is_refused_by_name(
    line: str, said: str, tmp_path: Path, profile: Path
) -> None:
    profile.write_text(f"{line}\n")
    with pytest.raises(ValueError, match=f"slurm/config.yaml: .*{said}"):
        settings.load(tmp_path, {})


def test_no_option_of_snakemake_is_taken_for_a_misspelt_one_of_the_executor(
    tmp_path: Path, profile: Path
) -> None:
    from snakemake import cli as theirs

    actions = theirs.get_argument_parser()._actions
    words = {word.lstrip("-") for action in actions for word in action.option_strings}
    others = {word for word in words if not word.startswith("submitit-")}
    assert len(others) > 100
    profile.write_text("".join(f"{word}: 1\n" for word in others))
    assert settings.load(tmp_path, {}) == settings.ExecutorSettings()
