"""Pictures of what a model makes of a game: rows of images with labels, for videos and papers.

Blue is what the model was shown, orange what it imagined. Nothing here knows an agent: the arrays
are those of `report` and `dream` in the agent contract.

Source: the three rows and the signed error are those of danijar/dreamerv3@e3f0224's reports.
Shapes: B sequences side by side, T rows, L imagined rows, h w C image, H W picture.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from launch import video
from launch.aside import written
from suites.view import View

RATE = 10  # Rows a second; a game of frame skip 4 is two thirds as fast as it is played.
QUALITY = "22"  # As of `launch.video`; the files are small enough for a report to hold them.
TILE, SMALL = 192, 128  # Pixels that an image is brought to, or a little less.
EDGE, GAP, MARGIN = 4, 8, 16  # Pixels: the frame of an image, between two, around all.
LABEL, LINE = 64, 22  # Pixels: the labels' column, a line of text.
BAR, CAPTION = 10, 30  # Pixels: the heights of the time line and of what is said above it.
COLUMNS = 8  # Images of a reconstruction.
COLOURS = 128  # Of a GIF.
PAPER, INK, SOFT, RULE = (255, 255, 255), (24, 26, 30), (104, 110, 120), (208, 212, 218)
SHOWN, IMAGINED = (20, 110, 190), (214, 96, 10)
LABELS, LIT = ("true", "model", "error"), "model"  # And the one whose frames say what it was.
LEGEND = "error: gray is none"

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Moment:
    """What a sheet says of one row."""

    colour: Colour  # Of the frames around what the model made.
    caption: str
    row: int  # Number, from 0.
    notes: tuple[tuple[str, ...], ...] = ()  # Lines under each column.


class Sheet:
    """Lays out images in labelled rows below a title and a time line.

    Nothing but images is at the bottom, where a player has its controls.
    """

    def __init__(
        self, labels: Sequence[str], shape: tuple[int, int], columns: int, title: str, *,
        size: int, times: tuple[int, int] = (0, 0), notes: int = 0,
    ):  # fmt: skip
        """Chooses the scale.

        Args:
            labels: of the rows, from above; none for a single row that needs none.
            shape: (h, w) of the images.
            columns: images of a row.
            title: stands above them.
            size: pixels that an image is brought to at most, unless it is larger by itself.
            times: rows that were shown and rows in all; no time line for none.
            notes: lines under each column.
        """
        self.labels, self.columns, self.title, self.times = tuple(labels), columns, title, times
        self.scale = max(1, size // max(shape))
        self.tile = shape[0] * self.scale + 2 * EDGE, shape[1] * self.scale + 2 * EDGE
        self.large, self.small = ImageFont.load_default(18), ImageFont.load_default(14)
        self.top = MARGIN + LINE + GAP + (CAPTION + BAR + GAP if times[1] else 0)
        self.below = self.top + max(1, len(labels)) * (self.tile[0] + GAP)
        self.start = MARGIN + (LABEL if labels else 0)
        height = self.below + notes * LINE - GAP + MARGIN
        width = self.start + columns * (self.tile[1] + GAP) - GAP + MARGIN
        # Even numbers, which the video's halved colour planes need.
        self.shape = height + height % 2, width + width % 2, 3

    def paint(self, rows: Sequence[np.ndarray], moment: Moment) -> np.ndarray:
        """Returns a fresh (H, W, 3) uint8 picture.

        Args:
            rows: for each label (columns, h, w, 3) uint8.
            moment: what is said of them.
        """
        image = Image.new("RGB", (self.shape[1], self.shape[0]), PAPER)
        draw = ImageDraw.Draw(image)
        self._heading(draw)
        for number, label in enumerate(self.labels or (LIT,)):
            self._row(draw, number, label, moment.colour if label == LIT else RULE)
        for column, lines in enumerate(moment.notes):
            for number, text in enumerate(lines):
                place = self._left(column) + EDGE, self.below + number * LINE
                draw.text(place, text, INK if number == 0 else SOFT, self.small)
        if self.times[1]:
            self._timeline(draw, moment)
        picture = np.array(image)
        for number, tiles in enumerate(rows):
            self._fill(picture, number, tiles)
        return picture

    def _left(self, column: int) -> int:
        return self.start + column * (self.tile[1] + GAP)

    def _up(self, number: int) -> int:
        return self.top + number * (self.tile[0] + GAP)

    def _row(self, draw: ImageDraw.ImageDraw, number: int, label: str, colour: Colour) -> None:
        up = self._up(number)
        middle = up + self.tile[0] // 2
        if self.labels:
            draw.text((self.start - 2 * EDGE, middle), label, INK, self.large, anchor="rm")
        for column in range(self.columns):
            left = self._left(column)
            corner = left + self.tile[1] - 1, up + self.tile[0] - 1
            draw.rectangle(((left, up), corner), outline=colour, width=EDGE)

    def _fill(self, picture: np.ndarray, number: int, tiles: np.ndarray) -> None:
        large = tiles.repeat(self.scale, 1).repeat(self.scale, 2)
        up, (height, width) = self._up(number) + EDGE, large.shape[1:3]
        for column, tile in enumerate(large):
            left = self._left(column) + EDGE
            picture[up : up + height, left : left + width] = tile

    def _timeline(self, draw: ImageDraw.ImageDraw, moment: Moment) -> None:
        shown, count = self.times
        left, right = self.start, self.shape[1] - MARGIN
        up = self.top - GAP - EDGE - BAR
        draw.text((left, up - 10), moment.caption, moment.colour, self.large, anchor="ls")
        bottom, step = up + BAR - 1, (right - left) / count
        seam, now = left + step * shown, left + step * (moment.row + 1)
        draw.rectangle((left, up, right - 1, bottom), RULE)
        draw.rectangle((left, up, min(now, seam) - 1, bottom), SHOWN)
        if now > seam:
            draw.rectangle((seam, up, now - 1, bottom), IMAGINED)
        draw.rectangle((seam - 1, up - 4, seam, bottom + 4), INK)

    def _heading(self, draw: ImageDraw.ImageDraw) -> None:
        room, text = self.shape[1] - 2 * MARGIN, self.title
        if "error" in self.labels:
            right = self.shape[1] - MARGIN
            draw.text((right, MARGIN), LEGEND, SOFT, self.small, anchor="ra")
            room -= round(draw.textlength(LEGEND, self.small)) + MARGIN
        while draw.textlength(text, self.small) > room:
            text = text.rstrip("…")[:-1] + "…"
        draw.text((MARGIN, MARGIN), text, SOFT, self.small)


def open_loop(report: dict[str, Any], channels: int, title: str) -> Iterator[np.ndarray]:
    """Yields the pictures of a video: what happened, what the model made of it, the difference.

    Args:
        report: of an agent.
        channels: of the newest image in a stack: 1 gray, 3 colours.
        title: stands above.
    """
    true, model = (coloured(report[name], channels) for name in ("true", "open_loop"))
    wrong, context = error(true, model), report["context"]
    count, rows = true.shape[:2]
    times = context, rows
    sheet = Sheet(LABELS, true.shape[2:4], count, title, size=TILE, times=times)
    for row in range(rows):
        yield sheet.paint((true[:, row], model[:, row], wrong[:, row]), moment(row, context, rows))


def reconstruction(report: dict[str, Any], channels: int, title: str) -> np.ndarray:
    """Returns a picture of moments from all sequences, as they were and as the model saw them."""
    true, model = (coloured(report[name], channels) for name in ("true", "posterior"))
    count, rows = true.shape[:2]
    # Late moments: what a model knows of a sequence has to come from it.
    columns = np.arange(COLUMNS)
    index = columns % count, ((columns + 1) * rows) // COLUMNS - 1
    order = np.argsort(index[0], kind="stable")
    true, model = (array[index][order] for array in (true, model))
    sheet = Sheet(LABELS, true.shape[1:3], COLUMNS, title, size=SMALL)
    return sheet.paint((true, model, error(true, model)), Moment(SHOWN, "", 0))


def dream(
    seen: np.ndarray, rows: dict[str, np.ndarray], channels: int, names: Sequence[str], title: str
) -> Iterator[np.ndarray]:
    """Yields the pictures of a video: the last real images, then what the model dreams.

    Args:
        seen: (B, T, h, w, C) uint8 real images before the dream.
        rows: of an agent's `dream`; the first is where it begins, and was seen.
        channels: of the newest image in a stack: 1 gray, 3 colours.
        names: of the actions.
        title: stands above.
    """
    real, made = coloured(seen, channels), coloured(rows["image"], channels)
    total = rows["reward"].cumsum(1) - rows["reward"][:, :1]  # That of the first was real.
    context, steps = real.shape[1], made.shape[1] - 1
    times = context, context + steps + 1
    sheet = Sheet((), made.shape[2:4], len(made), title, size=SMALL, times=times, notes=3)
    for row in range(context):
        notes = (("", "", ""),) * len(made)
        yield sheet.paint((real[:, row],), Moment(SHOWN, "the game, as it was", row, notes))
    for step in range(steps + 1):
        notes = tuple(
            (
                names[int(rows["action"][b, step])],
                f"reward so far {total[b, step]:+.1f}",
                f"goes on {rows['proceed'][b, step]:.0%}",
            )
            for b in range(len(made))
        )
        caption = f"dreamed, step {step} of {steps}" if step else "here the dream begins"
        yield sheet.paint((made[:, step],), Moment(IMAGINED, caption, context + step, notes))


def moment(row: int, context: int, rows: int) -> Moment:
    """Returns what is said of a row of a report."""
    if row < context:
        return Moment(SHOWN, f"context, row {row + 1} of {context}", row)
    return Moment(IMAGINED, f"imagined, row {row + 1 - context} of {rows - context}", row)


def channels(view: View) -> int:
    """Returns how many channels one image of a view has."""
    return 3 if view.color == "rgb" else 1


def coloured(image: np.ndarray, channels: int) -> np.ndarray:
    """Returns the newest image of stacks (..., C) as colours (..., 3)."""
    newest = image[..., -channels:]
    return newest if channels == 3 else newest.repeat(3, -1)


def error(true: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Returns the signed difference as an image: gray is none, bright is too much."""
    return ((model.astype(np.int16) - true + 255) // 2).astype(np.uint8)


def write_mp4(path: Path, pictures: Iterable[np.ndarray]) -> None:
    """Writes pictures as a video; the file appears when it is whole.

    Raises:
        ValueError: it cannot be written.
    """
    with video.Video(path, RATE, QUALITY) as show:
        for picture in pictures:
            show.show(picture)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Writes a picture; the file appears when it is whole."""
    with written(path) as file:
        Image.fromarray(picture).save(file, format="png")


def write_gif(path: Path, pictures: Sequence[np.ndarray]) -> None:
    """Writes pictures as a GIF that repeats itself; the file appears when it is whole."""
    images = [Image.fromarray(picture) for picture in pictures]
    # One palette, of the last picture's colours and the first one's: no flicker between pictures.
    both = Image.fromarray(np.concatenate([pictures[0], pictures[-1]]))
    palette = both.quantize(COLOURS)
    first, *rest = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    with written(path) as file:
        first.save(
            file, format="gif", save_all=True, append_images=rest, duration=1000 // RATE, loop=0
        )
