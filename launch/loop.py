"""The run loop: step, store, update, evaluate, log.

Counters: an agent step is one decision of one environment; frames are frame skip x agent steps,
reset rows and no-op frames not counted; rows are agent steps plus reset rows; an update is one
gradient step. Checkpoints and stop requests act between updates, so everything that is owed is
state.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from agents import base
from launch import vocabulary
from launch.replay.feed import Feed
from suites import seeding
from suites.env import VectorEnv

OBSERVED = ("image", "reward", "is_first", "is_last", "is_terminal")  # What an agent may see.


@dataclasses.dataclass
class Counters:
    """How far a run has come."""

    frames: int = 0
    agent_steps: int = 0
    rows: int = 0
    updates: int = 0
    episodes: int = 0
    seconds: float = 0.0  # Of wall time, over all attempts.


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the loop is asked to do; frames are the run's."""

    frames: int
    frame_skip: int
    log_every: int
    evaluate_at: tuple[int, ...]


class Loop:
    """One run, from any of its states to its end."""

    def __init__(
        self,
        plan: Plan,
        agent: base.Agent,
        env: VectorEnv,
        feed: Feed,
        rng: np.random.Generator,
        write: Callable[[str, dict], None],
        evaluate: Callable[[int], float],
        between: Callable[[], None],
    ):
        """Starts before the first row.

        Args:
            plan: budget and schedule.
            agent: learns and acts.
            env: `feed.streams` environments.
            feed: what the agent learns from, fed by what is played.
            rng: draws the actions of training.
            write: adds a line to "episodes" or "metrics".
            evaluate: plays the evaluation of a frame and returns the mean return.
            between: called between updates; may checkpoint, and may raise to leave.
        """
        self.plan, self.agent, self.env, self.feed = plan, agent, env, feed
        self.rng, self.write, self.evaluate, self.between = rng, write, evaluate, between
        self.counters = Counters()
        self.carry, self.learner = agent.init(feed.streams), ()
        self.action = np.zeros(feed.streams, np.int64)
        self.rows: base.Rows = {}
        self.owed = 0  # Updates.
        self.logged = 0  # Log intervals.
        self.evaluated = 0  # Points of the plan.
        self.best: float | None = None  # Mean return of an evaluation.
        self.returns = np.zeros(feed.streams)  # Points of the games under way.
        self.rated = Counters()  # At the last log line, for rates.
        self.clock = time.perf_counter()

    def run(self) -> None:
        """Goes on until the budget is played and nothing is owed."""
        while True:
            while self.owed:
                self.update()
                self.between()
            done = self.counters.frames >= self.plan.frames
            self.log(done)
            self.evaluate_if_due()
            if done:
                return
            self.between()
            self.act()
            self.step()

    def update(self) -> None:
        """Takes one gradient step."""
        progress = min(1.0, self.counters.frames / self.plan.frames)
        self.learner, extra = self.agent.train(self.learner, self.feed.batch(), progress)
        self.feed.trained(extra)
        self.owed -= 1
        self.counters.updates += 1

    def act(self) -> None:
        """Answers the newest row."""
        if not self.rows:
            return  # Nothing to answer yet: the first step resets.
        obs = {name: self.rows[name] for name in OBSERVED}
        mode = "random" if self.feed.random else "train"
        self.carry, self.action, extra = self.agent.policy(self.carry, obs, mode, self.rng)
        self.owed += self.feed.answer(self.action, extra)

    def step(self) -> None:
        """Steps the environments, counts, and stores the row."""
        self.rows = self.env.step(self.action)
        steps = int((~self.rows["is_first"]).sum())
        self.counters.rows += len(self.action)
        self.counters.agent_steps += steps
        self.counters.frames += steps * self.plan.frame_skip
        self.returns += self.rows["points"]
        for index in np.flatnonzero(self.rows["over"]):
            self.episode(index, "truncated" if self.rows["truncated"][index] else "terminal")
        self.owed += self.feed.observe({name: self.rows[name] for name in OBSERVED})

    def episode(self, index: int, end: str) -> None:
        """Writes down the game that has ended in one environment."""
        line = {
            "episode": self.counters.episodes,
            "env": int(index),
            "frame": self.counters.frames,
            "agent_step": self.counters.agent_steps,
            "return": float(self.returns[index]),
            "length": int(self.rows["duration"][index]),
            "end": end,
        }
        self.write("episodes", line)
        self.counters.episodes += 1
        self.returns[index] = 0.0

    def log(self, done: bool) -> None:
        """Writes a line of metrics once per interval of frames, and at the end."""
        interval = self.counters.frames // self.plan.log_every
        if interval == self.logged and not (done and self.counters.frames > self.rated.frames):
            return
        self.logged = interval
        metrics = self.agent.metrics() | self.feed.metrics() | self.rates()
        vocabulary.check(metrics)
        now = dataclasses.asdict(self.counters)
        names = ("frame", "agent_step", "row", "update", "episode", "seconds")
        require_finite(metrics, self.counters.frames)
        self.write("metrics", dict(zip(names, now.values(), strict=True)) | {"metrics": metrics})

    def rates(self) -> dict[str, float]:
        """Returns the clock's metrics since the last line."""
        self.tick()
        seconds = max(self.counters.seconds - self.rated.seconds, 1e-9)
        frames = (self.counters.frames - self.rated.frames) / seconds
        steps = (self.counters.agent_steps - self.rated.agent_steps) / seconds
        updates = (self.counters.updates - self.rated.updates) / seconds
        self.rated = dataclasses.replace(self.counters)
        return {
            "time/hours": self.counters.seconds / 3600,
            "time/frames_per_second": frames,
            "time/agent_steps_per_second": steps,
            "time/updates_per_second": updates,
        }

    def tick(self) -> None:
        """Adds the time since the last tick to the counters."""
        now = time.perf_counter()
        self.counters.seconds += now - self.clock
        self.clock = now

    def evaluate_if_due(self) -> None:
        """Plays the evaluations whose frame has come."""
        points = self.plan.evaluate_at
        while self.evaluated < len(points) and self.counters.frames >= points[self.evaluated]:
            mean = self.evaluate(self.counters.frames)
            self.evaluated += 1
            if self.best is None or mean > self.best:
                self.best = mean

    def save(self) -> dict[str, Any]:
        """Returns everything that determines what comes next."""
        self.tick()
        return {
            "counters": dataclasses.asdict(self.counters),
            "agent": self.agent.save(),
            "env": self.env.save(),
            "rng": seeding.save(self.rng),
            "carry": self.carry,
            "learner": self.learner,
            "rows": {name: array.copy() for name, array in self.rows.items()},
            "action": self.action,
            "feed": self.feed.save((self.counters.frames, self.counters.updates)),
            "owed": self.owed,
            "logged": self.logged,
            "evaluated": self.evaluated,
            "best": self.best,
            "returns": self.returns,
            "rated": dataclasses.asdict(self.rated),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes back to a saved state."""
        self.counters = Counters(**state["counters"])
        self.rated = Counters(**state["rated"])
        self.agent.load(state["agent"])
        self.env.load(state["env"])
        seeding.load(self.rng, state["rng"])
        self.carry, self.learner = state["carry"], state["learner"]
        self.rows, self.action, self.returns = state["rows"], state["action"], state["returns"]
        self.feed.load(state["feed"])
        self.owed, self.logged = state["owed"], state["logged"]
        self.evaluated, self.best = state["evaluated"], state["best"]
        self.clock = time.perf_counter()
        if self.rows and not self.env.exact:
            self.cut()

    def cut(self) -> None:
        """Ends the games that the backend could not restore; their lines say so."""
        for index in np.flatnonzero(~self.rows["over"]):
            self.episode(index, "cut")
        # The next row begins a game; nothing may be learnt across the seam.
        self.rows["is_last"][:] = True
        self.feed.amend({"is_last": self.rows["is_last"]})


def require_finite(metrics: dict[str, float], frame: int) -> None:
    """Raises when a metric is not a number.

    Raises:
        FloatingPointError: names the metric and the frame.
    """
    for name, value in metrics.items():
        if not np.isfinite(value):
            raise FloatingPointError(
                f"{name} is {value} at frame {frame}: the run has diverged. "
                "The checkpoints before it are kept."
            )
