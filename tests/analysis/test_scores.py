import json
import math

import pytest

from analysis import cells, scores
from tests.analysis import sweeps


def table(sweep, *agents):
    every = cells.expected(sweep.suite, agents)
    return scores.table(every, sweep.results, sweep.runs)


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_receipts_become_one_row_each(whole):
    found = table(whole, "ppo", "random")
    keys = found[["suite", "agent", "game", "seed", "score"]].itertuples(index=False, name=None)
    assert list(keys) == [
        ("little", "ppo", "breakout", 0, 110.0),
        ("little", "ppo", "breakout", 1, 111.0),
        ("little", "ppo", "pong", 0, 10.0),
        ("little", "ppo", "pong", 1, 11.0),
        ("little", "random", "breakout", 0, 100.0),
        ("little", "random", "breakout", 1, 101.0),
        ("little", "random", "pong", 0, 0.0),
        ("little", "random", "pong", 1, 1.0),
    ]
    assert set(found["window"]) == {"last_of_4_bins"}
    assert set(found["episodes"]) == {26}  # Ends at 30,000, 30,400, ..., 40,000.
    assert set(found["evaluation_episodes"]) == {2}
    assert set(found["note"]) == {""}


def test_the_order_of_cells_changes_nothing(whole):
    every = cells.expected(whole.suite, ["ppo"])
    one, other = (scores.table(c, whole.results, whole.runs) for c in (every, every[::-1]))
    assert one.equals(other)


def test_different_tasks_are_not_pooled_and_both_are_listed(whole):
    other = "0123456789abcdef"
    whole.finished("ppo", "pong", 1, sweeps.level(3), task_hash=other)
    with pytest.raises(ValueError, match="do not measure the same") as refusal:
        scores.refuse_mixtures(table(whole, "ppo"), whole.suite)
    assert f"{other} (1 runs)" in str(refusal.value)
    assert f"{whole.suite.task_digest} (3 runs)" in str(refusal.value)


def test_scores_of_one_other_task_are_not_taken_for_the_suites(whole):
    found = table(whole, "ppo").assign(task_hash="0123456789abcdef")
    assert "the suite file says" in scores.mixtures(found, whole.suite)[0]


@pytest.mark.parametrize("column", ["frames", "window"])
def test_other_budgets_and_windows_are_not_pooled(whole, column):
    found = table(whole, "ppo").astype({column: object})
    found.loc[0, column] = "another"
    with pytest.raises(ValueError, match=f"{column}: .*another"):
        scores.refuse_mixtures(found, whole.suite)


def test_views_may_differ_between_agents_but_not_within_one(whole):
    found = table(whole, "ppo", "random")
    found.loc[found["agent"] == "random", "view_hash"] = "other"
    assert scores.mixtures(found, whole.suite) == []
    found.loc[0, "view_hash"] = "third"
    assert scores.mixtures(found, whole.suite) == [
        "view_hash of ppo: f1e3f1e3f1e3f1e3 (3 runs), third (1 runs)."
    ]


def test_a_score_over_no_episode_is_nan(sweep):
    path = sweep.finished("ppo", "pong", 0, sweeps.level(1))
    edit(path, score={"window": "last_of_4_bins", "value": None, "episodes": 0})
    (sweep.runs / "little/ppo/pong/0/episodes.jsonl").write_text("")
    found = scores.table([cells.Cell("little", "ppo", "pong", 0)], sweep.results, sweep.runs)
    assert math.isnan(found.loc[0, "score"])
    assert found.loc[0, "episodes"] == 0
    assert found.loc[0, "note"] == ""


def test_a_receipt_that_its_run_folder_contradicts_is_noted(sweep):
    path = sweep.finished("ppo", "pong", 0, sweeps.level(1))
    edit(path, score={"window": "last_of_4_bins", "value": 9.0, "episodes": 26})
    found = scores.table([cells.Cell("little", "ppo", "pong", 0)], sweep.results, sweep.runs)
    assert found.loc[0, "note"] == ("the receipt says 9 over 26 episodes, the run folder 1 over 26")


def test_a_receipt_that_was_moved_to_another_cell_is_refused(whole):
    path = whole.results / "little/ppo/pong/0.json"
    (whole.results / "little/ppo/pong/1.json").write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r"1\.json: speaks of little/ppo/pong/0"):
        table(whole, "ppo")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"suite": "little"}'])
def test_a_broken_receipt_is_refused_by_name(whole, text):
    (whole.results / "little/ppo/pong/1.json").write_text(text)
    with pytest.raises(ValueError, match=r"1\.json"):
        table(whole, "ppo")


def test_scores_survive_being_written_and_read(whole, tmp_path):
    from analysis import files

    found = table(whole, "ppo", "random")
    found["hash"] = [f"{7:016d}", "12e4567890123456", *found["hash"][2:]]
    files.write_table(tmp_path / "scores.csv", found)
    again = files.read_table(tmp_path / "scores.csv")
    assert again["hash"].tolist() == found["hash"].tolist()
    assert again.drop(columns="note").equals(found.drop(columns="note"))
    assert again["note"].tolist() == found["note"].tolist()
