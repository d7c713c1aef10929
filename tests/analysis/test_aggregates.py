import numpy as np
import pandas as pd
import pytest
from rliable import metrics

from analysis import aggregates

SCALES = {"pong": (0.0, 10.0), "breakout": (10.0, 20.0), "catch": (None, None)}


def frame(cells: dict[tuple[str, str, int], float]) -> pd.DataFrame:
    rows = [(*cell, score, "last_of_4_bins") for cell, score in cells.items()]
    return pd.DataFrame(rows, columns=["agent", "game", "seed", "score", "window"])


def square() -> dict[tuple[str, str, int], float]:
    """Normalised: pong 0, 0.5, 1 and breakout 0.5, 2, 3.5."""
    pong = {("ppo", "pong", seed): 5.0 * seed for seed in range(3)}
    return pong | {("ppo", "breakout", seed): 15.0 + 15 * seed for seed in range(3)}


def values(table: pd.DataFrame, column: str = "estimate") -> dict[str, float]:
    return dict(zip(table["metric"], table[column], strict=True))


def test_aggregates_are_those_of_a_pencil():
    table = aggregates.table("s", frame(square()), SCALES, seed=0, resamples=100)
    # Means of games 0.5 and 2; sorted runs 0 | .5 .5 1 2 | 3.5, one cut at each end; capped sum
    # 0 + .5 + 1 + .5 + 1 + 1 = 4 of 6.
    assert values(table) == pytest.approx(
        {"median": 1.25, "mean": 1.25, "iqm": 1.0, "optimality_gap": 1 / 3}
    )
    assert set(table["seeds"]) == {"3"}
    assert set(table["games"]) == {2}


def test_scores_are_normalised_without_clipping():
    table = aggregates.normalise(frame({("a", "pong", 0): -5.0, ("a", "pong", 1): 30.0}), SCALES)
    assert table["normalised"].tolist() == [-0.5, 3.0]


def test_a_game_without_a_human_score_is_left_out():
    with_catch = frame(square() | {("ppo", "catch", seed): 99.0 for seed in range(3)})
    one = aggregates.table("s", with_catch, SCALES, 0, 100)
    assert one.equals(aggregates.table("s", frame(square()), SCALES, 0, 100))


def test_estimates_are_those_of_rliable():
    scores = np.random.default_rng(0).gamma(1.0, 0.7, (5, 7))
    theirs = [
        metrics.aggregate_median(scores),
        metrics.aggregate_mean(scores),
        metrics.aggregate_iqm(scores),
        metrics.aggregate_optimality_gap(scores),
    ]
    assert aggregates.estimate(scores).tolist() == pytest.approx(theirs, rel=1e-12)


def test_a_seed_gives_the_same_digits_whatever_the_global_generator_does():
    tables = []
    for state in (1, 2):
        np.random.seed(state)
        tables.append(aggregates.table("s", frame(square()), SCALES, 0, 300))
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(aggregates.table("s", frame(square()), SCALES, 1, 300))


def test_the_global_generator_is_put_back_after_rliable_drew_from_it():
    np.random.seed(5)
    expected = np.random.RandomState(5).rand(3).tolist()
    table = aggregates.table("s", frame(square()), SCALES, 0, 50, engine="rliable")
    assert set(table["engine"]) == {"rliable"}
    assert np.random.rand(3).tolist() == expected


def test_the_global_generator_is_put_back_after_an_error():
    np.random.seed(5)
    with pytest.raises(ZeroDivisionError), aggregates.global_generator([1]):
        1 / 0  # noqa: B018
    assert np.random.rand() == np.random.RandomState(5).rand()


def test_nan_is_refused_before_rliable_passes_it_on():
    with pytest.raises(ValueError, match="1 of 4 scores are NaN"):
        aggregates.rliable_interval(
            aggregates.estimate, np.array([[0.0, 1.0], [np.nan, 2.0]]), [0], 10
        )


def test_an_empty_window_is_left_out_and_counted():
    cells = square() | {("ppo", "breakout", 2): np.nan}
    table = aggregates.table("s", frame(cells), SCALES, 0, 200)
    assert set(table["engine"]) == {"bootstrap"}
    assert set(table["seeds"]) == {"2-3"}
    assert set(table["runs"]) == {5}
    assert values(table)["mean"] == pytest.approx((0.5 + 1.25) / 2)
    assert np.isfinite(table[["estimate", "low", "high"]].to_numpy()).all()


def test_the_order_of_rows_changes_nothing():
    cells = square() | {("dreamer", game, seed): value + 1 for (_, game, seed), value in
                        square().items()}  # fmt: skip
    table = frame(cells)
    mixed = table.sample(frac=1, random_state=3)
    assert aggregates.table("s", mixed, SCALES, 0, 200).equals(
        aggregates.table("s", table, SCALES, 0, 200)
    )


def test_another_agent_beside_it_does_not_change_an_agents_numbers():
    both = frame(square() | {("other", game, seed): 3.0 * seed for _, game, seed in square()})
    alone = aggregates.table("s", frame(square()), SCALES, 0, 200)
    beside = aggregates.table("s", both, SCALES, 0, 200)
    assert beside[beside["agent"] == "ppo"].reset_index(drop=True).equals(alone)


def test_agents_are_compared_on_the_games_that_all_of_them_have():
    cells = square() | {("other", "pong", seed): 1.0 + seed for seed in range(3)}
    table = aggregates.table("s", frame(cells), SCALES, 0, 100)
    assert set(table["games"]) == {1}
    assert table["note"].str.contains("without breakout").all()


def test_an_agent_without_any_score_does_not_empty_the_comparison():
    cells = square() | {("other", "pong", 0): np.nan}
    table = aggregates.table("s", frame(cells), SCALES, 0, 100)
    assert set(table["agent"]) == {"ppo"}
    assert set(table["games"]) == {2}


def test_one_seed_is_said_and_has_no_interval():
    cells = {cell: value for cell, value in square().items() if cell[2] == 1}
    table = aggregates.table("s", frame(cells), SCALES, 0, 100)
    assert table[["low", "high"]].isna().all(axis=None)
    assert table["note"].str.contains("one seed: no interval").all()
    assert set(table["engine"]) == {"none"}


def test_one_game_is_said_to_be_no_aggregate():
    cells = {cell: value for cell, value in square().items() if cell[1] == "pong"}
    table = aggregates.table("s", frame(cells), SCALES, 0, 100)
    assert table["note"].str.contains("one game").all()
    assert table["low"].notna().all()


def test_seeds_of_different_games_need_not_be_the_same_numbers():
    cells = square() | {("ppo", "breakout", 7): 1.0}
    del cells["ppo", "breakout", 0]
    table = aggregates.table("s", frame(cells), SCALES, 0, 100)
    assert set(table["engine"]) == {"bootstrap"}
    assert set(table["seeds"]) == {"3"}


def test_extras_are_those_of_a_pencil():
    # On the records' scale pong is 0 to 20, so its mean of 5 points is 0.25; breakout's mean of 30
    # is above its record of 25 and capped. Catch has no record and no human.
    table = aggregates.table("s", frame(square()), SCALES, 0, 100, {"pong": 20.0, "breakout": 25.0})
    found = values(table)
    assert found["record_mean"] == pytest.approx((0.25 + 1) / 2)
    assert found["superhuman"] == 1  # Breakout's mean is twice the human's.
    assert set(values(table)) == {*aggregates.METRICS, *aggregates.EXTRAS}
    without = values(aggregates.table("s", frame(square()), SCALES, 0, 100, {"pong": 20.0}))
    assert without["record_mean"] == pytest.approx(0.25)
    assert np.isnan(values(aggregates.table("s", frame(square()), SCALES, 0, 9, {}))["record_mean"])


def test_no_score_at_all_gives_empty_tables():
    nothing = frame({})
    assert aggregates.table("s", nothing, SCALES, 0, 10).empty
    assert aggregates.profile("s", nothing, SCALES, 0, 10).empty


def test_scores_of_two_windows_are_never_pooled():
    table = frame(square())
    table.loc[0, "window"] = "last_100_episodes"
    with pytest.raises(AssertionError, match="windows"):
        aggregates.table("s", table, SCALES, 0, 10)


def test_a_profile_is_the_fraction_of_runs_above_a_score():
    table = aggregates.profile("s", frame(square()), SCALES, 0, 100)
    at = table.set_index(table["tau"].round(6))["fraction"]
    # Runs at 0, 0.5, 0.5, 1, 2, 3.5: five are above 0, three above 0.5, none above 3.5.
    assert [at[0.0], at[0.49], at[0.525], at[3.5]] == pytest.approx([5 / 6, 5 / 6, 0.5, 0])
    assert (table["low"] <= table["fraction"]).all()
    assert (table["fraction"] <= table["high"]).all()


def test_a_profile_skips_missing_runs():
    cells = square() | {("ppo", "breakout", 2): np.nan}
    table = aggregates.profile("s", frame(cells), SCALES, 0, 100)
    assert table["fraction"].iloc[0] == pytest.approx(4 / 5)
    assert table["fraction"].iloc[-1] == 0
