"""`.ci/run`: fetches what is missing, says what it cannot fetch, and runs the tests either way."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = ("bash", "dirname", "env", "git", "id", "nproc")
CLUSTER = ("sbatch", "slurmctld", "slurmd", "munged", "slurmdbd", "mariadbd", "pg_ctlcluster")
MAKE = '#!/bin/sh\necho "made: $*"\nexit 5\n'
APT = '#!/bin/sh\necho "$@" >>"$APT_CALLS"\nexit "$APT_CODE"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with a `make` that only says what it was asked."""
    for name in NEEDED:
        (tmp_path / name).symlink_to(shutil.which(name))
    command(tmp_path / "make", MAKE)
    command(tmp_path / "python3", "#!/bin/sh\n")
    for name in ("cc", *CLUSTER):
        command(tmp_path / name)
    command(tmp_path / "sudo", '#!/bin/sh\nshift\nexec "$@"\n')
    return tmp_path


def command(file: Path, text: str = "#!/bin/sh\n") -> None:
    file.write_text(text)
    file.chmod(0o755)


def run(path: Path, apt_code: int = 0) -> tuple[int, str, list[str]]:
    calls = path / "calls"
    env = {"PATH": str(path), "APT_CALLS": str(calls), "APT_CODE": str(apt_code)}
    words = [path / "bash", ROOT / ".ci" / "run"]
    done = subprocess.run(words, env=env, cwd=path, capture_output=True, text=True)
    asked = calls.read_text().splitlines() if calls.exists() else []
    return done.returncode, done.stdout + done.stderr, asked


def test_the_script_is_executable_and_ends_as_make_test_ends(path):
    command(path / "chromium")
    command(path / "apt-get", APT)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    code, said, asked = run(path)
    assert code == 5 and "made: test" in said
    assert asked == [], "apt is not called when nothing is missing"


def test_a_missing_compiler_is_installed(path):
    command(path / "chromium")
    command(path / "apt-get", APT)
    (path / "cc").unlink()
    assert run(path)[2][-1].endswith("gcc libc6-dev")


def test_a_missing_cluster_is_installed(path):
    command(path / "chromium")
    command(path / "apt-get", APT)
    (path / "sbatch").unlink()
    assert run(path)[2][-1].endswith("slurmctld slurmd slurm-client munge")


def test_a_missing_database_is_installed(path):
    command(path / "chromium")
    command(path / "apt-get", APT)
    (path / "pg_ctlcluster").unlink()
    assert run(path)[2][-1].endswith("postgresql")


def test_a_missing_browser_is_installed(path):
    command(path / "apt-get", APT)
    code, said, asked = run(path)
    assert asked[0].startswith("update") and asked[1].endswith("chromium")
    assert code == 5 and "Installed: chromium" in said and "made: test" in said


def test_another_browser_of_the_kind_will_do(path):
    command(path / "chromium-browser")
    command(path / "apt-get", APT)
    assert run(path)[2] == []


def test_a_machine_without_apt_is_told_what_is_left_out(path):
    code, said, asked = run(path)
    assert code == 5 and asked == [] and "made: test" in said
    assert "Could not install chromium" in said


def test_a_failing_apt_is_told_and_the_tests_run_all_the_same(path):
    command(path / "apt-get", APT)
    code, said, _ = run(path, apt_code=100)
    assert code == 5 and "Could not install chromium" in said and "made: test" in said
