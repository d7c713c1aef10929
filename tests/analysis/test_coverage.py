import json
import os
import socket

import pytest

from analysis import cells, coverage
from tests.analysis import sweeps


def standing(sweep, agent, game, seed):
    cell = cells.Cell(sweep.suite.name, agent, game, seed)
    return coverage.standing(sweep.suite, cell, sweep.results, sweep.runs, sweeps.NOW)


@pytest.mark.parametrize(
    ("agent", "game", "seed", "status", "frame", "reason"),
    [
        ("ppo", "pong", 0, "finished", 40_000, ""),
        ("dreamer_ppo", "pong", 0, "failed", 20_000, "loss/policy is nan <after> 3 & 4"),
        ("dreamer_ppo", "pong", 1, "running", 24_000, "attempt 1"),
        (
            "dreamer_ppo",
            "breakout",
            0,
            "killed",
            8_000,
            "ended without a word (killed?), attempt 1",
        ),
        ("dreamer_ppo", "breakout", 1, "missing", 0, "not started"),
    ],
)
def test_each_way_to_be_missing_has_its_reason(partial, agent, game, seed, status, frame, reason):
    assert standing(partial, agent, game, seed) == coverage.Standing(status, reason, frame)


def test_a_run_that_was_asked_to_stop_says_so(sweep):
    sweep.stopped("ppo", "pong", 0, sweeps.level(1), 12_000)
    found = standing(sweep, "ppo", "pong", 0)
    assert (found.status, found.frame) == ("stopped", 12_000)


def test_a_process_of_this_machine_that_is_gone_was_killed_even_a_second_ago(sweep):
    sweep.running("ppo", "pong", 0, sweeps.level(1), 12_000)
    path = sweep.runs / "little/ppo/pong/0/provenance.json"
    told = json.loads(path.read_text())
    for pid, status in ((os.getpid(), "running"), (2**22 + 1, "killed")):
        told["attempts"][0] |= {"host": socket.gethostname(), "pid": pid}
        path.write_text(json.dumps(told))
        assert standing(sweep, "ppo", "pong", 0).status == status


@pytest.mark.parametrize("change", [{"task_hash": "0"}, {"frames": 400}])
def test_a_receipt_of_another_task_or_budget_is_stale(sweep, change):
    sweep.finished("ppo", "pong", 0, sweeps.level(1), **change)
    found = standing(sweep, "ppo", "pong", 0)
    assert found.status == "stale"
    (key,) = change
    assert f"{key} {change[key]}, now" in found.reason


def test_a_run_folder_of_another_task_is_stale(sweep):
    sweep.unfinished("ppo", "pong", 0, sweeps.level(1), 4_000, task_hash="0")
    assert standing(sweep, "ppo", "pong", 0).status == "stale"


def test_a_receipt_beside_a_run_folder_of_another_configuration_is_stale(whole):
    path = whole.runs / "little/ppo/pong/0/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hash": "other"}))
    assert standing(whole, "ppo", "pong", 0).status == "stale"


def test_a_run_without_an_episode_in_the_window_counts_as_empty(sweep):
    sweep.finished("ppo", "pong", 0, sweeps.level(1))
    path = sweep.results / "little/ppo/pong/0.json"
    score = {"window": "last_of_4_bins", "value": None, "episodes": 0}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"score": score}))
    assert standing(sweep, "ppo", "pong", 0).status == "empty"


@pytest.mark.parametrize("name", ["config.json", "provenance.json"])
def test_a_file_that_cannot_be_read_is_damage_and_named(sweep, name):
    sweep.running("ppo", "pong", 0, sweeps.level(1), 4_000)
    (sweep.runs / "little/ppo/pong/0" / name).write_text("{")
    found = standing(sweep, "ppo", "pong", 0)
    assert found.status == "damaged"
    assert name in found.reason


def test_results_without_run_folders_are_finished_all_the_same(whole):
    import shutil

    shutil.rmtree(whole.runs)
    assert standing(whole, "ppo", "pong", 0).status == "finished"


def test_every_expected_cell_has_a_row(partial):
    every = cells.expected(partial.suite, ["ppo", "dreamer_ppo", "random"])
    found = coverage.table(partial.suite, every, partial.results, partial.runs, sweeps.NOW)
    assert len(found) == 12
    assert coverage.left_out(found)[0] == (
        "dreamer_ppo/breakout/0: killed at frame 8,000: ended without a word (killed?), attempt 1"
    )


def test_agents_are_found_by_their_receipts_and_run_folders(partial):
    folder = partial.results / "little/figures/games"
    folder.mkdir(parents=True)
    (folder / "pong.json").write_text("{}")
    (partial.runs / "little/old/pong/0.stale-12").mkdir(parents=True)
    (partial.runs / "little/old/pong/0.stale-12/config.json").write_text("{}")
    found = cells.found_agents(partial.suite, partial.results, partial.runs)
    assert found == ["dreamer_ppo", "ppo", "random"]


def test_a_path_that_is_no_receipt_is_refused(sweep):
    with pytest.raises(ValueError, match=r"AGENT/GAME/SEED\.json"):
        cells.of_receipts(sweep.suite, [sweep.results / "little/ppo/pong/best.json"])
