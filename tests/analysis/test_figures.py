import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from analysis import aggregates, cells, curves, evidence, figures, palette, pipeline
from tests.analysis import sweeps


@pytest.fixture
def drawn(whole) -> dict[str, list[curves.Curve]]:
    table = curves.table(whole.suite, cells.expected(whole.suite, ["ppo", "random"]), whole.runs)
    return {g: list(curves.of_game(table, g, 40, 40_000, 0)) for g in whole.suite.games}


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(plt.Text))


def aggregated(low: float = 0.1) -> pd.DataFrame:
    rows = [
        {"agent": agent, "metric": metric, "estimate": 0.5, "low": low, "high": low + 0.8,
         "games": 2, "seeds": "3-5"}
        for agent in ("dreamer_ppo+aux", "ppo")
        for metric in aggregates.METRICS
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_learning_curves_say_frames_points_and_the_number_of_seeds(drawn, whole):
    figure = figures.curves(drawn, evidence.scales(whole.suite), "The caption.")
    said = texts(figure)
    for words in ("Frames", "Return (points)", "n = 2", "ppo (2 seeds)", "Pong", "The caption."):
        assert words in said
    assert figure.axes[0].get_xlim() == (0, 40_000)
    plt.close(figure)


def test_an_agent_has_its_colour_in_every_kind_of_figure(drawn, whole):
    wanted = palette.look("ppo").color.lower()
    profile = pd.DataFrame(
        {"agent": "ppo", "tau": [0.0, 1.0], "fraction": [1.0, 0.5], "low": 0.2, "high": 1.0}
    )
    only = aggregated()[lambda table: table["agent"] == "ppo"]
    for figure in (
        figures.curves({"pong": drawn["pong"][:1]}, evidence.scales(whole.suite), ""),
        figures.intervals(only, ""),
        figures.profiles(profile, only, ""),
    ):
        lines = [line for line in figure.axes[0].lines if len(line.get_xdata())]
        colors = {to_hex(line.get_color()) for line in lines}
        assert wanted in colors
        plt.close(figure)


def test_the_shaded_band_is_the_interval(drawn):
    figure, ax = plt.subplots()
    figures.draw_curves(ax, "pong", drawn["pong"], (None, None))
    ends = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (ends.min(), ends.max()) == (10.0, 11.0)
    plt.close(figure)


def test_random_and_human_are_drawn_where_they_fall_into_the_panel_and_a_far_human_is_named(drawn):
    cases = [((9.9, 10.4), {"random", "human"}), ((-500.0, 11.0), {"human"})]
    cases += [((9.9, 5123.0), {"random", "human 5.1k ↑"}), ((None, -70.0), {"human −70 ↓"})]
    for scale, names in cases:
        figure, ax = plt.subplots()
        figures.draw_curves(ax, "pong", [drawn["pong"][0]], scale)
        assert {text.get_text() for text in ax.texts} == names
        plt.close(figure)


def test_aggregates_without_an_interval_are_hollow(whole):
    for low, filled in ((0.1, True), (np.nan, False)):
        figure = figures.intervals(aggregated(low), "")
        marks = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "^")]
        assert {line.get_markerfacecolor() != "none" for line in marks} == {filled}
        assert "2 games × 3–5 seeds" in texts(figure)
        plt.close(figure)


def test_png_and_pdf_are_the_same_bytes_again(drawn, whole, tmp_path):
    def save(stem):
        with figures.theme():
            figure = figures.curves(drawn, evidence.scales(whole.suite), "c")
            return [path.read_bytes() for path in figures.save(figure, stem)]

    one, other = save(tmp_path / "one"), save(tmp_path / "other")
    assert one == other
    assert one[0].startswith(b"\x89PNG")
    assert one[1].startswith(b"%PDF")
    assert b"/FontFile2" in one[1]  # TrueType, embedded: what a paper's publisher asks for.


def test_an_svg_takes_the_ink_of_its_page(drawn):
    with figures.theme(figures.PAGE_INK):
        figure, ax = plt.subplots()
        figures.draw_curves(ax, "pong", drawn["pong"], (None, None))
        text = figures.svg(figure, 'a "curve"')
    assert text.startswith('<svg role="img" aria-label="a &quot;curve&quot;" viewBox="')
    assert "currentColor" in text
    assert figures.PAGE_INK not in text
    assert "<metadata" not in text


@pytest.mark.parametrize(("value", "text"), [
    (0, "0"), (-21, "−21"), (400_000, "400k"), (2.5e6, "2.5M"), (2e8, "200M"), (0.5, "0.5"),
])  # fmt: skip
def test_ticks_are_short(value, text):
    assert figures.short(value) == text


def test_every_panel_of_57_games_has_a_place(drawn, whole):
    many = {f"game_{number}": drawn["pong"] for number in range(57)}
    figure = figures.curves(many, dict.fromkeys(many, (None, None)), "")
    assert sum(ax.get_visible() and ax.axison for ax in figure.axes) == 57
    plt.close(figure)


def test_figures_are_written_though_there_is_nothing_to_aggregate(tmp_path):
    suite = sweeps.suite(tmp_path / "suites", score={"window": "evaluation", "normalize": "none"})
    sweep = sweeps.Sweep(tmp_path, suite)
    sweep.all("ppo", lambda game, seed: sweeps.level(seed))
    pipeline.collect(suite, sweep.receipts("ppo"), sweep.results, sweep.runs, sweeps.NOW)
    pipeline.aggregate(suite, sweep.results)
    paths = pipeline.figures(suite, sweep.results)
    names = [str(path.relative_to(sweep.results / "little/figures")) for path in paths]
    assert names == [
        "curves.png", "curves.pdf", "aggregates.png", "aggregates.pdf", "profiles.png",
        "profiles.pdf", "games/pong.png", "games/pong.pdf", "games/breakout.png",
        "games/breakout.pdf",
    ]  # fmt: skip
    assert all(path.stat().st_size > 1000 for path in paths)
