"""Intervals that hold with few seeds."""

import numpy as np
import pytest
from scipy import stats

from analysis import aggregates, bootstrap, spread

GAMES = 12
TRUTH = np.linspace(-0.1, 2.0, GAMES)
DEVIATIONS = np.linspace(0.05, 0.8, GAMES)


def runs(rng: np.random.Generator, seeds: int) -> np.ndarray:
    return TRUTH + DEVIATIONS * rng.standard_normal((seeds, GAMES))


def mean(scores: np.ndarray) -> np.ndarray:
    return np.nanmean(scores, (-2, -1))[..., None]


def mean_of_means(means: np.ndarray) -> np.ndarray:
    return means.mean(-1)[..., None]


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    scores = runs(np.random.default_rng(0), 4)
    found = spread.of_runs(mean, scores, np.random.default_rng(1), 20_000)
    parts = scores.var(0, ddof=1) / 4 / GAMES**2
    freedom = parts.sum() ** 2 / (parts**2 / 3).sum()
    assert found.freedom[0] == pytest.approx(freedom)
    assert found.variance[0] == pytest.approx(parts.sum(), rel=0.05)
    half = stats.t.ppf(0.975, freedom) * found.error[0]
    assert found.interval()[:, 0] == pytest.approx([scores.mean() - half, scores.mean() + half])


def test_a_table_of_means_and_deviations_gives_what_its_runs_give() -> None:
    scores = runs(np.random.default_rng(0), 4)
    whole = spread.of_runs(mean, scores, np.random.default_rng(1), 20_000)
    table = spread.of_means(
        mean_of_means, scores.mean(0), scores.std(0, ddof=1), np.full(GAMES, 4),
        np.random.default_rng(2), 20_000,
    )  # fmt: skip
    assert table.estimate == pytest.approx(whole.estimate)
    assert table.freedom == pytest.approx(whole.freedom)
    assert table.variance == pytest.approx(whole.variance, rel=0.05)


def test_intervals_hold_the_truth_as_often_as_they_say_and_percentiles_do_not() -> None:
    rng, hits, plain = np.random.default_rng(5), [], []
    for _ in range(300):
        scores = runs(rng, 3)
        low, high = spread.of_runs(mean, scores, rng, 400).interval()[:, 0]
        hits.append(low <= TRUTH.mean() <= high)
        low, high = bootstrap.interval(mean, scores, rng, 400)[:, 0]
        plain.append(low <= TRUTH.mean() <= high)
    assert 0.92 <= np.mean(hits) <= 0.98
    assert np.mean(plain) < 0.90


def test_a_difference_adds_variances_and_is_surer_than_its_worse_half() -> None:
    rng = np.random.default_rng(0)
    first = spread.of_runs(aggregates.estimate, runs(rng, 3), rng)
    second = spread.of_runs(aggregates.estimate, runs(rng, 10), rng)
    found = spread.difference(first, second)
    assert found.variance == pytest.approx(first.variance + second.variance)
    assert (found.freedom > first.freedom).all()
    assert (found.freedom < first.freedom + second.freedom + 1e-9).all()
    assert spread.difference(second, first).estimate == pytest.approx(-found.estimate)


def test_one_seed_everywhere_has_no_interval_and_spoils_a_difference() -> None:
    rng = np.random.default_rng(0)
    alone = spread.of_runs(aggregates.estimate, runs(rng, 1), rng)
    assert np.isfinite(alone.estimate).all()
    assert np.isnan(alone.interval()).all()
    both = spread.difference(alone, spread.of_runs(aggregates.estimate, runs(rng, 5), rng))
    assert np.isnan(both.interval()).all()


def test_a_game_of_one_seed_is_as_uncertain_as_its_peers_make_it() -> None:
    rng = np.random.default_rng(3)
    scores = runs(rng, 5)
    scores[1:, -1] = np.nan
    part = spread.of_runs(mean_over_games, scores, np.random.default_rng(0), 20_000)
    variances = scores[:, :-1].var(0, ddof=1)
    wanted = (variances.sum() / 5 + variances.mean()) / GAMES**2
    assert part.variance[0] == pytest.approx(wanted, rel=0.1)


def test_a_metric_of_games_with_one_seed_only_is_not_certain() -> None:
    rng = np.random.default_rng(3)
    scores = np.array([0.0, 10.0, 11.0, 50.0]) + 0.3 * rng.standard_normal((5, 4))
    scores[1:, 1:3] = np.nan  # The median is theirs.
    found = spread.of_runs(aggregates.estimate, scores, rng)
    peers = scores[:, [0, 3]].var(0, ddof=1).mean()
    assert found.variance[0] == pytest.approx(2 * peers / 4, rel=0.01)


def mean_over_games(scores: np.ndarray) -> np.ndarray:
    return np.nanmean(scores, -2).mean(-1)[..., None]


def test_runs_that_are_all_the_same_are_certain() -> None:
    found = spread.of_runs(mean, np.ones((3, 4)), np.random.default_rng(0), 50)
    assert found.interval()[:, 0].tolist() == [1.0, 1.0]


def test_a_seed_gives_the_same_digits() -> None:
    scores = runs(np.random.default_rng(0), 3)
    one, other = (spread.of_runs(mean, scores, np.random.default_rng(9)) for _ in range(2))
    assert one.interval().tolist() == other.interval().tolist()


def part(deviation: float, seeds: int) -> spread.Spread:
    """The spread of a mean over games that all vary alike."""
    share = deviation**2 / seeds / GAMES**2
    return spread.Spread(np.zeros(1), np.full((GAMES, 1), share), np.full(GAMES, seeds))


def test_with_unequal_seeds_the_larger_of_welchs_and_the_pooled_variance_is_taken() -> None:
    few, many = part(0.1, 5), part(0.4, 10)  # The side with few seeds varies less than it may.
    wide = spread.difference(*spread.cautious(many, few)).variance[0]
    pooled = (4 * 0.1**2 + 9 * 0.4**2) / 13
    assert wide == pytest.approx(pooled * (1 / 5 + 1 / 10) / GAMES)
    assert wide > spread.difference(many, few).variance[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (part(0.1, 5), part(0.4, 5)),  # The same number: both are one.
        (part(0.4, 5), part(0.1, 10)),  # Welch's is the larger.
        (part(0.1, 1), part(0.4, 10)),  # One seed has no variance of its own.
    ],
)
def test_otherwise_it_stays_welchs(first: spread.Spread, second: spread.Spread) -> None:
    assert spread.cautious(first, second)[0].variance == pytest.approx(first.variance)
    assert spread.cautious(first, second)[1].variance == pytest.approx(second.variance)


def test_games_with_unequal_seeds_stay_welchs() -> None:
    mixed = spread.Spread(np.zeros(1), np.full((GAMES, 1), 0.1), np.resize([2, 5], GAMES))
    assert spread.cautious(mixed, part(0.4, 10))[0] is mixed
