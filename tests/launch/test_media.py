"""Pictures of a model show its arrays to the pixel, and say where imagination begins."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from launch import media

COUNT, ROWS, CONTEXT = 3, 12, 5


def report(height: int = 20, width: int = 30, channels: int = 3) -> dict:
    rng = np.random.default_rng(0)
    shape = (COUNT, ROWS, height, width, channels)
    names = ("true", "posterior", "open_loop")
    return {"context": CONTEXT} | {name: rng.integers(0, 256, shape, np.uint8) for name in names}


def holds(picture: np.ndarray, tile: np.ndarray, scale: int) -> bool:
    """Says whether an image stands somewhere in a picture, every pixel a square."""
    large = tile.repeat(scale, 0).repeat(scale, 1)
    windows = np.lib.stride_tricks.sliding_window_view(picture, large.shape)[:, :, 0]
    corner = (windows[..., 0, 0, :] == large[0, 0]).all(-1)
    return any((windows[i, j] == large).all() for i, j in np.argwhere(corner))


def has(picture: np.ndarray, colour: media.Colour) -> bool:
    return bool((picture == colour).all(-1).any())


@pytest.mark.parametrize(("height", "width"), [(64, 64), (20, 30), (35, 33), (250, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_video_shows_truth_model_and_error_of_every_sequence(height, width, channels):
    found = report(height, width, channels)
    pictures = list(media.open_loop(found, channels, "a title"))
    assert len(pictures) == ROWS
    assert {picture.shape for picture in pictures} == {pictures[0].shape}
    assert pictures[0].shape[0] % 2 == pictures[0].shape[1] % 2 == 0
    scale = max(1, media.TILE // max(height, width))
    for row in (0, CONTEXT, ROWS - 1):
        for sequence in range(COUNT):
            true, model = found["true"][sequence, row], found["open_loop"][sequence, row]
            wrong = media.error(true, model)
            for tile in (true, model, wrong):
                assert holds(pictures[row], media.coloured(tile, channels), scale), (row, sequence)


def test_the_colour_of_the_model_changes_where_imagination_begins():
    pictures = list(media.open_loop(report(), 3, ""))
    sheet = media.Sheet(media.LABELS, (20, 30), COUNT, "", size=media.TILE, times=(CONTEXT, ROWS))
    corner = sheet._up(1), sheet._left(0)
    colours = [tuple(picture[corner].tolist()) for picture in pictures]
    assert colours == [media.SHOWN] * CONTEXT + [media.IMAGINED] * (ROWS - CONTEXT)
    others = {tuple(picture[sheet._up(n), sheet._left(0)].tolist()) for picture in pictures
              for n in (0, 2)}  # fmt: skip
    assert others == {media.RULE}


def test_the_words_count_context_and_imagined_rows():
    said = [media.moment(row, CONTEXT, ROWS).caption for row in range(ROWS)]
    assert said[0] == "context, row 1 of 5"
    assert said[CONTEXT - 1 : CONTEXT + 1] == ["context, row 5 of 5", "imagined, row 1 of 7"]
    assert said[-1] == "imagined, row 7 of 7"


def test_the_time_line_grows_by_the_row_and_changes_colour():
    pictures = list(media.open_loop(report(), 3, ""))
    sheet = media.Sheet(media.LABELS, (20, 30), COUNT, "", size=media.TILE, times=(CONTEXT, ROWS))
    row = sheet.top - media.GAP - media.EDGE - media.BAR // 2
    bars = [picture[row] for picture in pictures]
    lengths = [int((bar == media.IMAGINED).all(-1).sum()) for bar in bars]
    assert lengths[:CONTEXT] == [0] * CONTEXT
    assert (np.diff(lengths[CONTEXT - 1 :]) > 0).all()
    shown = [int((bar == media.SHOWN).all(-1).sum()) for bar in bars]
    assert (np.diff(shown[: CONTEXT - 1]) > 0).all()
    assert shown[CONTEXT] == shown[-1]


def test_of_a_stack_the_newest_image_is_shown():
    image = np.arange(4, dtype=np.uint8) * np.ones((2, 2, 4), np.uint8)
    assert (media.coloured(image, 1) == 3).all()
    assert media.coloured(image, 1).shape == (2, 2, 3)
    image = np.arange(6, dtype=np.uint8) * np.ones((2, 2, 6), np.uint8)
    assert (media.coloured(image, 3) == [3, 4, 5]).all()


def test_no_error_is_gray_and_the_sign_is_kept():
    true, model = (np.array(values, np.uint8) for values in ([0, 9, 255, 0], [0, 9, 0, 255]))
    assert media.error(true, model).tolist() == [127, 127, 0, 255]


@pytest.mark.parametrize("rows", [2, 8, 50])
def test_a_reconstruction_shows_moments_of_all_sequences(rows):
    found = report()
    found |= {name: found[name].repeat(6, 1)[:, :rows] for name in ("true", "posterior")}
    picture = media.reconstruction(found, 3, "a title")
    scale = media.SMALL // 30
    for sequence in range(COUNT):
        for name in ("true", "posterior"):
            tiles = found[name][sequence]
            assert any(holds(picture, tile, scale) for tile in tiles), (name, sequence)
    assert has(picture, media.SHOWN)
    assert not has(picture, media.IMAGINED)


def test_a_dream_begins_with_the_game_and_tells_of_every_step():
    rng = np.random.default_rng(0)
    seen = rng.integers(0, 256, (2, 3, 20, 30, 3), np.uint8)
    rows = {
        "image": rng.integers(0, 256, (2, 4, 20, 30, 3), np.uint8),
        "action": np.array([[0, 1, 2, 0], [2, 2, 2, 2]]),
        "reward": np.array([[0, 1, 0, 1], [0, 0, -1, 0]], np.float32),
        "proceed": np.full((2, 4), 0.5, np.float32),
    }
    pictures = list(media.dream(seen, rows, 3, ["NOOP", "LEFT", "RIGHT"], "a title"))
    assert len(pictures) == 3 + 4
    assert holds(pictures[2], seen[1, 2], media.SMALL // 30)
    assert holds(pictures[3], rows["image"][0, 0], media.SMALL // 30)
    assert [has(picture, media.IMAGINED) for picture in pictures] == [False] * 3 + [True] * 4
    changed = rows | {"action": rows["action"] * 0, "reward": rows["reward"] + 1}
    others = list(media.dream(seen, changed, 3, ["NOOP", "LEFT", "RIGHT"], "a title"))
    assert [(a != b).any() for a, b in zip(pictures, others, strict=True)] == [False] * 3 + [
        True
    ] * 4


def test_a_long_title_stays_inside_the_picture():
    for picture in (next(media.open_loop(report(), 3, "long " * 99)),):
        assert (picture[: media.MARGIN + media.LINE, -media.MARGIN + 2 :] == media.PAPER).all()


def test_files_are_whole_and_hold_what_was_shown(tmp_path: Path):
    pictures = list(media.open_loop(report(), 3, "a title"))
    media.write_mp4(tmp_path / "a" / "x.mp4", pictures)
    media.write_gif(tmp_path / "a" / "x.gif", pictures)
    media.write_png(tmp_path / "a" / "x.png", pictures[0])
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"x.mp4", "x.gif", "x.png"}
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a" / "x.png")), pictures[0])
    with av.open(str(tmp_path / "a" / "x.mp4")) as container:
        assert container.streams.video[0].average_rate == media.RATE
        assert sum(1 for _ in container.decode(video=0)) == ROWS
    with Image.open(tmp_path / "a" / "x.gif") as gif:
        assert gif.n_frames == ROWS
        assert gif.info["loop"] == 0
        assert gif.info["duration"] == 1000 / media.RATE


def test_a_write_that_fails_leaves_the_file_before_it(tmp_path: Path, monkeypatch):
    path = tmp_path / "x.png"
    media.write_png(path, np.zeros((4, 4, 3), np.uint8))
    before = path.read_bytes()

    def full(*words, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space"):
        media.write_png(path, np.ones((4, 4, 3), np.uint8))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
