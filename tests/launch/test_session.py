"""What an attempt at a run counts as its own."""

import json
from pathlib import Path

import pytest

from launch import config, plan, session
from launch import run as running


def test_the_seconds_of_a_receipt_include_every_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(self: session.Session, frame: int) -> float:
        self.loop.clock -= 1000.0  # As if it had taken that long.
        return 0.0

    monkeypatch.setattr(session.Session, "evaluate", evaluate)
    monkeypatch.setattr(session.Stopper, "listen", lambda self: None)  # Signals are the test's.
    suite = plan.load("smoke")
    run = config.resolve(suite, "random", "catch", 0, frames=2_000)
    out = tmp_path / "run"
    options = session.Options(tmp_path, out, 1, 0, "cpu", checkpoint_every_s=60.0)
    assert running.main(run, suite, options) == running.FINISHED
    assert json.loads((out / "receipt.json").read_text())["seconds"] > 1000 * len(run.evaluation.at)
