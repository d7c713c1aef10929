"""Run folders as a run leaves them at any moment, for tests of what reads them.

`RunFolder` plays a run of which everything but the clock is known beforehand: an episode every
100 frames, a line of metrics every 200, an evaluation of two episodes every 500. `Shown` reads what
MLflow has of it.
"""

import json
import os
import socket
import time
import zlib
from pathlib import Path

from launch import tracking
from launch.mlflow_store import Store

EPISODE, METRICS, EVALUATION = 100, 200, 500
CLOCKS = ("time/hours", "time/frames_per_second")  # Of the wall.
SCORES = ("score/final", "score/human_normalized")


class RunFolder:
    def __init__(self, root: Path, game: str = "pong", seed: int = 0, **changes):
        config = {
            "suite": "demo",
            "agent": "ppo",
            "game": game,
            "seed": seed,
            "frames": 4000,
            "backend": "ale",
            "task": {"sticky": 0.0, "noops": [0, 30]},
            "view": {"size": [84, 84], "stack": 4},
            "agent_config": {
                "learning_rate": 2.5e-4,
                "view": {"size": [84, 84], "stack": 4},
                "training": {"sampling": "fresh", "streams": 8},
            },
            "evaluation": {"episodes": 2, "policy": "sampled", "at": [1.0]},
            "score": {"window": "last_of_2_bins", "normalize": "human"},
            "hash": f"{zlib.crc32(f'{game} {seed}'.encode()):08x}",
            "task_hash": "7a5c",
            "view_hash": "f1e3",
            "runtime": {"threads": 1, "workers": 2, "device": "cpu"},
        } | changes
        place = Path("runs", config["suite"], config["agent"], game, str(seed))
        self.root, self.path, self.config = root, root / changes.pop("place", place), config
        self.frame, self.attempts, self.clock = 0, [], float(int(time.time()))
        self.machine = {"gpus": []}
        self.path.mkdir(parents=True)
        self.write("config.json", config)

    def write(self, name: str, record: dict) -> None:
        (self.path / name).write_text(json.dumps(record))

    def begin(self, pid: int | None = None, host: str | None = None) -> None:
        """Starts an attempt, of a process that lives: this one."""
        self.clock += 50.0
        self.attempts.append(
            {
                "started": self.clock,
                "ended": None,
                "reason": None,
                "from_frame": self.frame,
                "host": host or socket.gethostname(),
                "pid": pid or os.getpid(),
            }
        )
        (self.path / "error.json").unlink(missing_ok=True)
        self._provenance()

    def play(self, upto: int) -> None:
        """Writes the lines up to a frame."""
        for frame in range(self.frame + EPISODE, upto + 1, EPISODE):
            self.clock += 1.5
            self._add("episodes.jsonl", self.episode(frame))
            if frame % METRICS == 0:
                self._add("metrics.jsonl", self.metrics(frame))
            for index in (0, 1) if frame % EVALUATION == 0 else ():
                self._add("evaluation.jsonl", self.evaluation(frame, index))
        self.frame = upto

    def back(self, frame: int) -> None:
        """Cuts the files back to a frame, as a resume does."""
        for name in ("episodes.jsonl", "metrics.jsonl", "evaluation.jsonl"):
            path = self.path / name
            lines = path.read_text().splitlines() if path.exists() else []
            kept = [line for line in lines if json.loads(line)["frame"] <= frame]
            path.write_text("".join(f"{line}\n" for line in kept))
        self.frame = frame

    def end(self, reason: str) -> None:
        self.clock += 1.0
        self.attempts[-1] |= {"ended": self.clock, "reason": reason}
        self._provenance()
        if reason == "crashed":
            told = {"error": "loss/policy is nan", "frame": self.frame, "unix": self.clock}
            self.write("error.json", told | {"traceback": "..."})
        if reason == "finished":
            score = {"window": "last_of_2_bins", "value": 10.0, "episodes": 3}
            told = {"frames": self.frame, "score": score, "unix": self.clock}
            self.write("receipt.json", self.config | told)

    def episode(self, frame: int) -> dict:
        number = frame // EPISODE
        told = {"episode": number - 1, "env": 0, "frame": frame, "agent_step": frame // 4}
        return told | {"return": float(number % 3), "length": 90 + number, "end": "terminal"}

    def metrics(self, frame: int) -> dict:
        attempt = len(self.attempts)
        return {
            "frame": frame,
            "agent_step": frame // 4,
            "row": frame // 4 + 3,
            "update": frame // 32,
            "episode": frame // EPISODE,
            "seconds": frame / 100 + attempt,
            "attempt": attempt,
            "unix": self.clock,
            "metrics": {"loss/policy": frame / 7, "time/frames_per_second": 900.0 + attempt},
        }

    def evaluation(self, frame: int, index: int) -> dict:
        told = {"frame": frame, "episode": index, "return": frame + 10.0 * index, "length": 50}
        return told | {"end": "terminal", "policy": "sampled"}

    def lines(self, name: str) -> list[dict]:
        path = self.path / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def expected(self) -> list[tuple[str, int, float]]:
        """What curves must show of the files, clocks of the wall aside: key, frame, value."""
        found = []
        for line in self.lines("episodes.jsonl"):
            if line["end"] != "cut":
                found.append(("episode/return", line["frame"], line["return"]))
                found.append(("episode/length", line["frame"], float(line["length"])))
        for line in self.lines("metrics.jsonl"):
            found.append(("loss/policy", line["frame"], line["metrics"]["loss/policy"]))
            found.append(("time/agent_steps", line["frame"], float(line["agent_step"])))
            found.append(("time/rows", line["frame"], float(line["row"])))
            found.append(("time/updates", line["frame"], float(line["update"])))
        for line in self.lines("evaluation.jsonl")[::2]:
            found.append(("eval/return", line["frame"], line["frame"] + 5.0))
            found.append(("eval/return_std", line["frame"], 5.0))
            found.append(("eval/episodes", line["frame"], 2.0))
        return sorted(found)

    def _add(self, name: str, line: dict) -> None:
        with (self.path / name).open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _provenance(self) -> None:
        told = {"commit": "c0ffee", "dirty": False, "packages": {}, "python": "3.11"}
        told |= {"machine": self.machine, "attempts": self.attempts}
        self.write("provenance.json", told)


class Shown:
    """What MLflow shows of a project."""

    def __init__(self, root: Path, uri: str | None = None):
        self.client = Store(uri or tracking.address(root), root).client

    def runs(self) -> list:
        experiments = [e.experiment_id for e in self.client.search_experiments()]
        return list(self.client.search_runs(experiments))

    def run(self):
        (run,) = self.runs()
        return run

    def metrics(self, run=None) -> list:
        run = run or self.run()
        return [
            point
            for key in run.data.metrics
            for point in self.client.get_metric_history(run.info.run_id, key)
        ]

    def points(self, run=None) -> list[tuple[str, int, float]]:
        metrics = [m for m in self.metrics(run) if m.key not in (*CLOCKS, *SCORES)]
        return sorted((m.key, m.step, m.value) for m in metrics)
