"""The one word, and how many seeds it needs."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis import decision

GAMES = 100  # Of equal shares: as good as the normal distribution.


def difference(estimate: float, error: float, seeds: int = 5, games: int = GAMES):
    shares, counts = np.full(games, error**2 / 2 / games), np.full(games, seeds)
    return decision.Difference(estimate, shares, shares, counts, counts, np.zeros(games, bool))


def of_two(ours: list[float], seeds: list[int], theirs: float = 0.0, estimate: float = 0.0):
    """Two games, and what each adds to our variance; theirs are 5 seeds of both."""
    return decision.Difference(
        estimate, np.array(ours), np.full(2, theirs / 2), np.array(seeds), np.full(2, 5),
        np.zeros(2, bool),
    )  # fmt: skip


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
    ours = decision.decide(of_two([math.nan] * 2, [1, 1], 0.1), 0.1)
    assert (ours.word, ours.needed) == ("inconclusive", 1)
    assert ours.reason.endswith("one seed of ours")
    theirs = decision.decide(of_two([0.1, 0.1], [5, 5], math.nan), 0.1)
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


@pytest.mark.parametrize(("estimate", "word"), [(-0.05, "worse"), (0.05, "better")])
def test_what_is_reproduced_and_yet_differs_beyond_doubt_says_so(
    estimate: float, word: str
) -> None:
    found = decision.decide(difference(estimate, 0.02), 0.1)
    assert found.word == "reproduced"
    assert found.reason.endswith(f"; {word} beyond doubt, by less than that")
    assert "doubt" not in decision.decide(difference(0.0, 0.02), 0.1).reason


def test_the_seeds_that_are_needed_would_do_and_one_fewer_would_not() -> None:
    now = replace(difference(0.02, 0.08), theirs=np.full(GAMES, 0.0006 / GAMES))
    found = decision.decide(now, 0.1)
    more = found.needed
    assert more is not None and more > 0
    assert found.remedy == f"needs about {more} more seeds"
    assert decision.chance(now, 0.1, now.seeds + more) >= decision.POWER
    assert decision.chance(now, 0.1, now.seeds + more - 1) < decision.POWER


def test_a_game_with_many_seeds_gains_less_of_one_more_than_a_game_with_few() -> None:
    few, many = of_two([0.01, 0.0], [3, 30]), of_two([0.0, 0.01], [3, 30])
    for now, first, then in ((few, 3, 6), (many, 30, 33)):
        error, freedom = now.at(now.seeds + 3)
        assert error == pytest.approx(0.1 * math.sqrt(first / then))
        assert freedom == pytest.approx(then - 1)
    more = [decision.decide(each, 0.1).needed for each in (few, many)]
    assert more[0] is not None and more[1] is not None
    assert more[1] > 5 * more[0]
    assert decision.decide(many, 0.1).remedy == f"needs about {more[1]} more seeds in every game"


def test_more_seeds_of_ours_shrink_our_part_of_the_variance_only() -> None:
    now = of_two([0.01, 0.01], [5, 5], theirs=0.02)
    error, freedom = now.at(np.full(2, np.inf))
    assert error == pytest.approx(math.sqrt(0.02))
    assert freedom == pytest.approx(2 * 4)


def test_a_deviation_that_was_taken_from_ours_counts_once() -> None:
    now = replace(of_two([0.01, 0.01], [5, 5], theirs=0.02), taken=np.ones(2, bool))
    error, freedom = now.at(now.seeds)
    assert error == pytest.approx(0.2)
    assert freedom == pytest.approx(2 * 4)  # And 16 of two sides that know by themselves.
    assert replace(now, taken=np.zeros(2, bool)).at(now.seeds)[1] == pytest.approx(16)


def test_the_chance_is_the_share_of_such_studies_that_reach_a_verdict() -> None:
    rng, now = np.random.default_rng(1), difference(-0.03, 0.06)
    seeds, reach = 12, stats.norm.ppf(0.95)
    error = math.sqrt(now.ours.sum() * 5 / seeds + now.theirs.sum())
    draws = rng.normal(now.estimate, error, 20_000)
    share = np.mean((draws - reach * error > -0.1) & (draws + reach * error < 0.1))
    found = decision.chance(now, 0.1, np.full(GAMES, seeds))
    assert found == pytest.approx(share, abs=0.015)


def test_no_number_of_seeds_is_promised_where_theirs_are_too_uncertain() -> None:
    now = replace(difference(0.0, 0.2), ours=np.full(GAMES, 0.0001 / GAMES))
    found = decision.decide(now, 0.1)
    assert found.needed is None
    assert (
        found.remedy
        == "no number of our seeds would tell: theirs alone leave -+0.278 around " + ("+0.000")
    )
    assert decision.enough(now, 0.1, 0.8) is None
    assert decision.enough(now, 1.0, 0.8) == 2
