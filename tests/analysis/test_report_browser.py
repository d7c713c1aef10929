"""What a script adds to the report, in a real browser; a large sweep still opens at once."""

import json
import re
import time

import pytest

import suites
from analysis import curves, report, tables
from tests.analysis import browser, sweeps

LIMIT, SECONDS = 30_000_000, 3.0  # bytes of the file; until it is there to be read


@pytest.fixture
def tab():
    if browser.program() is None:
        pytest.skip(
            "Chromium is not installed (Debian: apt-get install chromium); left out: values under "
            "the pointer, agents to hide, games to open, time to open"
        )
    with browser.started() as page:
        yield page


def test_a_pointer_over_a_curve_tells_the_values_there(tab, report_of_all):
    tab.open(report_of_all, 1280, 800)
    tab.value(
        "(() => { const s = document.querySelector('#curves svg[data-chart=pong]');"
        "s.scrollIntoView({block: 'center'}); const b = s.getBoundingClientRect();"
        "s.dispatchEvent(new PointerEvent('pointermove', {bubbles: true,"
        "clientX: b.left + b.width * 0.6, clientY: b.top + 40})); })()"
    )
    said = tab.value("document.querySelector('.tip').innerText")
    assert re.search(r"frame 2\d,\d00", said)
    assert "10.5 [10.0, 11.0] ppo" in said
    assert said.index("ppo") < said.index("random"), "the best comes first"


def test_an_agent_can_be_hidden_in_charts_and_shown_again(tab, report_of_all):
    tab.open(report_of_all, 1280, 800)
    line = "getComputedStyle(document.querySelector('#curves svg g.a0')).display"
    seen = [tab.value(line)]
    for _ in range(2):
        tab.value("document.querySelector('#agents .a0 button').click()")
        seen.append(tab.value(line))
    assert seen == ["inline", "none", "inline"]


def test_a_link_to_a_game_opens_it_and_a_word_finds_it(tab, report_of_all):
    tab.open(report_of_all, 390, 800)
    opened = "[...document.querySelectorAll('details.game')].map(each => each.open)"
    assert tab.value(opened) == [False, False]
    tab.value("document.querySelector('#curves a[href=\"#game-breakout\"]').click()")
    end = time.monotonic() + 5
    while tab.value(opened) != [False, True] and time.monotonic() < end:
        time.sleep(0.05)
    assert tab.value(opened) == [False, True]
    tab.value(
        "(() => { const i = document.querySelector('#tools input'); i.value = 'PON';"
        "i.dispatchEvent(new Event('input')); })()"
    )
    hidden = "[...document.querySelectorAll('details.game')].map(each => each.hidden)"
    assert tab.value(hidden) == [False, True]
    assert tab.said == []


@pytest.fixture
def large(tmp_path, quick, monkeypatch):
    """57 games, 5 agents, 5 seeds, as many bins as the real suite has."""
    monkeypatch.setattr(tables, "RESAMPLES", 100)
    monkeypatch.setattr(curves, "RESAMPLES", 100)
    games = list(suites.load("atari57").games)
    score = {"window": "last_of_100_bins", "normalize": "human"}
    suite = sweeps.suite(tmp_path / "suites", games=games, seeds=[0, 1, 2, 3, 4], score=score)
    sweep = sweeps.Sweep(tmp_path, suite)
    for place, agent in enumerate(("dreamer_ppo", "dreamerv2", "dreamerv3", "ppo", "random")):
        sweep.all(agent, lambda game, seed, p=place: sweeps.climb(0, 90 * p + 7, 9, seed + 9 * p))
    return report.build(suite, sweep.results, sweep.runs, False, None, sweeps.NOW)


def test_a_report_of_57_games_5_agents_and_5_seeds_opens_at_once(tab, large):
    assert large.stat().st_size < LIMIT
    start = time.monotonic()
    tab.open(large, 1280, 800)
    tab.value("document.body.getBoundingClientRect().height")
    assert time.monotonic() - start < SECONDS
    assert tab.value("document.querySelectorAll('details.game').length") == 57
    told = json.loads(tab.value("document.getElementById('numbers').textContent"))
    assert len(told["charts"]) == 2 * 57 + 1
    assert tab.said == []
