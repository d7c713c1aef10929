"""Emulators: what a game does for one frame.

An emulator knows frames, actions and points. Frame skip, sticky actions, no-ops, pooling and caps
are the task's and live in `suites.game`, once, for every emulator.

Source: Arcade Learning Environment through ale_py.
Shapes: h w screen.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from suites import games, seeding


class Emulator(Protocol):
    """One game that advances a frame at a time."""

    actions: int  # Legal choices are 0 .. actions - 1.
    noop: int  # The action that does nothing; past the legal ones where a game has none.
    names: Sequence[str]  # Of the actions, for people: NOOP, FIRE, UP, ...
    fire: int | None  # The action that presses FIRE alone, if there is one.

    def reset(self) -> None:
        """Starts a new game."""

    def act(self, action: int) -> float:
        """Plays one frame and returns its points."""

    def over(self) -> bool:
        """Tells whether the game has ended."""

    def lives(self) -> int:
        """Returns the lives left; 0 where the game has none."""

    def screen(self) -> np.ndarray:
        """Returns a fresh (h, w) gray or (h, w, 3) RGB uint8 screen."""

    def picture(self) -> np.ndarray:
        """Returns a fresh (h, w, 3) RGB uint8 screen for people, whatever `screen` returns."""

    def ram(self) -> np.ndarray:
        """Returns the memory that determines what comes next, uint8."""

    def save(self) -> dict:
        """Returns everything that determines what comes next."""

    def load(self, state: dict) -> None:
        """Goes back to a saved state."""


class Ale:
    """One Atari game on an ALEInterface.

    The emulator's own sticky actions stay off: a saved state does not contain the action that they
    would repeat (restoring changed 12 of 60 sticky rollouts), so `suites.game` repeats actions.
    """

    def __init__(self, rom: str, actions: str, rgb: bool, seed: int):
        """Loads a ROM.

        Args:
            rom: name as in the games table, such as "ms_pacman".
            actions: "minimal", or "full" for every legal action (18; 9 for Skiing).
            rgb: colour screens instead of the ALE's luminance.
            seed: below 2**31.
        """
        import ale_py

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.ale = ale_py.ALEInterface()
        self.state = ale_py.ALEState
        self.ale.setInt("random_seed", seed)
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(ale_py.roms.get_rom_path(rom))
        full = actions == "full"
        chosen = self.ale.getLegalActionSet() if full else self.ale.getMinimalActionSet()
        self.actions = len(chosen)
        # Backgammon and video_checkers have no NOOP in their minimal set.
        self.choices = list(dict.fromkeys([*chosen, ale_py.Action.NOOP]))
        self.names = [choice.name for choice in self.choices]
        self.noop = self.names.index("NOOP")
        self.fire = self.names.index("FIRE") if "FIRE" in self.names else None
        self.over, self.lives, self.reset = self.ale.game_over, self.ale.lives, self.ale.reset_game
        self.ram = self.ale.getRAM
        self.picture = self.ale.getScreenRGB
        self.screen = self.picture if rgb else self.ale.getScreenGrayscale
        # No reset here: some games (assault, seaquest) start elsewhere after every other one, and
        # the first game should be the one that other programs play.

    def act(self, action: int) -> float:
        """Plays one frame."""
        return self.ale.act(self.choices[action])

    def save(self) -> dict:
        """Returns the console's state with its random numbers, about 14 kB."""
        state = self.ale.cloneState(include_rng=True).serialize()
        return {"console": np.frombuffer(state, np.uint8)}

    def load(self, state: dict) -> None:
        """Restores the console."""
        self.ale.restoreState(self.state(state["console"].tobytes()))
        # The screen is not part of the state; the next frame draws it anew, and the frames
        # before it are kept by suites.game.


def make(game: str, actions: str, rgb: bool, *names: str | int) -> Emulator:
    """Returns the emulator of a game, its random numbers keyed by names."""
    if game == "catch":
        from suites.catch import Catch

        return Catch(rgb, seeding.generator(*names, "catch"))
    return Ale(games.load(game).rom, actions, rgb, seeding.integer(*names, "ale"))
