import math

import pytest

from analysis import cells, evidence, scores, tables
from tests.analysis import sweeps


def per_game(sweep, *agents):
    found = scores.table(cells.expected(sweep.suite, agents), sweep.results, sweep.runs)
    scale = evidence.scales(sweep.suite)
    return tables.per_game("little", found, scale, sweep.suite.games, 0)


def test_a_games_row_has_its_scale_the_mean_its_interval_and_the_seeds(whole):
    row = per_game(whole, "ppo", "random").iloc[0]
    assert (row["game"], row["agent"], row["window"]) == ("pong", "ppo", "last_of_4_bins")
    assert (row["random"], row["human"]) == (-20.7, 14.6)
    assert (row["score"], row["low"], row["high"]) == (10.5, 10.0, 11.0)
    assert (row["seeds"], row["runs"], row["episodes"]) == (2, 2, 52)
    assert (row["evaluation"], row["evaluation_episodes"], row["policy"]) == (10.5, 4, "sampled")


def test_games_keep_the_order_of_the_suite(whole):
    assert list(dict.fromkeys(per_game(whole, "ppo")["game"])) == ["pong", "breakout"]


def test_one_seed_in_a_game_has_no_interval(sweep):
    sweep.finished("ppo", "pong", 0, sweeps.level(3))
    found = scores.table([cells.Cell("little", "ppo", "pong", 0)], sweep.results, sweep.runs)
    row = tables.per_game("little", found, evidence.scales(sweep.suite), ["pong"], 0).iloc[0]
    assert row["score"] == 3.0
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42054.7, "42,055"), (1000.0, "1,000"), (307.34, "307.3"), (-20.71, "−20.7"),
        (1.704, "1.70"), (-0.001, "0.00"), (0.0, "0.00"), (None, "–"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_a_number_has_the_digits_that_mean_something(value, text):
    assert tables.number(value) == text


def test_an_interval_has_the_digits_of_its_estimate():
    assert tables.number(9.96, like=10.5) == "10.0"


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ((1.25, 0.3), 2),
        ((12.0,), 2),
        ((0.05, 0.01), 3),
        ((0.0121, -0.0068), 3),
        ((-0.0053, None, math.nan), 4),
        ((0.0,), 2),
        ((1e-15,), 6),
        ((), 2),
    ],
)
def test_normalised_scores_have_two_digits_of_the_largest(values, places):
    assert tables.places(values) == places


def test_a_normalised_score_has_a_minus_and_no_minus_zero():
    written = [tables.normalised(each) for each in (-0.004, -0.125, None, math.nan)]
    assert written == ["0.00", "−0.12", "–", "–"]
    assert tables.normalised(0.0121, 3) == "0.012"
