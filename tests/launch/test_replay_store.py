"""The files of a replay: what a kill, a full disk or a change of mind leaves of them."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch.replay import disk, size
from launch.replay.size import Announcement, TooLarge
from launch.replay.store import Store
from tests.launch import replays

STREAMS = 2


def store(folder: Path, mapped: bool = False) -> Store:
    return Store(STREAMS, folder, mapped, rows=10, page=2)  # The last page is half a page.


def quiet() -> Announcement:
    return Announcement(10, lambda text: None)


def began(folder: Path, mapped: bool = False, count: int = 0) -> Store:
    held = store(folder, mapped)
    held.begin(replays.row(0, STREAMS), replays.latent(0, STREAMS), quiet())
    fill(held, 0, count)
    return held


def fill(held: Store, begin: int, end: int) -> None:
    for number in range(begin, end):
        held.rows.put(number, replays.row(number, STREAMS))
        held.latents.put(number, replays.latent(number, STREAMS))


def refresh(held: Store, stream: int, row: int, count: int, value: float) -> None:
    values = {
        "deter": np.full((count, 2), value, np.float32),
        "stoch": np.ones((count, 3), np.uint8),
    }
    held.latents.write(stream, row, values)


def content(held: Store, count: int) -> dict[str, bytes]:
    """Returns the rows of the blocks that are held, below a number."""
    found = {}
    for kind in ("rows", "latents"):
        blocks = getattr(held, kind)
        for number, arrays in blocks.held.items():
            rows = min(count - number * blocks.length, blocks.length)
            for name, array in arrays.items():
                found[f"{kind} {number} {name}"] = array[:, :rows].tobytes()
    return found


def reloaded(folder: Path, state: dict, mapped: bool = False) -> Store:
    held = store(folder, mapped)
    held.load(state, quiet())
    return held


@pytest.mark.parametrize("mapped", [False, True])
def test_a_checkpoint_is_what_was_there_when_it_was_made(mapped: bool, tmp_path: Path) -> None:
    held = began(tmp_path, mapped, 10)
    refresh(held, 0, 2, 6, 50)
    first, wanted = held.save((1, 0), 10), content(held, 10)
    # Nothing of this is saved, and a mapped store has written it to its files all the same.
    fill(held, 10, 21)
    refresh(held, 1, 0, 21, 60)
    held.drop(0)
    assert content(reloaded(tmp_path, first, mapped), 10) == wanted


@pytest.mark.parametrize("mapped", [False, True])
def test_both_of_two_checkpoints_can_be_gone_back_to(mapped: bool, tmp_path: Path) -> None:
    held, states = began(tmp_path / "replay", mapped), []
    for number in range(12):
        fill(held, 3 * number, 3 * number + 3)
        refresh(held, number % 2, max(0, 3 * number - 5), 7, 100 + number)
        if number > 3:
            held.drop(number - 4)
        states.append((held.save((number, 0), 3 * number + 3), content(held, 3 * number + 3)))
        held.saved()
        for age, (state, wanted) in enumerate(states[-2:]):
            copy = shutil.copytree(tmp_path / "replay", tmp_path / f"{number}-{age}")
            assert content(reloaded(copy, state, mapped), state["count"]) == wanted


@settings(max_examples=25, deadline=None)
@given(
    data=st.data(),
    mapped=st.booleans(),
    plan=st.lists(
        st.sampled_from(["play", "refresh", "save", "kill", "twice"]), min_size=5, max_size=40
    ),
)
def test_any_order_of_playing_saving_and_killing_goes_back_exactly(
    tmp_path_factory, data, mapped, plan
) -> None:
    folder = tmp_path_factory.mktemp("replay")
    held, count, stamp = began(folder, mapped, 3), 3, 0
    state, wanted = held.save((stamp, 0), count), content(held, count)
    held.saved()
    for step in plan:
        if step == "play":
            more = data.draw(st.integers(1, 9))
            fill(held, count, count + more)
            count += more
            while min(held.rows.held) < (count - 20) // held.length:
                held.drop(min(held.rows.held))
        elif step == "refresh":
            row = data.draw(st.integers(0, count - 1))
            value = data.draw(st.integers(1000, 1 << 20))
            refresh(held, data.draw(st.integers(0, 1)), row, min(4, count - row), value)
        elif step in ("save", "twice"):
            stamp += step == "save"
            state, wanted = held.save((stamp, 0), count), content(held, count)
            held.saved()
        else:
            (folder / "latents-99999990.bin.part").write_bytes(b"torn")
            held = reloaded(folder, state, mapped)
            count = state["count"]
            assert content(held, count) == wanted
    assert content(reloaded(folder, state, mapped), state["count"]) == wanted


def test_saving_writes_only_what_is_new_or_has_changed(tmp_path: Path, monkeypatch) -> None:
    held = began(tmp_path, count=400)
    written: list[int] = []
    plain = os.pwrite
    monkeypatch.setattr(
        disk.os, "pwrite", lambda f, data, at: written.append(len(data)) or plain(f, data, at)
    )
    held.save((0, 0), 400)
    row = disk.row_bytes(held.rows.columns) + disk.row_bytes(held.latents.columns)
    assert sum(written) == 400 * STREAMS * row
    written.clear()
    held.save((1, 0), 400)
    assert sum(written) <= STREAMS * row, "nothing is new but the last row's answer"
    written.clear()
    refresh(held, 0, 100, 3, 5)
    held.save((2, 0), 400)
    pages = 2 * 2 * disk.row_bytes(held.latents.columns)
    assert sum(written) <= pages + STREAMS * row


def test_files_of_latents_do_not_pile_up(tmp_path: Path) -> None:
    held = began(tmp_path, count=200)
    wanted = 200 * STREAMS * disk.row_bytes(held.latents.columns)
    rng = np.random.default_rng(0)
    for number in range(60):
        for _ in range(3):
            refresh(held, 0, 4 * int(rng.integers(50)), 4, number)
        state = held.save((number, 0), 200)
        held.saved()
        on_disk = sum(path.stat().st_size for path in tmp_path.glob("latents-*"))
        assert on_disk <= 4 * wanted
    assert content(reloaded(tmp_path, state), 200) == content(held, 200)


@pytest.mark.parametrize("after", [0, 1, 5, 20])
def test_a_full_disk_leaves_the_checkpoint_before(after: int, tmp_path: Path, monkeypatch) -> None:
    held = began(tmp_path, count=10)
    first, wanted = held.save((0, 0), 10), content(held, 10)
    held.saved()
    fill(held, 10, 30)
    refresh(held, 0, 0, 10, 77)
    plain, calls = os.pwrite, []

    def full(file: int, data: bytes, at: int) -> int:
        calls.append(None)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(file, data, at)

    monkeypatch.setattr(disk.os, "pwrite", full)
    with pytest.raises(OSError, match="No space left") as caught:
        held.save((1, 0), 30)
    assert caught.value.filename == str(tmp_path)
    monkeypatch.undo()
    assert content(reloaded(tmp_path, first), 10) == wanted


def test_space_for_a_mapped_block_is_taken_before_it_is_used(tmp_path: Path, monkeypatch) -> None:
    held = began(tmp_path, True, 3)

    def full(file: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        fill(held, 3, 10)


def test_beginning_anew_removes_what_an_earlier_run_left(tmp_path: Path) -> None:
    (tmp_path / "rows-00000099.bin").write_bytes(b"old")
    began(tmp_path, count=3)
    assert not (tmp_path / "rows-00000099.bin").exists()


def told(rows: int, mapped: bool, tmp_path: Path, monkeypatch, have: int) -> list[str]:
    monkeypatch.setattr(size, "memory_bytes", lambda: have)
    monkeypatch.setattr(size, "disk_bytes", lambda folder: 100 * have if not mapped else have)
    said: list[str] = []
    Announcement(rows, said.append).make(12_304, 4_128, store(tmp_path, mapped))
    return said


def test_what_a_replay_takes_is_said_once_in_gibibytes(tmp_path: Path, monkeypatch) -> None:
    (line,) = told(1_000_000, False, tmp_path, monkeypatch, 32 << 30)
    assert line == (
        "replay: 1M rows = 15.3 GiB; this run needs 15.3 GiB of 32.0 (memory) and "
        "26.8 GiB of 3200.0 (disk)"
    )
    (line,) = told(1_000_000, True, tmp_path, monkeypatch, 64 << 30)
    assert line.endswith("this run needs 30.7 GiB of 64.0 (disk)")


def test_what_does_not_fit_is_refused_with_what_would(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(TooLarge, match=r"training\.capacity=(\d+) fits") as caught:
        told(5_000_000, False, tmp_path, monkeypatch, 32 << 30)
    assert "storage=mapped" in str(caught.value)
    fits = int(str(caught.value).partition("capacity=")[2].split()[0])
    assert told(fits, False, tmp_path, monkeypatch, 32 << 30)
    with pytest.raises(TooLarge):
        told(fits + 1, False, tmp_path, monkeypatch, 32 << 30)
    with pytest.raises(TooLarge, match="latents=compact") as caught:
        told(5_000_000, True, tmp_path, monkeypatch, 32 << 30)
    assert "storage=mapped" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "file", "limit"),
    [
        ("0::/a/b", "a/b/memory.max", "4096"),
        ("0::/a/b", "a/memory.max", "4096"),
        ("0::/not/here", "memory.max", "4096"),
        ("7:cpu:/x\n5:memory:/a", "memory/a/memory.limit_in_bytes", "4096"),
    ],
)
def test_the_limit_of_a_control_group_is_found(
    line: str, file: str, limit: str, tmp_path: Path
) -> None:
    membership, root = tmp_path / "cgroup", tmp_path / "fs"
    membership.write_text(f"{line}\n")
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(f"{limit}\n")
    assert size._limits(membership, root) == [4096]
    (root / file).write_text("max\n")
    assert size._limits(membership, root) == []


def test_this_machine_has_memory_and_disk(tmp_path: Path) -> None:
    assert size.memory_bytes() > 1 << 28
    before = size.disk_bytes(tmp_path / "not" / "yet")
    assert before > 0


def test_a_run_whose_replay_does_not_fit_is_refused_before_it_plays(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "launch.cli", "run", "dreamerv2", "--suite", "smoke"]
    words += ["--block", "debug", "--game", "catch", "--seed", "0", "--frames", str(10**12)]
    words += ["--set", f"training.capacity={10**12}", "--tracking", "off", "--workers", "0"]
    done = subprocess.run(
        [*words, "--out", "run"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "replay: 1M rows = " in done.stderr
    assert "--set training.capacity=" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run" / "replay").glob("*"))
