"""The verb `reverie estimate`: measures what has no speed, if asked to, and says what is left."""

import argparse
import contextlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from launch import devices, plan
from launch.cost import estimate, speeds
from launch.cost.estimate import Cost, Parallel
from suites.suite import Suite

PREFIX = "measuring-"  # Of folders.
REFUSED = 2  # The probe's exit code with one clear message.
START_S = 180.0  # For torch and the network, on a slow file system; and for a last update.
LEFT_S = 3600.0  # After which the folder of a measurement that was killed is removed.


def main(args: argparse.Namespace, root: Path) -> None:
    """Prints the estimate of a suite.

    Args:
        args: of the command line.
        root: where runs/ and results/ are.

    Raises:
        ValueError: no such suite or agent, or too many hours.
    """
    most = args.max_hours
    if most is not None and not 0 < most < math.inf:
        raise ValueError(f"--max-hours: saw {most:g}; allowed is a number above 0")
    order = plan.order({"suite": args.suite, "agents": args.agents})
    suite = plan.load(order.suite)
    runs = plan.survey(suite, order.agents, root)
    found = estimate.costs(suite, runs, root)
    if args.measure and (missing := [cost for cost in found if wanted(cost)]):
        load = os.getloadavg()[0]  # Of others, who take from what is measured; of us, after that.
        for cost in missing:
            measure(suite, cost, args.measure, root, load)
        found = estimate.costs(suite, runs, root)
    at_once = Parallel(args.parallel, "as asked") if args.parallel else here(found)
    print(f"{plan.summary(runs)}\n\n{estimate.text(suite, found, at_once)}", flush=True)
    if most is not None:
        estimate.check(suite, found, most)


def wanted(cost: Cost) -> bool:
    """Tells whether to measure: there is no speed, or a measurement of something else.

    That is one of another machine, as of a login node, or with other threads than runs have. What
    runs have shown stands, wherever they ran.
    """
    speed = cost.speed
    if not cost.left or speed is None or speed.kind != "measured":
        return not cost.measured
    return speed.hosts != (os.uname().nodename,) or speed.threads != cost.resources.threads


def here(found: list[Cost]) -> Parallel:
    """Returns how many runs this machine takes at once."""
    return estimate.local(found, len(os.sched_getaffinity(0)), len(devices.visible()))


def measure(suite: Suite, cost: Cost, box_s: float, root: Path, load: float) -> None:
    """Measures an agent in a process of its own, and remembers what was seen.

    Args:
        suite: whose runs they are.
        cost: what is left of the agent's runs.
        box_s: seconds after which it is over.
        root: where runs/ and results/ are.
        load: of the machine, before anything was measured.
    """
    run, resources = cost.left[0].run, cost.resources
    beside = (root / speeds.FILE).parent  # On the disk that runs write to.
    beside.mkdir(parents=True, exist_ok=True)
    sweep_up(beside, time.time())
    words = [sys.executable, "-m", "launch.cost.probe", run.agent, run.game, str(run.seed)]
    words += ["--suite", suite.name, "--seconds", str(box_s), "--threads", str(resources.threads)]
    words += ["--gpu", str(resources.gpu)]
    environment = os.environ | {"OMP_NUM_THREADS": str(resources.threads)}  # NumPy reads it once.
    _say(f"measuring {run.agent} on {run.game}, for {box_s:.0f} s at most")
    try:
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=beside) as folder:
            done = subprocess.run(
                [*words, "--folder", folder], env=environment, capture_output=True, text=True,
                timeout=box_s + START_S, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        return _say(f"{run.agent} is not measured: an update did not end in time")
    if done.returncode:
        said = done.stderr.strip() or f"it ended with {done.returncode}"
        last = said if done.returncode == REFUSED else said.splitlines()[-1]
        return _say(f"{run.agent} is not measured: {last}")
    line = json.loads(done.stdout.splitlines()[-1]) | {"load": load}
    speeds.remember(line, root)
    _say(f"{run.agent}: {estimate.number(line['steps_per_s'])} agent steps a second")


def sweep_up(beside: Path, now: float) -> None:
    """Removes what measurements left that were killed, as at a job's time limit."""
    for folder in beside.glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # Another process measures and tidies too.
            if now - folder.stat().st_mtime > LEFT_S and not plan.writer_alive(folder):
                shutil.rmtree(folder)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
