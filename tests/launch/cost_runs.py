"""Made-up runs of the smoke suite, as a sweep leaves them, for tests of what they cost."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import suites
from launch import plan
from launch.cost import estimate, speeds

SMOKE = suites.load("smoke")  # catch and pong, one seed, 2,048 agent steps a run.
STEPS = 2_048
H100 = "NVIDIA H100"


class Sweep:
    """A folder with runs of some agents."""

    def __init__(self, root: Path, *labels: str):
        self.root, self.labels = root, labels

    @property
    def runs(self) -> list[plan.Run]:
        return plan.survey(SMOKE, self.labels, self.root)

    def run(self, name: str) -> plan.Run:
        return next(run for run in self.runs if run.name == name)

    def costs(self, **more: Any) -> dict[str, estimate.Cost]:
        return {cost.label: cost for cost in estimate.costs(SMOKE, self.runs, self.root, **more)}

    def text(self, at_once: int = 2) -> str:
        found = list(self.costs().values())
        return estimate.text(SMOKE, found, estimate.Parallel(at_once, "as asked"))

    def finish(
        self, name: str, seconds: float, *, digest: str = "", unix: float = 0.0, gpu: str = ""
    ) -> None:
        """Leaves the receipt and the folder of a run that has finished."""
        run = self.run(name)
        told = {"hash": digest or run.hash, "agent_steps": STEPS, "seconds": seconds, "unix": unix}
        self.begin(name, digest=digest, gpu=gpu)
        write(self.root / run.receipt, told)

    def begin(
        self, name: str, *, digest: str = "", gpu: str = "", hosts: Sequence[str] = ("node1",)
    ) -> Path:
        """Leaves the folder of a run that has begun."""
        run = self.run(name)
        folder = self.root / run.folder
        runtime = {"threads": 1, "workers": 0, "device": "auto"}
        write(folder / "config.json", {"hash": digest or run.hash, "runtime": runtime})
        machine = {
            "machine": {"gpus": [gpu] if gpu else []},
            "attempts": [{"host": host} for host in hosts],
        }
        write(folder / "provenance.json", machine)
        return folder

    def log(self, name: str, lines: Sequence[tuple[int, int, float, int]], **begun: Any) -> Path:
        """Leaves metrics of a run under way: agent step, update, seconds and attempt of a line."""
        folder = self.begin(name, **begun)
        words = ("agent_step", "update", "seconds", "attempt")
        told = [dict(zip(words, line, strict=True)) for line in lines]
        text = [json.dumps(each | {"frame": 4 * each["agent_step"], "unix": 1.0}) for each in told]
        (folder / "metrics.jsonl").write_text("\n".join([*text, '{"frame": 9']))  # Half a line.
        return folder

    def remember(self, name: str, rate: float, **more: Any) -> None:
        """Leaves a measurement."""
        run = self.run(name)
        line = {
            "suite": "smoke", "agent": run.agent, "game": run.game, "seed": run.seed,
            "hash": run.hash, "threads": 1, "host": "node2", "unix": 2.0, "steps_per_s": rate,
            "before_per_s": None, "seconds": 30.0, "rounds": 9, "device": "cpu",
            "checkpoint_s": 0.1, "checkpoint_bytes": 4_000_000, "weights_bytes": 3_000_000,
            "replay_bytes_a_row": 0, "load": 0.1,
        }  # fmt: skip
        speeds.remember(line | more, self.root)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def checkpoint(folder: Path, agent_step: int, size: int = 4_096) -> None:
    """Leaves a checkpoint of a run under way."""
    path = folder / "checkpoints" / f"{4 * agent_step:012d}-{7:010d}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(range(256)) * (size // 256))
