import numpy as np
import pytest
from rliable import library, metrics

from analysis import aggregates, bootstrap, improvement


def scores(seed: int, seeds: int = 5, games: int = 8, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(1.0, 0.5, (seeds, games)).round(1) + shift


def test_the_probability_is_that_of_a_pencil() -> None:
    first, second = np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([[1.0, 9.0], [0.0, 1.0]])
    # Game one: 1 = 1, 1 > 0, 2 > 1, 2 > 0 are 3.5 of 4; game two: 5 < 9, 5 > 1, twice: 2 of 4.
    assert improvement.probability(first, second) == pytest.approx((3.5 / 4 + 2 / 4) / 2)
    assert improvement.probability(second, first) == pytest.approx(1 - (3.5 / 4 + 2 / 4) / 2)


def test_the_probability_is_that_of_rliable_with_ties_and_other_numbers_of_seeds() -> None:
    first, second = scores(0, seeds=5), scores(1, seeds=3)
    theirs = metrics.probability_of_improvement(first, second)
    assert improvement.probability(first, second) == pytest.approx(theirs, rel=1e-12)


def test_missing_runs_are_left_out_of_their_game() -> None:
    first, second = scores(0, games=2), scores(1, games=2)
    first[4, 0] = second[0, 1] = np.nan
    parts = [
        improvement.probability(first[:4, :1], second[:, :1]),
        improvement.probability(first[:, 1:], second[1:, 1:]),
    ]
    assert improvement.probability(first, second) == pytest.approx(np.mean(parts))
    ends = improvement.interval(first, second, bootstrap.generator(0), 999)
    assert ends[0] < np.mean(parts) < ends[1]


def test_the_interval_agrees_with_rliable_within_monte_carlo_error() -> None:
    first, second, resamples = scores(0, shift=0.1), scores(1), 1_000
    ours = improvement.interval(first, second, bootstrap.generator(0), 20_000)
    with aggregates.global_generator([7]):
        _, theirs = library.get_interval_estimates(
            {"pair": (first, second)}, metrics.probability_of_improvement, reps=resamples
        )
    width = ours[1] - ours[0]
    error = 4 * 2.7 * (width / 3.92) / np.sqrt(resamples)  # As in test_bootstrap.
    assert np.abs(ours - np.ravel(theirs["pair"])).max() < error < 0.3 * width


def test_an_interval_is_the_same_for_a_seed_and_narrows_with_seeds() -> None:
    pairs = [(scores(0, n), scores(1, n)) for n in (5, 5, 50)]
    ends = [improvement.interval(*pair, bootstrap.generator(3), 700) for pair in pairs]
    assert ends[0].tolist() == ends[1].tolist()
    assert np.ptp(ends[2]) < 0.5 * np.ptp(ends[0])


def test_one_seed_of_both_has_no_interval() -> None:
    ends = improvement.interval(scores(0, 1), scores(1, 1), bootstrap.generator(0), 10)
    assert np.isnan(ends).all()
    assert np.isfinite(
        improvement.interval(scores(0, 1), scores(1, 2), bootstrap.generator(0), 10)
    ).all()


def test_a_game_without_scores_of_one_agent_is_refused() -> None:
    first = scores(0)
    first[:, 3] = np.nan
    with pytest.raises(ValueError, match=r"column\(s\) \[3\]"):
        improvement.probability(first, scores(1))
