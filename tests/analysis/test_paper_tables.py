"""Tables for papers: the same numbers in three forms, and marks that mean something."""

import csv
import json
import math

import numpy as np
import pytest

from analysis.paper import kinds, main, material, tabular, typeset
from tests.analysis import paper_sweeps as sweeps
from tests.analysis.paper_sweeps import wish
from tests.analysis.sweeps import level


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Pong: a 10, 11, 12; b 12, 13, 14; c 0, 0, 1; d one seed of 40; e 90, 91, 92 in breakout."""
    found = sweeps.begin(tmp_path_factory.mktemp("tables"))
    values = {"a": (10, 11, 12), "b": (10.5, 12, 13), "c": (0, 0, 1)}
    for name, points in values.items():
        for game in sweeps.GAMES:
            for seed, value in enumerate(points):
                found.finished(name, game, seed, level(value))
    found.finished("d", "pong", 0, level(11))
    return found


def made(sweep, kind, asked):
    of = material.load(sweep.suite, asked, sweep.results, sweep.runs)
    return tabular.KINDS[kind](of)


def write(sweep, kind, asked, stem):
    return main.table(kind, sweep.suite, asked, sweep.results, sweep.runs, stem)


def test_the_best_is_marked_and_what_may_be_as_good(sweep):
    frame = made(sweep, "games", wish("a", "b", "c")).frame
    pong = frame[frame["game"] == "pong"].set_index("agent")
    assert pong["mark"].to_dict() == {"a": "within", "b": "best", "c": ""}
    assert pong["score"]["b"] == pytest.approx(35.5 / 3)


def test_one_seed_is_never_said_to_be_as_good(sweep):
    frame = made(sweep, "games", wish("a", "d", games=("pong",))).frame
    assert frame.set_index("agent")["mark"].to_dict() == {"a": "best", "d": "best"}  # A tie.
    row = made(sweep, "games", wish("b", "d", games=("pong",))).frame.set_index("agent").loc["d"]
    assert row["mark"] == ""
    assert math.isnan(row["low"])


def test_the_interval_of_a_game_is_students(sweep):
    row = made(sweep, "games", wish("a", games=("pong",))).frame.iloc[0]
    half = 4.302652729911275 * 1 / np.sqrt(3)  # t of 2 degrees of freedom, deviation 1.
    assert [row["low"], row["high"]] == pytest.approx([11 - half, 11 + half])


def test_published_scores_stand_beside_and_may_be_the_best(sweep):
    frame = made(sweep, "games", wish("a", "b", published="dreamerv3@atari100k")).frame
    rows = frame[frame["agent"] == "published DreamerV3"].set_index("game")
    assert rows["score"]["seaquest"] == pytest.approx(962, abs=0.5)
    assert rows["mark"]["seaquest"] == "best"


def test_the_smallest_optimality_gap_is_the_best(sweep):
    frame = made(sweep, "aggregates", wish("a", "c")).frame
    gap = frame[frame["metric"] == "optimality_gap"].set_index("agent")
    assert gap["estimate"]["a"] < gap["estimate"]["c"]
    assert gap["mark"].to_dict() == {"a": "best", "c": ""}


def test_aggregates_are_those_that_the_verb_aggregate_prints(sweep):
    from analysis import summaries

    asked = wish("a", "b")
    of = material.load(sweep.suite, asked, sweep.results, sweep.runs)
    frame = tabular.aggregated(of).frame.set_index(["agent", "metric"]).sort_index()
    how = summaries.Wish(None, "standard", "bootstrap", 200, 0)
    theirs = summaries.summary(sweep.suite, of.found, how).set_index(["agent", "metric"])
    theirs = theirs.sort_index()
    for column in ("estimate", "low", "high"):
        assert frame[column].to_numpy() == pytest.approx(theirs[column].to_numpy(), nan_ok=True)


def test_a_published_table_has_no_iqm_of_runs(sweep):
    frame = made(sweep, "aggregates", wish("a", published="dreamerv3@atari100k")).frame
    rows = frame[frame["agent"] == "published DreamerV3"].set_index("metric")["estimate"]
    assert rows.isna().to_dict() == {
        "median": False, "mean": False, "iqm": True, "optimality_gap": True,
        "record_mean": False, "superhuman": False,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["games", "aggregates"])
def test_latex_markdown_and_csv_have_the_same_marks(kind, sweep, tmp_path):
    tex, md, table, told = write(sweep, kind, wish("a", "b", "c"), tmp_path / "t_1")
    with table.open() as file:
        marks = [row["mark"] for row in csv.DictReader(file)]
    text = tex.read_text()
    assert 0 < marks.count("best") == text.count(r"\textbf{")
    assert 0 < marks.count("within") == text.count(r"\underline{")
    head, _, caption = md.read_text().partition("\n\n")
    assert marks.count("best") == head.count("**") / 2
    assert marks.count("within") == head.replace("**", "").count("*") / 2
    assert "italic: the 95% interval" in caption
    assert r"underlined: the 95\% interval" in text
    assert r"\toprule" in text and r"\label{tab:t_1}" in text
    assert "little/a/pong/0" in json.loads(told.read_text())["contenders"][0]["runs"]


def test_a_published_table_without_spreads_has_estimates_and_is_never_as_good(sweep):
    frame = made(sweep, "aggregates", wish("a", published="bbf@atari100k")).frame
    rows = frame[frame["agent"] == "published BBF"].set_index("metric")
    assert math.isfinite(rows["estimate"]["mean"]) and math.isnan(rows["low"]["mean"])
    assert "within" not in set(frame["mark"])


def test_the_table_of_improvement_holds_what_the_figure_draws(sweep, tmp_path):
    asked = wish("a", "b", "c")
    of = material.load(sweep.suite, asked, sweep.results, sweep.runs)
    drawn = kinds.KINDS["improvement"].draw(of).numbers["probability"]
    frame = made(sweep, "improvement", asked).frame
    printed = {f"{row.agent} over {row.over}": row.probability for row in frame.itertuples()}
    assert printed == pytest.approx(drawn)
    assert printed["b over a"] == pytest.approx(6.5 / 9)  # A tie is half a win.
    assert (frame["low"] <= frame["probability"]).all()
    tex, md, table, _ = write(sweep, "improvement", asked, tmp_path / "i")
    assert "| **1.00** [1.00, 1.00] |" in md.read_text()
    assert r"\textbf{1.00}" in tex.read_text()
    assert len(list(csv.DictReader(table.open()))) == 6


def test_the_table_of_efficiency_holds_what_the_figure_draws(sweep, tmp_path):
    asked = wish("a", "c")
    of = material.load(sweep.suite, asked, sweep.results, sweep.runs)
    drawn = kinds.KINDS["efficiency"].draw(of).numbers["area"]
    frame = made(sweep, "efficiency", asked).frame.set_index("agent")
    for name in ("a", "c"):
        row = frame.loc[name]
        told = [row["area"], row["low"], row["high"]]
        assert told == pytest.approx([drawn[name][key] for key in ("estimate", "low", "high")])
        assert row["final"] == pytest.approx(row["area"])  # Their returns never change.
    _, md, *_ = write(sweep, "efficiency", asked, tmp_path / "e")
    assert f"| a | {frame['area']['a']:.3f} [" in md.read_text()
    assert "Area: mean over frames" in md.read_text()


def test_a_table_of_pairs_takes_two_and_no_published_scores(sweep, tmp_path):
    with pytest.raises(ValueError, match="improvement takes at least 2"):
        write(sweep, "improvement", wish("a"), tmp_path / "t")
    with pytest.raises(ValueError, match="efficiency needs runs"):
        write(sweep, "efficiency", wish("a", published="dreamerv3@atari100k"), tmp_path / "t")


def test_names_are_escaped_in_latex_and_missing_cells_are_dashes(sweep, tmp_path):
    tex, md, *_ = write(sweep, "games", wish("ppo", "dreamer_ppo"), tmp_path / "t")
    assert r"dreamer\_ppo" in tex.read_text()
    (line,) = [line for line in md.read_text().splitlines() if line.startswith("| Breakout")]
    assert line.endswith("| – |")


def test_a_cell_keeps_its_small_print_out_of_the_mark():
    table = typeset.Typeset(
        ["A", "B"], [[typeset.Cell("x_1", ""), typeset.Cell("2", "best", "[1]")]], "c"
    )
    lines = [line.strip() for line in typeset.latex(table, "n").splitlines()]
    first = lines.index(r"x\_1 & \textbf{2} \\")
    assert lines[first + 1] == r" & \scriptsize [1] \\[2pt]".strip()
    assert "| x_1 | **2** [1] |" in typeset.markdown(table)


def test_an_unknown_table_is_answered_with_the_nearest(sweep, tmp_path):
    with pytest.raises(ValueError, match="did you mean 'aggregates'"):
        write(sweep, "agregates", wish("a"), tmp_path / "t")
