"""Which two sides are compared: their protocols as they were made, their windows, their names."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import suites
from analysis import comparison, contenders, pairing, planning, sides, verdict_file, verdict_text
from analysis.pairing import Place, Wish
from analysis.references import baselines
from tests.analysis import sweeps
from tests.analysis.sweeps import Sweep

WISH = Wish(
    agent="ppo", published=None, against=None, window=None, allow=(), human="standard",
    margin=0.1, seed=0,
)  # fmt: skip


def task(**changes: object) -> dict[str, object]:
    return {
        "frame_skip": 4, "pooling": 2, "sticky": 0.0, "actions": "minimal", "noops": [1, 30],
        "cap": 108_000, "score": "game_return",
        "quirks": {"truncation_is_terminal": False, "stale_first_frame": False},
    } | changes  # fmt: skip


def ran(root: Path, points: float = 5.0, **changes: object) -> Sweep:
    """A sweep of two games and two seeds, finished by ppo under a suite that was once."""
    sweep = Sweep(root, sweeps.suite(root / "suites", **changes))
    sweep.all("ppo", lambda game, seed: sweeps.level(points + seed))
    return sweep


def place(sweep: Sweep, suite: suites.Suite | None = None) -> Place:
    return Place(suite or sweep.suite, sweep.results, sweep.runs)


def against(ours: Sweep, theirs: Sweep, **changes: object) -> comparison.Comparison:
    return comparison.main(place(ours), replace(WISH, against=theirs.results, **changes))


def test_two_commits_with_one_task_are_compared_as_they_are(tmp_path):
    found = against(ran(tmp_path / "now"), ran(tmp_path / "then"))
    assert found.unlike == [] and found.unknown == []
    assert found.decided.estimate == 0
    assert verdict_text.head(found).startswith(f"little: ppo against ppo of {tmp_path / 'then'}")


def test_a_difference_of_the_tasks_of_two_commits_is_named_field_by_field(tmp_path):
    quirks = {"truncation_is_terminal": True, "stale_first_frame": False}
    then = ran(tmp_path / "then", task=task(sticky=0.25, noops=[0, 30], quirks=quirks))
    now = ran(tmp_path / "now")
    with pytest.raises(ValueError, match="protocols are unlike") as refused:
        against(now, then)
    said = str(refused.value)
    assert "sticky (probability that an action is repeated): ours 0, theirs 0.25" in said
    assert "noops (no-op frames after a reset): ours 1 to 30, theirs 0 to 30" in said
    assert "truncation_is_terminal" in said and ": ours no, theirs yes" in said
    assert said.endswith("--allow sticky,noops,truncation_is_terminal")  # Not the hash as well.
    found = against(now, then, allow=("sticky", "noops", "truncation_is_terminal"))
    told = verdict_file.record(found)
    assert [each["name"] for each in told["allowed"]] == [
        "sticky", "noops", "truncation_is_terminal",
    ]  # fmt: skip
    assert told["protocol"]["theirs"]["sticky"] == 0.25
    assert told["protocol"]["ours"]["hash"] != told["protocol"]["theirs"]["hash"]


def test_ours_may_be_what_is_not_in_the_suites_file_any_more(tmp_path):
    then, now = ran(tmp_path / "then"), ran(tmp_path / "now", task=task(cap=9_000))
    asked = replace(WISH, against=now.results, allow=("cap",))
    found = comparison.main(place(then, now.suite), asked)
    assert [str(each) for each in found.unlike] == [
        "cap (frames per episode): ours 108,000, theirs 9,000"
    ]


def test_a_task_that_nobody_wrote_down_differs_by_its_hash(tmp_path):
    then, now = ran(tmp_path / "then", task=task(sticky=0.25)), ran(tmp_path / "now")
    for config in then.runs.rglob("config.json"):
        config.unlink()
    with pytest.raises(ValueError, match=r"task \(hash of the whole task, of our own runs\)"):
        against(now, then)
    found = against(now, then, allow=("task",))
    assert {"sticky", "cap", "noops"} <= set(found.unknown)


def test_a_setting_that_another_commit_had_is_compared_too(tmp_path):
    then, now = ran(tmp_path / "then"), ran(tmp_path / "now")
    for sweep, lives in ((then, 3), (now, 5)):
        for path in sweep.runs.rglob("config.json"):
            told = json.loads(path.read_text())
            told["task"]["lives"], told["task_hash"] = lives, f"hash{lives}"
            path.write_text(json.dumps(told))
        for path in sweep.results.rglob("*.json"):
            path.write_text(
                json.dumps(json.loads(path.read_text()) | {"task_hash": f"hash{lives}"})
            )
    with pytest.raises(ValueError, match=r"lives \(a setting of the task\): ours 5, theirs 3"):
        against(now, then)
    assert against(now, then, allow=("lives",)).unlike[0].name == "lives"


def test_budgets_differ_as_they_were_and_not_as_the_suite_says(tmp_path):
    then = ran(tmp_path / "then", frames=20_000)
    with pytest.raises(ValueError, match="ours 40,000, theirs 20,000"):
        against(ran(tmp_path / "now"), then)


def test_one_side_with_two_tasks_is_no_side(tmp_path):
    then = ran(tmp_path / "then")
    path = next(then.results.rglob("1.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"task_hash": "other"}))
    with pytest.raises(ValueError, match=r"ppo in .*then/results/little cannot be pooled"):
        against(ran(tmp_path / "now"), then)


def test_seeds_that_only_the_other_commit_has_are_used(tmp_path):
    then = ran(tmp_path / "then", seeds=[0, 1, 2, 7])
    found = against(ran(tmp_path / "now"), then)
    assert found.theirs.seeds.tolist() == [4, 4]
    assert found.ours.seeds.tolist() == [2, 2]


def test_both_are_scored_in_the_window_of_the_other_commit(tmp_path):
    then = ran(tmp_path / "then", score={"window": "last_10_episodes", "normalize": "human"})
    found = against(ran(tmp_path / "now"), then)
    assert found.ours.window == found.theirs.window == "last_10_episodes"


def test_tables_that_state_frame_skip_no_ops_and_cap_are_held_to_them(tmp_path):
    games = {"games": ["pong", "breakout"], "frames": 400_000}
    sweep = ran(tmp_path, **games, task=task(noops=[0, 30], cap=5_400))
    asked = replace(WISH, published="dreamerv3@atari100k")
    with pytest.raises(ValueError, match=r"cap \(frames per episode\): ours 5,400, theirs 108,000"):
        comparison.main(place(sweep), asked)
    other = comparison.main(
        place(sweep), replace(asked, published="iris@atari100k", window="evaluation")
    )
    assert {"frame_skip", "noops", "cap"} <= set(other.unknown)
    assert "pooling" not in other.unknown  # No paper states that.


def test_a_method_that_used_another_table_of_human_scores_is_normalised_with_ours_and_that_is_said(
    tmp_path,
):
    sweep = ran(tmp_path, frames=200_000_000, task=task(sticky=0.25, actions="full"))
    asked = replace(WISH, published="dreamerv2@atari57", allow=("window",), window="last_point")
    said = "rest on another table of random and human scores: dreamerv2"
    assert any(said in note for note in comparison.main(place(sweep), asked).notes)
    same = comparison.main(place(sweep), replace(asked, human="dreamerv2"))
    assert not any(said in note for note in same.notes)


@pytest.mark.parametrize("row", pairing.ROWS)
@pytest.mark.parametrize("suite", ["", "@atari57"])
def test_rows_that_no_method_scored_are_refused_with_what_is_allowed(tmp_path, row, suite):
    sweep = ran(tmp_path)
    with pytest.raises(ValueError, match=f"--published: {row} is a row of the tables.*aggregate"):
        comparison.main(place(sweep), replace(WISH, published=f"{row}{suite}"))


def empty(sweep: Sweep) -> None:
    """Ends every training episode before the suite's window, the last quarter."""
    for path in sweep.runs.rglob("episodes.jsonl"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines[:50]) + "\n")
    for path in sweep.results.rglob("*.json"):
        told = json.loads(path.read_text())
        told["score"] = told["score"] | {"value": None, "episodes": 0}
        path.write_text(json.dumps(told))


@pytest.mark.parametrize(("side", "whose"), [(0, "ours"), (1, "theirs")])
def test_a_side_without_a_score_in_the_window_is_named_with_windows_that_have_one(
    tmp_path, side, whose
):
    both = [ran(tmp_path / "now"), ran(tmp_path / "then")]
    empty(both[side])
    with pytest.raises(ValueError, match=f"{whose} ") as refused:
        against(*both)
    said = str(refused.value)
    assert "(ppo, " in said and "no score in the window last_of_4_bins" in said
    assert "last_100_episodes (4 of 4 runs), last_point (4 of 4 runs)" in said
    assert "--window takes one" in said and "in common" not in said
    assert against(*both, window="last_point").ours.games == ("pong", "breakout")


def test_a_side_without_any_episode_is_told_so(tmp_path):
    now, then = ran(tmp_path / "now"), ran(tmp_path / "then")
    empty(then)
    for path in [*then.runs.rglob("episodes.jsonl"), *then.runs.rglob("evaluation.jsonl")]:
        path.write_text("")
    with pytest.raises(ValueError, match="Neither is one in last_of_4_bins, last_100_episodes"):
        against(now, then)


def test_verdicts_on_different_opponents_are_kept_side_by_side(tmp_path):
    now, then, once = (ran(tmp_path / name) for name in ("now", "then", "once"))
    kept = {verdict_file.keep(against(now, each), now.results) for each in (then, once)}
    asked = replace(WISH, published="ppo@atari100k", allow=("frames", "window", "noops"))
    for name in ("ppo@atari100k", "ppo@atari57"):
        more = replace(asked, published=name, allow=(*asked.allow, "sticky", "actions"))
        kept.add(verdict_file.keep(comparison.main(place(now), more), now.results))
    assert len(kept) == 4
    names = sorted(path.name for path in kept)
    assert names[2:] == ["ppo~published-ppo@atari100k.json", "ppo~published-ppo@atari57.json"]
    assert all(name.startswith("ppo~against-") for name in names[:2])


def test_a_kept_verdict_says_what_it_rests_on(tmp_path):
    now, then = ran(tmp_path / "now"), ran(tmp_path / "then", task=task(cap=9_000))
    found = against(now, then, allow=("cap",), seed=3)
    told = json.loads(verdict_file.keep(found, now.results).read_text())
    assert told["kind"] == "against" and told["against"] == str(then.results)
    assert told["seed"] == 3
    assert told["commits"] == {"ours": [sweeps.COMMIT], "theirs": [sweeps.COMMIT]}
    assert told["window"] == {"ours": "last_of_4_bins", "theirs": "last_of_4_bins"}
    assert told["protocol"]["theirs"]["cap"] == 9_000
    assert told["protocol"]["ours"]["task"] == now.suite.task_digest
    assert told["allowed"] == [{"name": "cap", "ours": "108,000", "theirs": "9,000"}]


def planned(sweep: Sweep, **changes: object) -> Callable[[], planning.Plan]:
    wish = replace(WISH, **{"agent": None, **changes})
    name = pairing.unbegun(place(sweep), wish)
    assert name is not None
    return lambda: planning.alone(place(sweep), wish, name)


@pytest.fixture
def unrun(tmp_path) -> Sweep:
    """Atari 100k of which nothing was run."""
    return Sweep(tmp_path, suites.load("atari100k"))


def test_a_plan_needs_no_run_of_ours(unrun):
    plan = planned(unrun, published="dreamerv3")()
    assert plan.title.startswith("atari100k: no run of dreamerv3 has finished.")
    assert "(1-5 seeds, 26 games)" in plan.title
    assert plan.grid[0] == ["margin", "seeds for 80%", "seeds for 90%"]
    few, many = (next(row[i] for row in plan.grid if row[0] == "0.2") for i in (1, 2))
    assert 2 <= int(few) <= int(many)
    assert any("no spread is known for up_n_down" in note for note in plan.notes)
    assert "however many seeds ours has" in plan.text("table")
    assert plan.text("csv").splitlines()[0] == "margin,seeds for 80%,seeds for 90%"


def test_the_seeds_of_a_plan_are_those_of_runs_that_vary_as_theirs_do(unrun):
    plan = planned(unrun, published="dreamerv3")()
    scales = baselines.scales(unrun.suite.games)
    theirs = sides.of_published("atari100k", 400_000, "dreamerv3", scales)
    wanted = int(next(row[1] for row in plan.grid if row[0] == "0.2"))
    held, _ = planning._filled(theirs)
    rng, hits = np.random.default_rng(0), 0
    for _ in range(60):
        draw = held.means + held.deviations * rng.standard_normal((wanted, 26))
        table = held.means + held.deviations * rng.standard_normal((5, 26))
        ours, other = (
            replace(held, runs=runs, means=each.mean(0), deviations=each.std(0, ddof=1),
                    seeds=np.full(26, len(each)))
            for runs, each in ((draw, draw), (None, table))
        )  # fmt: skip
        first, second = sides.spreads(ours, other, rng)
        word = comparison.decision.decide(comparison.decision.of(first, second, 0), 0.2).word
        hits += word == "reproduced"
    assert hits / 60 >= 0.65


def test_a_plan_says_what_it_cannot_rest_on(unrun):
    with pytest.raises(ValueError, match="no spread of simple_in_efficientzero is known"):
        planned(unrun, published="simple_in_efficientzero")()
    with pytest.raises(ValueError, match="theirs evaluation"):
        planned(unrun, published="diamond", window="last_point")()


def test_a_plan_of_runs_that_there_are_is_that_of_the_comparison(tmp_path):
    sweep = ran(tmp_path)
    asked = replace(WISH, published="dreamerv3@atari100k")
    assert pairing.unbegun(place(sweep), asked) is None
    assert pairing.unbegun(place(sweep), replace(asked, agent=None)) is None
    assert pairing.unbegun(place(sweep), replace(asked, agent="dreamerv3")) == "dreamerv3"
    assert pairing.unbegun(place(sweep), replace(WISH, against=tmp_path / "x")) is None
    assert contenders.known(sweep.suite, sweep.results, sweep.runs) == ["ppo"]
