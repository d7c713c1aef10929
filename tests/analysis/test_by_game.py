"""The table of games, and p values that may be read together."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis import by_game, sides
from analysis.imported.store import Protocol

SCALES = {"pong": (-20.0, 20.0), "breakout": (0.0, 10.0)}
PROTOCOL = Protocol(sticky=0.0, actions="minimal", episodes="training", task=None)


def side(name: str, runs: np.ndarray) -> sides.Side:
    return sides.Side(
        name, "last_point", 400, PROTOCOL, ("pong", "breakout"), runs, runs.mean(0),
        runs.std(0, ddof=1) if len(runs) > 1 else np.full(2, np.nan),
        np.full(2, len(runs)), "made up", (),
    )  # fmt: skip


def runs(seed: int, seeds: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 0.2, (seeds, 2))


def test_a_game_is_compared_as_welch_does() -> None:
    ours, theirs = side("a", runs(0, 4)), side("b", runs(1, 6))
    rows = by_game.rows(ours, theirs, theirs, SCALES)
    for i, row in enumerate(rows):
        wanted = stats.ttest_ind(ours.runs[:, i], theirs.runs[:, i], equal_var=False)
        assert row.standardised == pytest.approx(wanted.statistic)
        assert row.difference == pytest.approx((ours.means - theirs.means)[i])
    least = min(
        stats.ttest_ind(ours.runs[:, i], theirs.runs[:, i], equal_var=False).pvalue
        for i in range(2)
    )
    assert min(row.p for row in rows) == pytest.approx(min(1, 2 * least))


def test_scores_are_told_in_points_with_an_interval_of_students() -> None:
    ours, theirs = side("a", runs(0, 4)), side("b", runs(1, 6))
    row = by_game.rows(ours, theirs, theirs, SCALES)[0]
    points = -20 + 40 * ours.runs[:, 0]
    low, high = stats.t.interval(0.95, 3, points.mean(), stats.sem(points))
    assert (row.ours, row.low, row.high) == pytest.approx((points.mean(), low, high))
    assert row.published == pytest.approx(-20 + 40 * theirs.means[0])
    assert row.spread == pytest.approx(40 * theirs.deviations[0])


def test_one_seed_has_neither_interval_nor_p_value() -> None:
    ours, theirs = side("a", runs(0, 1)), side("b", runs(1, 6))
    row = by_game.rows(ours, theirs, theirs, SCALES)[0]
    assert np.isnan([row.low, row.high, row.p, row.standardised]).all()
    assert np.isfinite([row.ours, row.difference]).all()


def test_a_spread_that_was_taken_from_ours_knows_no_more_than_ours_does() -> None:
    ours, theirs = side("a", runs(0, 4)), side("b", runs(1, 6))
    unknown = replace(theirs, runs=None, deviations=np.full(2, np.nan))
    filled = replace(unknown, deviations=ours.deviations)
    row = by_game.rows(ours, unknown, filled, SCALES)[0]
    single = 2 * stats.t.sf(abs(row.standardised), 3)
    assert row.p in (pytest.approx(single), pytest.approx(min(1, 2 * single)))


def test_runs_that_never_vary_differ_for_certain_or_not_at_all() -> None:
    ours, theirs = side("a", np.array([[1.0, 2.0]] * 3)), side("b", np.array([[1.0, 5.0]] * 3))
    same, other = by_game.rows(ours, theirs, theirs, SCALES)
    assert (same.standardised, same.p) == (0.0, 1.0)
    assert (other.standardised, other.p) == (-np.inf, 0.0)


def test_holms_p_values_are_those_of_a_pencil() -> None:
    found = by_game.holm(np.array([0.03, np.nan, 0.001, 0.04, 0.6]))
    # Four tests: 0.001 x 4, 0.03 x 3, 0.04 x 2 but not below the one before, 0.6 x 1.
    assert found[[2, 0, 3, 4]] == pytest.approx([0.004, 0.09, 0.09, 0.6])
    assert np.isnan(found[1])
    assert np.isnan(by_game.holm(np.array([np.nan]))).all()


def test_games_that_differ_beyond_chance_are_named() -> None:
    first = side("a", runs(1, 5))
    away = side("b", runs(2, 5) + np.array([9.0, *[0.0] * (len(first.games) - 1)]))
    rows = by_game.rows(first, away, away, dict.fromkeys(first.games, (0.0, 1.0)))
    said = f"1 of {len(rows)} games differs beyond chance: {first.games[0]}"
    assert by_game.unlike(rows) == [said]
    same = by_game.rows(first, first, first, dict.fromkeys(first.games, (0.0, 1.0)))
    assert by_game.unlike(same) == []
