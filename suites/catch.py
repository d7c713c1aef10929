"""Catch: a ball falls, a paddle catches it or not.

The test game of every part: it learns in minutes, has known scores (+1 for every ball that is
caught, best possible mean 1.0) and goes through the same task and view as Atari.

Source: the game of bsuite's catch, here in pixels per emulator frame.
Shapes: h w screen.
"""

import numpy as np

from suites import seeding

HEIGHT, WIDTH = 40, 40  # pixels
PADDLE = 6  # pixels wide
BALL = 2  # pixels wide and high
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
        """Drops a new ball, uniform over columns; the paddle starts in the middle."""
        self.column = int(self.rng.integers(WIDTH - BALL + 1))
        self.row = 0
        self.paddle = (WIDTH - PADDLE) // 2

    def act(self, action: int) -> float:
        """Moves the paddle, then the ball; the last frame is worth +1 or -1 points."""
        if self.over():
            return 0.0
        self.paddle += (0, -SPEED, SPEED)[action]
        self.paddle = min(max(self.paddle, 0), WIDTH - PADDLE)
        self.row += 1
        if not self.over():
            return 0.0
        caught = self.paddle <= self.column + BALL - 1 and self.column <= self.paddle + PADDLE - 1
        return 1.0 if caught else -1.0

    def over(self) -> bool:
        """Tells whether the ball has reached the paddle's row."""
        return self.row >= HEIGHT - BALL

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
        screen[self.row : self.row + BALL, self.column : self.column + BALL] = 255
        screen[-BALL:, self.paddle : self.paddle + PADDLE] = 255
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
