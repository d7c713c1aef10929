"""A run shows its model at fixed points, whatever happens to it, and training never notices."""

import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from launch import gallery, media, trained
from launch.aside import written
from launch.gallery import Gallery
from tests.launch.dreamers import Toy, of_run

SHAPE = (16, 16, 3)


@pytest.fixture(autouse=True)
def little(monkeypatch):
    """Two sequences of ten rows, and a video that is a checksum of its pictures."""
    monkeypatch.setattr(media, "write_mp4", checksum)
    monkeypatch.setattr(gallery, "SEQUENCES", 2)
    monkeypatch.setattr(gallery, "LENGTHS", (10, 6))


def checksum(path: Path, pictures: Any) -> None:
    with written(path) as file:
        file.write(b"%d" % zlib.crc32(b"".join(picture.tobytes() for picture in pictures)))


class Replay:
    """Answers with plain images of random brightness, once there are any."""

    def __init__(self, most: int = 1000):
        self.most, self.asked = most, []

    def peek(self, rng: np.random.Generator, sequences: int, length: int) -> dict:
        self.asked.append((sequences, length))
        if length > self.most:
            return {}
        bright = rng.integers(0, 256, (sequences, 1, 1, 1, 1), np.uint8)
        image = np.broadcast_to(bright, (sequences, length, *SHAPE)).copy()
        action = np.zeros((sequences, length), np.int64)
        return {"image": image, "action": action, "is_first": action == 1}


def opened(finished: Path, folder: Path, said: list[str] | None = None, **more: Any) -> Gallery:
    run = of_run(finished).run.model_copy(update={"frames": 1000} | more)
    return Gallery(run, folder, (said if said is not None else []).append)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "media").glob("*"))


def frames(folder: Path) -> list[int]:
    """Returns the frames that both files are there of."""
    held = names(folder)
    found = sorted({int(name[:12]) for name in held})
    assert held == sorted(
        f"{frame:012d}-{name}" for frame in found
        for name in ("open_loop.mp4", "reconstruction.png")
    )  # fmt: skip
    return found


def play(show: Gallery, begin: int, end: int, agent: Any = None, replay: Any = None) -> None:
    for frame in range(begin, end + 1, 16):
        show.update(frame, agent or Toy(SHAPE, 3), replay or Replay())


def test_media_are_made_at_shares_and_evaluations_and_at_no_other_time(finished, tmp_path):
    show = opened(finished, tmp_path)
    assert show.due == (10, 100, 250, 500, 750, 1000)  # The suite evaluates at 50% and 100%.
    play(show, 0, 1008)
    assert frames(tmp_path) == [16, 112, 256, 512, 752, 1008]


def test_a_real_video_has_a_picture_for_every_row(finished, tmp_path, monkeypatch):
    monkeypatch.undo()
    show = opened(finished, tmp_path)
    show.update(10, Toy(SHAPE, 3), Replay())
    with av.open(str(tmp_path / "media" / "000000000010-open_loop.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == gallery.LENGTHS[0]


def test_a_point_that_is_an_evaluation_alone_counts_too():
    found = gallery.points(1000, (0.4, 1.0))
    assert found == (10, 100, 250, 400, 500, 750, 1000)


def test_many_evaluations_do_not_fill_the_disk():
    found = gallery.points(1_000_000, tuple(n / 500 for n in range(1, 501)))
    assert gallery.MOST / 2 < len(found) <= gallery.MOST
    assert found[-1] == 1_000_000


def test_a_killed_and_resumed_run_ends_with_the_same_files(finished, tmp_path):
    whole, killed = tmp_path / "A", tmp_path / "B"
    show = opened(finished, whole)
    show.resume(0)
    play(show, 0, 1008)
    play(opened(finished, killed), 0, 720)
    # A checkpoint of frame 512; the process died while it wrote a video.
    part = killed / "media" / "000000000400-open_loop.mp4.part12"
    part.write_bytes(b"x")
    other = killed / "media" / "play.mp4"
    other.write_bytes(b"somebody's")
    show = opened(finished, killed)
    show.resume(512)
    assert not part.exists()
    assert other.read_bytes() == b"somebody's"
    other.unlink()
    assert frames(killed) == [16, 112, 256, 512]
    play(show, 512, 1008)
    assert names(killed) == names(whole)
    for name in names(whole):
        one, two = ((folder / "media" / name).read_bytes() for folder in (whole, killed))
        assert one == two, name


def test_a_run_that_begins_anew_keeps_nothing_of_an_attempt_before(finished, tmp_path):
    play(opened(finished, tmp_path), 0, 300)
    show = opened(finished, tmp_path)
    show.resume(0)
    assert frames(tmp_path) == []
    play(show, 0, 300)
    assert frames(tmp_path) == [16, 112, 256]


def test_what_is_shown_depends_on_the_frame_and_touches_no_random_numbers(finished, tmp_path):
    agent = Toy(SHAPE, 3)
    before = agent.generator.get_state()
    for folder in (tmp_path / "A", tmp_path / "B"):
        opened(finished, folder).update(100, agent, Replay())
    assert (agent.generator.get_state() == before).all()
    name = "000000000100-reconstruction.png"
    one, two = ((tmp_path / folder / "media" / name).read_bytes() for folder in "AB")
    assert one == two


def test_an_agent_without_a_model_has_no_media_and_no_folder(finished, tmp_path):
    agent = trained.load(finished, None, "cpu").agent
    play(opened(finished, tmp_path), 0, 1008, agent=agent)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_replay_is_asked_again_at_the_next_point_and_not_before(finished, tmp_path):
    replay, show = Replay(most=0), opened(finished, tmp_path)
    play(show, 32, 96, replay=replay)
    assert replay.asked == [(2, 10), (2, 6)]
    assert names(tmp_path) == []
    play(show, 96, 190)
    assert frames(tmp_path) == [112]


def test_short_games_are_shown_in_short_sequences(finished, tmp_path):
    show = opened(finished, tmp_path)
    play(show, 0, 16, replay=Replay(most=6))
    assert frames(tmp_path) == [16]


@pytest.mark.parametrize("what", ["encoder", "agent", "folder"])
def test_what_goes_wrong_is_said_once_and_ends_nothing(finished, tmp_path, what, monkeypatch):
    said: list[str] = []
    show, agent = opened(finished, tmp_path, said), Toy(SHAPE, 3)
    if what == "folder":
        (tmp_path / "media").write_text("in the way")
    elif what == "agent":
        agent.decode = lambda state: 1 / 0
    else:
        monkeypatch.setattr("launch.media.write_mp4", lambda *words: [][1])
    play(show, 0, 1008, agent=agent)
    (line,) = said
    assert line.startswith("no pictures of the model at frame 16: ")
    assert "\n" not in line
