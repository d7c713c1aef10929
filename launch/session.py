"""One attempt at a run: builds the parts, resumes, runs the loop, keeps what it produces."""

import contextlib
import dataclasses
import os
import time
import traceback
from pathlib import Path
from typing import Any

import agents
from agents import base
from launch import checkpoint, config, evaluation, provenance, receipt
from launch.folder import RunFolder
from launch.gallery import Gallery
from launch.loop import Loop, Plan
from launch.progress import Progress
from launch.replay import choice
from launch.stopping import Stopper
from suites import env, seeding

BETWEEN_SAVES = 9  # Times as long as the last one took, at least; so saving takes a tenth.
LOG_LINES, LOG_AT_LEAST = 400, 1_000  # Lines of metrics a run; frames between two at least.


@dataclasses.dataclass(frozen=True)
class Options:
    """How a run is carried out, which decides none of its numbers but their last bits."""

    root: Path  # Where runs/ and results/ are.
    out: Path | None  # Folder of the run instead of its place in runs/.
    threads: int  # Of the agent; set in the environment before torch is imported.
    workers: int  # Processes or threads of the environments.
    device: str  # As the agent understands it: auto, cpu, cuda, cuda:1.
    checkpoint_every_s: float


class Stopped(Exception):
    """The run was asked to stop and has saved its state."""


class Attempt:
    """The newest entry of provenance.json's list of attempts."""

    def __init__(self, folder: RunFolder):
        """Adds an entry; its reason stays null if the process is killed."""
        self.folder = folder
        held = folder.read("provenance.json") or {"attempts": []}
        machine = provenance.collect(Path(__file__))
        entry = {
            "started": time.time(),
            "ended": None,
            "reason": None,
            "from_frame": None,
            "host": os.uname().nodename,
            "pid": os.getpid(),
        }
        self.held = machine | {"attempts": [*held["attempts"], entry]}
        folder.write("provenance.json", self.held)

    @property
    def number(self) -> int:
        """Counts from 1."""
        return len(self.held["attempts"])

    def begin(self, frame: int) -> None:
        """Notes where the attempt goes on."""
        self.held["attempts"][-1]["from_frame"] = frame
        self.folder.write("provenance.json", self.held)

    def end(self, reason: str) -> None:
        """Notes how it ended."""
        self.held["attempts"][-1] |= {"ended": time.time(), "reason": reason}
        # A full disk has been told; that the attempt was cut off is true as well.
        with contextlib.suppress(OSError):
            self.folder.write("provenance.json", self.held)


class Session:
    """One attempt: builds the parts, resumes, runs the loop, keeps what it produces."""

    def __init__(
        self, run: config.RunConfig, options: Options, folder: RunFolder, progress: Progress
    ):
        """Remembers; nothing is built before `train`."""
        self.run, self.options, self.folder, self.progress = run, options, folder, progress
        self.stopper = Stopper(folder.path / "stop")
        self.attempt = Attempt(folder)
        self.gallery = Gallery(run, folder.path, progress.say)
        self.saved, self.took = time.monotonic(), 0.0  # The last checkpoint, and its seconds.
        self.loop: Loop | None = None

    def train(self) -> None:
        """Runs to the end, or raises."""
        for name in ("stop", "error.json"):
            (self.folder.path / name).unlink(missing_ok=True)
        self.stopper.listen()
        self.progress.say("starting")
        world, agent, training = build(self.run, self.options, "train")
        try:
            self.loop = self.assemble(world, agent, training)
            self.resume()
            self.loop.run()
            self.finish()
        finally:
            world.close()

    def assemble(self, world: env.VectorEnv, agent: base.Agent, training: base.Training) -> Loop:
        """Returns the loop of this run."""
        run = self.run
        skip = run.task.frame_skip
        plan = Plan(
            frames=run.frames,
            frame_skip=skip,
            log_every=max(run.frames // LOG_LINES, LOG_AT_LEAST),
            evaluate_at=tuple(round(run.frames * share) for share in run.evaluation.at),
        )
        names = (run.agent, run.game, run.seed)
        feed = choice.feed(
            training, agent.buffer, seeding.generator(*names, "replay"),
            self.folder.path / "replay", run.frames // skip, self.progress.say,
        )  # fmt: skip
        rng = seeding.generator(*names, "policy")
        return Loop(plan, agent, world, feed, rng, self.write, self.evaluate, self.between)

    def resume(self) -> None:
        """Goes back to the newest checkpoint, or starts from nothing with empty files."""
        found = checkpoint.restore(self.folder.path / "checkpoints")
        if found is None:
            self.folder.cut({})
            self.gallery.resume(0)
            self.attempt.begin(0)
            return
        path, tree = found
        if tree["hash"] != self.run.hash:
            raise ValueError(f"{path}: is a checkpoint of another configuration.")
        self.folder.cut(tree["lengths"])
        self.loop.load(tree["loop"])
        checkpoint.forget_newer(path)
        frame = self.loop.counters.frames
        self.gallery.resume(frame)
        self.attempt.begin(frame)
        self.progress.say(f"going on from frame {frame:,} of {self.run.frames:,}")

    def write(self, name: str, line: dict[str, Any]) -> None:
        """Adds a line to a file of the run; metrics also say when and in which attempt."""
        if name == "episodes" and line["end"] != "cut":
            self.progress.episode(line["return"])
        if name == "metrics":
            stamp = {"attempt": self.attempt.number, "unix": time.time()}
            line = (
                {k: v for k, v in line.items() if k != "metrics"}
                | stamp
                | {"metrics": line["metrics"]}
            )
        self.folder.append(name, line)

    def between(self) -> None:
        """Shows progress and the model, saves when it is time, leaves when asked."""
        self.show()
        self.progress.update(self.loop.counters)
        if self.stopper.asked():
            self.save()
            raise Stopped(self.stopper.reason)
        every = max(self.options.checkpoint_every_s, BETWEEN_SAVES * self.took)
        if time.monotonic() - self.saved >= every:
            self.save()

    def show(self) -> None:
        """Makes pictures of the model when they are due; before any checkpoint of the frame."""
        self.gallery.update(self.loop.counters.frames, self.loop.agent, self.loop.feed)

    def save(self) -> None:
        """Writes a checkpoint.

        Raises:
            FloatingPointError: the agent holds a number that is not finite; no checkpoint was made.
        """
        began = time.monotonic()
        state = self.loop.save()
        if name := checkpoint.not_finite(state["agent"], "agent"):
            raise FloatingPointError(
                f"{name} is not finite at frame {self.loop.counters.frames}: the run has diverged. "
                "The checkpoints before it are kept."
            )
        tree = {"hash": self.run.hash, "lengths": self.folder.lengths(), "loop": state}
        counters = self.loop.counters
        name = f"{counters.frames:012d}-{counters.updates:010d}"
        checkpoint.store(self.folder.path / "checkpoints", name, tree)
        self.loop.feed.saved()
        self.saved = time.monotonic()
        self.took = self.saved - began

    def evaluate(self, frame: int) -> float:
        """Plays the suite's evaluation; killed, it is played again from its beginning."""
        self.show()
        self.save()
        run, asked = self.run, self.run.evaluation
        names = (run.agent, run.game, run.seed, "evaluation", frame)
        lines = evaluation.play(
            self.loop.agent, run.game, run.task, run.view, names,
            episodes=asked.episodes, policy=asked.policy, backend=run.backend,
            workers=self.options.workers, between=self.evaluating,
        )  # fmt: skip
        lines = [{"frame": frame} | line | {"policy": asked.policy} for line in lines]
        for line in lines:
            self.folder.append("evaluation", line)
        mean = sum(line["return"] for line in lines) / len(lines)
        if self.loop.best is None or mean > self.loop.best:
            self.keep("best")
        self.progress.say(f"evaluation at frame {frame:,}: {mean:.1f} ({len(lines)} episodes)")
        return mean

    def evaluating(self, done: int) -> None:
        """Shows progress and leaves when asked; the state was saved before the evaluation."""
        doing = f"evaluating, {done} of {self.run.evaluation.episodes} episodes"
        self.progress.update(self.loop.counters, doing)
        if self.stopper.asked():
            raise Stopped(self.stopper.reason)

    def keep(self, name: str) -> None:
        """Writes weights that outlive the run."""
        path = self.folder.path / "weights" / f"{name}.npz"
        checkpoint.save(path, self.loop.agent.save())

    def finish(self) -> None:
        """Writes the final weights, then the receipt."""
        self.show()
        self.keep("final")
        self.folder.lengths()  # Onto the disk before the receipt says so.
        self.loop.tick()  # What the last evaluation took.
        root = self.options.root
        self.folder.write(
            "receipt.json", receipt.make(self.run, self.loop.counters, self.folder, root)
        )

    def fail(self, error: Exception) -> None:
        """Writes error.json and tells the user; the files and checkpoints stay as they are."""
        text = describe(error)
        frame = self.loop.counters.frames if self.loop else 0
        details = traceback.format_exc()
        self.progress.say(f"failed at frame {frame:,}: {text}")
        self.progress.keep(details)
        try:
            self.folder.write(
                "error.json",
                {"error": text, "traceback": details, "frame": frame, "unix": time.time()},
            )
        except OSError as problem:  # A full disk must not hide the first error.
            self.progress.say(f"error.json could not be written: {problem}")


def build(
    run: config.RunConfig, options: Options, role: str
) -> tuple[env.VectorEnv, base.Agent, base.Training]:
    """Returns environments and agent of a run."""
    parts = config.parse_label(run.agent)
    settings = agents.configure(parts.agent, run.suite, parts.blocks, dict(parts.sets))
    world = env.make(
        run.game, run.task, run.view, settings.training.streams,
        (run.agent, run.game, run.seed, role),
        backend=run.backend, workers=options.workers, training=True,
    )  # fmt: skip
    seed = seeding.integer(run.agent, run.game, run.seed, "agent")
    module = agents.load(parts.agent)
    try:
        agent = module.Agent(world.obs_space, world.act_space, settings, seed, options.device)
    except BaseException:
        world.close()
        raise
    return world, agent, settings.training


def describe(error: Exception) -> str:
    """Returns an error as one line."""
    if isinstance(error, OSError) and error.errno == 28:
        return f"The disk is full ({error.filename or 'no file named'}); nothing written was lost."
    text = " ".join(str(error).split())
    return (
        text
        if isinstance(error, ValueError | FloatingPointError)
        else (f"{type(error).__name__}: {text}")
    )
