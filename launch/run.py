"""One run, from its configuration to its receipt, through any number of attempts.

The receipt is written last, by rename, and only by a run that has finished.
"""

import dataclasses
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agents
import suites
from agents import base
from launch import checkpoint, config, evaluation, provenance
from launch.folder import RunFolder, write_json
from launch.loop import Loop, Plan
from launch.progress import Progress, duration
from launch.stopping import Stopper
from suites import env, seeding, windows

FINISHED, CRASHED, REFUSED, STOPPED = 0, 1, 2, 75  # Exit codes; 75 is EX_TEMPFAIL: run again.
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


class Stopped(Exception):  # noqa: N818 - not an error: the run goes on another time.
    """The run was asked to stop and has saved its state."""


def folder_of(run: config.RunConfig, options: Options) -> Path:
    """Returns the folder of a run: its place in the suite, in runs/debug, or as asked."""
    if options.out:
        return options.out
    place = Path(run.suite) / run.agent / run.game / str(run.seed)
    debug = config.is_debug(run, suites.load(run.suite))
    return options.root / "runs" / ("debug" / place if debug else place)


def receipt_of(run: config.RunConfig, options: Options) -> Path | None:
    """Returns where the suite's receipt goes, or None for a run that is none of the suite's."""
    if options.out or config.is_debug(run, suites.load(run.suite)):
        return None
    return options.root / "results" / run.suite / run.agent / run.game / f"{run.seed}.json"


def main(
    run: config.RunConfig,
    options: Options,
    started: Callable[[Path], None] = lambda folder: None,
) -> int:
    """Starts or goes on with a run and returns the exit code.

    Args:
        run: what to run.
        options: how.
        started: called with the folder once it is ours.

    Raises:
        ValueError: the folder is busy, another run's, or cannot be read; nothing was changed.
    """
    path = folder_of(run, options)
    with RunFolder(path) as folder:
        runtime = {k: getattr(options, k) for k in ("threads", "workers", "device")}
        folder.adopt(run.model_dump(mode="json") | {"runtime": runtime})
        progress = Progress(
            f"{run.agent} {run.game} {run.seed}", run.frames, sys.stderr, path / "log.txt"
        )
        try:
            if folder.read("receipt.json") is None:
                started(path)
                code = attempt(Session(run, options, folder, progress))
                if code != FINISHED:
                    return code
            return close(run, options, folder, progress)
        finally:
            progress.close()


def attempt(session: "Session") -> int:
    """Trains until the end or a stop; writes down how the attempt ended."""
    attempts = Attempts(session)
    try:
        session.train()
    except Stopped as stop:
        session.progress.say(f"stopped by {stop}; the same command goes on from here")
        attempts.end("stopped")
        return STOPPED
    except Exception as error:
        session.fail(error)
        attempts.end("crashed")
        return CRASHED
    attempts.end("finished")
    return FINISHED


def close(
    run: config.RunConfig, options: Options, folder: RunFolder, progress: Progress
) -> int:
    """Puts the receipt where the suite looks for it, and removes what only a resume needs."""
    receipt = folder.read("receipt.json")
    folder.tidy()
    if target := receipt_of(run, options):
        write_json(target, receipt)
    value, score = receipt["score"]["value"], receipt["score"]
    text = "no episode in the window" if value is None else f"{value:.1f}"
    progress.say(
        f"finished: {receipt['frames']:,} frames, score {text} "
        f"({score['window']}, {score['episodes']} episodes) in {duration(receipt['seconds'])}"
    )
    return FINISHED


class Attempts:
    """The list of attempts in provenance.json."""

    def __init__(self, session: "Session"):
        """Adds an attempt; its reason stays null if the process is killed."""
        self.session = session
        held = session.folder.read("provenance.json") or {"attempts": []}
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
        session.attempt = len(self.held["attempts"])
        session.on_resume = self.begin
        session.folder.write("provenance.json", self.held)

    def begin(self, frame: int) -> None:
        """Notes where the attempt goes on."""
        self.held["attempts"][-1]["from_frame"] = frame
        self.session.folder.write("provenance.json", self.held)

    def end(self, reason: str) -> None:
        """Notes how it ended."""
        self.held["attempts"][-1] |= {"ended": time.time(), "reason": reason}
        self.session.folder.write("provenance.json", self.held)


class Session:
    """One attempt: builds the parts, resumes, runs the loop, keeps what it produces."""

    def __init__(
        self, run: config.RunConfig, options: Options, folder: RunFolder, progress: Progress
    ):
        """Remembers; nothing is built before `train`."""
        self.run, self.options, self.folder, self.progress = run, options, folder, progress
        self.stopper = Stopper(folder.path / "stop")
        self.attempt = 1
        self.on_resume: Callable[[int], None] = lambda frame: None
        self.saved = time.monotonic()
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
        rng = seeding.generator(run.agent, run.game, run.seed, "policy")
        return Loop(
            plan, agent, world, training, rng, self.write, self.evaluate, self.between
        )

    def resume(self) -> None:
        """Goes back to the newest checkpoint, or starts from nothing with empty files."""
        found = checkpoint.restore(self.folder.path / "checkpoints")
        if found is None:
            self.folder.cut({})
            self.on_resume(0)
            return
        path, tree = found
        if tree["hash"] != self.run.hash:
            raise ValueError(f"{path}: is a checkpoint of another configuration.")
        self.folder.cut(tree["lengths"])
        self.loop.load(tree["loop"])
        frame = self.loop.counters.frames
        self.on_resume(frame)
        self.progress.say(f"going on from frame {frame:,} of {self.run.frames:,}")

    def write(self, name: str, line: dict[str, Any]) -> None:
        """Adds a line to a file of the run; metrics also say when and in which attempt."""
        if name == "episodes" and line["end"] != "cut":
            self.progress.episode(line["return"])
        if name == "metrics":
            stamp = {"attempt": self.attempt, "unix": time.time()}
            line = {k: v for k, v in line.items() if k != "metrics"} | stamp | {
                "metrics": line["metrics"]
            }
        self.folder.append(name, line)

    def between(self) -> None:
        """Shows progress, saves when it is time, leaves when asked."""
        self.progress.update(self.loop.counters)
        if self.stopper.asked():
            self.save()
            raise Stopped(self.stopper.reason)
        if time.monotonic() - self.saved >= self.options.checkpoint_every_s:
            self.save()

    def save(self) -> None:
        """Writes a checkpoint.

        Raises:
            FloatingPointError: the agent holds a number that is not finite; nothing was written.
        """
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
        self.saved = time.monotonic()

    def evaluate(self, frame: int) -> float:
        """Plays the suite's evaluation; killed, it is played again from its beginning."""
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
        self.keep("final")
        self.folder.lengths()  # Onto the disk before the receipt says so.
        self.folder.write("receipt.json", self.receipt())

    def receipt(self) -> dict[str, Any]:
        """Returns what the receipt says."""
        run, counters = self.run, self.loop.counters
        read = {name: read_lines(self.folder.path / f"{name}.jsonl")
                for name in ("episodes", "evaluation")}  # fmt: skip
        window = windows.parse(run.score.window)
        score = windows.score(window, run.frames, read["episodes"], read["evaluation"])
        means = [line["return"] for line in read["evaluation"]
                 if line["frame"] == read["evaluation"][-1]["frame"]]  # fmt: skip
        evaluated = {
            "policy": run.evaluation.policy,
            "episodes": len(means),
            "mean": sum(means) / len(means) if means else None,
        }
        path = self.folder.path
        inside = path.is_relative_to(self.options.root)
        made = provenance.commit(Path(__file__))
        return {
            **{name: getattr(run, name) for name in ("suite", "agent", "game", "seed")},
            **{name: getattr(run, name) for name in ("hash", "task_hash", "view_hash")},
            "frames": counters.frames,
            "agent_steps": counters.agent_steps,
            "rows": counters.rows,
            "updates": counters.updates,
            "episodes": counters.episodes,
            "score": {
                "window": run.score.window,
                "value": score.value if score.episodes else None,
                "episodes": score.episodes,
            },
            "evaluation": evaluated if run.evaluation.episodes else None,
            "run": str(path.relative_to(self.options.root) if inside else path),
            "seconds": counters.seconds,
            **made,
            "unix": time.time(),
        }

    def fail(self, error: Exception) -> None:
        """Writes error.json and tells the user; the files and checkpoints stay as they are."""
        text = describe(error)
        frame = self.loop.counters.frames if self.loop else 0
        details = traceback.format_exc()
        self.progress.say(f"failed at frame {frame:,}: {text}")
        self.progress.file.write(details)
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


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a jsonl file."""
    import json

    return [json.loads(line) for line in path.read_text().splitlines()]


def describe(error: Exception) -> str:
    """Returns an error as one line."""
    if isinstance(error, OSError) and error.errno == 28:
        return f"The disk is full ({error.filename or 'no file named'}); nothing written was lost."
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError | FloatingPointError) else (
        f"{type(error).__name__}: {text}"
    )
