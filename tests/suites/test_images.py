"""Pixels: resizing, gray scale and stacking, against published numbers and plain readings.

The numbers are those of Pillow and OpenCV on one picture; ours must be the same.
"""

import numpy as np
import pytest

from suites import images
from tests.suites import worlds

POINTS = [(0, 0), (10, 20), (31, 31), (63, 63)]
PILLOW_BILINEAR = [[1, 1, 23], [41, 81, 130], [125, 125, 201], [253, 253, 179]]
PILLOW_MEAN = [127.0, 127.0, 127.44482421875]
OPENCV_AREA = [[1, 1, 19], [41, 81, 130], [125, 125, 200], [253, 253, 183]]
OPENCV_AREA_MEAN = [127.0, 127.0, 127.445556640625]
SHAPES = [
    ((210, 160), (84, 84)),
    ((210, 160), (64, 64)),
    ((210, 160), (96, 96)),
    ((250, 160), (84, 80)),
    ((210, 160), (210, 160)),
    ((40, 40), (7, 39)),
]


def picture() -> np.ndarray:
    y, x = np.mgrid[:210, :160]
    return np.stack([y * 255 // 209, x * 255 // 159, (7 * y + 13 * x) % 256], -1).astype(np.uint8)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("method", "pixels", "mean", "exact"),
    [("bilinear", PILLOW_BILINEAR, PILLOW_MEAN, 0), ("area", OPENCV_AREA, OPENCV_AREA_MEAN, 1e-3)],
)
def test_a_resized_picture_has_the_published_pixels(method, pixels, mean, exact):
    small = images.resizer(method, (64, 64))(picture())
    assert small.shape == (64, 64, 3) and small.dtype == np.uint8
    assert [small[point].tolist() for point in POINTS] == pixels
    assert small.mean((0, 1)) == pytest.approx(mean, abs=exact)


def test_bilinear_and_area_are_not_the_same():
    bilinear, area = (images.resizer(how, (64, 64))(picture()) for how in ("bilinear", "area"))
    gap = np.abs(bilinear.astype(float) - area).mean()
    assert gap == pytest.approx(1.280517578125, abs=2e-3)


@pytest.mark.parametrize(("source", "target"), SHAPES)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_area_is_the_mean_of_the_source_area(source, target, channels):
    screen = noise(*source, *channels)
    small = images.Area(target)(screen)
    plain = worlds.area(screen, target)
    assert small.shape == (*target, *channels)
    assert np.abs(small.astype(int) - plain).max() <= 1
    assert (small != plain).mean() < 0.01, "only what lies between two numbers may differ"


@pytest.mark.parametrize(("source", "target"), SHAPES)
def test_area_is_that_of_opencv(source, target):
    cv2 = pytest.importorskip("cv2", reason="the benchmark extra is not installed")
    screen = noise(*source, 3)
    theirs = cv2.resize(screen, target[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(images.Area(target)(screen).astype(int) - theirs).max() <= 1


def test_a_resizer_serves_screens_of_several_shapes():
    area = images.Area((21, 16))
    for shape in [(210, 160), (250, 160, 3), (210, 160, 3), (210, 160)]:
        assert np.array_equal(area(noise(*shape)), images.Area((21, 16))(noise(*shape)))


def test_height_comes_before_width():
    for method in ("bilinear", "area"):
        wide = images.resizer(method, (4, 8))(np.repeat([[0], [255]], 160, 1).astype(np.uint8))
        assert wide.shape == (4, 8)
        assert wide[0].max() < wide[-1].min()


def test_gray_is_weighed_and_truncated():
    colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [144, 72, 17], [92, 186, 92]]
    gray = images.gray(np.array([colours], np.uint8))
    assert gray.tolist() == [[76, 149, 29, 255, 87, 147]]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stack", [1, 2, 4])
def test_a_stack_holds_the_latest_frames_the_newest_last(channels, stack):
    frames = noise(6, 2, 5, 4, channels)
    image = np.zeros((2, 5, 4, channels * stack), np.uint8)
    for frame in frames:
        images.push(image, frame)
    assert np.array_equal(image, np.concatenate(frames[-stack:], -1))
