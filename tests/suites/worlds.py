"""Environments of the tests, and what their rows must be by an independent reading."""

import math
from collections.abc import Sequence
from types import SimpleNamespace

import ale_py
import numpy as np
from PIL import Image

from suites import env, games
from suites.task import Task
from suites.view import View

TASK = {
    "frame_skip": 4,
    "pooling": 2,
    "sticky": 0.0,
    "actions": "minimal",
    "noops": (1, 1),
    "cap": 10_000,
    "score": "game_return",
    "quirks": {"truncation_is_terminal": False, "stale_first_frame": False},
}
VIEW = {
    "size": (84, 84),
    "color": "gray",
    "resize": "area",
    "stack": 2,
    "reward": "raw",
    "life_loss": False,
    "fire": False,
}
ROUNDED_OTHERWISE = 0.05  # Of the pixels that are not black.
Rows = dict[str, np.ndarray]


def task(**changes) -> Task:
    quirks = TASK["quirks"] | {key: changes.pop(key) for key in TASK["quirks"] if key in changes}
    return Task(**(TASK | {"quirks": quirks} | changes))


def view(**changes) -> View:
    return View(**(VIEW | changes))


def settings(**changes) -> SimpleNamespace:
    """Returns task, view and training from changes of the values above, wherever they belong."""
    training = changes.pop("training", True)
    seen = {key: changes.pop(key) for key in VIEW if key in changes}
    return SimpleNamespace(task=task(**changes), view=view(**seen), training=training)


def make(game: str, backend: str = "ale", envs: int = 1, workers: int = 0, names=("test",), **how):
    """Returns environments with changed settings."""
    given, kind = settings(**how), {"backend": backend, "workers": workers}
    return env.make(game, given.task, given.view, envs, names, training=given.training, **kind)


def ram(vector) -> np.ndarray:
    """Returns (B, 128) memory of environments in this process."""
    if hasattr(vector, "info"):
        return vector.info["ram"]
    return np.stack([game.emulator.ram() for game in vector.groups[0].games])


def play(vector, actions: np.ndarray) -> list[Rows]:
    """Returns copies of the rows that (T, B) actions give."""
    return [{k: v.copy() for k, v in vector.step(action).items()} for action in actions]


def random_actions(vector, steps: int, seed: int = 0) -> np.ndarray:
    """Returns (T, B) random legal actions; the same whatever the backend."""
    envs = len(vector.rows["reward"])
    return np.random.default_rng(seed).integers(vector.act_space.n, size=(steps, envs))


def difference(one: list[Rows], other: list[Rows], exact: bool = True) -> list[str]:
    """Returns where rows differ; inexact images may be rounded otherwise: by 1, in few pixels."""
    found = []
    for t, (left, right) in enumerate(zip(one, other, strict=True)):
        for name in left:
            if np.shape(left[name]) != np.shape(right[name]):
                found.append(f"{name}: shapes {left[name].shape} and {right[name].shape}")
            elif name == "image" and not exact:
                gaps = np.abs(left[name].astype(int) - right[name])
                share = (gaps > 0).sum() / max(1, (left[name] > 0).sum())
                if gaps.max() > 1 or share > ROUNDED_OTHERWISE:
                    found.append(f"image at {t}: by {gaps.max()}, {share:.1%} of lit pixels")
            elif not np.array_equal(left[name], right[name]):
                found.append(f"{name} at {t}: {left[name]} and {right[name]}")
    return found


def area(screen: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the mean of the source area of each pixel, from copies small enough to divide."""
    for axis, count in enumerate(size):
        copies = np.repeat(screen, math.lcm(screen.shape[axis], count) // screen.shape[axis], axis)
        shape = (*screen.shape[:axis], count, -1, *screen.shape[axis + 1 :])
        screen = copies.reshape(shape).mean(axis + 1)
    return np.rint(screen).astype(np.uint8)


class Oracle:
    """One game by a plain reading of task and view, without a line of the code under test."""

    def __init__(self, game: str, given: SimpleNamespace):
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.task, self.view, self.ale = given.task, given.view, ale_py.ALEInterface()
        self.fire = given.training and given.view.fire
        self.life_loss = given.training and given.view.life_loss
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(ale_py.roms.get_rom_path(games.load(game).rom))
        minimal, full = self.ale.getMinimalActionSet(), self.ale.getLegalActionSet()
        self.actions = full if given.task.actions == "full" else minimal
        self.begins, self.lives, self.frames = "game", 0, 0
        self.screens: list[np.ndarray] = [self.screen() * 0]
        self.stack: list[np.ndarray] = []

    def screen(self) -> np.ndarray:
        gray = self.view.color == "gray"
        return self.ale.getScreenGrayscale() if gray else self.ale.getScreenRGB()

    def press(self, action: ale_py.Action, times: int) -> float:
        return sum(self.ale.act(action) for _ in range(times))

    def step(self, action: int) -> Rows:
        first, lives, points = self.begins, self.lives, 0.0
        if first == "game":
            self.begin()
        elif first == "life":
            points = self.press(ale_py.Action.FIRE, self.task.frame_skip * self.fire)
            self.screens += [self.screen()] if self.fire else []
        else:
            points = self.advance(action)
        over = self.ale.game_over()
        truncated = self.frames >= self.task.cap and not over
        self.lives = self.ale.lives()
        lost = self.life_loss and not first and 0 < self.lives < lives
        self.begins = "game" if over or truncated else "life" if lost else ""
        terminal = over or lost or (truncated and self.task.quirks.truncation_is_terminal)
        transform = {"raw": float, "sign": np.sign, "tanh": np.tanh}[self.view.reward]
        row = {
            "image": self.observe(first != ""),
            "reward": np.float32(0 if first else transform(points)),
            "points": points,
            "is_first": first != "",
            "is_last": over or truncated or lost,
            "is_terminal": terminal,
            "over": over or truncated,
            "truncated": truncated,
            "duration": self.frames,
            "lives": self.lives,
        }
        return {name: np.asarray(value)[None] for name, value in row.items()}

    def begin(self) -> None:
        assert self.task.noops[0] == self.task.noops[1], "the oracle draws nothing"
        self.ale.reset_game()
        self.press(ale_py.Action.NOOP, self.task.noops[0])
        self.press(ale_py.Action.FIRE, self.task.frame_skip * self.fire)
        shown = self.screens[-1] if self.task.quirks.stale_first_frame else self.screen()
        self.screens, self.frames = [shown, shown], 0

    def advance(self, action: int) -> float:
        points = 0.0
        for frame in range(1, self.task.frame_skip + 1):
            points += self.ale.act(self.actions[action])
            self.frames += 1
            if frame > self.task.frame_skip - self.task.pooling:
                self.screens.append(self.screen())
            if self.ale.game_over() or self.frames >= self.task.cap:
                break
        return points

    def observe(self, first: bool) -> np.ndarray:
        pooled = np.max(self.screens[-self.task.pooling :], 0)
        if self.view.resize == "area":
            image = area(pooled, self.view.size)
        else:
            how = Image.Resampling.BILINEAR
            image = np.asarray(Image.fromarray(pooled).resize(self.view.size[::-1], how))
        if self.view.color == "gray_from_rgb":
            image = np.floor(image @ [0.299, 0.587, 1 - (0.299 + 0.587)]).astype(np.uint8)
        image = image.reshape(*self.view.size, -1)
        self.stack = [image] * self.view.stack if first else [*self.stack[1:], image]
        return np.concatenate(self.stack, -1)


def expected(game: str, chosen: Sequence[int], **how) -> list[Rows]:
    """Returns the rows of one environment that actions must give."""
    oracle = Oracle(game, settings(**how))
    return [oracle.step(int(action)) for action in chosen]
