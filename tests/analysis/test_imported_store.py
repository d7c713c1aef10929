"""An import is kept whole or not at all, comes back as it was, and is replaced only when asked."""

import gzip
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.imported import store
from suites import windows

RUNS = {
    ("pong", 10): (np.array([4, 4, 12]), np.array([0.1 + 0.2, -21.0, np.nan])),
    ("pong", 9): (np.array([8]), np.array([1e-300])),
    ("alien", 0): (np.empty(0, np.int64), np.empty(0)),
}
FACTS = {
    "name": "theirs", "suite": "demo", "method": "m", "format": "csv", "kind": "episodes",
    "source": {"name": "a.csv", "sha256": "ab", "bytes": 3}, "window": "last_of_4_bins",
    "protocol": {"sticky": None, "actions": None, "episodes": None, "task": None},
    "clock": "frame as it is", "budget": 12, "seeds": {"alien": [0], "pong": [9, 10]}, "runs": 3,
    "points": 4, "nulls": 1, "first_frame": 4, "last_frame": 12, "notes": ["odd"],
    "imported": 7.0, "commit": None,
}  # fmt: skip


@pytest.fixture
def place(tmp_path):
    return store.folder(tmp_path / "results", "demo", "theirs")


def test_what_was_written_is_read_to_the_last_bit(place):
    written = store.write(place, FACTS, RUNS, False)
    found = store.read(place)
    assert found.facts == written.facts
    assert set(found.points) == set(RUNS)
    for run, (frames, returns) in RUNS.items():
        np.testing.assert_array_equal(found.points[run][0], frames)
        np.testing.assert_array_equal(found.points[run][1], returns)
        assert found.points[run][0].dtype == np.int64
    assert sorted(path.name for path in place.iterdir()) == ["import.json", "points.csv.gz"]


def test_points_are_a_table_that_anyone_can_read(place):
    store.write(place, FACTS, RUNS, False)
    text = gzip.decompress((place / "points.csv.gz").read_bytes()).decode()
    assert text.splitlines() == [
        "game,seed,frame,return", "pong,9,8,1e-300", "pong,10,4,0.30000000000000004",
        "pong,10,4,-21.0", "pong,10,12,",
    ]  # fmt: skip


def test_equal_imports_are_equal_bytes(place):
    store.write(place, FACTS, RUNS, False)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    store.write(place, FACTS, RUNS, True)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_an_import_is_replaced_only_by_force(place):
    store.write(place, FACTS, RUNS, False)
    other = FACTS | {"notes": ["another"]}
    with pytest.raises(ValueError, match=r"demo/imports/theirs is there already; `--force` repl"):
        store.write(place, other, RUNS, False)
    assert store.read(place).facts.notes == ("odd",)
    store.write(place, other, RUNS, True)
    assert store.read(place).facts.notes == ("another",)
    assert [path.name for path in place.parent.iterdir()] == ["theirs"]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("fails", ["_write_points", "_settle", "build"])
def test_nothing_is_half_imported_when_writing_fails(place, monkeypatch, fails, force):
    if force:
        store.write(place, FACTS, RUNS, False)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, fails, full)
    with pytest.raises(OSError, match="No space left"):
        store.write(place, FACTS | {"notes": ["new"]}, RUNS, force)
    monkeypatch.undo()
    assert [path.name for path in place.parent.iterdir()] == ["theirs"] * force
    assert not force or store.read(place).facts.notes == ("odd",)


def test_the_folder_that_appears_is_the_one_that_was_flushed_whole(place, monkeypatch):
    flushed, real = [], store._settle

    def settle(folder):
        names = sorted(path.name for path in folder.iterdir())
        flushed.append((folder.stat().st_ino, names, place.exists()))
        real(folder)

    monkeypatch.setattr(store, "_settle", settle)
    store.write(place, FACTS, RUNS, False)
    (whole, names, there), _ = flushed
    assert (names, there) == (["import.json", "points.csv.gz"], False)
    assert place.stat().st_ino == whole


def test_a_process_that_dies_while_it_writes_leaves_no_import(place):
    child = os.fork()
    if not child:
        store._sync = lambda *_: os._exit(9)
        store.write(place, FACTS, RUNS, False)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not place.exists()
    assert store.names(place.parents[2], "demo") == []
    store.write(place, FACTS, RUNS, False)
    assert store.names(place.parents[2], "demo") == ["theirs"]


def test_of_two_at_once_one_is_told_that_it_came_late(place, monkeypatch):
    monkeypatch.setattr(store, "refuse_existing", lambda *_: store.write_other())
    real = store.write

    def other():
        monkeypatch.undo()
        real(place, FACTS, RUNS, False)

    monkeypatch.setattr(store, "write_other", other, raising=False)
    with pytest.raises(ValueError, match="cannot take the import"):
        store.write(place, FACTS | {"notes": ["late"]}, RUNS, False)
    assert store.read(place).facts.notes == ("odd",)


def test_points_that_were_changed_are_not_read(place):
    store.write(place, FACTS, RUNS, False)
    text = b"game,seed,frame,return\npong,9,8,100\n"
    (place / "points.csv.gz").write_bytes(gzip.compress(text))
    with pytest.raises(ValueError, match=r"points.csv.gz: not what import.json speaks of"):
        store.read(place)


def test_what_is_no_import_is_refused(place):
    with pytest.raises(ValueError, match="no import here; `reverie import` makes one"):
        store.read(place)
    store.write(place, FACTS, RUNS, False)
    facts = json.loads((place / "import.json").read_text())
    (place / "import.json").write_text(json.dumps(facts | {"kind": "guesses"}))
    with pytest.raises(ValueError, match=r"import\.json: kind"):
        store.read(place)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", ".hidden", "a b", "-x", "a\n"])
def test_a_name_that_is_no_folder_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="allowed are letters, digits"):
        store.folder(tmp_path, "demo", name)


def test_imports_of_a_suite_are_listed_without_what_is_being_written(place, tmp_path):
    assert store.names(tmp_path / "results", "demo") == []
    store.write(place, FACTS, RUNS, False)
    place.with_name(".half.part1").mkdir()
    (place.with_name(".half.part1") / "import.json").write_text("{}")
    assert store.names(tmp_path / "results", "demo") == ["theirs"]


WINDOWS = {
    "last_point": -21.0,
    "at_4_frames": -21.0,
    "last_2_episodes": (0.1 + 0.2 - 21) / 2,
    "last_of_1_bins": (0.1 + 0.2 - 21) / 2,
}


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_take_points_that_have_a_value(place, window):
    scores = store.write(place, FACTS, RUNS, False).scores(window)
    assert scores["pong", 10].value == pytest.approx(WINDOWS[window])


def test_a_window_without_a_value_has_no_score(place):
    scores = store.write(place, FACTS, RUNS, False).scores()
    assert [np.isnan(score.value) for score in scores.values()] == [True] * 3
    assert scores["pong", 10].episodes == 0


EVERY = ["last_of_1_bins", "last_of_5_bins", "last_3_episodes", "at_6_frames", "last_point"]


@given(
    points=st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(-9, 9)), max_size=9),
    window=st.sampled_from([*EVERY, "evaluation"]),
)
def test_a_score_is_that_of_the_window_over_all_points_with_a_value(points, window):
    points.sort(key=lambda point: point[0])
    lines = [{"frame": at, "return": value, "end": "terminal"} for at, value in points]
    lines = [line for line in lines if line["return"] is not None]
    kind = "evaluation" if window == "evaluation" else "episodes"
    both = ([], lines) if window == "evaluation" else (lines, [])
    chosen = windows.parse(window)
    frames = np.array([at for at, _ in points], np.int64)
    returns = np.array([np.nan if value is None else value for _, value in points], float)
    found = store.score(chosen, 12, kind, frames, returns)
    wanted = windows.score(chosen, 12, *both)
    assert found.episodes == wanted.episodes
    assert found.value == wanted.value or np.isnan(found.value) == np.isnan(wanted.value) == 1


def test_evaluation_episodes_are_scored_as_such(place):
    facts = FACTS | {"kind": "evaluation", "window": "evaluation"}
    runs = RUNS | {("pong", 9): (np.array([8, 12, 12]), np.array([1.0, 4.0, 6.0]))}
    found = store.write(place, facts, runs, False)
    assert found.scores()["pong", 9] == windows.Score(5.0, 2)
    assert found.scores("last_point")["pong", 9].episodes == 0
