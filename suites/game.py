"""One environment: a task and a view applied to one emulator.

Source: danijar/dreamerv3 embodied/envs/atari.py for the order of a step; the specification's
section C for what the published programs do and where they differ.
Shapes: h w screen, H W C observation.
"""

import numpy as np

from suites import images, seeding
from suites.emulators import Emulator
from suites.task import Task
from suites.view import View

REWARD = {"raw": lambda x: x, "sign": np.sign, "tanh": np.tanh}
PLAY, RESET, LIFE = 0, 1, 2  # What the next step does: a step, a new game, the next life.


def image_shape(view: View) -> tuple[int, int, int]:
    """Returns (H, W, C) of an observation; stacked frames lie side by side in C, newest last."""
    channels = 3 if view.color == "rgb" else 1
    return (*view.size, channels * view.stack)


class Game:
    """Steps one emulator and writes rows of the vector contract (see `suites.env`)."""

    def __init__(
        self,
        emulator: Emulator,
        task: Task,
        view: View,
        training: bool,
        rng: np.random.Generator,
    ):
        """Waits for the first step, which resets.

        Args:
            emulator: advances one frame at a time.
            task: what is measured; every field is honoured here.
            view: what the agent sees.
            training: whether life loss and FIRE of the view apply.
            rng: draws no-ops and sticky actions; saved and restored.
        """
        self.emulator, self.task, self.view, self.rng = emulator, task, view, rng
        self.life_loss = training and view.life_loss
        self.fire = emulator.fire if training and view.fire else None
        self.resize = images.resizer(view.resize, view.size)
        self.screens = [emulator.screen() * 0] * 2
        self.image = np.zeros(image_shape(view), np.uint8)
        self.next, self.last_action, self.lives, self.duration = RESET, emulator.noop, 0, 0

    def step(self, action: int, rows: dict[str, np.ndarray], index: int) -> None:
        """Does one step, a reset or the start of a life, and writes row `index` of every array."""
        points, terminal, truncated, lost = 0.0, False, False, False
        first = self.next != PLAY
        if self.next == RESET:
            self.reset()
        elif self.next == LIFE:
            points = self.press_fire()
            self.lives = self.emulator.lives()
        else:
            points, terminal, truncated = self.play(action)
            lives = self.emulator.lives()
            lost = self.life_loss and 0 < lives < self.lives
            self.lives = lives
        over = terminal or truncated
        self.next = RESET if over else LIFE if lost else PLAY
        self.observe(first)
        rows["image"][index] = self.image
        rows["reward"][index] = 0 if first else REWARD[self.view.reward](points)
        rows["points"][index] = points
        rows["is_first"][index] = first
        rows["is_last"][index] = over or lost
        as_terminal = truncated and self.task.quirks.truncation_is_terminal
        rows["is_terminal"][index] = terminal or lost or as_terminal
        rows["over"][index] = over
        rows["truncated"][index] = truncated
        rows["duration"][index] = self.duration
        rows["lives"][index] = self.lives

    def play(self, action: int) -> tuple[float, bool, bool]:
        """Repeats an action for the task's frames; returns points, terminal, truncated.

        The game's end and the cap stop the repetition, so the frames after them are not rendered
        and the pooled observation may be partly stale, as in the published programs.
        """
        task, points, over, capped = self.task, 0.0, False, False
        for frame in range(task.frame_skip):
            points += self.frame(action)
            self.duration += 1
            if frame >= task.frame_skip - task.pooling:
                self.screens = [self.screens[1], self.emulator.screen()]
            over, capped = self.emulator.over(), self.duration >= task.cap
            if over or capped:
                break
        return points, over, capped and not over

    def frame(self, action: int) -> float:
        """Plays one frame; with probability `sticky` the previous frame's action again."""
        if self.task.sticky and self.rng.random() < self.task.sticky:
            action = self.last_action
        self.last_action = action
        return self.emulator.act(action)

    def reset(self) -> None:
        """Starts a game: no-ops, FIRE if the view asks, one render; none of it is counted."""
        self.emulator.reset()
        low, high = self.task.noops
        for _ in range(self.rng.integers(low, high + 1)):
            self.emulator.act(self.emulator.noop)
            if self.emulator.over():
                self.emulator.reset()
        self.press_fire()
        stale = self.task.quirks.stale_first_frame
        self.screens = [self.screens[1] if stale else self.emulator.screen()] * 2
        self.lives, self.duration, self.last_action = self.emulator.lives(), 0, self.emulator.noop

    def press_fire(self) -> float:
        """Presses FIRE for one step's frames where that is wanted; returns their points.

        A game that ends in them, which the next step finds, takes no more frames.
        """
        if self.fire is None:
            return 0.0
        points = sum(self.emulator.act(self.fire) for _ in range(self.task.frame_skip))
        self.screens = [self.screens[1], self.emulator.screen()]
        return points

    def observe(self, first: bool) -> None:
        """Pools, resizes and stacks the latest screens into the image."""
        screen = self.screens[1]
        if self.task.pooling == 2:
            screen = np.maximum(*self.screens)
        frame = self.resize(screen)
        if self.view.color == "gray_from_rgb":
            frame = images.gray(frame)
        frame = frame.reshape(*self.view.size, -1)
        if first:
            self.image[:] = np.tile(frame, self.view.stack)
        else:
            images.push(self.image, frame)

    def save(self) -> dict:
        """Returns everything that determines what comes next."""
        return {
            "emulator": self.emulator.save(),
            "rng": seeding.save(self.rng),
            "screens": np.stack(self.screens),
            "image": self.image.copy(),
            "counters": [self.next, self.last_action, self.lives, self.duration],
        }

    def load(self, state: dict) -> None:
        """Goes back to a saved state, bit for bit."""
        self.emulator.load(state["emulator"])
        seeding.load(self.rng, state["rng"])
        self.screens = list(state["screens"])
        self.image[:] = state["image"]
        self.next, self.last_action, self.lives, self.duration = state["counters"]
