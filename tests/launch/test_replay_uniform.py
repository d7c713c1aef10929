"""Uniform replay: when updates are due, which windows are served, what is written back.

The numbers are those of the official program at danijar/dreamerv3@e3f0224, driven step by step.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.launch import replays

OFFICIAL = {"batch": 16, "length": 64, "context": 1, "start": 1024, "capacity": 5_000_000}


def made(folder: Path, rows: int = 16, **changes: object):
    return replays.make(replays.UNIFORM.model_copy(update=changes), folder, rows)


def test_updates_come_when_the_official_program_takes_them(tmp_path: Path) -> None:
    feed = made(tmp_path, 4096, streams=1, ratio=256.0, **OFFICIAL)
    due = replays.play(feed, 1110, length=300)
    assert [row for row, count in enumerate(due, 1) if count] == [*range(1088, 1110, 4)]
    assert set(due) == {0, 1}, "there is no catching up"


@pytest.mark.parametrize(
    ("streams", "ratio", "rows", "updates"),
    [
        (1, 256.0, 1087, 0),
        (1, 256.0, 1088, 1),
        (1, 256.0, 1091, 1),
        (1, 256.0, 1092, 2),
        (1, 256.0, 6_000, 1_229),
        (1, 256.0, 100_000, 24_729),
        (1, 256.0, 110_000, 27_229),
        (1, 128.0, 100_000, 12_365),
        (16, 32.0, 2_047, 0),
        (16, 32.0, 2_048, 1),
        (16, 32.0, 50_000_000, 1_562_437),
    ],
)
def test_a_number_of_rows_is_worth_as_many_updates_as_officially(
    streams: int, ratio: float, rows: int, updates: int, tmp_path: Path
) -> None:
    feed = made(tmp_path, streams=streams, ratio=ratio, **OFFICIAL)
    feed.count = rows // streams
    assert feed.due() == updates


def test_reset_rows_are_counted_by_the_ratio(tmp_path: Path) -> None:
    many, none = made(tmp_path / "a"), made(tmp_path / "b")
    assert replays.play(many, 60, length=3) == replays.play(none, 60)


def test_fresh_windows_are_served_once_and_first(tmp_path: Path) -> None:
    feed = made(tmp_path, 4096, streams=1, ratio=256.0, **OFFICIAL)
    replays.play(feed, 1088)
    assert feed.draw()[:, 1].tolist() == [*range(1, 977, 65)]
    replays.play(feed, 1105 - 1088, 1088)
    feed.draw()
    assert feed.served == 16, "the next one is not there yet"
    replays.play(feed, 1, 1105)
    assert feed.draw()[0, 1] == 1041
    assert feed.served == 17


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_the_queue_holds_disjoint_windows_of_every_stream(streams: int, tmp_path: Path) -> None:
    feed, window, found = made(tmp_path, streams=streams, batch=1), 5, []
    for number in range(50):
        replays.play(feed, 1, number)
        before = feed.served
        while number > 4 and feed.draw() is not None and feed.served > before:
            before = feed.served
            found.append((number, feed.served))
    rows = [number + 1 for number, _ in found]
    wanted = [n for n in range(window, 51) if (n - 1) % window == 0 and n > window]
    assert rows == [n for n in wanted for _ in range(streams)]


def test_a_queue_longer_than_the_replay_forgets_what_is_gone(tmp_path: Path) -> None:
    feed = made(tmp_path, capacity=20)
    replays.play(feed, 400)
    low, high = feed.alive
    assert high - low == 20
    for _ in range(30):
        drawn = feed.draw()
        numbers = drawn[:, 1] * 2 + drawn[:, 0]
        assert (low <= numbers).all() and (numbers < high).all()
    assert feed.served == 2 * ((400 - 1) // 5)


@settings(max_examples=60, deadline=None)
@given(
    streams=st.integers(1, 3), rows=st.integers(1, 40), capacity=st.integers(8, 60),
    count=st.integers(6, 90), length=st.integers(1, 4), context=st.integers(0, 2),
)  # fmt: skip
def test_every_living_window_is_served_whole_and_no_other(
    tmp_path_factory, streams, rows, capacity, count, length, context
) -> None:
    feed = made(
        tmp_path_factory.mktemp("replay"), rows, streams=streams, capacity=capacity, batch=64,
        length=length, context=context, start=1,
    )  # fmt: skip
    replays.play(feed, count, length=7)
    window = length + context
    every = [(row, stream) for row in range(count - window + 1) for stream in range(streams)]
    living, seen = set(every[-capacity:]), set()
    for _ in range(40):
        batch = feed.batch()
        found = replays.where(batch)
        assert (found[:, :, 0] == found[:, :1, 0]).all(), "two streams in a sequence"
        assert (np.diff(found[:, :, 1], axis=1) == 1).all(), "rows are missing in a sequence"
        assert (batch["reward"] == found[:, :, 1]).all()
        if context:
            assert (batch["deter"][:, :, 0] == found[:, :context, 1]).all()
        seen |= {(row, stream) for stream, row in found[:, 0].tolist()}
    assert seen <= living
    assert len(living) > 60 or seen == living, "a window is never served"


def test_flags_say_where_a_sequence_and_an_abandoned_episode_end(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1, batch=1, online=False, start=1)
    for number in range(6):
        feed.observe(replays.row(number, 1, first=number in (0, 3)))
        feed.answer(np.array([9]), replays.latent(number, 1))
    while (batch := feed.batch()) and feed.drawn[0, 1] != 1:
        pass
    assert batch["is_first"][0].tolist() == [True, False, True, False, False]
    assert batch["is_last"][0].tolist() == [False, True, False, False, False]
    stored = {"is_first": np.zeros((1, 6), bool), "is_last": np.zeros((1, 6), bool)}
    feed.store.rows.read(stored, 0, 0, 0, 6)
    assert not stored["is_last"].any(), "the flags are the batch's, not the store's"


def test_the_action_of_a_last_row_is_zero(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=1)
    replays.play(feed, 12, length=4)
    stored = {"action": np.zeros((1, 12), np.int64)}
    feed.store.rows.read(stored, 0, 0, 0, 12)
    assert stored["action"][0].tolist() == [1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0]


def test_trained_rows_get_the_latents_of_the_update_before(tmp_path: Path) -> None:
    feed = made(tmp_path, 4, streams=1, batch=1, online=False, start=1)
    replays.play(feed, 12)

    def stored() -> list[float]:
        held = {"deter": np.zeros((1, 12, 2), np.float32)}
        feed.store.latents.read(held, 0, 0, 0, 12)
        return held["deter"][0, :, 0].tolist()

    feed.batch()
    first = int(feed.drawn[0, 1])
    feed.trained({})
    assert stored() == [*range(12)], "the first update has nothing to give back"
    feed.batch()
    refreshed = {"deter": np.full((1, 4, 2), 99, np.float32), "stoch": np.ones((1, 4, 3), np.uint8)}
    feed.trained(refreshed)
    wanted = [99 if first < row < first + 5 else row for row in range(12)]
    assert stored() == wanted, "the context row keeps what it has, across blocks"


def test_rows_that_are_gone_are_skipped_and_no_newer_row_is_touched(tmp_path: Path) -> None:
    feed = made(tmp_path, 8, capacity=20)
    replays.play(feed, 20)
    feed.batch()
    feed.batch()
    replays.play(feed, 300, 20)
    assert min(feed.store.rows.held) > int(feed.before[:, 1].max()) // 4 + 1
    before = {k: {n: a.copy() for n, a in v.items()} for k, v in feed.store.latents.held.items()}
    refreshed = {"deter": np.full((3, 4, 2), 99, np.float32), "stoch": np.ones((3, 4, 3), np.uint8)}
    feed.trained(refreshed)
    assert before.keys() == feed.store.latents.held.keys()
    for number, name in itertools.product(before, ("deter", "stoch")):
        assert (before[number][name] == feed.store.latents.held[number][name]).all()


def test_compact_latents_come_back_as_the_bits_that_they_were(tmp_path: Path) -> None:
    feed = made(tmp_path, streams=2, latents="compact", online=False)
    bits = np.random.default_rng(0).integers(0, 1 << 16, (40, 2, 8)).astype(np.uint16)
    for number in range(40):
        feed.observe(replays.row(number, 2, first=number == 0))
        feed.answer(np.zeros(2, np.int64), {"deter": bits[number]})
    for _ in range(20):
        batch = feed.batch()
        stream, first = replays.where(batch)[:, 0].T
        assert batch["deter"].dtype == np.uint16
        assert (batch["deter"][:, 0] == bits[first, stream]).all()


def test_only_the_newest_share_is_drawn_from(tmp_path: Path) -> None:
    feed = made(tmp_path, recent=0.25, online=False, batch=500)
    replays.play(feed, 104)
    low, high = feed.alive
    numbers = feed.draw() @ [1, 2]
    assert (low, high) == (0, 200)
    assert set(numbers.tolist()) == {*range(150, 200)}


def test_a_batch_is_good_until_the_second_one_after_it(tmp_path: Path) -> None:
    feed = made(tmp_path)
    replays.play(feed, 40)
    first = feed.batch()
    kept = {name: array.copy() for name, array in first.items()}
    second = feed.batch()
    assert all((first[name] == kept[name]).all() for name in kept)
    third = feed.batch()
    assert all(third[name] is first[name] for name in kept)
    assert all(second[name] is not first[name] for name in kept)


def test_a_start_that_never_comes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"training\.start: 30 windows will never be there"):
        made(tmp_path, start=30, capacity=20)


def test_windows_to_look_at_lie_inside_an_episode(tmp_path: Path) -> None:
    feed = made(tmp_path)
    assert feed.peek(np.random.default_rng(0), 2, 6) == {}
    replays.play(feed, 60, length=10)
    batch = feed.peek(np.random.default_rng(0), 8, 6)
    assert batch["image"].shape == (8, 6, 1, 1, 4)
    assert batch["is_first"][:, 0].all()
    assert not batch["is_first"][:, 1:].any()
    assert (np.diff(replays.where(batch)[:, :, 1], axis=1) == 1).all()
    assert feed.peek(np.random.default_rng(0), 1, 30)["is_first"].sum() > 1, (
        "there is no longer one"
    )


def test_metrics_tell_size_ratio_and_age(tmp_path: Path) -> None:
    feed = made(tmp_path, capacity=60)
    replays.play(feed, 100)
    assert feed.metrics() == {"replay/size": 60.0 + 2 * 4, "replay/ratio": 0.0}
    replays.play(feed, 6, 100)
    feed.batch()
    found = feed.metrics()
    assert found["replay/ratio"] == 3 * 4 / 12
    assert 0 < found["replay/age"] < 2 * 35
