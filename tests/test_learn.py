"""`make learn`: what it asks for, and that the blocks which it rests on are there."""

import shlex
from pathlib import Path

import pytest

import agents
import suites
from launch import plan

ROOT = Path(__file__).parents[1]
DREAMERS = ("dreamerv1", "dreamerv2", "dreamerv3")


def recipe(target: str) -> list[str]:
    """Returns the words of a one-line recipe."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(f"{target}:"))
    return shlex.split(lines[at + 1].strip().removeprefix("@"))


def test_make_learn_is_nine_runs_of_three_dreamers(tmp_path):
    words = recipe("learn")
    assert Path(words[0]).name == "snakemake"
    asked = dict(word.split("=") for word in words[words.index("--config") + 1 :])
    order = plan.order(asked)
    runs = plan.survey(plan.load(order.suite), order.agents, tmp_path)
    assert order.agents == DREAMERS
    assert {run.name for run in runs} == {f"{a}/catch/{s}" for a in DREAMERS for s in range(3)}
    assert {run.state for run in runs} == {"missing"}


@pytest.mark.parametrize("name", DREAMERS)
def test_every_dreamer_sees_catch_in_colour_and_at_64_by_64(name):
    view = agents.configure(name, "learn", (), {}).view
    assert (view.size, view.color, view.resize, view.stack) == ((64, 64), "rgb", "bilinear", 1)


@pytest.mark.parametrize("name", ["dreamerv1", "dreamerv2"])
def test_windows_of_episodes_fit_into_a_ball_and_reach_its_reward(name):
    training = agents.configure(name, "learn", (), {}).training
    ball = 9  # Agent steps; the first row comes before them.
    assert training.shortest <= ball
    assert training.length <= ball + 1
    assert training.starts == "ends_weighted"


def test_updates_of_each_dreamer_fit_into_minutes_on_a_core():
    suite = suites.load("learn")
    steps = suite.frames // suite.task.frame_skip
    for name in DREAMERS:
        training = agents.configure(name, "learn", (), {}).training
        rows = training.batch * training.length
        share = training.ratio / rows if name == "dreamerv3" else training.updates / training.every
        assert 1_000 <= steps * share * 1.1 <= 6_000
