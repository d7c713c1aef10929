"""Synthetic sweeps: run folders and receipts as runs leave them, with known scores.

`Sweep` writes what the run loop would write, for any suite, into `results/` and `runs/` of a
folder: finished, failed, running, stopped, killed, stale runs and runs that were never started.
"""

import json
import math
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np

import suites
from suites import windows
from suites.records import digest

NOW = 1_790_000_000.0
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MACHINE = {
    "host": "testbed", "system": "Linux 6.1", "cpu": "Some CPU", "cores": 2, "usable_cores": 2,
    "memory_gib": 7.8, "gpus": [], "gpu_driver": "",
}  # fmt: skip
PACKAGES = {"ale-py": "0.12.1", "numpy": "2.4.6", "torch": "2.13.0"}

Returns = Callable[[np.ndarray], np.ndarray]  # progress in (0, 1] -> points


def suite(folder: Path, name: str = "little", **changes: object) -> suites.Suite:
    """A suite of two games, two seeds and 40,000 frames, as a file of its own."""
    task = {
        "frame_skip": 4, "pooling": 2, "sticky": 0.0, "actions": "minimal", "noops": [1, 30],
        "cap": 108_000, "score": "game_return",
        "quirks": {"truncation_is_terminal": False, "stale_first_frame": False},
    }  # fmt: skip
    facts = {
        "title": "A little sweep", "source": "made up", "frames": 40_000, "seeds": [0, 1],
        "games": ["pong", "breakout"], "backend": "ale", "task": task,
        "evaluation": {"episodes": 2, "policy": "sampled", "at": [1.0]},
        "score": {"window": "last_of_4_bins", "normalize": "human"},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(facts | changes))  # JSON is YAML.
    return suites.load(path)


def level(points: float) -> Returns:
    """The same return in every episode."""
    return lambda progress: np.full(len(progress), float(points))


def climb(low: float, high: float, noise: float, seed: int) -> Returns:
    """A learning curve: an S from low to high, with noise."""
    rng = np.random.default_rng(seed)

    def returns(progress: np.ndarray) -> np.ndarray:
        shape = 1 / (1 + np.exp(-10 * (progress - 0.4)))
        return np.round(low + (high - low) * shape + noise * rng.standard_normal(len(progress)), 1)

    return returns


class Sweep:
    """Writes runs of one suite under `root`."""

    def __init__(self, root: Path, suite: suites.Suite):
        self.root, self.suite = root, suite
        self.results, self.runs = root / "results", root / "runs"

    def all(self, agent: str, returns: Callable[[str, int], Returns], **changes: object) -> None:
        """Finishes every run of an agent."""
        for game in self.suite.games:
            for seed in self.suite.seeds:
                self.finished(agent, game, seed, returns(game, seed), **changes)

    def finished(
        self, agent: str, game: str, seed: int, returns: Returns, **changes: object
    ) -> Path:
        """Writes a finished run, and returns its receipt's path."""
        folder = self.unfinished(agent, game, seed, returns, self.suite.frames, **changes)
        self._attempt(folder, "finished")
        self._evaluate(folder, returns)
        path = self.results / self.suite.name / agent / game / f"{seed}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        told = self._receipt(folder)
        for place in (folder / "receipt.json", path):
            place.write_text(json.dumps(told))
        return path

    def failed(self, agent: str, game: str, seed: int, returns: Returns, frame: int) -> None:
        folder = self.unfinished(agent, game, seed, returns, frame)
        self._attempt(folder, "crashed")
        told = {"error": "loss/policy is nan <after> 3 & 4", "traceback": "...", "frame": frame}
        _write(folder / "error.json", told | {"unix": NOW})

    def stopped(self, agent: str, game: str, seed: int, returns: Returns, frame: int) -> None:
        self._attempt(self.unfinished(agent, game, seed, returns, frame), "stopped")

    def killed(self, agent: str, game: str, seed: int, returns: Returns, frame: int) -> None:
        self.unfinished(agent, game, seed, returns, frame, unix=NOW - 3600)

    def running(self, agent: str, game: str, seed: int, returns: Returns, frame: int) -> None:
        folder = self.unfinished(agent, game, seed, returns, frame, unix=NOW - 5)
        with (folder / "episodes.jsonl").open("a") as file:
            file.write('{"episode": 99, "env": 0, "fra')  # A line that is being written.

    def unfinished(
        self, agent: str, game: str, seed: int, returns: Returns, frame: int, **changes: object
    ) -> Path:
        """Writes a run folder up to a frame, of an attempt that has not said how it ended."""
        folder = self.runs / self.suite.name / agent / game / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "config.json", self._config(agent, game, seed, changes))
        ends = np.arange(1, frame // self.every + 1) * self.every
        for number, (end, value) in enumerate(
            zip(ends.tolist(), returns(ends / self.suite.frames).tolist(), strict=True)
        ):
            _add(folder / "episodes.jsonl", {
                "episode": number, "env": 0, "frame": end, "agent_step": end // 4,
                "return": value, "length": self.every, "end": "terminal",
            })  # fmt: skip
        _add(folder / "metrics.jsonl", {
            "frame": frame, "agent_step": frame // 4, "row": frame // 4 + 9, "update": 16,
            "episode": len(ends), "seconds": frame / 900, "attempt": 1,
            "unix": changes.get("unix", NOW), "metrics": {"time/frames_per_second": 900.0},
        })  # fmt: skip
        _write(folder / "provenance.json", {
            "commit": COMMIT, "dirty": False, "packages": PACKAGES, "python": "3.11.7",
            "machine": MACHINE, "attempts": [],
        })  # fmt: skip
        self._attempt(folder, None)
        return folder

    @property
    def every(self) -> int:
        """Frames between two ends of episodes."""
        return self.suite.frames // 100

    def receipts(self, *agents: str) -> list[Path]:
        """The receipts' paths of all cells of some agents, there or not."""
        return [
            self.results / self.suite.name / agent / game / f"{seed}.json"
            for agent in agents
            for game in self.suite.games
            for seed in self.suite.seeds
        ]

    def _config(self, agent: str, game: str, seed: int, changes: dict) -> dict:
        view = {"size": [84, 84], "color": "gray", "resize": "bilinear", "stack": 4,
                "reward": "sign", "life_loss": True, "fire": False}  # fmt: skip
        facts = {
            "suite": self.suite.name, "agent": agent, "game": game, "seed": seed,
            "frames": self.suite.frames, "backend": "ale",
            "task": self.suite.task.model_dump(mode="json"), "view": view,
            "agent_config": {"learning_rate": 2.5e-4, "view": view},
            "evaluation": self.suite.evaluation.model_dump(mode="json"),
            "score": self.suite.score.model_dump(mode="json"),
            "hash": digest([agent, game, seed]),
            "task_hash": self.suite.task_digest, "view_hash": "f1e3f1e3f1e3f1e3",
            "runtime": {"threads": 1, "workers": 2, "device": "cpu"},
        }  # fmt: skip
        return facts | {key: value for key, value in changes.items() if key in facts}

    def _attempt(self, folder: Path, reason: str | None) -> None:
        told = json.loads((folder / "provenance.json").read_text())
        ended = None if reason is None else NOW
        attempt = {"started": NOW - 100, "ended": ended, "reason": reason, "from_frame": 0}
        told["attempts"] = [attempt | {"host": f"not {socket.gethostname()}", "pid": 1}]
        _write(folder / "provenance.json", told)

    def _evaluate(self, folder: Path, returns: Returns) -> None:
        (value,) = returns(np.ones(1)).tolist()
        for number in range(self.suite.evaluation.episodes):
            _add(folder / "evaluation.jsonl", {
                "frame": self.suite.frames, "episode": number, "return": value, "length": 400,
                "end": "terminal", "policy": self.suite.evaluation.policy,
            })  # fmt: skip

    def _receipt(self, folder: Path) -> dict:
        config = json.loads((folder / "config.json").read_text())
        window = windows.parse(config["score"]["window"])
        lines = [_lines(folder / f"{kind}.jsonl") for kind in ("episodes", "evaluation")]
        score = windows.score(window, config["frames"], *lines)
        names = ("suite", "agent", "game", "seed", "hash", "task_hash", "view_hash", "frames")
        judged = None
        if lines[1]:
            mean = sum(line["return"] for line in lines[1]) / len(lines[1])
            judged = {"policy": lines[1][0]["policy"], "episodes": len(lines[1]), "mean": mean}
        value = None if math.isnan(score.value) else score.value
        return {name: config[name] for name in names} | {
            "agent_steps": config["frames"] // 4, "rows": config["frames"] // 4 + 9,
            "updates": 16, "episodes": len(lines[0]),
            "score": {"window": window.name, "value": value, "episodes": score.episodes},
            "evaluation": judged, "run": str(folder.relative_to(self.root)), "seconds": 44.5,
            "commit": COMMIT, "dirty": False, "unix": NOW,
        }  # fmt: skip


def _write(path: Path, told: dict) -> None:
    path.write_text(json.dumps(told))


def _add(path: Path, told: dict) -> None:
    with path.open("a") as file:
        file.write(json.dumps(told) + "\n")


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
