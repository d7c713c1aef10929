"""Official score files: what is kept, how it is scored, and what is refused with its place."""

import json
import math

import pytest

import suites
from analysis.imported import store
from tests.analysis import published


def bring(path, suite="atari100k", name="theirs", **wishes):
    """Imports a file, and reads what was kept."""
    results = path.parent / "results"
    return published.bring(path, suites.load(suite), name, results, **wishes)


def small(tmp_path, *runs):
    return published.write(tmp_path / "some.json.gz", list(runs))


def pong(**changes):
    return published.run("pong", "dreamerv3", 0, [4, 8, 399_000], [1, 2.5, 3]) | changes


def test_episodes_of_atari_100k_are_scored_in_the_last_of_40_bins(tmp_path):
    path = published.write(tmp_path / "atari100k-dreamerv3.json.gz", published.atari100k())
    said, found = bring(path)
    facts = found.facts
    assert (facts.kind, facts.window, facts.runs) == ("episodes", "last_of_40_bins", 130)
    assert (facts.method, facts.format, facts.nulls) == ("dreamerv3", "official", 0)
    assert facts.seeds["pong"] == (0, 1, 2, 3, 4) and len(facts.seeds) == 26
    assert (facts.protocol.sticky, facts.protocol.actions) == (0.0, "minimal")
    scores = found.scores()
    assert [scores["alien", seed].value for seed in range(5)] == [395 + seed for seed in range(5)]
    assert math.isnan(scores["gopher", 4].value)
    assert sum(score.episodes > 0 for score in scores.values()) == 129
    assert "1 of 130 runs have no point in last_of_40_bins: gopher 4 of 5 seeds" in said
    assert "26 games x 5 seeds" in said


def test_every_point_comes_back_as_it_was(tmp_path):
    runs = published.atari100k()
    _, found = bring(published.write(tmp_path / "a.json.gz", runs))
    kept = found.points
    assert len(kept) == len(runs)
    for run in runs:
        frames, returns = kept[run["task"].removeprefix("atari_"), run["seed"]]
        assert (frames.tolist(), returns.tolist()) == (run["xs"], run["ys"])


def test_means_of_200m_frames_are_scored_in_the_last_of_100_bins(tmp_path):
    said, found = bring(published.write(tmp_path / "a.json.gz", published.atari57()), "atari57")
    facts = found.facts
    assert (facts.kind, facts.window) == ("bins", "last_of_100_bins")
    assert facts.nulls == facts.runs == len(found.points)
    assert (facts.protocol.sticky, facts.protocol.actions) == (0.25, "full")
    # The six bins of 400,000 frames from 198 to 200 million, both ends in.
    assert found.scores()["alien", 0] == store.windows.Score((495 + 500) / 2, 6)
    assert "57 games x 3 to 6 seeds" in said
    assert (
        "2 of 255 runs end before the budget of 200,000,000 frames: private_eye seed 2 at 29,6"
        in said
    )
    assert "private_eye 3 of 4 seeds, video_pinball 3 of 4 seeds" in said


def test_a_null_is_kept_and_is_no_score(tmp_path):
    run = published.run("pong", "ppo", 0, [391_000, 395_000, 399_000], [None, 7, None])
    _, found = bring(small(tmp_path, run))
    frames, returns = found.points["pong", 0]
    assert frames.tolist() == [391_000, 395_000, 399_000]
    assert [math.isnan(value) for value in returns] == [True, False, True]
    assert found.scores()["pong", 0] == store.windows.Score(7.0, 1)
    assert found.facts.nulls == 2


def test_dreamerv2_has_seeds_as_text_and_the_value_at_199_million(tmp_path):
    path = published.write(tmp_path / "atari-dreamerv2.json", published.dreamerv2())
    said, found = bring(path, "atari57", method="dreamerv2")
    assert found.facts.window == "at_199000000_frames"
    assert found.facts.seeds["jamesbond"] == (0, 1, 2)
    assert found.scores()["alien", 0].value == 199.0
    assert found.scores()["pong", 1].value == 121.0  # Carried forward from 120 million.
    assert "a7 = 0, b1 = 1, c3 = 2" in said
    assert "james_bond -> jamesbond" in said
    assert "no run of 2 of 57 games: defender, surround" in said


def test_one_averaged_curve_a_game_is_scored_at_its_last_point(tmp_path):
    _, found = bring(published.write(tmp_path / "m.json.gz", published.muzero()), "atari57")
    assert (found.facts.kind, found.facts.window) == ("bins", "last_point")
    assert {score.value for score in found.scores().values()} == {86.0}
    assert found.facts.protocol.sticky is None


def test_digits_written_as_text_are_the_seed_itself(tmp_path):
    runs = [pong(seed="11"), pong(seed="2")]
    said, found = bring(small(tmp_path, *runs))
    assert found.facts.seeds == {"pong": (2, 11)}
    assert "sorted order" not in said


def test_several_methods_are_listed_and_one_is_taken_by_name(tmp_path):
    path = small(tmp_path, pong(), pong(method="ppo", ys=[5, 5, 5]))
    with pytest.raises(ValueError, match=r"2 methods in it; `--method` takes one of: dreamerv3, p"):
        bring(path)
    with pytest.raises(ValueError, match=r"no run of method 'pppo'.*did you mean 'ppo'\?"):
        bring(path, method="pppo")
    _, found = bring(path, method="ppo")
    assert found.points["pong", 0][1].tolist() == [5.0, 5.0, 5.0]


def test_games_outside_the_suite_are_refused_or_left_out_by_name(tmp_path):
    runs = [pong(), pong(task="atari_zaxxon"), pong(task="atari_snake")]
    with pytest.raises(ValueError, match=r"run 2: unknown game 'snake'"):
        bring(small(tmp_path, *runs))
    with pytest.raises(ValueError, match=r"1 of its games are not in suite atari100k: zaxxon"):
        bring(small(tmp_path, pong(), pong(task="atari_zaxxon")))
    path = small(tmp_path, *runs)
    said, found = bring(path, skip_unknown=True)
    assert found.facts.seeds == {"pong": (0,)}
    assert "left out, not in suite atari100k: atari_snake, zaxxon" in said


def test_a_misspelt_game_gets_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"unknown game 'pogn'.*did you mean 'pong'\?"):
        bring(small(tmp_path, pong(task="atari_pogn")))


def test_points_beyond_the_budget_do_not_count(tmp_path):
    run = pong(xs=[4, 399_000, 400_000, 400_004, 440_000], ys=[1, 2, 3, 40, 50])
    said, found = bring(small(tmp_path, run))
    assert found.points["pong", 0][0].tolist() == [4, 399_000, 400_000]
    assert found.scores()["pong", 0].value == 2.5
    assert "2 points of 1 run left out: beyond the budget of 400,000 frames (to 440,000" in said


def test_points_far_beyond_the_budget_are_of_another_suite(tmp_path):
    with pytest.raises(ValueError, match=r"pong seed 0 goes to frame 500,000; the budget of suite"):
        bring(small(tmp_path, pong(xs=[4, 8, 500_000])))


def test_episodes_may_end_at_one_frame_and_a_run_may_be_empty(tmp_path):
    runs = [pong(xs=[4, 4, 399_000]), pong(seed=1, xs=[], ys=[])]
    said, found = bring(small(tmp_path, *runs))
    assert found.points["pong", 0][0].tolist() == [4, 4, 399_000]
    assert found.points["pong", 1][0].tolist() == []
    assert "pong seed 1 without any value" in said
    assert "pong 1 of 2 seeds" in said


WRONG = {
    r"xs\[1\]: saw 4.5; allowed is a whole number": pong(xs=[4, 4.5, 8]),
    r"xs\[0\]: saw -4": pong(xs=[-4, 4, 8]),
    r"xs\[2\]: saw true": pong(xs=[4, 8, True]),
    r"xs\[0\]: saw null": pong(xs=[None, 4, 8]),
    r"xs\[2\]: saw 8 after 12; allowed is to stay or to grow": pong(xs=[4, 12, 8]),
    r"xs\[1\]: saw 1e\+30": pong(xs=[4, 1e30, 1e31]),
    r'xs: saw "4, 8"; allowed is a list': pong(xs="4, 8"),
    r"3 xs and 2 ys": pong(ys=[1, 2]),
    r"ys\[2\]: saw NaN; allowed is a finite number or null": pong(ys=[1, 2, math.nan]),
    r"ys\[1\]: saw Infinity": pong(ys=[1, math.inf, 2]),
    r"ys\[0\]: saw false": pong(ys=[False, 1, 2]),
    r'ys\[0\]: saw "1"': pong(ys=["1", 1, 2]),
    r"ys\[0\]: saw \[1\]": pong(ys=[[1], 1, 2]),
    r"ys\[1\]: saw 1000000": pong(ys=[1, 10**400, 2]),
    r"seed: saw true; allowed is a whole number from 0, or text": pong(seed=True),
    r"seed: saw -1": pong(seed=-1),
    r"seed: saw 1.5": pong(seed=1.5),
    r'method: saw ""; allowed is text': pong(method=""),
    r"task: saw null": pong(task=None),
    r"lacks xs, ys; saw 'task, method, seed'": {"task": "a", "method": "b", "seed": 0},
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_malformed_is_refused_with_run_field_and_reason(tmp_path, words):
    path = published.write(tmp_path / "some.json", [pong(seed=9), WRONG[words]])
    begin = len(json.dumps([pong(seed=9)])) + 2
    with pytest.raises(ValueError, match=rf"^some.json, run 1 \(byte {begin}\).*{words}"):
        bring(path)
    assert not (tmp_path / "results").exists()


def test_a_run_that_is_there_twice_is_refused_with_both_places(tmp_path):
    with pytest.raises(ValueError, match=r"pong, seed 0, is there twice: run 0 and run 2"):
        bring(small(tmp_path, pong(), pong(seed=1), pong(seed="0")))


ONE = json.dumps([pong()]).encode()
TEXTS = {
    b"": "of no known format; it begins with nothing",
    b"[]": "no run in it",
    b"{}": r"byte 1: saw '\{'; allowed is a list of runs",
    b"[1]": "byte 2: saw '1'; allowed is a run",
    b"[{}]": r"run 0 \(byte 2\): lacks task, method, seed, xs, ys; saw 'nothing'",
    ONE[:-1]: f"byte {len(ONE)}: saw the end of the file; allowed is a comma",
    ONE[:-1] + b",": f"byte {len(ONE) + 1}: saw the end of the file; allowed is a run",
    ONE[:-1] + b" {}]": rf"byte {len(ONE) + 1}: saw '\{{'; allowed is a comma",
    ONE + b" 1": f"byte {len(ONE) + 2}: saw '1'; allowed is nothing",
    b'[{"task": tru}]': r"run 0 \(byte 2\): not JSON: .*character 10",
    b'[{"task": 1, "task": 2}]': "'task' is there twice",
    b'[{"task": "\xff"}]': "not JSON",
    b'[{"a": [[[[[[[[[]]]]]]]]]}]': "brackets within brackets",
    b'[{"task": "': "byte 12: saw the end of the file; allowed is the end of the run",
}


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_what_is_no_list_of_runs_is_refused_with_its_byte(tmp_path, text):
    path = tmp_path / "some.json"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=TEXTS[text]):
        bring(path)
    assert not (tmp_path / "results").exists()
