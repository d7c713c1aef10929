"""The one word, and how many seeds it needs."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis import decision

SURE = 1e9  # Degrees of freedom: the normal distribution.


def difference(estimate: float, error: float, seeds: int = 5) -> decision.Difference:
    return decision.Difference(estimate, error**2 / 2, error**2 / 2, SURE, seeds)


@pytest.mark.parametrize(
    ("estimate", "error", "word"),
    [
        (0.0, 0.06, "reproduced"),  # 1.645 x 0.06 = 0.0987 is within 0.1,
        (0.0, 0.062, "inconclusive"),  # 1.645 x 0.062 = 0.102 is not.
        (-0.05, 0.03, "reproduced"),
        (-0.05, 0.031, "inconclusive"),
        (-0.30, 0.10, "not reproduced"),  # -0.3 + 1.96 x 0.1 = -0.104.
        (-0.30, 0.11, "inconclusive"),
        (0.30, 0.10, "better"),
        (0.30, 0.11, "inconclusive"),
        (-0.08, 0.01, "reproduced"),  # Worse beyond doubt, by less than matters.
    ],
)
def test_the_word_is_that_of_the_interval_against_the_margin(estimate, error, word) -> None:
    assert decision.decide(difference(estimate, error), 0.1).word == word


@pytest.mark.parametrize("error", [0.02, 0.05, 0.2])
def test_a_difference_at_the_margin_is_called_reproduced_one_time_in_twenty_at_most(error) -> None:
    draws = np.random.default_rng(0).normal(-0.1, error, 1_000)
    words = [decision.decide(difference(float(x), error), 0.1).word for x in draws]
    assert words.count("reproduced") / len(words) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1_000)
    assert words.count("not reproduced") / len(words) <= 0.025 + 3 * math.sqrt(0.025 / 1_000)
    assert "better" not in words or error > 0.1


def test_one_seed_is_inconclusive_and_says_so() -> None:
    ours = decision.decide(decision.Difference(0.0, math.nan, 0.1, 0.0, 1), 0.1)
    assert (ours.word, ours.needed) == ("inconclusive", 1)
    assert ours.reason.endswith("one seed of ours")
    theirs = decision.decide(decision.Difference(0.0, 0.1, math.nan, 0.0, 5), 0.1)
    assert (theirs.word, theirs.needed) == ("inconclusive", None)
    assert theirs.reason.endswith("one seed of theirs")


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        (-0.25, "reaches across -0.1: worse, but by how much is open"),
        (0.25, "reaches across 0.1: better, but by how much is open"),
        (0.0, "reaches across -0.1 to 0.1"),
        (-0.12, "reaches across -0.1"),
    ],
)
def test_an_open_question_says_what_is_open(estimate: float, said: str) -> None:
    reason = decision.decide(difference(estimate, 0.1), 0.1).reason
    assert reason.endswith(said)


def test_the_seeds_that_are_needed_would_do_and_one_fewer_would_not() -> None:
    now = replace(difference(0.02, 0.08), theirs=0.0006)
    more = decision.decide(now, 0.1).needed
    assert more is not None and more > 0
    assert decision.chance(now, 0.1, now.seeds + more) >= decision.POWER
    assert decision.chance(now, 0.1, now.seeds + more - 1) < decision.POWER


def test_the_chance_is_the_share_of_such_studies_that_reach_a_verdict() -> None:
    rng, now = np.random.default_rng(1), difference(-0.03, 0.06)
    seeds, reach = 12, stats.norm.ppf(0.95)
    error = math.sqrt(now.ours * 5 / seeds + now.theirs)
    draws = rng.normal(now.estimate, error, 20_000)
    share = np.mean((draws - reach * error > -0.1) & (draws + reach * error < 0.1))
    assert decision.chance(now, 0.1, seeds) == pytest.approx(share, abs=0.015)


def test_no_number_of_seeds_is_promised_where_theirs_are_too_uncertain() -> None:
    now = replace(difference(0.0, 0.2), ours=0.0001)
    assert decision.decide(now, 0.1).needed is None
    assert decision.enough(now, 0.1, 0.8) is None
    assert decision.enough(now, 1.0, 0.8) == 2
