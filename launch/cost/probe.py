"""A short real run that measures an agent here and now: `python -m launch.cost.probe ppo pong 0`.

It is a run as `reverie run` makes it: the same loop, environments, replay, settings, threads and
device. It stands in the middle of its budget from the start, where all that grows with it is at
work; its prefill is short, since that is timed by itself; it leaves as soon as it has seen enough.
Checkpoint and weights are written once, at the end, so that their seconds and bytes are known too.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents import base
from launch import config, job, plan, provenance
from launch.cost import disk
from launch.cost.meter import Meter
from launch.folder import RunFolder
from launch.loop import Loop
from launch.progress import Progress
from launch.replay.disk import row_bytes
from launch.replay.size import on_disk
from launch.session import BETWEEN_SAVES, Options, Session, Stopped
from suites import env

MIDDLE = 1 << 50  # Frames; half of a budget whose end nobody reaches.
SOON = {"prefill": 256, "start": 256, "prefill_episodes": 1}  # Before the first update, at most.
SAVE_EVERY_S = 60.0  # As runs of a sweep do.


class Probe(Session):
    """A run that is watched by a meter, and neither evaluates nor makes pictures."""

    box_s: float
    meter: Meter

    def assemble(self, world: env.VectorEnv, agent: base.Agent, training: base.Training) -> Loop:
        """Returns the loop, in the middle of its budget; time begins to count."""
        loop = super().assemble(world, agent, training)
        loop.plan = replace(loop.plan, frames=2 * MIDDLE, evaluate_at=())
        loop.counters.frames = MIDDLE
        loop.logged = MIDDLE // loop.plan.log_every
        loop.rated = replace(loop.counters)
        self.meter = Meter(self.box_s, training.sampling != "none", time.perf_counter)
        return loop

    def show(self) -> None:
        """Makes no pictures."""

    def between(self) -> None:
        """Leaves when the meter has seen enough, or when asked."""
        if self.stopper.asked():
            raise Stopped(self.stopper.reason)
        counters = self.loop.counters
        if self.meter.look(counters.agent_steps, counters.updates, self.loop.owed):
            self.meter.rate()  # Refuses where there is none.
            self.save()  # As a run does, while its environments are there.
            self.keep("final")
            raise Stopped("the meter")

    def found(self) -> dict[str, Any]:
        """Runs, and returns what was seen.

        Raises:
            ValueError: the run was refused or interrupted, or time was over too soon.
        """
        try:
            self.train()
        except Stopped as stop:
            if self.stopper.reason:
                raise ValueError(f"stopped by {stop}") from None
        rate, seconds, rounds = self.meter.rate()
        path = self.folder.path
        return {
            # A checkpoint comes now and then, and holds up the run.
            "steps_per_s": rate * (1 - self.took / (self.took + self.between_saves())),
            "before_per_s": self.meter.rate_before(),
            "seconds": seconds,
            "rounds": rounds,
            "device": device_of(self.loop.agent),
            "checkpoint_s": self.took,
            "checkpoint_bytes": disk.size(next((path / "checkpoints").glob("*.npz"))),
            "weights_bytes": disk.size(path / "weights" / "final.npz"),
            "replay_bytes_a_row": self.row_bytes(),
        }

    def between_saves(self) -> float:
        """Returns the seconds from one checkpoint to the next."""
        return max(self.options.checkpoint_every_s, BETWEEN_SAVES * self.took)

    def row_bytes(self) -> int:
        """Returns the bytes of files that a row of replay takes; 0 where there is none."""
        store = getattr(self.loop.feed, "store", None)
        if store is None or store.rows is None:
            return 0
        row, latent = (row_bytes(each.columns) for each in (store.rows, store.latents))
        return on_disk(row, latent, store.disk.mapped)


def measure(suite: str, label: str, game: str, seed: int, options: Options, box_s: float) -> dict:
    """Returns a measurement as it is remembered.

    Args:
        suite: its name.
        label: of the agent.
        game: one of the suite's.
        seed: one of the suite's.
        options: how; its folder is empty, and on the disk that runs will write to.
        box_s: seconds after which it is over, from when the agent has been built.

    Raises:
        ValueError: the run was refused or interrupted, or time was over too soon.
    """
    asked = plan.load(suite)
    training = config.settings(asked, label)["training"]
    run = config.resolve(asked, label, game, seed, sets=soon(training))
    with RunFolder(options.out) as folder, Path(os.devnull).open("w") as nowhere:
        progress = Progress("measured", run.frames, nowhere, folder.path / "log.txt")
        probe = Probe(run, options, folder, progress)
        probe.box_s = box_s
        found = probe.found()
        progress.close()
    of = {"suite": suite, "agent": label, "game": game, "seed": seed}
    of["hash"] = config.light_hash(asked, label, game, seed)
    return (
        of | {"threads": options.threads, "host": os.uname().nodename, "unix": time.time()} | found
    )


def soon(training: dict[str, Any]) -> list[str]:
    """Returns what to set so that updates begin soon."""
    return [f"training.{key}={most}" for key, most in SOON.items() if training.get(key, 0) > most]


def device_of(agent: base.Agent) -> str:
    """Returns "cpu", or the name of the device that an agent computes on."""
    if getattr(getattr(agent, "device", None), "type", "cpu") == "cpu":
        return "cpu"
    return next(iter(provenance.machine()["gpus"]), "gpu")


def main(words: Sequence[str]) -> int:
    """Measures, and prints what is to be remembered as a line of JSON."""
    asked = job.parser("launch.cost.probe", __doc__)
    asked.add_argument("--seconds", type=float, required=True)
    args = asked.parse_args(words)
    job.die_with_parent()
    os.environ.update(job.device(args.gpu))  # Before torch looks; until this process is gone.
    out, workers = args.folder, job.workers(args.threads)
    options = Options(out, out, args.threads, workers, "auto", SAVE_EVERY_S)
    try:
        line = measure(args.suite, args.agent, args.game, args.seed, options, args.seconds)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
