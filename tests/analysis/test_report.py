import io
import re

import numpy as np
import pytest
from PIL import Image

from analysis import report
from tests.analysis import browser, sweeps


def build(sweep, partial=False, agents=None):
    return report.build(
        sweep.suite, sweep.results, sweep.runs, partial, agents, sweeps.NOW
    ).read_text()


@pytest.fixture
def partial_text(report_of_some) -> str:
    return report_of_some.read_text()


@pytest.fixture
def whole_text(report_of_all) -> str:
    return report_of_all.read_text()


def test_a_whole_report_names_every_run_that_is_missing(partial):
    with pytest.raises(ValueError, match="4 of 12 runs of suite little are missing") as refusal:
        build(partial)
    assert "dreamer_ppo/pong/0: failed at frame 20,000: loss/policy is nan" in str(refusal.value)
    assert not (partial.results / "little/report.html").exists()


def test_a_report_of_some_agents_needs_only_theirs(partial, quick):
    text = build(partial, agents=["ppo", "random"])
    assert "Complete: all 8 runs have finished." in text
    assert "dreamer_ppo" not in text


def test_a_suite_that_never_ran_is_refused_with_what_to_do(sweep):
    with pytest.raises(ValueError, match="snakemake --profile local --config suite=little"):
        build(sweep, partial=True)


def test_a_partial_report_says_what_is_missing_and_why(partial_text):
    assert "Partial: 8 of 12 runs." in partial_text
    assert "8 finished, 1 running, 1 killed, 1 failed, 1 missing" in partial_text
    assert "loss/policy is nan &lt;after&gt; 3 &amp; 4" in partial_text
    assert "20,000 of 40,000 frames" in partial_text
    assert "4 runs without a score, and why" in partial_text


def test_a_report_is_one_file_that_loads_nothing(partial_text):
    loads = re.findall(r"""(?:src|href|srcset|data|poster)\s*=\s*["']([^"']*)["']""", partial_text)
    assert {link for link in loads if not link.startswith(("#", "data:"))} == set()
    used = set(re.findall(r"url\(\s*[\"']?([^)\"']*)", partial_text))
    assert {link for link in used if not link.startswith("#")} == set()
    assert "@import" not in partial_text
    assert re.findall(r"<script[^>]*>", partial_text) == [
        '<script type="application/json" id="numbers">', "<script>",
    ]  # fmt: skip


def test_what_an_svg_points_to_is_there(partial_text):
    names = re.findall(r'\bid="([^"]+)"', partial_text)
    for link in set(re.findall(r'(?:href="|url\()#([^")]+)', partial_text)):
        assert link in names, link


def test_a_report_has_a_figure_for_each_game_metric_and_profile(partial_text):
    assert partial_text.count('<svg role="img"') == 2 + 2 + 4 + 1  # Means, seeds, metrics, profile.
    assert 'aria-label="Pong: dreamer_ppo, 2 seeds; ppo, 2 seeds; random, 2 seeds"' in partial_text


def test_every_number_stands_beside_its_window_seeds_and_interval(whole_text):
    text = whole_text
    for anchor in ("aggregates", "games", "profile"):
        part = text[text.index(f'id="{anchor}"') :].partition("</section>")[0]
        assert "last_of_4_bins (training episodes that ended in frames 30,000 to 40,000)" in part
    assert "10.5<span" in text
    assert "[10.0, 11.0]" in text
    assert "2/2 seeds, 52 ep." in text
    assert "2 games × 2 seeds" in text


def test_a_report_says_what_made_each_run(whole_text):
    text = whole_text
    for words in (sweeps.COMMIT[:12], "torch 2.13.0", "Some CPU", "E1: Python 3.11.7"):
        assert words in text
    part = text[text.index('id="game-pong"') :].partition("</details>")[0]
    assert "<td>0</td><td>10.0</td><td>26</td><td>10.0</td><td>40,000</td>" in part
    assert part.count(f"<code>{sweeps.COMMIT[:10]}</code>") == 4


def test_doubtful_numbers_are_said_at_the_top(whole, quick):
    import json

    path = whole.results / "little/ppo/pong/0.json"
    told = json.loads(path.read_text())
    told |= {"dirty": True, "score": told["score"] | {"value": 99.0}}
    path.write_text(json.dumps(told))
    top = build(whole).partition("<h2>Aggregates")[0]
    assert "the receipt says 99 over 26 episodes, the run folder 10 over 26" in top
    assert "Made with uncommitted changes in the code: 1 of 8 runs." in top


def test_one_seed_and_one_game_are_said_and_not_shown_as_certain(tmp_path, quick):
    sweep = sweeps.Sweep(tmp_path, sweeps.suite(tmp_path, games=["pong"], seeds=[3]))
    sweep.all("ppo", lambda game, seed: sweeps.level(7))
    text = build(sweep)
    assert "one seed: no interval; one game: not an aggregate" in text
    assert "no interval</span>" in text


def test_a_sweep_without_a_single_score_still_has_a_report(sweep, quick):
    sweep.failed("ppo", "pong", 0, sweeps.level(1), 400)
    text = build(sweep, partial=True)
    assert "No run has a score in the score window yet." in text
    assert "Partial: 0 of 4 runs." in text


def test_stale_runs_are_listed_and_never_mixed_in(whole, quick):
    whole.finished("ppo", "pong", 1, sweeps.level(1000), task_hash="0000000000000000")
    text = build(whole, partial=True)
    assert "receipt of task_hash 0000000000000000, now" in text
    assert "1,000" not in text[text.index('id="games"') :].partition("</section>")[0]


def test_the_report_is_the_same_bytes_again(whole, quick):
    assert build(whole) == build(whole)


@pytest.fixture
def shown(report_of_some):
    if browser.program() is None:
        pytest.skip(
            "Chromium is not installed (Debian: apt-get install chromium); left out: console "
            "errors, network requests, screenshots, phone width, dark mode and print"
        )
    with browser.started() as page:
        yield page, report_of_some


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_a_browser_shows_the_report_without_complaint_on_every_screen(shown):
    page, path = shown
    for width, dark in ((1280, False), (1280, True), (390, False), (320, True)):
        page.open(path, width, 800, dark)
        assert page.value("document.documentElement.scrollWidth") <= width
        image = pixels(page.screenshot())
        assert image.std() > 10, "blank"
        assert (np.median(image) < 60) == dark
        seen = "s.closest('details') || s.clientHeight > 60"
        visible = f"[...document.querySelectorAll('svg[role=img]')].every(s => {seen})"
        assert page.value(visible) is True
    assert page.said == []
    assert set(page.loaded) == {path.resolve().as_uri()}


def test_figures_have_light_ink_on_a_dark_page(shown):
    page, path = shown
    inks = []
    for dark in (False, True):
        page.open(path, 800, 800, dark)
        inks.append(page.value("getComputedStyle(document.querySelector('svg text')).fill"))
    assert inks == ["rgb(29, 33, 38)", "rgb(228, 231, 235)"]


def test_a_printed_report_is_a_pdf_of_a_few_pages(shown):
    page, path = shown
    page.open(path, 1280, 800)
    printed = page.pdf()
    assert printed.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 12
