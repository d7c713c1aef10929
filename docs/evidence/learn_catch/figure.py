"""Draws learn_catch.png and .pdf from the runs' episodes, and prints the table.

    python docs/evidence/learn_catch/figure.py [FOLDER]

With a folder that holds runs/learn and results/learn, copies what is needed out of it first.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from analysis import figures, palette

HERE = Path(__file__).parent
AGENTS = ("dreamerv1", "dreamerv2", "dreamerv3")
SEEDS = (0, 1, 2)
WINDOW = 100  # Episodes of the running mean: the suite's score window.
TARGET = 0.9
KEPT = ("agent", "seed", "frame", "return")
Run = tuple[str, int]


def copy(folder: Path) -> None:
    """Copies episodes and receipts into this folder."""
    rows, facts = [], {}
    for agent in AGENTS:
        for seed in SEEDS:
            run, name = folder / "runs/learn" / agent / "catch" / str(seed), f"{agent}/{seed}"
            receipt = folder / "results/learn" / agent / "catch" / f"{seed}.json"
            if not receipt.is_file():
                continue  # Not finished: no evidence.
            lines = (run / "episodes.jsonl").read_text().splitlines()
            rows += [{"agent": agent, "seed": seed} | json.loads(line) for line in lines]
            facts[name] = json.loads(receipt.read_text())
    with (HERE / "episodes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, KEPT, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (HERE / "receipts.json").write_text(json.dumps(facts, indent=2) + "\n")


def read() -> dict[Run, tuple[np.ndarray, np.ndarray]]:
    """Returns frames and returns of each run's episodes."""
    found: dict[Run, tuple[list[int], list[float]]] = {}
    with (HERE / "episodes.csv").open() as file:
        for row in csv.DictReader(file):
            frames, returns = found.setdefault((row["agent"], int(row["seed"])), ([], []))
            frames.append(int(row["frame"]))
            returns.append(float(row["return"]))
    return {run: (np.array(frames), np.array(returns)) for run, (frames, returns) in found.items()}


def running(returns: np.ndarray) -> np.ndarray:
    """Returns the mean of each window of episodes."""
    return np.convolve(returns, np.ones(WINDOW) / WINDOW, mode="valid")


def draw(runs: dict[Run, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draws the running mean of every seed, an axis for each agent."""
    with figures.theme():
        size = (figures.COLUMN * 2, 2.2)
        figure, axes = plt.subplots(1, 3, figsize=size, sharey=True, layout="constrained")
        for ax, agent in zip(axes, AGENTS, strict=True):
            ax.axhline(1.0, color="#888888", linewidth=0.6, zorder=0)
            ax.axhline(TARGET, color="#888888", linewidth=0.6, linestyle="--", zorder=0)
            for frames, returns in (runs[agent, seed] for seed in SEEDS if (agent, seed) in runs):
                mean = running(returns)
                ax.plot(frames[WINDOW - 1 :] / 1e3, mean, color=palette.look(agent).color, lw=1)
            ax.set(title=agent, xlabel="Frames (thousands)", ylim=(-1.05, 1.1))
        axes[0].set_ylabel("Return, mean of the last 100")
        figure.savefig(HERE / "learn_catch.png", dpi=200)
        figure.savefig(HERE / "learn_catch.pdf")


def tell(runs: dict[Run, tuple[np.ndarray, np.ndarray]]) -> None:
    """Prints the last windows, and when each run first reached the target."""
    for (agent, seed), (frames, returns) in runs.items():
        mean = running(returns)
        above = np.flatnonzero(mean >= TARGET)
        first = int(frames[WINDOW - 1 + above[0]]) if len(above) else "never"
        print(f"{agent} seed {seed}: last 100 {mean[-1]:.2f}, {TARGET} first at frame {first}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        copy(Path(sys.argv[1]))
    everything = read()
    draw(everything)
    tell(everything)
