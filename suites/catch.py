"""Catch: a ball falls, a paddle catches it or not.

The test game of every part: it learns in minutes, has known scores (+1 for every ball that is
caught, best possible mean 1.0) and goes through the same task and view as Atari.

With a frame skip of 4 it is bsuite's catch, cell for cell: a board of 10 rows and 5 columns, a ball
that falls a row an agent step, a paddle that moves a column an agent step.

Source: Osband et al. 2020, arXiv:1908.03568, catch; here in pixels per emulator frame.
Shapes: h w screen.
"""

import numpy as np

from suites import seeding

HEIGHT, WIDTH = 40, 40  # pixels
HIGH, WIDE = 4, 8  # pixels of ball and paddle: a cell of 10 x 5
SPEED = 2  # paddle pixels a frame; the ball falls one pixel a frame


class Catch:
    """One ball a game; three actions: stay, left, right."""

    actions = 3
    names = ("NOOP", "LEFT", "RIGHT")
    noop = 0
    fire = None

    def __init__(self, rgb: bool, rng: np.random.Generator):
        """Starts with a ball at a random column."""
        self.rgb, self.rng = rgb, rng
        self.reset()

    def reset(self) -> None:
        """Drops a new ball, uniform over the columns; the paddle starts in the middle."""
        self.column = int(self.rng.integers(WIDTH // WIDE)) * WIDE
        self.row = 0
        self.paddle = (WIDTH - WIDE) // 2

    def act(self, action: int) -> float:
        """Moves the paddle, then the ball; the last frame is worth +1 or -1 points."""
        if self.over():
            return 0.0
        self.paddle += (0, -SPEED, SPEED)[action]
        self.paddle = min(max(self.paddle, 0), WIDTH - WIDE)
        self.row += 1
        if not self.over():
            return 0.0
        return 1.0 if abs(self.paddle - self.column) < WIDE else -1.0

    def over(self) -> bool:
        """Tells whether the ball has reached the paddle's row."""
        return self.row >= HEIGHT - HIGH

    def lives(self) -> int:
        """Returns 0: there are no lives."""
        return 0

    def screen(self) -> np.ndarray:
        """Draws ball and paddle in white on black."""
        return self.picture() if self.rgb else self._gray()

    def picture(self) -> np.ndarray:
        """Draws the same in colour, as far as there is any."""
        return np.repeat(self._gray()[..., None], 3, -1)

    def _gray(self) -> np.ndarray:
        screen = np.zeros((HEIGHT, WIDTH), np.uint8)
        screen[self.row : self.row + HIGH, self.column : self.column + WIDE] = 255
        screen[-HIGH:, self.paddle : self.paddle + WIDE] = 255
        return screen

    def ram(self) -> np.ndarray:
        """Returns row, column and paddle."""
        return np.array([self.row, self.column, self.paddle], np.uint8)

    def save(self) -> dict:
        """Returns positions and random state."""
        return {"ram": self.ram(), "rng": seeding.save(self.rng)}

    def load(self, state: dict) -> None:
        """Goes back to saved positions."""
        self.row, self.column, self.paddle = (int(x) for x in state["ram"])
        seeding.load(self.rng, state["rng"])
