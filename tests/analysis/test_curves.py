import numpy as np
import pytest

from analysis import cells, curves
from tests.analysis import sweeps

NAN = float("nan")


def binned(ended, returns, reached=100, count=5):
    mean, episodes = curves.binned(np.array(ended, float), np.array(returns), 100, count, reached)
    return mean.tolist(), episodes.tolist()


def test_a_bin_holds_the_mean_of_the_episodes_that_ended_in_it():
    mean, episodes = binned([5, 19, 20, 45, 65, 100], [1.0, 3.0, 5.0, 7.0, 9.0, 11.0])
    assert mean == [2.0, 5.0, 7.0, 9.0, 11.0]
    assert episodes == [2, 1, 1, 1, 1]  # 20 opens the second bin; the end belongs to the last.


def test_an_empty_bin_repeats_the_one_before_up_to_where_the_run_has_come():
    mean, episodes = binned([25], [4.0], reached=70)
    assert mean == pytest.approx([NAN, 4.0, 4.0, 4.0, NAN], nan_ok=True)
    assert episodes == [0, 1, 0, 0, 0]


def test_a_run_without_episodes_has_no_curve():
    mean, _ = binned([], [], reached=100)
    assert np.isnan(mean).all()


@pytest.mark.parametrize(("window", "count"), [
    ("last_of_4_bins", 40), ("last_of_40_bins", 40), ("last_of_100_bins", 100),
    ("last_of_30_bins", 60), ("last_100_episodes", 40), ("evaluation", 40),
])  # fmt: skip
def test_the_bins_of_a_curve_divide_those_of_the_score(tmp_path, window, count):
    suite = sweeps.suite(tmp_path, score={"window": window, "normalize": "human"})
    assert curves.bins(suite) == count


def test_a_curve_is_the_mean_over_seeds_with_its_range(whole):
    table = curves.table(whole.suite, cells.expected(whole.suite, ["ppo"]), whole.runs)
    (one,) = curves.of_game(table, "pong", 40, whole.suite.frames, 0)
    assert one.agent == "ppo"
    assert one.frames[[0, -1]].tolist() == [500, 39_500]
    assert set(one.mean) == {10.5}
    assert (set(one.low), set(one.high)) == ({10.0}, {11.0})
    assert set(one.seeds) == {2}


def test_an_unfinished_run_is_drawn_as_far_as_it_came(partial):
    table = curves.table(
        partial.suite, cells.expected(partial.suite, ["dreamer_ppo"]), partial.runs
    )
    (one,) = curves.of_game(table, "pong", 40, partial.suite.frames, 0)
    assert one.runs == 2
    assert one.seeds[:20].tolist() == [2] * 20  # To frame 20,000, where one failed.
    assert one.seeds[21:24].tolist() == [1] * 3
    assert one.seeds[25:].tolist() == [0] * 15
    assert np.isnan(one.low[21:]).all()  # One seed has no interval.


def test_an_episode_that_a_resume_cut_is_in_no_curve(sweep):
    sweep.finished("ppo", "pong", 0, sweeps.level(1))
    path = sweep.runs / "little/ppo/pong/0/episodes.jsonl"
    with path.open("a") as file:
        file.write('{"frame": 39999, "return": 1000.0, "end": "cut"}\n')
    table = curves.table(sweep.suite, [cells.Cell("little", "ppo", "pong", 0)], sweep.runs)
    assert set(table["return"]) == {1.0}


def test_a_broken_line_is_refused_with_its_number(sweep):
    sweep.finished("ppo", "pong", 0, sweeps.level(1))
    path = sweep.runs / "little/ppo/pong/0/episodes.jsonl"
    lines = path.read_text().split("\n")
    path.write_text("\n".join([*lines[:2], "{nonsense", *lines[2:]]))
    with pytest.raises(ValueError, match=r"episodes\.jsonl, line 3: not JSON"):
        curves.table(sweep.suite, [cells.Cell("little", "ppo", "pong", 0)], sweep.runs)
