"""A sweep on Slurm and a server on PostgreSQL that dies while four jobs log."""

import itertools
import json
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.conftest import ROOT, Site
from tests.cluster.postgres import Team
from tests.launch.run_folders import Shown

pytestmark = pytest.mark.slow

DOWN_S = 60.0
SLOW = '''"""Random play that takes its time over every line of metrics, two minutes in all."""
import time
from agents import random
from agents.random import Config
__all__ = ["Agent", "Config"]
class Agent(random.Agent):
    def metrics(self):
        time.sleep(5.0)
        return super().metrics() | {"train/entropy": time.time()}
'''


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with Team.running() as team:
        yield team


@pytest.fixture
def runs(site: Site) -> list[Path]:
    """Has the suite consist of four slow runs; returns their folders."""
    for room in ("agents", "suites"):
        (site.folder / room).unlink()
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, site.folder / room, ignore=without)
    (site.folder / "agents/slow.py").write_text(SLOW)
    shutil.copy(site.folder / "agents/random.yaml", site.folder / "agents/slow.yaml")
    suite = site.folder / "suites/smoke.yaml"
    text = suite.read_text().replace("frames: 8_192", "frames: 24_000")
    suite.write_text(text.replace("seeds: [0]", "seeds: [0, 1]"))
    place = site.folder / "runs/smoke/slow"
    return [place / game / seed for game in ("catch", "pong") for seed in ("0", "1")]


def lines(run: Path, name: str) -> list[dict]:
    path = run / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def in_files(run: Path) -> list[tuple[str, int, float]]:
    """What MLflow has to show of a run: name, frame, value."""
    found = []
    for line in lines(run, "episodes.jsonl"):
        found += [(f"episode/{key}", line["frame"], line[key]) for key in ("return", "length")]
    for line in lines(run, "metrics.jsonl"):
        found += [(key, line["frame"], value) for key, value in line["metrics"].items()]
        found.append(("time/agent_steps", line["frame"], line["agent_step"]))
    played = itertools.groupby(lines(run, "evaluation.jsonl"), lambda line: line["frame"])
    for frame, group in played:
        found.append(("eval/return", frame, statistics.fmean(line["return"] for line in group)))
    return sorted(found)


def in_mlflow(team: Team, site: Site, names: set[str]) -> dict[str, list[tuple[str, int, float]]]:
    """Returns the points with some names, by the folder of their run."""
    shown = Shown(site.folder, team.uri)
    points = {
        run.data.tags["folder"]: [(m.key, m.step, m.value) for m in shown.metrics(run)]
        for run in shown.runs()
    }
    assert len(points) == len(shown.runs()), "one run for every folder"
    return {folder: sorted(p for p in found if p[0] in names) for folder, found in points.items()}


def test_a_server_that_is_killed_for_a_minute_while_four_jobs_log_lacks_nothing(
    site: Site, team: Team, runs: list[Path], request: pytest.FixtureRequest
) -> None:
    words = ("--profile", "slurm", "--config", "suite=smoke", "agents=slow")
    main = site.start(*words, MLFLOW_TRACKING_URI=team.uri)
    request.addfinalizer(main.kill)
    shown = Shown(site.folder, team.uri)
    slurm.wait(
        lambda: [bool(run.data.metrics) for run in shown.runs()] == [True] * 4,
        "points of four runs in MLflow", 240,
    )  # fmt: skip
    team.kill_server()
    before = [len(lines(run, "metrics.jsonl")) for run in runs]
    time.sleep(DOWN_S)
    after = [len(lines(run, "metrics.jsonl")) for run in runs]
    assert all(map(int.__lt__, before, after)), "runs wait for no server"
    assert main.poll() is None
    team.start_server()
    said, _ = main.communicate(timeout=300)
    assert main.returncode == 0, said
    assert [len(json.loads((run / "provenance.json").read_text())["attempts"]) for run in runs] == [
        1
    ] * 4, "no job failed"
    expected = {str(run.relative_to(site.folder)): in_files(run) for run in runs}
    names = {name for points in expected.values() for name, _, _ in points}
    assert {"episode/return", "train/entropy", "time/agent_steps", "eval/return"} <= names
    assert in_mlflow(team, site, names) == expected
    assert {run.info.status for run in shown.runs()} == {"FINISHED"}
    told = (site.folder / "runs/smoke/mlflow.log").read_text().splitlines()
    assert len(told) == 2, "once when it goes, once when it is back"
    assert "cannot be used" in told[0] and "can be used again" in told[1]
    assert not list(site.folder.rglob("runs/smoke/slow/**/mlflow.log")), "one process writes"
