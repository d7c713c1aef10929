"""The smoke suite through the real Snakemake: from nothing to a report, however it is stopped."""

import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
ROOMS = ("suites", "agents", "launch", "analysis")
PATIENCE_S = 600
SMALL = ("suite=smoke", "tracking=off")
BROKEN = '''"""An agent that diverges."""
from agents import random
from agents.random import Config
__all__ = ["Agent", "Config"]
class Agent(random.Agent):
    def metrics(self):
        return super().metrics() | {"loss/policy": float("nan")}
'''


class House:
    """A copy of the project, which may be edited, with the environment to run it."""

    def __init__(self, path: Path):
        self.path = path
        for room in ROOMS:
            shutil.copytree(ROOT / room, path / room, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Snakefile", path)
        for profile in ("local", "ci"):
            (path / profile).symlink_to(Path("launch", "profiles", profile))
        self.environment = os.environ | {"PYTHONPATH": str(path)}

    def start(self, *words: str, profile: str = "local") -> subprocess.Popen:
        """Starts Snakemake as a user would."""
        program = Path(sys.executable).with_name("snakemake")
        return subprocess.Popen(
            [program, "--profile", profile, *words],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *words: str, profile: str = "local") -> tuple[int, str]:
        """Calls Snakemake; returns exit code and what it wrote."""
        process = self.start(*words, profile=profile)
        said, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, said

    def made(self) -> dict[str, int]:
        """Returns every file that runs and analysis made, with its time stamp."""
        places = [self.path / "results", self.path / "runs"]
        files = [path for place in places for path in place.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.path)): path.stat().st_mtime_ns for path in files}

    def read(self, name: str) -> dict:
        return json.loads((self.path / name).read_text())

    def report(self) -> str:
        return (self.path / "results/smoke/report.html").read_text()

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Shared, because training takes the time: tests must not change what it holds."""
    return House(tmp_path_factory.mktemp("house"))


@pytest.fixture
def other(tmp_path: Path) -> House:
    """For a test that changes things."""
    return House(tmp_path)


@pytest.fixture(scope="module")
def training(house: House) -> Iterator[Callable[[], subprocess.Popen]]:
    """Starts a sweep of PPO and returns once its runs train."""
    started = []

    def start() -> subprocess.Popen:
        lines = house.path / "runs/smoke/ppo/pong/0/metrics.jsonl"
        before = lines.stat().st_mtime_ns if lines.exists() else 0
        started.append(house.start("--config", "suite=smoke", "agents=ppo", "tracking=off"))
        end = time.monotonic() + PATIENCE_S
        while not (lines.exists() and lines.stat().st_mtime_ns > before):
            assert started[-1].poll() is None, started[-1].communicate()[0]
            assert time.monotonic() < end, "no line of metrics"
            time.sleep(0.1)
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="module")
def finished(house: House, training: Callable[[], subprocess.Popen]) -> tuple[int, str]:
    """Kills a first call, repeats it to its end, and returns its exit code and what it said."""
    training().kill()
    return house.call("--config", "suite=smoke", "agents=random,ppo")


def processor_seconds() -> float:
    """Returns what finished children took; unlike the clock, it does not mind a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["suite=smoek"], "unknown suite 'smoek'; .*did you mean 'smoke'"),
        (
            ["suite=smoke", "agents=random,draemer_ppo"],
            "unknown agent 'draemer_ppo'; .*did you mean 'dreamer_ppo'",
        ),
        (["suite=smoke", "agnets=ppo"], "unknown key 'agnets'; did you mean 'agents'"),
    ],
)
def test_a_typo_gets_one_message_with_the_nearest_match_and_starts_nothing(house, words, said):
    code, text = house.call("--config", *words)
    lines = [line for line in text.splitlines() if not line.startswith("Using profile")]
    assert code != 0
    assert len(lines) == 1, text
    assert lines[0].startswith("reverie: ")
    assert re.search(said, lines[0])
    assert house.made() == {}


def test_a_dry_run_of_57_games_5_agents_and_5_seeds_takes_under_10_seconds(house):
    agents = "random,ppo,dreamer_ppo,dreamer_ppo+aux,dreamer_ppo+ppo"
    spent = []
    while not spent or (min(spent) >= 10 and len(spent) < 3):  # Programs beside it only add to it.
        before = processor_seconds()
        code, said = house.call("-n", "--config", "suite=atari57", f"agents={agents}")
        spent.append(processor_seconds() - before)
        assert code == 0, said
    assert f"train {57 * 5 * 5:10}".split() in [line.split() for line in said.splitlines()]
    assert min(spent) < 10
    assert house.made() == {}


def test_a_second_call_is_refused_and_a_signal_has_the_runs_save_and_leave(house, training):
    main = training()
    code, second = house.call("--config", "suite=smoke", "agents=ppo", "tracking=off")
    main.send_signal(signal.SIGTERM)
    said, _ = main.communicate(timeout=PATIENCE_S)
    assert code != 0
    assert f"process {main.pid} is already working on suite smoke" in second
    assert main.returncode != 0
    assert "stopped by SIGTERM; the same command goes on from here" in said
    attempts = house.read("runs/smoke/ppo/pong/0/provenance.json")["attempts"]
    assert attempts[-1]["reason"] == "stopped"
    assert "results/smoke/ppo/pong/0.json" not in house.made()


def test_the_same_command_goes_on_after_the_main_process_was_killed(house, finished):
    code, said = finished
    assert code == 0, said
    assert "going on from frame" in said
    for agent in ("random", "ppo"):
        for game in ("catch", "pong"):
            receipt = house.read(f"results/smoke/{agent}/{game}/0.json")
            assert receipt["frames"] >= 8192
            assert (house.path / receipt["run"] / "log.txt").read_text()
    assert "ppo" in house.report()


def test_what_the_flow_ran_is_in_mlflow(house, finished):
    with sqlite3.connect(house.path / "mlflow.db") as database:
        status = database.execute("select status from runs").fetchall()
    assert status == [("FINISHED",)] * 4


def test_a_second_call_does_nothing_and_is_over_soon(house, finished):
    before, spent = house.made(), processor_seconds()
    code, said = house.call("--config", "suite=smoke", "agents=random,ppo")
    assert code == 0
    assert "Nothing to be done" in said
    assert processor_seconds() - spent < 15
    assert house.made() == before


def test_edited_code_and_comments_rerun_nothing(house, finished):
    before = house.made()
    for name in (
        "agents/ppo.py",
        "launch/loop.py",
        "analysis/figures.py",
        "launch/rules/train.smk",
    ):
        with (house.path / name).open("a") as file:
            file.write("\n# A comment.\n")
    house.edit("launch/rules/train.smk", "--threads {threads}", "--threads  {threads}")
    house.edit("agents/ppo.yaml", "\n", "\n# A comment.\n")
    code, said = house.call("--config", "suite=smoke", "agents=random,ppo")
    assert code == 0
    assert "Nothing to be done" in said
    assert house.made() == before


def test_a_failing_run_neither_stops_the_others_nor_hides(other):
    (other.path / "agents/broken.py").write_text(BROKEN)
    shutil.copy(other.path / "agents/random.yaml", other.path / "agents/broken.yaml")
    for _ in range(2):  # The second call must not take the partial report for a complete one.
        code, said = other.call("--config", *SMALL, "agents=random,broken", profile="ci")
        assert code != 0
        assert "loss/policy is nan" in said
        assert (
            "broken pong 0  left with exit status 1; see runs/smoke/broken/pong/0/log.txt" in said
        )
        assert len(list((other.path / "results/smoke/random").rglob("0.json"))) == 2
        assert not list((other.path / "results/smoke").glob("broken/*/*.json"))
        report = other.report()
        assert "broken/pong/0" in report
        assert "loss/policy is nan" in report
    code, said = other.call("--config", *SMALL, "agents=random")
    assert code == 0, said
    assert "broken" not in other.report()


def test_results_of_another_configuration_are_listed_and_rerun_only_when_asked(other):
    assert other.call("--config", *SMALL, "agents=random")[0] == 0
    before = other.read("results/smoke/random/pong/0.json")
    other.edit("agents/random.yaml", "size: [64, 64]", "size: [48, 48]")
    code, said = other.call("--config", *SMALL, "agents=random")
    assert code != 0, "there is nothing that could be reported"
    assert "2 stale" in said
    assert "\n  random/pong/0\n" in said
    assert "rerun=stale" in said
    assert other.read("results/smoke/random/pong/0.json") == before
    code, said = other.call("--config", *SMALL, "agents=random", "rerun=stale")
    assert code == 0, said
    assert other.read("results/smoke/random/pong/0.json")["hash"] != before["hash"]
    assert other.read(f"results/smoke/random/pong/0.json.stale-{before['hash']}") == before
    aside = other.path / f"runs/smoke/random/pong/0.stale-{before['hash']}"
    assert (aside / "episodes.jsonl").exists()
