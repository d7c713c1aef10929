"""Every kind of figure for papers, from runs and imports to the files."""

import json
import math

import pytest
from matplotlib import pyplot as plt
from PIL import Image

from analysis import canvas, palette
from analysis.paper import kinds, main, material
from suites.records import digest
from tests.analysis import paper_sweeps as sweeps
from tests.analysis.paper_sweeps import wish

ASKED = {
    "curves": wish("ppo", "theirs", published="dreamerv3@atari100k"),
    "grid": wish("ppo", "dreamer_ppo", "theirs", published="dreamerv3@atari100k"),
    "intervals": wish("ppo", "dreamer_ppo", "theirs"),
    "profiles": wish("ppo", "dreamer_ppo"),
    "efficiency": wish("ppo", "dreamer_ppo", "theirs"),
    "improvement": wish("ppo", "dreamer_ppo", "theirs"),
    "differences": wish("ppo", published="dreamerv3@atari100k"),
    "ladder": wish("dreamer_ppo", "ppo", "theirs"),
}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    found = sweeps.begin(tmp_path_factory.mktemp("paper"))
    sweeps.bring(found, "theirs", sweeps.GAMES)
    return found


def draw(sweep, kind, asked, stem):
    return main.figure(kind, sweep.suite, asked, sweep.results, sweep.runs, stem)


def drawn(sweep, kind, asked):
    of = material.load(sweep.suite, asked, sweep.results, sweep.runs)
    with canvas.theme(), palette.apart(of.names):
        return kinds.KINDS[kind].draw(of)


def texts(figure):
    found = "\n".join(text.get_text() for text in figure.findobj(plt.Text))
    plt.close(figure)
    return found


@pytest.fixture(scope="module", params=kinds.KINDS)
def files(request, sweep, tmp_path_factory):
    stem = tmp_path_factory.mktemp("drawn") / request.param
    paths = draw(sweep, request.param, ASKED[request.param], stem)
    return dict(zip(("pdf", "png", "json", "tex"), paths, strict=True))


def test_every_kind_is_tested_here():
    assert set(ASKED) == set(kinds.KINDS)


def test_a_figure_is_as_wide_as_a_column_or_a_page_and_no_higher_than_a_page(files):
    width, height = sweeps.page(files["pdf"])
    assert round(width, 4) in (canvas.COLUMN, canvas.PAGE)
    assert height <= canvas.HIGHEST


def test_fonts_are_embedded_and_none_is_of_type_3(files):
    data = files["pdf"].read_bytes()
    assert b"/Type3" not in data
    fonts = data.count(b"/Type /FontDescriptor")
    assert 0 < fonts == data.count(b"/FontFile2 ")


def test_no_text_is_too_small_to_be_read(files):
    found = sweeps.sizes(files["pdf"])
    assert canvas.SMALLEST <= min(found) <= max(found) <= 8


def test_pdf_and_png_say_what_the_json_beside_them_says(files):
    told = json.loads(files["json"].read_text())
    assert json.loads(Image.open(files["png"]).text["Description"]) == told
    assert json.loads(sweeps.keywords(files["pdf"])) == told


def test_the_json_names_runs_window_task_and_commit(files, sweep):
    told = json.loads(files["json"].read_text())
    assert told["task"] == sweep.suite.task_digest
    by_name = {each["name"]: each for each in told["contenders"]}
    ours = by_name["ppo"]
    assert ours["window"] == "last_of_4_bins"
    assert ours["commits"] == ["0123456789abcdef0123456789abcdef01234567"]
    protocol = dict(ours["protocol"])
    assert protocol["task"] == sweep.suite.task_digest
    assert protocol["window"] == sweep.suite.score.window
    assert protocol.pop("hash") == digest(protocol)
    assert {"little/ppo/seaquest/1", "little/ppo/pong/0"} <= {*ours["runs"]}
    assert "little/ppo/pong/2" not in ours["runs"]
    assert ours["seeds"] == "2-3"
    if "theirs" in by_name:
        theirs = by_name["theirs"]
        assert theirs["imported"]["source"]["name"] == "theirs.json"
        assert theirs["commits"] == ["c0ffee"]
        assert "little/imports/theirs/pong/1" in theirs["runs"]


def test_only_games_that_are_drawn_are_behind_a_figure(sweep, tmp_path):
    paths = draw(sweep, "intervals", ASKED["intervals"], tmp_path / "a")
    told = json.loads(paths[2].read_text())
    assert told["games"] == ["pong", "seaquest"]  # Not breakout: dreamer_ppo has none.
    assert not [run for each in told["contenders"] for run in each["runs"] if "breakout" in run]


def test_the_latex_includes_the_figure_with_its_caption(files):
    text, name = files["tex"].read_text(), files["pdf"].stem
    wide = sweeps.page(files["pdf"])[0] > 4
    width = r"\textwidth" if wide else r"\columnwidth"
    assert rf"\includegraphics[width={width}]{{{name}}}" in text
    assert r"\caption{Suite little" in text
    assert ("figure*" in text) == wide


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_figure_is_the_same_bytes_again(kind, sweep, tmp_path):
    one, other = (
        [path.read_bytes() for path in draw(sweep, kind, ASKED[kind], tmp_path / place / kind)]
        for place in ("one", "other")
    )
    assert one == other


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_bare_figure_has_no_words_below_but_its_files_have(kind, sweep):
    asked = {**vars(ASKED[kind]), "bare": True}
    bare = drawn(sweep, kind, material.Wish(**asked))
    assert "Suite little" in bare.caption
    assert "Suite little" not in texts(bare.figure)


def test_a_game_without_any_run_has_no_panel_and_is_named(sweep):
    found = drawn(sweep, "curves", wish("dreamer_ppo"))
    assert found.games == ["pong", "seaquest"]
    assert "No run, no panel: Breakout." in found.caption
    said = texts(found.figure)
    assert "dreamer_ppo (3 seeds)" in said


def test_curves_of_an_import_end_in_its_last_value(sweep):
    of = material.load(sweep.suite, wish("theirs"), sweep.results, sweep.runs)
    table = of.curves()
    last = table[(table["game"] == "pong") & (table["bin"] == 39)]
    # The last two points, 39 and 40 fortieths of the budget: 19 and 20 points, and the seed's.
    assert last.set_index("seed")["return"].to_dict() == {0: 19.5, 1: 20.5}


def test_published_scores_are_drawn_or_named_where_they_lie_beyond_the_panel(sweep):
    found = drawn(sweep, "curves", wish("ppo", published="dreamerv3@atari100k"))
    panels = dict(zip(found.games, found.figure.axes, strict=False))
    beside = [text.get_text() for text in panels["seaquest"].texts]
    assert "published 960 ↑" in beside  # 962 points; the runs have 12.
    assert "published DreamerV3" in texts(found.figure)
    assert "Dash-dotted: published DreamerV3, 4–5 seeds, last_of_40_bins." in found.caption


def test_one_seed_has_no_band_and_the_caption_says_so(tmp_path):
    sweep = sweeps.begin(tmp_path, seeds=[0])
    for kind in ("curves", "efficiency"):
        found = drawn(sweep, kind, wish("ppo", "dreamer_ppo"))
        assert "One seed, no band: ppo, dreamer_ppo." in found.caption
        assert "(1 seed)" in texts(found.figure)
    ladder = drawn(sweep, "ladder", wish("ppo", "dreamer_ppo"))
    assert "Hollow: one seed, no interval." in ladder.caption
    assert math.isnan(ladder.numbers["rungs"]["ppo"]["level"][1])
    plt.close(ladder.figure)


def test_the_legend_keeps_the_order_that_was_asked_for_where_the_first_game_lacks_an_agent(sweep):
    found = drawn(sweep, "curves", wish("theirs", "dreamer_ppo", "ppo", games=("breakout", "pong")))
    told = [text.get_text() for text in found.figure.legends[0].get_texts()]
    assert told == ["theirs (2 seeds)", "dreamer_ppo (3 seeds)", "ppo (2–3 seeds)"]
    plt.close(found.figure)


def test_a_probability_with_one_seed_is_said_to_be_too_sure(sweep, tmp_path):
    alone = sweeps.begin(tmp_path, seeds=[0])
    said = drawn(alone, "improvement", wish("ppo", "dreamer_ppo")).caption
    assert "One seed, so that intervals are too narrow: ppo, dreamer_ppo." in said
    assert "too narrow" not in drawn(sweep, "improvement", wish("ppo", "theirs")).caption
    plt.close("all")


def test_the_area_below_a_curve_is_printed_with_its_interval(sweep):
    found = drawn(sweep, "efficiency", wish("ppo", "dreamer_ppo"))
    area = found.numbers["area"]["ppo"]
    assert area["low"] < area["estimate"] < area["high"]
    assert f"area {area['estimate']:.3f} [".replace("-", "−") in texts(found.figure)


def test_the_matrix_has_both_sides_of_each_pair(sweep):
    found = drawn(sweep, "improvement", wish("ppo", "dreamer_ppo", "theirs"))
    chances = found.numbers["probability"]
    assert len(chances) == 6
    assert chances["ppo over theirs"] + chances["theirs over ppo"] == pytest.approx(1)
    assert chances["dreamer_ppo over ppo"] == 1.0
    assert "1.00" in texts(found.figure)


def test_differences_are_sorted_and_signed_from_the_first_side(sweep):
    one = drawn(sweep, "differences", wish("ppo", "theirs"))
    other = drawn(sweep, "differences", wish("theirs", "ppo"))
    values = list(one.numbers["difference"].values())
    assert values == sorted(values, reverse=True)
    for game, value in one.numbers["difference"].items():
        assert other.numbers["difference"][game] == pytest.approx(-value)
    assert one.figure.axes[0].get_xscale() == "symlog"
    plt.close("all")


def test_a_rung_adds_its_difference_from_the_rung_before(sweep):
    found = drawn(sweep, "ladder", wish("ppo", "theirs", "dreamer_ppo"))
    rungs = found.numbers["rungs"]
    assert rungs["ppo"]["added"] is None
    for before, after in (("ppo", "theirs"), ("theirs", "dreamer_ppo")):
        wanted = rungs[after]["level"][0] - rungs[before]["level"][0]
        assert rungs[after]["added"][0] == pytest.approx(wanted)
        low, high = rungs[after]["added"][1:]
        assert low < wanted < high
    plt.close(found.figure)


def test_agents_of_a_figure_stay_apart_without_colour(sweep):
    asked = wish("ppo", "dreamer_ppo", "theirs", games=("pong",))
    found = drawn(sweep, "curves", asked)
    (box,) = found.figure.legends
    handles = box.get_lines()
    assert len(handles) == 3
    assert len({str(line.get_linestyle()) for line in handles}) == 3
    assert len({line.get_marker() for line in handles}) == 3
    marks = {line.get_marker() for line in found.figure.axes[0].lines if len(line.get_xdata())}
    assert {line.get_marker() for line in handles} <= marks
    plt.close(found.figure)


@pytest.mark.parametrize(("kind", "asked", "said"), [
    ("curvs", wish("ppo"), "did you mean 'curves'"),
    ("curves", wish("pppo"), "did you mean 'ppo'"),
    ("curves", wish("ppo", games=("pogn",)), "did you mean 'pong'"),
    ("curves", wish("ppo", window="last_of_4_bin"), "last_of_<K>_bins"),
    ("curves", wish("ppo", published="dreamerv33@atari100k"), "did you mean 'dreamerv3'"),
    ("curves", wish("ppo", published="dreamerv3"), "METHOD@SUITE of atari100k"),
    ("curves", wish("ppo", human="standrd"), "did you mean 'standard'"),
    ("intervals", wish("ppo", published="dreamerv3@atari100k"), "curves, grid, differences"),
    ("ladder", wish("ppo"), "takes at least 2"),
    ("differences", wish("ppo"), "--agents A,B or --agents A --published METHOD"),
    ("ladder", wish("ppo", "dreamer_ppo", games=("breakout",)), "dreamer_ppo has no run of"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused_with_what_can(kind, asked, said, sweep, tmp_path):
    with pytest.raises(ValueError, match=said):
        draw(sweep, kind, asked, tmp_path / "none")
    assert not list(tmp_path.glob("none*"))
