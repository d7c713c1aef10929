import numpy as np
import pandas as pd
import pytest

from analysis import aggregates, bootstrap, efficiency

SCALES = {"pong": (0.0, 10.0), "breakout": (0.0, 100.0), "air_raid": (None, None)}


def cube(seeds: int = 5, games: int = 4, bins: int = 6) -> np.ndarray:
    return np.random.default_rng(0).gamma(1.0, 1.0, (seeds, games, bins))


def rows(agent: str, game: str, seed: int, values: dict[int, float]) -> pd.DataFrame:
    told = {"agent": agent, "game": game, "seed": seed, "bin": list(values)}
    return pd.DataFrame(told | {"return": list(values.values())})


def test_the_iqm_of_each_bin_is_that_of_the_aggregates():
    found = cube()
    wanted = [aggregates.estimate(found[..., b])[2] for b in range(6)]
    assert efficiency.iqm(found) == pytest.approx(wanted, rel=1e-12)


def test_a_bin_has_the_runs_that_are_there_and_is_empty_without_any():
    found = cube()
    found[3:, 1, 0] = np.nan
    found[..., 5] = np.nan
    there = np.sort(found[..., 0][np.isfinite(found[..., 0])])
    assert len(there) == 18
    assert efficiency.iqm(found)[0] == pytest.approx(there[4:14].mean())
    assert np.isnan(efficiency.iqm(found)[5])


def test_curves_are_normalised_over_the_games_that_every_agent_has():
    table = pd.concat([
        rows("a", "pong", 3, {0: 5, 1: 10}), rows("a", "breakout", 0, {1: 50}),
        rows("a", "air_raid", 0, {0: 1}), rows("b", "pong", 0, {0: 20}),
    ])  # fmt: skip
    found, games = efficiency.cubes(table, SCALES, 2)
    assert games == ["pong"]
    assert {name: each.tolist() for name, each in found.items()} == {
        "a": [[[0.5, 1.0]]], "b": [[[2.0, pytest.approx(np.nan, nan_ok=True)]]],
    }  # fmt: skip


def test_a_curve_begins_where_every_game_has_a_run_and_areas_share_their_bins():
    late, early = cube(), cube() + 1
    late[:, 2, :2] = np.nan
    found = efficiency.of({"late": late, "early": early}, 600, "suite", 0)
    assert np.isnan(found[0].iqm[:2]).all() and np.isfinite(found[0].iqm[2:]).all()
    assert np.isfinite(found[1].iqm).all()
    assert [one.within for one in found] == [(200, 600), (200, 600)]
    assert found[1].area == pytest.approx(efficiency.iqm(early)[2:].mean())


def test_seeds_are_drawn_whole_so_that_bins_of_a_run_move_together():
    flat = np.repeat(cube(bins=1), 6, axis=-1)
    draws = efficiency.resampled(flat, np.full(4, 5), bootstrap.generator(0), 50)
    assert np.ptp(draws, axis=1).max() < 1e-12
    assert np.ptp(draws[:, 0]) > 0.01


def test_the_band_is_the_bootstrap_of_the_aggregates_within_monte_carlo_error():
    scores = cube(bins=1)
    (one,) = efficiency.of({"a": scores}, 100, "suite", 0)
    theirs = bootstrap.interval(
        aggregates.estimate, scores[..., 0], bootstrap.generator(1), 20_000
    )[:, 2]
    width = theirs[1] - theirs[0]
    assert np.abs(np.array([one.low[0], one.high[0]]) - theirs).max() < 0.06 * width
    assert one.ends == pytest.approx((one.low[0], one.high[0]))


def test_one_seed_has_an_area_and_no_band():
    (one,) = efficiency.of({"a": cube(seeds=1)}, 600, "suite", 0)
    assert np.isfinite(one.area)
    assert np.isnan([*one.ends, *one.low, *one.high]).all()


def test_a_curve_is_the_same_again_whoever_else_is_there():
    alone = efficiency.of({"a": cube()}, 600, "suite", 0)[0]
    beside = efficiency.of({"b": cube() + 1, "a": cube()}, 600, "suite", 0)[1]
    other = efficiency.of({"a": cube()}, 600, "suite", 1)[0]
    assert alone.low.tolist() == beside.low.tolist() != other.low.tolist()
