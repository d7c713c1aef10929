import numpy as np
import pytest

from analysis import aggregates, bootstrap


def mean(scores: np.ndarray) -> np.ndarray:
    return np.nanmean(scores, axis=(-2, -1))[..., None]


def scores(seeds: int = 5, games: int = 4) -> np.ndarray:
    return np.random.default_rng(7).gamma(1.0, 0.5, (seeds, games))


def test_an_interval_is_the_same_for_a_seed_and_another_for_another():
    ends = [bootstrap.interval(mean, scores(), bootstrap.generator(s), 500) for s in (3, 3, 4)]
    assert ends[0].tolist() == ends[1].tolist()
    assert ends[0].tolist() != ends[2].tolist()


def test_blocks_do_not_change_the_draws(monkeypatch):
    one = bootstrap.interval(mean, scores(), bootstrap.generator(0), 700)
    monkeypatch.setattr(bootstrap, "BLOCK", 64)
    assert bootstrap.interval(mean, scores(), bootstrap.generator(0), 700).tolist() == one.tolist()


def test_the_global_generator_of_numpy_is_neither_used_nor_touched():
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    one = bootstrap.interval(mean, scores(), bootstrap.generator(0), 100)
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(2)
    assert bootstrap.interval(mean, scores(), bootstrap.generator(0), 100).tolist() == one.tolist()


def test_a_game_is_resampled_from_its_own_seeds_only():
    matrix = np.array([[1.0, 10.0], [2.0, np.nan], [3.0, 30.0]])
    (block,) = bootstrap.resample(matrix, bootstrap.generator(0), 400)
    assert set(np.unique(block[:, :, 0])) == {1.0, 2.0, 3.0}
    assert set(np.unique(block[:, :2, 1])) == {10.0, 30.0}
    assert np.isnan(block[:, 2, 1]).all()


def test_every_seed_is_drawn_equally_often():
    blocks = bootstrap.resample(np.arange(4.0)[:, None], bootstrap.generator(0), 1000)
    block = np.concatenate(list(blocks))
    share = np.bincount(block.astype(int).ravel(), minlength=4) / block.size
    assert np.abs(share - 0.25).max() < 0.03  # Four standard errors of 4,000 draws.


def test_one_seed_gives_no_interval_instead_of_certainty():
    one = bootstrap.interval(mean, scores(seeds=1), bootstrap.generator(0), 50)
    assert np.isnan(one).all()


def test_a_game_without_any_score_is_refused():
    matrix = np.array([[1.0, np.nan], [2.0, np.nan]])
    with pytest.raises(ValueError, match=r"column\(s\) \[1\]"):
        list(bootstrap.resample(matrix, bootstrap.generator(0), 10))


def test_the_mean_of_two_seeds_has_their_range_as_interval():
    ends = bootstrap.mean_interval(np.array([[1.0, 5.0], [3.0, 9.0]]), bootstrap.generator(0), 999)
    assert ends.tolist() == [[1.0, 5.0], [3.0, 9.0]]


def test_a_bin_with_one_seed_has_no_interval():
    values = np.array([[1.0, 5.0], [3.0, np.nan]])
    ends = bootstrap.mean_interval(values, bootstrap.generator(0), 999)
    assert ends[:, 0].tolist() == [1.0, 3.0]
    assert np.isnan(ends[:, 1]).all()


def test_the_interval_of_a_mean_agrees_with_the_normal_one_for_many_seeds():
    values = np.random.default_rng(0).normal(size=(400, 1))
    low, high = bootstrap.mean_interval(values, bootstrap.generator(0), 20_000)[:, 0]
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_both_engines_agree_within_monte_carlo_error():
    matrix, resamples = scores(5, 10), 10_000
    ours = bootstrap.interval(
        aggregates.estimate, matrix, bootstrap.generator(0, "ours"), resamples
    )
    theirs = aggregates.rliable_interval(aggregates.estimate, matrix, [5], resamples)
    draws = np.concatenate(
        [
            aggregates.estimate(block)
            for block in bootstrap.resample(matrix, bootstrap.generator(1), resamples)
        ]
    )
    # A 2.5% quantile of n draws has about the error 2.7 s / sqrt(n); five of them of two engines.
    error = 5 * np.sqrt(2) * 2.7 * draws.std(0) / np.sqrt(resamples)
    assert (np.abs(ours - theirs) < error).all()
    assert (ours[1] - ours[0] > 10 * error).all()  # Else the test above could not fail.
