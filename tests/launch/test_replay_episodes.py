"""Replay of episodes: which are kept, where windows begin, when updates are due.

The chances are those of danijar/dreamerv2@07d906e and danijar/dreamer@02f0210.
"""

import collections
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch.replay.feed import Feed
from tests.launch import replays


def made(folder: Path, rows: int = 16, **changes: object):
    return replays.make(replays.EPISODES.model_copy(update=changes), folder, rows)


def episode(feed: Feed, begin: int, rows: int, *, end: bool = True, terminal: bool = True) -> int:
    """Plays an episode in all streams and returns the number of the row after it."""
    for number in range(begin, begin + rows):
        obs = replays.row(number, feed.streams, number == begin, end and number == begin + rows - 1)
        obs["is_terminal"] &= terminal
        feed.observe(obs)
        feed.answer(np.full(feed.streams, number + 1), {})
    return begin + rows


def starts(feed: Feed, batches: int) -> collections.Counter:
    """Counts the first rows of windows."""
    found: collections.Counter = collections.Counter()
    for _ in range(batches):
        found.update(replays.where(feed.batch())[:, 0, 1].tolist())
    return found


def test_the_last_start_is_as_likely_as_the_official_program_makes_it(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1, length=50, shortest=50, batch=400)
    episode(feed, 0, 101)
    found = starts(feed, 60)
    total = sum(found.values())
    assert set(found) == {*range(52)}
    assert abs(found.pop(51) / total - 0.5) < 0.02
    each = np.array([*found.values()]) / total
    assert np.abs(each - 1 / 102).max() < 0.004


def test_the_last_start_is_never_picked_where_all_but_it_are(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1, starts="all_but_last", batch=100)
    after = episode(feed, 0, 3)
    assert feed.episodes == 0, "an episode as long as a window has only a last start"
    episode(feed, after, 8)
    found = starts(feed, 20)
    assert set(found) == {3, 4, 5, 6, 7}
    assert max(found.values()) < 1.3 * min(found.values())


def test_episodes_are_drawn_with_equal_chances_whatever_their_length(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1, batch=500)
    after = episode(feed, 0, 4)
    episode(feed, after, 100)
    found = starts(feed, 20)
    short = sum(count for start, count in found.items() if start < 4)
    assert abs(short / 10_000 - 0.5) < 0.02


@settings(max_examples=50, deadline=None)
@given(
    streams=st.integers(1, 3), rows=st.integers(1, 40), capacity=st.integers(5, 60),
    lengths=st.lists(st.integers(1, 12), min_size=3, max_size=14), length=st.integers(1, 4),
    begin=st.sampled_from(["all_but_last", "ends_weighted"]), continued=st.booleans(),
)  # fmt: skip
def test_a_window_lies_inside_one_complete_episode_that_is_kept(
    tmp_path_factory, streams, rows, capacity, lengths, length, begin, continued
) -> None:
    feed = made(
        tmp_path_factory.mktemp("replay"), rows, streams=streams, capacity=capacity, batch=64,
        length=length, starts=begin, continued=continued, recent=1.0,
    )  # fmt: skip
    bounds, at = [], 0
    for count in lengths:
        bounds.append((at, at + count))
        at = episode(feed, at, count)
    episode(feed, at, 5, end=False)
    more = begin == "all_but_last"
    whole = [each for each in bounds if each[1] - each[0] >= max(3, length + more)]
    kept: list[tuple[int, int]] = [pair for pair in whole for _ in range(streams)]
    while len(kept) > 1 and sum(high - low - 1 for low, high in kept) > capacity:
        kept.pop(0)
    assert feed.episodes == len(kept)
    assert feed.held == sum(high - low - 1 for low, high in kept)
    if not kept:
        return
    wanted = {n for low, high in kept for n in range(low, high - length + 1 - more)}
    seen = set()
    for _ in range(30):
        batch = feed.batch()
        found = replays.where(batch)
        first, last = found[:, 0, 1], found[:, -1, 1]
        assert (found[:, :, 0] == found[:, :1, 0]).all()
        assert (np.diff(found[:, :, 1], axis=1) == 1).all()
        inside = [(low <= first) & (last < high) for low, high in kept]
        assert np.any(inside, 0).all()
        seen |= set(first.tolist())
    assert continued or seen <= wanted
    assert len(wanted) > 40 or wanted <= seen, "a start is never picked"


def test_previous_actions_lead_to_their_rows_and_none_leads_to_a_reset(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=2, batch=50)
    after = episode(feed, 0, 6)
    episode(feed, after, 6)
    for _ in range(10):
        batch = feed.batch()
        number = replays.where(batch)[:, :, 1]
        reset, last = number % 6 == 0, number % 6 == 5
        assert (batch["previous_action"] == np.where(reset, -1, number)).all()
        assert (batch["action"] == np.where(last, 0, number + 1)).all()
        assert batch["is_first"][:, 0].all(), "every window is a crop of its own"
        assert (batch["is_first"][:, 1:] == reset[:, 1:]).all()


def test_truncated_episodes_are_complete_and_not_terminal(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1)
    episode(feed, 0, 6, terminal=False)
    assert feed.episodes == 1
    ends = [batch for batch in (feed.batch() for _ in range(20)) if batch["is_last"].any()]
    assert ends and not any(batch["is_terminal"].any() for batch in ends)


def test_batches_go_on_where_the_last_one_ended_until_the_episode_does(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1, batch=8, length=3, continued=True)
    after = episode(feed, 0, 20)
    episode(feed, after, 11)
    before, went_on, began = None, 0, 0
    for _ in range(60):
        batch = feed.batch()
        number = replays.where(batch)[:, :, 1].copy()
        new = batch["is_first"][:, 0].copy()
        if before is not None:
            end = np.where(before < 20, 20, 31)
            fits = before + 1 + 3 <= end
            assert (new == ~fits).all()
            assert (number[fits, 0] == before[fits] + 1).all()
            went_on, began = went_on + int(fits.sum()), began + int(new.sum())
        else:
            assert new.all()
        before = number[:, -1]
    assert went_on > 50 and began > 50


def test_an_episode_that_was_evicted_is_not_gone_on_with(tmp_path: Path) -> None:
    feed = made(tmp_path, 8, streams=1, batch=4, length=3, continued=True, capacity=40)
    after = episode(feed, 0, 40)
    feed.batch()
    for _ in range(3):
        after = episode(feed, after, 30)
    assert min(feed.store.rows.held) * 8 > 40
    batch = feed.batch()
    assert batch["is_first"][:, 0].all()
    assert (replays.where(batch)[:, :, 1] >= 100).all()


def test_updates_are_due_by_agent_steps_after_the_prefill(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1, prefill=50, every=16, updates=2, pretrain=3, shortest=2)
    due = replays.play(feed, 151, length=10)
    steps = np.cumsum([row % 10 != 0 for row in range(151)])
    expected, before = [], 0
    for step in steps.tolist():
        times = 0 if step < 50 else 1 + (step - 50) // 16
        expected.append(2 * (times - before) + 3 * (before == 0 < times))
        before = times
    assert due == expected
    assert due[int(np.argmax(steps == 50))] == 5
    assert sum(due) == 3 + 2 * (1 + (int(steps[-1]) - 50) // 16)


def test_a_burst_of_a_hundred_comes_once_in_250_steps_of_many_streams(tmp_path: Path) -> None:
    feed = made(tmp_path, 4096, streams=4, prefill=1_250, every=250, updates=100, pretrain=0)
    due = replays.play(feed, 800, length=100)
    steps = 4 * 800 - 4 * 8
    assert sum(due) == 100 * (1 + (steps - feed.began) // 250)
    assert 1_250 <= feed.began < 1_254
    assert max(due) == 100


def test_the_prefill_waits_for_complete_episodes_too(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1, prefill=4, prefill_episodes=3)
    at = 0
    for number in range(3):
        assert feed.random
        at = episode(feed, at, 6)
        assert feed.completed == number + 1
    assert not feed.random


def test_only_the_newest_share_of_episodes_is_drawn_from(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1, recent=0.3, batch=200)
    at = 0
    for _ in range(10):
        at = episode(feed, at, 5)
    assert min(starts(feed, 5)) == 35


def test_windows_to_look_at_come_from_episodes_that_are_long_enough(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=2)
    assert feed.peek(np.random.default_rng(0), 2, 4) == {}
    after = episode(feed, 0, 5)
    episode(feed, after, 12)
    batch = feed.peek(np.random.default_rng(0), 6, 9)
    number = replays.where(batch)[:, :, 1]
    assert batch["action"].shape == (6, 9)
    assert (number >= 5).all() and (np.diff(number, axis=1) == 1).all()
    assert feed.peek(np.random.default_rng(0), 6, 13) == {}


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_blocks_are_dropped_once_no_episode_needs_them(rows: int, tmp_path: Path) -> None:
    feed, at = made(tmp_path, rows, streams=1, capacity=30), 0
    for _ in range(60):
        at = episode(feed, at, 7)
        needed = {
            number
            for _, first, count in feed.list[feed.passed :]
            for number in range(first // rows, (first + count - 1) // rows + 1)
        }
        assert needed <= set(feed.store.rows.held)
        assert len(feed.store.rows.held) <= len(needed) + 1
