"""What a run shows of its model while it trains: a video and a picture at some of its frames.

`media/<frame>-open_loop.mp4` and `media/<frame>-reconstruction.png` in the run folder are made at
every evaluation point and at some shares of the budget, from rows of the replay and random numbers
that depend on the frame alone. Nothing of training is touched, and nothing that goes wrong here
ends it.

What is due at a frame is made before a checkpoint of that frame can be written. So a resumed run
throws away what comes after its checkpoint, as it does with lines, and makes it again.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from agents import base
from launch import media
from launch.config import RunConfig
from suites import seeding

SHARES = (0.01, 0.1, 0.25, 0.5, 0.75, 1.0)  # Of the budget; the first soon.
MOST = 40  # Times a run, whatever its evaluations: 16 MB of files.
SEQUENCES = 4  # Side by side.
LENGTHS = 50, 25, 12, 6  # Rows, the first few of which are context; fewer where games are short.
NAME = re.compile(r"(\d{12})-(?:open_loop\.mp4|reconstruction\.png)")


class Replay(Protocol):
    """As much of a replay as is needed here."""

    def peek(self, rng: np.random.Generator, sequences: int, length: int) -> base.Rows:
        """Returns a batch of sequences drawn with this generator; changes nothing.

        Nothing, where there are not enough rows yet.
        """


class Gallery:
    """Makes the media of one run."""

    def __init__(self, run: RunConfig, folder: Path, say: Callable[[str], None]):
        """Makes nothing yet.

        Args:
            run: whose agent is shown.
            folder: of the run.
            say: gets one line if something goes wrong, the first time.
        """
        self.run, self.folder, self.say = run, folder / "media", say
        self.due = points(run.frames, run.evaluation.at)
        self.reached = 0  # Frames; what was due up to here has been made.
        self.told = False

    def resume(self, frame: int) -> None:
        """Throws away what an attempt made after the frame at which this one goes on."""
        self.reached = frame
        for path in self.folder.glob("*"):
            found = NAME.match(path.name)
            # The rest of a write that was killed has an ending more.
            if found and (int(found[1]) > frame or not NAME.fullmatch(path.name)):
                path.unlink()

    def update(self, frame: int, agent: base.Agent, replay: Replay) -> None:
        """Makes what is due at a frame.

        Args:
            frame: of the run.
            agent: reports; nothing of it changes.
            replay: rows are looked up in it; nothing of it changes.
        """
        if not any(self.reached < point <= frame for point in self.due):
            return
        self.reached = frame  # Whatever comes: what fails now would fail at every step.
        try:
            self.make(frame, agent, replay)
        except Exception as error:  # Pictures are no reason to end a run.
            if not self.told:
                text = " ".join(f"{type(error).__name__}: {error}".split())
                self.say(f"no pictures of the model at frame {frame:,}: {text}")
            self.told = True

    def make(self, frame: int, agent: base.Agent, replay: Replay) -> None:
        """Writes the media of a frame; none, if there is no model or nothing to show yet."""
        run = self.run
        rng = seeding.generator(run.agent, run.game, run.seed, "report", frame)
        batches = (replay.peek(rng, SEQUENCES, length) for length in LENGTHS)
        batch = next(filter(None, batches), {})
        found = agent.report(batch, rng) if batch else {}
        if not found:
            return
        where = f"frame {frame:,} of {run.frames:,}"
        title = f"{run.agent} on {run.game}, seed {run.seed} · {where} · suite {run.suite}"
        channels = media.channels(run.view)
        picture = media.reconstruction(found, channels, title)
        media.write_png(self.folder / f"{frame:012d}-reconstruction.png", picture)
        pictures = media.open_loop(found, channels, title)
        media.write_mp4(self.folder / f"{frame:012d}-open_loop.mp4", pictures)


def points(frames: int, evaluations: tuple[float, ...]) -> tuple[int, ...]:
    """Returns the frames of a budget at which something is made, in order."""
    found = sorted({round(frames * share) for share in (*evaluations, *SHARES)})
    every = -(-len(found) // MOST)
    return tuple(found[::-1][::every][::-1])  # The last is always among them.
