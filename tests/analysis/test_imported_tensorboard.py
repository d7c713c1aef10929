"""Event files: our own exports come back, CleanRL's count agent steps, damage is named by byte."""

import struct

import numpy as np
import pytest

import suites
from analysis.imported import events
from launch import export
from launch.points import Point
from tests.analysis import published
from tests.launch.run_folders import RunFolder

OURS, CLEANRL = "episode/return", "charts/episodic_return"
PONG = "PongNoFrameskip-v4__ppo_atari_envpool__3__1672531201"


def bring(place, tmp_path, suite="demo", **wishes):
    out = tmp_path / "results"
    return published.bring(place, suites.load(suite), "x", out, **{"force": True} | wishes)


def write(path, points, tail=b""):
    """Writes points (tag, step, value) as an event file, one record a point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    curves = [Point(tag, value, step, 1000 + at) for at, (tag, step, value) in enumerate(points)]
    records = [export.record(event) for event in export.events(curves)]
    path.write_bytes(b"".join(records) + tail)
    return records


def cleanrl(tmp_path, points, name=PONG, tail=b""):
    path = tmp_path / "runs" / name / "events.out.tfevents.1672531201.host.1.0"
    return path, write(path, points, tail)


def runs_of(found, game="pong", seed=3):
    frames, returns = found.points[game, seed]
    return list(zip(frames.tolist(), returns.tolist(), strict=True))


def test_our_own_exports_come_back_as_the_episodes_that_were_played(tmp_path):
    for seed in (0, 1):
        run = RunFolder(tmp_path, seed=seed)
        run.begin()
        run.play(4000)
        run.end("finished")
        export.tensorboard(run.path)
    said, found = bring(tmp_path / "runs", tmp_path)
    lines = [run.episode(frame) for frame in range(100, 4001, 100)]
    assert set(found.points) == {("pong", 0), ("pong", 1)}
    assert runs_of(found, seed=1) == [(line["frame"], line["return"]) for line in lines]
    assert (found.facts.method, found.facts.kind) == ("ppo", "episodes")
    assert "kind      episodes (step is frames)" in said


def test_one_run_folder_and_one_file_are_enough(tmp_path):
    run = RunFolder(tmp_path)
    run.begin()
    run.play(400)
    folder = export.tensorboard(run.path)
    for place in (run.path, folder, next(folder.iterdir())):
        _, found = bring(place, tmp_path)
        assert len(runs_of(found, seed=0)) == 4


def test_our_points_are_put_in_order_of_frames(tmp_path):
    # A second has 1,000 milliseconds: the index that keeps episodes apart begins again.
    path = tmp_path / "ppo" / "pong" / "3" / "events.out.tfevents.1.reverie"
    write(path, [(OURS, 8, 2.0), (OURS, 4, 1.0), (OURS, 8, 3.0)])
    _, found = bring(tmp_path / "ppo", tmp_path)
    assert runs_of(found) == [(4, 1.0), (8, 2.0), (8, 3.0)]


def test_cleanrls_steps_are_four_frames_unless_said(tmp_path):
    points = [(CLEANRL, 10, -21.0), ("losses/value_loss", 12, 0.5), (CLEANRL, 10, 3.5)]
    cleanrl(tmp_path, [*points, (CLEANRL, 20, 7.0)])
    said, found = bring(tmp_path / "runs", tmp_path)
    assert runs_of(found) == [(40, -21.0), (40, 3.5), (80, 7.0)]
    assert found.facts.method == "ppo_atari_envpool"
    assert found.facts.protocol.sticky == 0.0
    assert "frames = 4 x step" in said
    _, found = bring(tmp_path / "runs", tmp_path, frames_per_step=1)
    assert runs_of(found) == [(10, -21.0), (10, 3.5), (20, 7.0)]


def varint(number, value):
    return bytes([number << 3]) + export._varint(value)


@pytest.mark.parametrize(
    ("kind", "layout", "packed", "field"),
    [(1, "<f", True, 5), (1, "<f", False, 5), (2, "<d", True, 6), (1, "<f", True, 4)],
)
def test_scalars_of_newer_writers_are_tensors(tmp_path, kind, layout, packed, field):
    number = struct.pack(layout, 2.5)
    value = export._bytes(field, number)
    if not packed:
        value = export._key(field, 5) + number
    tensor = varint(1, kind) + export._bytes(2, b"") + value
    one = export._bytes(1, CLEANRL.encode()) + export._bytes(8, tensor)
    path, _ = cleanrl(tmp_path, [])
    event = export._double(1, 3.0) + varint(2, 300) + export._bytes(5, export._bytes(1, one))
    with path.open("ab") as file:
        file.write(export.record(event))
    _, found = bring(tmp_path / "runs", tmp_path)
    assert runs_of(found) == [(1200, 2.5)]


@pytest.mark.parametrize("length", [0, 1, 9, 40])
@pytest.mark.parametrize("records", [1, 40])
def test_checksums_are_those_of_the_writer(length, records):
    rng = np.random.default_rng(length)
    datas = [rng.bytes(length) for _ in range(records)]
    checks = [struct.unpack("<I", export._masked(data))[0] for data in datas]
    assert events._sound(datas, checks) == [True] * records
    checks[-1] ^= 1
    assert events._sound(datas, checks) == [True] * (records - 1) + [False]


@pytest.mark.parametrize("records", [3, 40])
@pytest.mark.parametrize("place", ["length", "data"])
def test_a_damaged_record_is_named_by_its_byte_and_nothing_is_imported(tmp_path, place, records):
    path, written = cleanrl(tmp_path, [(CLEANRL, step, 1.0) for step in range(records)])
    begin = len(b"".join(written[:2]))
    data = bytearray(path.read_bytes())
    data[begin + (0 if place == "length" else 14)] ^= 8
    path.write_bytes(data)
    words = rf"tfevents.*, record at byte {begin}: the checksum of its {place} is another"
    with pytest.raises(ValueError, match=words):
        bring(tmp_path / "runs", tmp_path)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_last_record_that_is_cut_is_left_out_and_said(tmp_path, cut):
    path, written = cleanrl(tmp_path, [(CLEANRL, 10, 1.0), (CLEANRL, 20, 2.0)])
    path.write_bytes(path.read_bytes()[:-cut])
    said, found = bring(tmp_path / "runs", tmp_path)
    assert runs_of(found) == [(40, 1.0)]
    assert f"its last record, at byte {len(written[0] + written[1])}, is cut and left out" in said


def test_a_record_that_is_no_event_is_named(tmp_path):
    body = b"\x0a\xff" + CLEANRL.encode()
    path, written = cleanrl(tmp_path, [(CLEANRL, 10, 1.0)], tail=export.record(body))
    with pytest.raises(
        ValueError, match=rf"byte {len(b''.join(written))}: no event \(a field is lo"
    ):
        bring(path, tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_refused(tmp_path, value):
    cleanrl(tmp_path, [(CLEANRL, 10, 1.0), (CLEANRL, 20, value)])
    with pytest.raises(ValueError, match=rf"record at byte \d+: {CLEANRL}: saw {value}; allowed"):
        bring(tmp_path / "runs", tmp_path)


def test_steps_that_go_back_are_refused(tmp_path):
    cleanrl(tmp_path, [(CLEANRL, 10, 1.0), (CLEANRL, 5, 1.0)])
    with pytest.raises(ValueError, match=r"step 5 after 10; allowed is to stay or to grow"):
        bring(tmp_path / "runs", tmp_path)


def test_a_run_without_an_episode_is_kept_as_a_seed_without_points(tmp_path):
    cleanrl(tmp_path, [(CLEANRL, 10, 1.0)])
    cleanrl(tmp_path, [("losses/value_loss", 10, 1.0)], PONG.replace("__3__", "__4__"))
    said, found = bring(tmp_path / "runs", tmp_path)
    assert found.facts.seeds == {"pong": (3, 4)}
    assert f"PongNoFrameskip-v4, seed 4: no point of {CLEANRL}" in said
    assert "pong 1 of 2 seeds" in said


PATHS = {
    "some/where": "the path does not say whose run it is; allowed are AGENT/GAME/SEED",
    "ppo/pogn/3": "the path does not say whose run it is",
    "ppo/pong/latest": "the path does not say whose run it is",
}


@pytest.mark.parametrize("name", PATHS)
def test_a_folder_that_does_not_say_whose_run_it_is_is_refused(tmp_path, name):
    write(tmp_path / "in" / name / "events.out.tfevents.1", [(OURS, 4, 1.0)])
    with pytest.raises(ValueError, match=PATHS[name]):
        bring(tmp_path / "in", tmp_path)


def test_a_folder_without_events_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no event file \(events.out.tfevents\.\*\) in it"):
        bring(tmp_path, tmp_path)
    with pytest.raises(ValueError, match=r"nowhere: there is no such file"):
        bring(tmp_path / "nowhere", tmp_path)
