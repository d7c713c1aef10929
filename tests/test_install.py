"""`make install` on machines of every kind, with pretended interpreters; what it installs."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("Makefile", "constraints.txt", "launch/install.sh", "pyproject.toml")
TOOLS = [
    *(
        "sh",
        "cat",
        "cksum",
        "cp",
        "cut",
        "date",
        "dirname",
        "env",
        "find",
        "flock",
        "grep",
        "head",
        "ls",
    ),
    *("make", "mkdir", "mktemp", "mv", "rm", "tail", "touch", "tr", "wc"),
]

# Answers as much of Python's command line as the installer uses, and writes down what pip is asked.
PYTHON = """#!/bin/sh
case "$*" in
*version_info*) echo {version} ;;
*ensurepip*) exit {no_venv} ;;
-V) echo "Python {version}" ;;
"-m venv "*)
    mkdir -p "$3/bin" "$3/lib/python3/site-packages"
    cp "$0" "$3/bin/python"
    cp "$0" "$3/bin/python3" ;;
"-m pip install"*)
    echo "$*" >>pip_calls
    echo "Collecting numpy==1.0"
    if [ -e pip_fails ]; then echo "ERROR: No space left on device"; exit 1; fi
    if [ -e pip_hangs ]; then touch pip_started; exec /bin/sleep 60; fi
    echo "Installing collected packages: numpy, six"
    mkdir -p .venv/lib/python3/site-packages/numpy-1.0.dist-info ;;
*) exit 2 ;;
esac
"""
SHIM = "#!/bin/sh\necho 'pyenv: python3: command not found' >&2\nexit 127\n"


class Machine:
    """A checkout in a folder with a space in its name, and a PATH of its own."""

    def __init__(self, folder: Path):
        self.checkout = folder / "a check out"
        self.tools = folder / "tools"
        self.bin = folder / "bin"
        for made in (self.checkout / "launch", self.tools, self.bin):
            made.mkdir(parents=True)
        for name in FILES:
            shutil.copy(ROOT / name, self.checkout / name)
        for tool in TOOLS:
            if found := shutil.which(tool, path="/usr/bin:/bin"):
                (self.tools / tool).symlink_to(found)
        self.script(self.tools / "sleep", "#!/bin/sh\nexec /bin/sleep 0.02\n")

    def script(self, file: Path, text: str) -> Path:
        file.write_text(text)
        file.chmod(0o755)
        return file

    def python(self, name: str, version: str, venv: bool = True) -> Path:
        text = PYTHON.replace("{version}", version).replace("{no_venv}", str(int(not venv)))
        return self.script(self.bin / name, text)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            words or ("make", "install"),
            cwd=self.checkout,
            env={"PATH": f"{self.bin}:{self.tools}", **env},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def install(self, **env: str) -> tuple[int, str]:
        process = self.start(**env)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def calls(self) -> list[str]:
        file = self.checkout / "pip_calls"
        return file.read_text().splitlines() if file.exists() else []

    def flag(self, name: str) -> Path:
        (self.checkout / name).touch()
        return self.checkout / name

    def kill_while_pip_runs(self, number: int) -> None:
        hangs = self.flag("pip_hangs")
        process = self.start()
        wait_for(self.checkout / "pip_started")
        os.killpg(process.pid, number)
        process.communicate(timeout=60)
        assert process.returncode != 0
        hangs.unlink()

    def installed(self) -> bool:
        venv = self.checkout / ".venv"
        return (venv / "stamp").exists() and not (venv / "unfinished").exists()


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.01)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("version", ["3.11.2", "3.12.4", "3.13.0"])
def test_a_python_that_fits_is_enough(machine, version):
    machine.python("python3", version)
    code, said = machine.install()
    assert (code, machine.installed()) == (0, True), said
    assert f"Creating .venv with Python {version}" in said
    tools, project = machine.calls()
    assert "-c constraints.txt hatchling editables setuptools" in tools
    assert "-c constraints.txt --no-build-isolation -e .[dev]" in project


def test_a_shim_that_exists_but_does_not_run_is_passed_over(machine):
    machine.script(machine.bin / "python3.13", SHIM)
    machine.python("python3.12", "3.12.1")
    code, said = machine.install()
    assert code == 0 and "Python 3.12.1" in said


def test_a_second_python_of_the_same_name_is_tried_too(machine):
    machine.script(machine.bin / "python3", SHIM)
    machine.python("other", "3.11.2").rename(machine.tools / "python3")
    code, said = machine.install()
    assert code == 0 and "Python 3.11.2" in said


def test_the_newest_python_that_fits_is_taken(machine):
    for minor in (14, 13, 11):
        machine.python(f"python3.{minor}", f"3.{minor}.1")
    assert "Creating .venv with Python 3.13.1" in machine.install()[1]


def test_the_python_that_is_asked_for_is_taken(machine):
    machine.python("python3.13", "3.13.1")
    mine = machine.python("mine", "3.11.9")
    assert "Creating .venv with Python 3.11.9" in machine.install(PYTHON=str(mine))[1]


@pytest.mark.parametrize("version", ["2.7.18", "3.10.13", "3.14.0"])
def test_a_python_that_does_not_fit_is_refused_by_name(machine, version):
    python = machine.python("python3", version)
    machine.script(machine.bin / "python3.12", SHIM)
    code, said = machine.install()
    assert code != 0 and machine.calls() == []
    assert "needs Python 3.11, 3.12 or 3.13" in said
    assert f"{python}: {version}" in said and "python3.12: does not run" in said
    assert "PYTHON=/path/to/python make install" in said


def test_no_python_at_all_is_said(machine):
    code, said = machine.install()
    assert code != 0 and "found: none" in said


def test_a_python_without_venv_is_told_how_to_get_it(machine):
    machine.python("python3", "3.12.3", venv=False)
    code, said = machine.install()
    assert code != 0 and "apt-get install python3-venv" in said


def test_an_unchanged_install_does_nothing_and_says_nothing(machine):
    machine.python("python3", "3.12.4")
    machine.install()
    before = machine.calls()
    (machine.checkout / "constraints.txt").touch()  # A new time is not a new content.
    began = time.monotonic()
    code, said = machine.install()
    assert (code, said, machine.calls()) == (0, "", before)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_a_changed_requirement_is_installed_into_the_same_venv(machine, name):
    machine.python("python3", "3.12.4")
    machine.install()
    mine = machine.flag(".venv/mine")
    with (machine.checkout / name).open("a") as file:
        file.write("# more\n")
    code, said = machine.install()
    assert code == 0 and machine.installed() and len(machine.calls()) == 4, said
    assert mine.exists() and "Creating" not in said


def test_a_venv_of_another_python_is_made_anew(machine):
    machine.python("python3", "3.12.4")
    machine.install()
    mine = machine.flag(".venv/mine")
    (machine.checkout / ".venv/bin/python").unlink()
    machine.python("python3", "3.13.0")
    code, said = machine.install()
    assert code == 0 and machine.installed() and not mine.exists(), said


def test_a_folder_that_was_moved_gets_a_new_venv(machine):
    machine.python("python3", "3.12.4")
    machine.install()
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("else where"))
    code, said = machine.install()
    assert code == 0 and "Creating .venv" in said and len(machine.calls()) == 4


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_install_starts_over(machine, number):
    machine.python("python3", "3.12.4")
    machine.kill_while_pip_runs(number)
    assert not machine.installed()
    half = machine.flag(".venv/half")
    code, said = machine.install()
    assert code == 0 and machine.installed() and not half.exists(), said


def test_an_interrupted_update_starts_over_even_when_the_change_is_taken_back(machine):
    machine.python("python3", "3.12.4")
    machine.install()
    file = machine.checkout / "constraints.txt"
    before = file.read_text()
    file.write_text(f"{before}# more\n")
    machine.kill_while_pip_runs(signal.SIGKILL)
    file.write_text(before)
    assert not machine.installed()
    assert "Creating .venv" in machine.install()[1] and machine.installed()


def test_a_failing_pip_is_shown_and_tried_again(machine):
    machine.python("python3", "3.12.4")
    fails = machine.flag("pip_fails")
    code, said = machine.install()
    assert code != 0 and not machine.installed()
    assert "pip failed" in said and "No space left on device" in said and "install.log" in said
    fails.unlink()
    code, said = machine.install()
    assert code == 0 and machine.installed(), said


def test_pip_is_not_heard_when_all_is_well(machine):
    machine.python("python3", "3.12.4")
    said = machine.install()[1]
    assert "Collecting" not in said and "Installing collected" not in said


def test_a_venv_made_by_hand_is_used_when_it_fits(machine):
    machine.python("python3", "3.12.4")
    subprocess.run([machine.bin / "python3", "-m", "venv", machine.checkout / ".venv"], check=True)
    mine = machine.flag(".venv/mine")
    code, said = machine.install()
    assert code == 0 and machine.installed() and mine.exists(), said


def test_a_venv_made_by_hand_is_left_alone_when_it_does_not_fit(machine):
    machine.python("python3", "3.12.4")
    old = machine.python("old", "3.9.1")
    subprocess.run([old, "-m", "venv", machine.checkout / ".venv"], check=True)
    mine = machine.flag(".venv/mine")
    code, said = machine.install()
    assert code != 0 and mine.exists() and "move it away" in said


@pytest.mark.skipif(not shutil.which("flock"), reason="flock is not on this machine")
def test_two_installs_at_once_take_turns(machine):
    machine.python("python3", "3.12.4")
    hangs = machine.flag("pip_hangs")
    first = machine.start()
    wait_for(machine.checkout / "pip_started")
    second = machine.start()
    assert "Waiting for another install" in second.stdout.readline()
    hangs.unlink()
    os.killpg(first.pid, signal.SIGKILL)
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 0 and machine.installed(), said


def copy_project(folder: Path) -> Path:
    plugin = folder / "launch/executor/snakemake_executor_plugin_submitit"
    for name in ("agents", "analysis", "launch", "suites"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    shutil.rmtree(plugin, ignore_errors=True)
    return plugin


def build(folder: Path) -> set[str]:
    """Returns the files of a wheel built from the folder."""
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "made"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (folder / "made").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tops(names: Iterable[str]) -> set[str]:
    return {name.partition("/")[0] for name in names if ".dist-info/" not in name}


def test_a_wheel_holds_the_four_rooms_and_their_data(tmp_path):
    copy_project(tmp_path)
    names = build(tmp_path)
    assert tops(names) == {"agents", "analysis", "launch", "suites"}
    for room in tops(names):
        data = [
            file for file in (ROOT / room).rglob("*") if file.suffix in (".yaml", ".csv", ".py")
        ]
        ours = {file.relative_to(ROOT).as_posix() for file in data}
        assert {name for name in ours if "/executor/" not in name} <= names


def test_a_wheel_holds_the_executor_plugin_as_a_package_of_its_own(tmp_path):
    plugin = copy_project(tmp_path)
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").touch()
    assert "snakemake_executor_plugin_submitit/__init__.py" in build(tmp_path)


def test_an_editable_install_puts_the_plugins_folder_on_the_path():
    from importlib import metadata

    (pth,) = [file for file in metadata.files("reverie-bench") if file.suffix == ".pth"]
    paths = [Path(line).resolve() for line in pth.read_text().splitlines()]
    assert paths == [ROOT, ROOT / "launch" / "executor"]
