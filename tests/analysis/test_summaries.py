"""Aggregates of imports and of our own agents side by side."""

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from analysis import contenders, grids, summaries
from suites import games
from suites import suite as suites
from tests.analysis import published, sweeps

WISH = summaries.Wish(window=None, human="standard", engine="bootstrap", resamples=500, seed=0)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with published scores of the same shape as the official ones."""
    root = tmp_path_factory.mktemp("imports")
    taken = {
        "dreamerv3": ("atari100k", published.atari100k()),
        "ppo": ("atari100k", published.atari100k("ppo", seed=1)),
        "long": ("atari57", published.atari57()),
    }
    for name, (suite, runs) in taken.items():
        file = published.write(root / f"{name}.json.gz", runs)
        published.bring(file, suites.load(suite), name, root / "results")
    return root / "results"


def table(results: Path, suite: str, names: list[str], **changes) -> tuple[list[dict], list[str]]:
    wish = summaries.Wish(**(vars(WISH) | changes))
    text, notes = summaries.main(suites.load(suite), names, results, results / "runs", wish, "csv")
    return list(csv.DictReader(io.StringIO(text))), notes


def test_an_import_is_aggregated_in_its_published_window_and_empty_seeds_are_told(results):
    rows, notes = table(results, "atari100k", ["dreamerv3"])
    assert [row["metric"] for row in rows] == [
        "median", "mean", "iqm", "optimality_gap", "record_mean", "superhuman",
    ]  # fmt: skip
    assert {(row["games"], row["seeds"], row["window"]) for row in rows} == {
        ("26", "4-5", "last_of_40_bins")
    }
    assert any("1 of 130 runs have no score in last_of_40_bins" in note for note in notes)
    assert any("gopher 4 of 5" in note for note in notes)


def test_the_mean_is_that_of_the_points_in_the_window_seed_by_seed(results):
    rows, _ = table(results, "atari57", ["long"])
    found: dict[str, list[float]] = {}
    for run in published.atari57():
        inside = [
            y for x, y in zip(run["xs"], run["ys"], strict=True)
            if x >= 198_000_000 and y is not None
        ]  # fmt: skip
        if inside:
            found.setdefault(run["task"].removeprefix("atari_"), []).append(float(np.mean(inside)))
    scales = {name: games.load(name) for name in found}
    normalised = [
        (np.mean(values) - scales[name].random) / (scales[name].human - scales[name].random)
        for name, values in found.items()
    ]
    by_metric = {row["metric"]: float(row["estimate"]) for row in rows}
    assert by_metric["mean"] == pytest.approx(np.mean(normalised), abs=1e-4)
    assert by_metric["median"] == pytest.approx(np.median(normalised), abs=1e-4)


def test_another_window_and_another_human_table_give_other_numbers(results):
    plain, _ = table(results, "atari57", ["long"])
    window, _ = table(results, "atari57", ["long"], window="last_of_10_bins")
    human, notes = table(results, "atari57", ["long"], human="rliable")
    assert window[1]["window"] == "last_of_10_bins"
    assert len({plain[1]["estimate"], window[1]["estimate"], human[1]["estimate"]}) == 3
    assert "random and human scores: table rliable" in notes


def test_contenders_keep_their_order_and_different_windows_are_told(results):
    rows, notes = table(results, "atari100k", ["ppo", "dreamerv3"])
    assert list(dict.fromkeys(row["agent"] for row in rows)) == ["ppo", "dreamerv3"]
    assert not any("windows differ" in note for note in notes)


def test_our_own_runs_stand_beside_an_import_and_can_be_scored_in_another_window(tmp_path):
    little = sweeps.suite(tmp_path / "suites")
    sweep = sweeps.Sweep(tmp_path, little)
    sweep.all("ppo", lambda game, seed: sweeps.climb(0, 20, 1, seed))
    lines = [
        f"theirs,{game},{seed},{little.frames - 4},{seed}"
        for game in little.games for seed in range(3)
    ]  # fmt: skip
    (tmp_path / "theirs.csv").write_text("\n".join(["agent,game,seed,frame,return", *lines]) + "\n")
    published.bring(tmp_path / "theirs.csv", little, "theirs", tmp_path / "results")

    def load(names: list[str], window: str | None) -> list[contenders.Contender]:
        return contenders.load(little, names, tmp_path / "results", tmp_path / "runs", window)

    both = load(["ppo", "theirs"], None)
    assert [(each.name, each.imported) for each in both] == [("ppo", False), ("theirs", True)]
    assert {each.window for each in both} == {little.score.window}
    assert both[0].protocol["task"] == little.task_digest
    assert both[0].commits == (sweeps.COMMIT,)
    (again,) = load(["ppo"], "last_1_episodes")
    assert set(again.scores["window"]) == {"last_1_episodes"}
    assert set(again.scores["episodes"]) == {1}
    assert (again.scores["score"] != both[0].scores["score"]).any()
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(ValueError, match=r"episodes.jsonl is not there.* cannot be had"):
        load(["ppo"], "last_1_episodes")


def test_an_unknown_contender_is_refused_with_those_that_are_there(results):
    with pytest.raises(ValueError, match=r"there are: dreamerv3, ppo; did you mean 'dreamerv3'"):
        table(results, "atari100k", ["dreamer_v3"])


def test_an_unknown_window_or_human_table_is_refused(results):
    with pytest.raises(ValueError, match="did you mean 'last_100_episodes'"):
        table(results, "atari100k", ["ppo"], window="last_100_episode")
    with pytest.raises(ValueError, match="did you mean 'rliable'"):
        table(results, "atari100k", ["ppo"], human="rliabl")


def test_a_suite_of_raw_scores_has_no_aggregates(results):
    with pytest.raises(ValueError, match="suite learn has no human-normalised aggregates"):
        table(results, "learn", ["ppo"])


def test_a_grid_is_drawn_in_every_form():
    grid = [["agent", "mean"], ["a_b", "1.25"], ["c", ""]]
    assert grids.render(grid, "csv") == "agent,mean\na_b,1.25\nc,\n"
    assert grids.render(grid, "md").splitlines()[1:] == [
        "| --- | --- |",
        "| a_b | 1.25 |",
        "| c | - |",
    ]
    assert grids.render(grid, "table") == "AGENT  MEAN\na_b    1.25\nc      -\n"
    assert grids.escape("<0.001* & 5%") == r"\textless{}0.001* \& 5\%"
    latex = grids.render(grid, "latex")
    assert r"\begin{tabular}{lr}" in latex and r"a\_b & 1.25 \\" in latex
    assert latex.index(r"\toprule") < latex.index(r"\midrule") < latex.index(r"\bottomrule")
