"""Verdicts in the report: the word with its reason, what was allowed, and what is no longer so."""

import json
from dataclasses import replace

import pytest

from analysis import comparison, report, verdict_file
from analysis.pairing import Place, Wish
from tests.analysis import sweeps

WISH = Wish(
    agent="ppo", published="ppo@atari100k", against=None, window=None,
    allow=("frames", "window", "noops"), human="standard", margin=0.1, seed=3,
)  # fmt: skip


@pytest.fixture
def judged(sweep, quick):
    """A sweep of ppo, compared with what is published of it."""
    sweep.all(
        "ppo", lambda game, seed: sweeps.level(-20.0 + seed if game == "pong" else 2.0 + seed)
    )
    return sweep


def compare(sweep, **changes):
    found = comparison.main(Place(sweep.suite, sweep.results, sweep.runs), replace(WISH, **changes))
    return found, verdict_file.keep(found, sweep.results)


def verdicts(sweep) -> str:
    path = report.build(sweep.suite, sweep.results, sweep.runs, True, None, sweeps.NOW)
    text = path.read_text()
    return text[text.index('id="verdicts"') :].partition("</section>")[0]


def test_without_a_verdict_the_report_says_how_to_get_one(judged):
    assert "<code>reverie compare</code>" in verdicts(judged)


def test_a_verdict_stands_first_with_reason_opponent_and_what_was_allowed(judged):
    found, _ = compare(judged)
    text = verdicts(judged)
    assert f'<strong class="word">{found.verdict.word}</strong>' in text
    assert "ppo against ppo@atari100k" in text
    assert found.verdict.reason in text
    assert "Unlike, and allowed: frames, noops." in text
    assert " games of " not in text and " game of " not in text
    assert "Seed of the bootstrap" in text and found.ours.window in text


def test_scores_that_have_changed_since_are_said(judged):
    _, path = compare(judged, window=judged.suite.score.window)
    assert "changed since" not in verdicts(judged)
    told = json.loads(path.read_text())
    for row in told["by_game"]:
        row["ours"] += 1
    path.write_text(json.dumps(told))
    assert "2 games changed since" in verdicts(judged)


def test_a_verdict_on_some_of_the_games_says_on_how_many(sweep, quick):
    sweep.all("ppo", lambda game, seed: sweeps.level(2.0 + seed))
    for path in [*sweep.results.rglob("ppo/breakout/*.json")]:
        path.unlink()
    compare(sweep)
    assert "ppo against ppo@atari100k on 1 game of 2" in verdicts(sweep)


def test_a_file_that_is_no_verdict_is_named_and_the_others_stand(judged):
    found, path = compare(judged)
    (path.parent / "half.json").write_text('{"ours": "ppo", "sources": {"ours": "runs"}}')
    (path.parent / "torn.json").write_text("{")
    text = verdicts(judged)
    assert found.verdict.reason in text
    assert "half.json is no verdict that can be read" in text
    assert "torn.json is no verdict that can be read" in text
