"""Sweeps that many tests of the analysis start from."""

from pathlib import Path

import pytest

from analysis import aggregates, pipeline, report
from tests.analysis import sweeps


@pytest.fixture
def sweep(tmp_path) -> sweeps.Sweep:
    """A suite of two games and two seeds; nothing was run yet."""
    return sweeps.Sweep(tmp_path, sweeps.suite(tmp_path / "suites"))


def points(agent: str):
    """Scores that are easy to reckon with: ppo is 10 in pong with seed 0, 11 with seed 1."""
    base = {"random": 0, "ppo": 10, "dreamer_ppo": 20}[agent]
    return lambda game, seed: sweeps.level(base + (100 if game == "breakout" else 0) + seed)


def finish(sweep: sweeps.Sweep) -> sweeps.Sweep:
    """Finishes every run of random and ppo."""
    for agent in ("random", "ppo"):
        sweep.all(agent, points(agent))
    return sweep


def begin(sweep: sweeps.Sweep) -> sweeps.Sweep:
    """Adds runs of dreamer_ppo that failed, go on, were killed, or never began."""
    returns = points("dreamer_ppo")
    sweep.failed("dreamer_ppo", "pong", 0, returns("pong", 0), 20_000)
    sweep.running("dreamer_ppo", "pong", 1, returns("pong", 1), 24_000)
    sweep.killed("dreamer_ppo", "breakout", 0, returns("breakout", 0), 8_000)
    return sweep


@pytest.fixture
def whole(sweep) -> sweeps.Sweep:
    """All runs of random and ppo."""
    return finish(sweep)


@pytest.fixture
def partial(whole) -> sweeps.Sweep:
    """The same, and some of dreamer_ppo's."""
    return begin(whole)


@pytest.fixture(scope="session")
def report_of_all(tmp_path_factory) -> Path:
    """The report of all runs of random and ppo; made once, with the resamples of a real one."""
    root = tmp_path_factory.mktemp("all")
    sweep = finish(sweeps.Sweep(root, sweeps.suite(root / "suites")))
    return report.build(sweep.suite, sweep.results, sweep.runs, False, None, sweeps.NOW)


@pytest.fixture(scope="session")
def report_of_some(tmp_path_factory) -> Path:
    """The partial report, with some runs of dreamer_ppo."""
    root = tmp_path_factory.mktemp("some")
    sweep = begin(finish(sweeps.Sweep(root, sweeps.suite(root / "suites"))))
    return report.build(sweep.suite, sweep.results, sweep.runs, True, None, sweeps.NOW)


@pytest.fixture
def quick(monkeypatch) -> None:
    """Fewer resamples and no figure files, for tests of neither."""
    monkeypatch.setattr(aggregates, "RESAMPLES", 100)
    monkeypatch.setattr(aggregates, "PROFILE_RESAMPLES", 100)
    monkeypatch.setattr(pipeline, "figures", lambda suite, results: [])
