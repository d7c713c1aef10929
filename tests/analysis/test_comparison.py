"""Ours against published tables, imports and other commits."""

import json
from pathlib import Path

import numpy as np
import pytest

import suites
from analysis import comparison, contenders, pairing, planning, sides, verdict_file, verdict_text
from analysis.references import baselines, tables
from suites import games
from tests.analysis import published, sweeps

SUITE = suites.load("atari100k")
WISH = pairing.Wish(
    agent=None, published="dreamerv3", against=None, window=None, allow=(), human="standard",
    margin=0.1, seed=0,
)  # fmt: skip
EPISODES = 5  # Of a run, all in the window.


def bring(
    results: Path, name: str, shift: float = 0.0, seeds: int = 5, noise: float = 1.0, draw: int = 0
) -> None:
    """Imports runs as DreamerV3's table has them, moved by some human-normalised score."""
    rng, lines = np.random.default_rng(draw), ["agent,game,seed,frame,return"]
    for each in tables.published("atari100k", "dreamerv3"):
        game = games.load(each.game)
        size = game.human - game.random
        for seed in range(seeds):
            score = each.score + noise * (each.spread or 0.0) * rng.standard_normal() + shift * size
            lines += [f"{name},{each.game},{seed},{395_000 + i},{score!r}" for i in range(EPISODES)]
    file = results.parent / f"{name}.csv"
    file.write_text("\n".join(lines) + "\n")
    published.bring(file, SUITE, name, results)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compared") / "results"
    root.mkdir()
    bring(root, "same", noise=0.2, seeds=10)
    bring(root, "worse", shift=-0.4)
    bring(root, "better", shift=0.4)
    bring(root, "vague", noise=3.0, seeds=3)
    bring(root, "alone", seeds=1)
    return root


def compare(results: Path, agent: str, **changes) -> comparison.Comparison:
    wish = pairing.Wish(**(vars(WISH) | {"agent": agent} | changes))
    return comparison.main(place(results), wish)


def place(results: Path, suite: suites.Suite = SUITE) -> pairing.Place:
    return pairing.Place(suite, results, results.parent / "runs")


@pytest.mark.parametrize(
    ("agent", "word", "code"),
    [
        ("same", "reproduced", 0), ("worse", "not reproduced", 1), ("better", "better", 0),
        ("vague", "inconclusive", 3), ("alone", "inconclusive", 3),
    ],
)  # fmt: skip
def test_a_sweep_with_known_truth_gets_its_verdict(results, agent, word, code):
    found = compare(results, agent)
    assert (found.verdict.word, found.code) == (word, code)
    assert len(found.rows) == 26


def test_runs_against_runs_use_the_iqm_of_all_runs(results):
    found = compare(results, "worse", published="better")
    assert found.verdict.word == "not reproduced"
    flat = np.sort(found.ours.runs.ravel())
    cut = len(flat) // 4
    assert found.spreads[0].estimate[0] == pytest.approx(flat[cut:-cut].mean())
    assert found.spreads[2].estimate[0] == pytest.approx(-0.8, abs=0.15)


def test_a_table_without_runs_is_compared_by_the_iqm_of_games_means_on_both_sides(results):
    found = compare(results, "same")
    means = np.sort(found.theirs.means)
    assert found.spreads[1].estimate[0] == pytest.approx(means[6:-6].mean())
    assert found.spreads[0].estimate[1] == pytest.approx(found.ours.means.mean())
    assert "difference of IQMs of games' means" in verdict_text.text(found, "table")


def test_what_is_not_published_is_taken_from_ours_and_said(results):
    found = compare(results, "same")
    assert "no spread is published for up_n_down: that of same, enlarged, is taken" in found.notes
    place = found.ours.games.index("up_n_down")
    assert found.theirs.deviations[place] ** 2 == pytest.approx(
        sides.DOUBT * found.ours.deviations[place] ** 2
    )
    muzero = sides.of_published("atari57", 200_000_000, "muzero", baselines.scales(
        suites.load("atari57").games))  # fmt: skip
    ours = muzero.on(muzero.games[:3])
    _, said = sides.completed(ours, ours)
    assert len(said) == 2


def test_unlike_protocols_are_refused_by_name_and_recorded_where_they_are_allowed(results):
    asked = {"published": "diamond", "window": "last_of_40_bins"}
    with pytest.raises(ValueError, match=r"ours last_of_40_bins, theirs evaluation\n.*--allow win"):
        compare(results, "same", **asked)
    found = compare(results, "same", **asked, allow=("window",))
    (allowed,) = verdict_file.record(found)["allowed"]
    assert allowed == {"name": "window", "ours": "last_of_40_bins", "theirs": "evaluation"}
    assert "allowed to differ: window" in verdict_text.text(found, "table")


def test_a_difference_that_does_not_exist_cannot_be_allowed(results):
    with pytest.raises(ValueError, match="did you mean 'sticky'"):
        compare(results, "same", allow=("stiky",))


def test_a_field_that_is_not_stated_is_told_and_not_refused(results):
    found = compare(results, "same", published="simple")
    assert "sticky" in found.unknown
    assert "not stated by both:" in verdict_text.text(found, "table")


def test_games_that_one_side_lacks_are_left_out_by_name(results):
    found = compare(results, "same", published="drama")
    assert len(found.rows) == 22
    assert any(note.startswith("theirs (drama): no score in ") for note in found.notes)
    assert "same against drama on 22 games of 26: " in verdict_text.text(found, "table")


def test_runs_with_unequal_seeds_are_compared_by_games_means_so_that_no_game_weighs_more(
    results, tmp_path
):
    equal, unequal = compare(results, "worse", published="better"), tmp_path / "results"
    unequal.mkdir()
    bring(unequal, "better", shift=0.4)
    bring(unequal, "gaps", shift=0.4)
    table = unequal.parent / "gaps.csv"
    high = ("up_n_down", "krull", "crazy_climber", "road_runner")  # Of the highest scores.
    kept = [
        line for line in table.read_text().splitlines()
        if not (line.split(",")[1] in high and line.split(",")[2] in "34")
    ]  # fmt: skip
    table.write_text("\n".join(kept) + "\n")
    published.bring(table, SUITE, "gaps", unequal, force=True)
    found = compare(unequal, "gaps", published="better")
    assert not sides.by_means(equal.ours, equal.theirs)
    assert sides.by_means(found.ours, found.theirs)
    assert abs(found.decided.estimate) < 0.1
    assert "difference of IQMs of games' means" in verdict_text.text(found, "table")


def test_nothing_is_compared_with_itself(results):
    with pytest.raises(ValueError, match="same is what stands for ours"):
        compare(results, "same", published="same")
    with pytest.raises(ValueError, match="is where ours are"):
        compare(results, "same", published=None, against=results)


def test_a_name_of_ours_and_of_an_import_is_refused(tmp_path):
    little = sweeps.suite(tmp_path / "suites")
    sweeps.Sweep(tmp_path, little).all("ppo", lambda game, seed: sweeps.level(seed))
    (tmp_path / "ppo.csv").write_text("agent,game,seed,frame,return\nppo,pong,0,39000,1\n")
    published.bring(tmp_path / "ppo.csv", little, "ppo", tmp_path / "results")
    with pytest.raises(ValueError, match="'ppo' is an agent of ours in little and the name of an"):
        contenders.load(little, ["ppo"], tmp_path / "results", tmp_path / "runs", None)


def test_two_commits_of_ours_are_compared_by_their_folders(results, tmp_path):
    before = tmp_path / "before" / "results"
    before.mkdir(parents=True)
    bring(before, "same", noise=0.2, seeds=10, draw=1)
    found = compare(results, "same", published=None, against=before)
    assert found.verdict.word == "reproduced"
    assert found.theirs.runs is not None


def test_the_record_holds_everything_as_plain_values(results):
    found = compare(results, "alone")
    path = verdict_file.keep(found, results)
    told = json.loads(path.read_text())
    assert told["verdict"] == "inconclusive"
    assert told["metrics"]["iqm"]["difference"]["low"] is None
    assert len(told["by_game"]) == 26
    assert told["window"] == {"ours": "last_of_40_bins", "theirs": "last_of_40_bins"}


def test_a_seed_gives_the_same_digits(results):
    one, other = compare(results, "vague"), compare(results, "vague")
    assert verdict_text.text(one, "csv") == verdict_text.text(other, "csv")
    assert verdict_file.record(one) == verdict_file.record(other)


def test_the_plan_says_how_many_seeds_a_margin_needs(results):
    found = compare(results, "same")
    rows = {row[0]: row for row in planning.grid(found.decided, [0.01, 0.2, 0.5])}
    assert rows["0.01"][2] == "none would do"
    assert int(rows["0.5"][2]) <= int(rows["0.2"][2])
    assert rows["0.5"][1] == "100%"
    alone = planning.of(compare(results, "alone", margin=0.5))
    assert alone.grid[-1][2].isdigit()
    assert "Seeds of alone with which" in alone.text("table")
    both = planning.of(compare(results, "vague", published="alone", margin=0.5))
    assert both.grid[-1] == ["0.5", *["not known"] * 3]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agent": None}, "--agent: which of ours"),
        ({"published": "dreamer_v3"}, "did you mean 'dreamerv3'"),
        ({"published": "dreamerv3@atari10k"}, "did you mean 'atari100k'"),
        ({"margin": 0.0}, "--margin: saw 0; allowed are numbers above 0"),
        ({"margin": float("nan")}, "--margin: saw nan"),
        ({"margin": float("inf")}, "--margin: saw inf"),
        ({"human": "human"}, "unknown table of random and human scores"),
    ],
)
def test_what_cannot_be_compared_is_refused(results, changes, words):
    with pytest.raises(ValueError, match=words):
        compare(results, **({"agent": "same"} | changes))


def test_every_form_has_every_game(results):
    found = compare(results, "worse")
    for form in ("table", "csv", "md", "latex"):
        text = verdict_text.text(found, form)
        assert all(row.game.replace("_", r"\_") in text or row.game in text for row in found.rows)
    assert "NOT REPRODUCED" in verdict_text.text(found, "md")
