"""`reverie play`: a run's agent at play, as a video or in a window.

The agent plays the suite's task and sees exactly its view; people see every frame that the
emulator plays, in the game's own colours and size. Frames that the task does not count (no-ops
after a reset) are shown too.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from launch import trained, video
from launch.loop import OBSERVED
from launch.picture import Facts, Painter
from launch.progress import duration
from launch.ticker import Ticker
from suites import emulators, env, seeding
from suites.emulators import Emulator
from suites.game import Game

FILL_S = 10  # Seconds that whole games fill at least, as one of Catch takes half a second.
HELD = video.RATE // 2  # Pictures for which the end of a game stays.
LISTED = 3  # Games that are told one by one.
OVER = {"terminal": "game over", "truncated": "cut by the cap"}

Lines = list[dict[str, Any]]


def main(
    path: Path,
    *,
    out: Path | None,
    window: bool,
    policy: str,
    weights: str | None,
    seed: int,
    device: str,
    most: int,
) -> str:
    """Plays for people and returns what was to be seen.

    Args:
        path: the run folder.
        out: mp4 file instead of RUN/media/play.mp4.
        window: shows a window instead.
        policy: "sampled" or "greedy".
        weights: "final", "best", "latest" or None; see `trained.load`.
        seed: of the game.
        device: of the agent.
        most: frames after which the show ends.

    Raises:
        ValueError: it is no run folder, has no such weights, or cannot be shown like that.
    """
    if out and out.suffix.lower() != ".mp4":
        raise ValueError(f"--out {out}: saw {out.suffix or 'no ending'!r}; allowed is .mp4")
    found = trained.load(path, weights, device)
    if found.weights.note:
        print(found.weights.note, file=sys.stderr)
    target = out or path / "media" / "play.mp4"
    title = f"{found.run.agent} on {found.run.game}, seed {found.run.seed}"
    show = video.Window(title) if window else video.Video(target)
    title += f" · {found.weights}, {policy} · suite {found.run.suite}"
    with show, Ticker(sys.stderr) as ticker:
        stage = Stage(found, policy, seed, title, show)
        try:
            # A window shows by itself how far it is.
            lines = stage.play(most, lambda: None if window else ticker.show(stage.progress))
        except video.Closed:
            return "The window was closed."
    return "\n".join([*told(lines), *([] if window else [str(target)])])


def told(lines: Lines) -> list[str]:
    """Returns the games in words, many of them as one line."""
    if len(lines) <= LISTED:
        return [_game(line) for line in lines]
    frames = sum(line["length"] for line in lines)
    mean = sum(line["return"] for line in lines) / len(lines)
    return [f"{len(lines)} games, {mean:,.2f} points on average, {frames:,} frames in all"]


def _game(line: dict[str, Any]) -> str:
    time = duration(line["length"] / video.RATE)
    end = {"terminal": "", "truncated": ", cut by the cap", "left": ", not over yet"}[line["end"]]
    return f"{line['return']:,.10g} points in {line['length']:,} frames ({time}){end}"


class Watched:
    """An emulator that tells when a game begins and when a frame has been played."""

    def __init__(
        self, emulator: Emulator, begun: Callable[[], None], seen: Callable[[int, float], None]
    ):
        """Watches an emulator.

        Args:
            emulator: does the work.
            begun: called after a reset.
            seen: called after a frame with its action and points.
        """
        self.emulator, self.begun, self.seen = emulator, begun, seen

    def __getattr__(self, name: str) -> Any:
        """Leaves all else to the emulator."""
        return getattr(self.emulator, name)

    def reset(self) -> None:
        """Starts a new game."""
        self.emulator.reset()
        self.begun()

    def act(self, action: int) -> float:
        """Plays one frame."""
        points = self.emulator.act(action)
        self.seen(action, points)
        return points


class Stage:
    """One game with an agent at it and a camera on it."""

    def __init__(
        self, found: trained.Trained, policy: str, seed: int, title: str, show: video.Show
    ):
        """Builds the game in this process.

        Args:
            found: the agent and its run.
            policy: "sampled" or "greedy".
            seed: of the game.
            title: stands under the picture.
            show: takes the pictures.
        """
        run, names = found.run, ("play", found.run.game, seed)
        self.agent, self.policy, self.show = found.agent, policy, show
        self.emulator = emulators.make(
            run.game, run.task.actions, run.view.color != "gray", *names, 0
        )
        watched = Watched(self.emulator, self.begun, self.seen)
        rng = seeding.generator(*names, 0, "task")
        self.game = Game(watched, run.task, run.view, False, rng)
        self.rows = {
            name: np.zeros(shape, kind) for name, (shape, kind) in env.columns(1, run.view).items()
        }
        self.rng = seeding.generator(*names, "policy")
        self.painter = Painter(self.emulator.picture().shape, title)
        self.pictures = 0  # Shown.
        self.score, self.frame, self.action = 0.0, 0, 0  # Of the game under way.

    def play(self, most: int, between: Callable[[], None]) -> Lines:
        """Plays whole games until they fill the time, or until so many pictures are shown.

        Args:
            most: pictures.
            between: called between steps.

        Returns:
            One line a game: return, length (frames), end ("terminal", "truncated", or "left" for
            the game that was going on when the show ended).
        """
        lines: Lines = []
        carry, action, points = self.agent.init(1), np.zeros(1, np.int64), 0.0
        while True:
            self.game.step(int(action[0]), self.rows, 0)
            points += float(self.rows["points"][0])
            self.score = points  # Points of no-op frames count nowhere.
            if self.rows["over"][0]:
                end = "truncated" if self.rows["truncated"][0] else "terminal"
                lines.append(self.line(points, end))
                self.hold(OVER[end])
                points = 0.0
                if self.pictures >= min(most, FILL_S * video.RATE):
                    return lines
            elif self.pictures >= most:
                return [*lines, self.line(points, "left")]
            between()
            obs = {name: self.rows[name] for name in OBSERVED}
            carry, action, _ = self.agent.policy(carry, obs, self.policy, self.rng)

    def line(self, points: float, end: str) -> dict[str, Any]:
        """Returns the facts of a game."""
        return {"return": points, "length": int(self.rows["duration"][0]), "end": end}

    def begun(self) -> None:
        """Starts the panel anew."""
        self.score, self.frame = 0.0, 0

    def seen(self, action: int, points: float) -> None:
        """Shows the frame that the emulator has just played."""
        self.score, self.action, self.frame = self.score + points, action, self.frame + 1
        self.paint("")

    def hold(self, note: str) -> None:
        """Leaves the end of a game on the screen for a moment."""
        for _ in range(HELD):
            self.paint(note)

    def progress(self, seconds: float) -> str:
        """Returns how far the show is."""
        shown = duration(self.pictures / video.RATE)
        return f"{shown} of play, score {self.score:,.10g}, in {duration(seconds)}"

    def paint(self, note: str) -> None:
        """Shows the emulator's screen as it is."""
        facts = Facts(
            score=self.score,
            lives=self.emulator.lives(),
            action=self.emulator.names[self.action],
            second=self.frame // video.RATE,
            note=note,
        )
        self.show.show(self.painter.paint(self.emulator.picture(), facts))
        self.pictures += 1
