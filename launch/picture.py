"""Pictures of play for people: the game's colour screen, as on a television, and a line of facts.

Pixels of an Atari are wider than high: 12 to 7 on a television of the time (160 by 210 of them
fill about 4 to 3). Five to three is within 3% of that and keeps every pixel a sharp rectangle.

Source: https://www.nesdev.org/wiki/Overscan and the TIA's colour clock, 12:7 for NTSC.
Shapes: h w screen, H W picture.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ATARI_WIDTH = 160  # Pixels of every Atari screen; other games have square pixels.
ATARI_SCALE = 3, 5  # Down and across.
TALL = 630  # Pixels that other screens are brought to, or a little less.
PANEL, MARGIN = 70, 16  # Pixels.
BACK, LIGHT, DIM = (16, 16, 20), (240, 240, 240), (150, 150, 160)


@dataclass(frozen=True)
class Facts:
    """What the panel says of the moment."""

    score: float
    lives: int  # 0 where the game has none.
    action: str
    second: int
    note: str


class Painter:
    """Turns screens of one shape into pictures of one shape."""

    def __init__(self, shape: tuple[int, ...], title: str):
        """Chooses the scale.

        Args:
            shape: (h, w, 3) of the screens.
            title: the panel's second line.
        """
        height, width = shape[:2]
        square = max(1, TALL // height)
        self.scale = ATARI_SCALE if width == ATARI_WIDTH else (square, square)
        self.screen = height * self.scale[0], width * self.scale[1]
        # Even numbers, which the video's halved colour planes need.
        self.shape = (self.screen[0] + PANEL) // 2 * 2, self.screen[1] // 2 * 2, 3
        self.title = title
        self.large, self.small = ImageFont.load_default(24), ImageFont.load_default(15)
        self.panel: tuple[Facts, np.ndarray] | None = None

    def paint(self, screen: np.ndarray, facts: Facts) -> np.ndarray:
        """Returns a fresh (H, W, 3) uint8 picture."""
        if self.panel is None or self.panel[0] != facts:
            self.panel = facts, self._panel(facts)
        large = screen.repeat(self.scale[0], 0).repeat(self.scale[1], 1)
        return np.concatenate([large, self.panel[1]])[: self.shape[0], : self.shape[1]]

    def _panel(self, facts: Facts) -> np.ndarray:
        image = Image.new("RGB", (self.screen[1], PANEL), BACK)
        draw = ImageDraw.Draw(image)
        minutes, seconds = divmod(facts.second, 60)
        # Columns stay where they are, so that what changes is easy to see.
        columns = {
            0.0: f"score {facts.score:,.0f}",
            0.36: f"lives {facts.lives}" if facts.lives else "",
            0.56: facts.note or facts.action,
        }
        for place, text in columns.items():
            x = MARGIN + place * (self.screen[1] - 2 * MARGIN)
            draw.text((x, 10), text, LIGHT, self.large)
        right = self.screen[1] - MARGIN
        draw.text((right, 10), f"{minutes}:{seconds:02}", LIGHT, self.large, anchor="ra")
        draw.text((MARGIN, 44), self._fitting(draw), DIM, self.small)
        return np.asarray(image)

    def _fitting(self, draw: ImageDraw.ImageDraw) -> str:
        room, text = self.screen[1] - 2 * MARGIN, self.title
        while draw.textlength(text, self.small) > room:
            text = text.rstrip("…")[:-1] + "…"
        return text
