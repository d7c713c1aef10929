"""The report shows the newest video of a model, plays it by itself, and stays one file."""

import re
import time
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from analysis import page, report, worlds
from launch import media
from tests.analysis import browser, sweeps


def show(folder: Path, frame: int, bright: int = 100) -> None:
    """Writes the media of a frame as a run does."""
    pictures = [np.full((32, 48, 3), bright + row, np.uint8) for row in range(10)]
    media.write_mp4(folder / "media" / f"{frame:012d}-open_loop.mp4", pictures)
    media.write_png(folder / "media" / f"{frame:012d}-reconstruction.png", pictures[0])


def folder(sweep: sweeps.Sweep, agent: str, game: str, seed: int) -> Path:
    return sweep.runs / "little" / agent / game / str(seed)


def built(sweep: sweeps.Sweep) -> str:
    path = report.build(sweep.suite, sweep.results, sweep.runs, True, None, sweeps.NOW)
    return path.read_text()


def section(text: str) -> str:
    return text[text.index('id="worlds"') :].partition("</section>")[0]


def test_the_newest_video_of_one_seed_of_each_agent_and_game_is_shown(partial, quick):
    for game, seed, frame in (("pong", 0, 4000), ("pong", 0, 20_000), ("pong", 1, 24_000),
                              ("breakout", 0, 8000)):  # fmt: skip
        show(folder(partial, "dreamer_ppo", game, seed), frame)
    (folder(partial, "dreamer_ppo", "pong", 0) / "media" / "play.mp4").write_bytes(b"x")
    part = section(built(partial))
    assert part.count("<video") == part.count("<img") == part.count("<figcaption") == 2
    assert re.findall(r"on (\w+), seed (\d), frame ([\d,]+)<", part) == [
        ("Pong", "0", "20,000"),
        ("Breakout", "0", "8,000"),
    ]
    for name in ("controls", "loop", "muted", "playsinline"):
        assert part.count(f' {name}=""') == 2


def test_a_sweep_without_models_has_neither_section_nor_link(partial, quick):
    assert "worlds" not in built(partial).partition("<body>")[2]


def test_media_of_stale_runs_are_not_shown(whole, quick):
    whole.finished("ppo", "pong", 1, sweeps.level(1000), task_hash="0000000000000000")
    show(folder(whole, "ppo", "pong", 1), 4000)
    assert 'id="worlds"' not in built(whole)
    show(folder(whole, "ppo", "pong", 0), 4000)
    assert section(built(whole)).count("<video") == 1


def test_a_run_that_has_just_begun_is_shown_in_a_partial_report(sweep, quick):
    sweep.running("dreamerv3+debug", "pong", 0, sweeps.level(1), 4000)
    show(folder(sweep, "dreamerv3+debug", "pong", 0), 400)
    text = built(sweep)
    assert "dreamerv3+debug on Pong, seed 0, frame 400" in re.sub("<[^>]*>", "", section(text))
    assert '<a href="#worlds">What the models imagine</a>' in text


def test_a_file_that_is_too_large_is_linked_to_beside_the_report(partial, quick, monkeypatch):
    place = folder(partial, "dreamer_ppo", "pong", 0)
    show(place, 4000)
    video = place / "media" / "000000004000-open_loop.mp4"
    monkeypatch.setattr(worlds, "EACH", video.stat().st_size - 1)
    part = section(built(partial))
    assert "<video" not in part and "<img" in part
    (link,) = re.findall(r'href="([^"]+)"', part)
    report_folder = partial.results / "little"
    assert (report_folder / unquote(link)).resolve() == video.resolve()
    assert not link.startswith("/")


def test_the_page_has_room_for_so_much_and_no_more(partial, quick, monkeypatch):
    for game in ("pong", "breakout"):
        show(folder(partial, "dreamer_ppo", game, 0), 4000)
    whole = built(partial)
    monkeypatch.setattr(worlds, "TOTAL", 0)
    part = section(built(partial))
    assert "data:" not in part
    assert part.count("<a ") == 4
    sizes = [path.stat().st_size for path in partial.runs.glob("*/*/*/*/media/*")]
    monkeypatch.setattr(worlds, "TOTAL", sum(sizes))
    assert built(partial) == whole


def test_a_void_element_has_no_end_and_what_comes_from_outside_is_escaped():
    assert page.void("img", src='"><script>') == '<img src="&quot;&gt;&lt;script&gt;">'
    assert page.element("p", "a", cls="b") == '<p class="b">a</p>'


def test_labels_with_signs_are_written_as_links_write_them(tmp_path, quick):
    path = tmp_path / "runs" / "a+b,c=d" / "x.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 2_000_000)
    text = worlds.linked(path, tmp_path / "results" / "little")
    assert 'href="../../runs/a%2Bb%2Cc%3Dd/x.mp4"' in text
    assert "2.0 MB" in text


@pytest.fixture
def shown(partial, quick):
    if browser.program() is None:
        pytest.skip(
            "Chromium is not installed (Debian: apt-get install chromium); left out: that the "
            "videos of a report play"
        )
    show(folder(partial, "dreamer_ppo", "pong", 0), 20_000)
    built(partial)
    with browser.started() as tab:
        yield tab, partial.results / "little" / "report.html"


def waited(tab: browser.Page, expression: str) -> bool:
    end = time.monotonic() + browser.PATIENCE
    while tab.value(expression) is not True and time.monotonic() < end:
        time.sleep(0.05)
    return tab.value(expression)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_plays_the_video_and_shows_the_picture(shown, width):
    tab, path = shown
    tab.open(path, width, 800)
    video = "document.querySelector('video')"
    assert waited(tab, f"{video}.readyState >= 2"), tab.value(f"{video}.error.message")
    assert tab.value(f"[{video}.videoWidth, {video}.videoHeight]") == [48, 32]
    assert tab.value(f"{video}.duration") == pytest.approx(1.0, abs=0.05)
    tab.value(f"{video}.scrollIntoView(), {video}.play(), 0")
    assert waited(tab, f"{video}.currentTime > 0.2")
    assert tab.value(f"{video}.muted && {video}.loop && {video}.playsInline") is True
    assert waited(tab, "document.querySelector('figure img').naturalWidth == 48")
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.said == []
    assert {url for url in tab.loaded if not url.startswith("data:")} == {path.resolve().as_uri()}
